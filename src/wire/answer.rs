//! Whether a 200 is an answer, and what it used.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

/// What the dispatcher reads of an answer, in the one pass that checks that it is JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peek {
    /// Tokens that it used.
    pub usage: Option<RawUsage>,
    /// The model that answered.
    pub model: Option<String>,
    /// The service tier that was billed.
    pub service_tier: Option<String>,
}

/// Tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawUsage {
    /// Of the request.
    pub input: u64,
    /// Of the request, served from the server's cache; part of `input`.
    pub cached: u64,
    /// Of the request, kept in the server's cache for later ones; part of `input`.
    pub cache_write: u64,
    /// Of the request, sound; part of `input`.
    pub audio_input: u64,
    /// Of the answer.
    pub output: u64,
    /// Of the answer, spent on reasoning; part of `output`.
    pub reasoning: u64,
    /// Of the answer, sound; part of `output`.
    pub audio_output: u64,
    /// All together.
    pub total: u64,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "text")]
    object: Option<String>,
    #[serde(default, deserialize_with = "text")]
    model: Option<String>,
    #[serde(default, deserialize_with = "text")]
    service_tier: Option<String>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    choices: Option<IgnoredAny>,
    data: Option<IgnoredAny>,
    output: Option<IgnoredAny>,
    results: Option<IgnoredAny>,
}

/// Reads the body of a success, or says why it is not an answer: empty, not JSON, cut short, or an
/// error.
///
/// A response of `/v1/responses` whose status is `failed` carries an `error` and is an answer all
/// the same, unless its code says that another try may help.
pub fn check_answer(body: &[u8]) -> Result<Peek, String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("the body is empty".into());
    }
    // The skipped parts of a text are not checked by the parser, and a line of output has to be UTF-8.
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_string())?;
    let body: Body<'_> = serde_json::from_str(text).map_err(|e| {
        if e.is_eof() {
            "the JSON is cut short".to_string()
        } else {
            format!("it is not a JSON object: {e}")
        }
    })?;
    if let Some(error) = body.error {
        check_error(&body, error)?;
    }
    let usage = body.usage.and_then(|usage| serde_json::from_str::<WireUsage>(usage.get()).ok());
    Ok(Peek {
        usage: usage.and_then(|usage| usage.read(body.data.is_some())),
        model: body.model,
        service_tier: body.service_tier,
    })
}

fn check_error(body: &Body<'_>, error: &RawValue) -> Result<(), String> {
    let fault = super::fault::read_fault(200, format!(r#"{{"error":{}}}"#, error.get()).as_bytes());
    let said = fault.code.as_deref().or(fault.kind.as_deref()).unwrap_or_default();
    if body.object.as_deref() == Some("response") {
        return match said {
            "server_error" | "rate_limit_exceeded" => {
                Err(format!("the response failed with {said}"))
            }
            _ => Ok(()),
        };
    }
    let has_result = body.choices.is_some()
        || body.data.is_some()
        || body.output.is_some()
        || body.results.is_some();
    if has_result {
        return Ok(());
    }
    Err(format!("it is an error: {}", if fault.message.is_empty() { said } else { &fault.message }))
}

/// A text, or anything else as nothing.
fn text<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(json)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

/// Both shapes of usage, with every field optional; some servers send both.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<Details>,
    input_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
    reasoning_tokens: Count,
}

/// A number of tokens, rounded down; nothing where it is not a number, or below zero.
#[derive(Default, Clone, Copy)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Count, D::Error> {
        let value = serde_json::Value::deserialize(json)?;
        let float = || value.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64);
        Ok(Count(value.as_u64().or_else(float)))
    }
}

impl Count {
    fn or_none(self) -> u64 {
        self.0.unwrap_or(0)
    }
}

impl WireUsage {
    /// What was used; nothing where it does not say what was read and what was written, because
    /// tokens that are not told are not free. Lists of embeddings write nothing.
    fn read(self, is_list: bool) -> Option<RawUsage> {
        let total = self.total_tokens.0.filter(|total| *total > 0);
        let rest = |part: u64| total.map(|total| total.saturating_sub(part));
        let input = self.prompt_tokens.0.max(self.input_tokens.0);
        let output = self.completion_tokens.0.max(self.output_tokens.0);
        let output = output.or_else(|| if is_list { Some(0) } else { rest(input?) });
        let input = input.or_else(|| rest(output?))?;
        let output = output?;
        let read = self.prompt_tokens_details.or(self.input_tokens_details).unwrap_or_default();
        let written =
            self.completion_tokens_details.or(self.output_tokens_details).unwrap_or_default();
        Some(RawUsage {
            input,
            cached: read.cached_tokens.or_none(),
            cache_write: read.cache_write_tokens.or_none(),
            audio_input: read.audio_tokens.or_none(),
            output,
            reasoning: written.reasoning_tokens.or_none(),
            audio_output: written.audio_tokens.or_none(),
            // Some servers count more than both together, and none may count less.
            total: total.unwrap_or(0).max(input.saturating_add(output)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_what_is_none() {
        let answers = [
            r#"{"choices":[]}"#,
            "{}",
            r#"{"error":null,"output":[]}"#,
            r#"{"object":"response","status":"failed","error":{"code":"invalid_prompt","message":"no"}}"#,
            r#"{"choices":[],"error":{"message":"a remark"}}"#,
            r#"{"model":3,"usage":"none"}"#,
        ];
        for body in answers {
            assert!(check_answer(body.as_bytes()).is_ok(), "{body}");
        }
        let others: &[(&str, &str)] = &[
            ("", "empty"),
            (" \n", "empty"),
            ("<html>", "not a JSON object"),
            ("[1]", "not a JSON object"),
            ("\"text\"", "not a JSON object"),
            (r#"{"choices":["#, "cut short"),
            (r#"{"choices":[]} x"#, "not a JSON object"),
            (r#"{"error":{"message":"overloaded"}}"#, "overloaded"),
            (r#"{"error":"overloaded"}"#, "overloaded"),
            (
                r#"{"object":"response","error":{"code":"server_error","message":"x"}}"#,
                "server_error",
            ),
            ("{\"a\":\"\u{1}\"}", "not a JSON object"),
        ];
        for (body, reason) in others {
            let error = check_answer(body.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
        }
        assert!(check_answer(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn usage_is_read_in_both_shapes() {
        let chat = r#"{"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,
            "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":1,"audio_tokens":null},"completion_tokens_details":{"reasoning_tokens":2}}}"#;
        let responses = r#"{"usage":{"input_tokens":7,"output_tokens":3.0,"total_tokens":null,
            "input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens_details":{"reasoning_tokens":2}}}"#;
        let expected = RawUsage {
            input: 7,
            cached: 4,
            cache_write: 1,
            output: 3,
            reasoning: 2,
            total: 10,
            ..RawUsage::default()
        };
        for body in [chat, responses] {
            assert_eq!(check_answer(body.as_bytes()).unwrap().usage, Some(expected));
        }
        assert_eq!(check_answer(b"{}").unwrap().usage, None);
    }

    #[test]
    fn tokens_that_are_not_told_are_unknown_and_not_none() {
        let found = |rest: &str, usage: &str| {
            let body = format!(r#"{{{rest}"usage":{usage}}}"#);
            let usage = check_answer(body.as_bytes()).unwrap().usage;
            usage.map(|usage| (usage.input, usage.output, usage.total))
        };
        for (usage, expected) in [
            ("{}", None),
            ("[]", None),
            ("null", None),
            (r#"{"prompt_tokens":null,"completion_tokens":null}"#, None),
            (r#"{"prompt_tokens":"12","completion_tokens":"3"}"#, None),
            (r#"{"prompt_tokens":-5,"completion_tokens":3}"#, None),
            (r#"{"completion_tokens":3}"#, None),
            (r#"{"prompt_tokens":3}"#, None),
            (r#"{"total_tokens":100}"#, None),
            (r#"{"prompt_tokens":7,"total_tokens":10}"#, Some((7, 3, 10))),
            (r#"{"completion_tokens":3,"total_tokens":10}"#, Some((7, 3, 10))),
            (r#"{"prompt_tokens":0,"completion_tokens":0}"#, Some((0, 0, 0))),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":1}"#, Some((10, 5, 15))),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#, Some((10, 5, 40))),
            (r#"{"prompt_tokens":12.7,"completion_tokens":1e30}"#, Some((12, u64::MAX, u64::MAX))),
        ] {
            assert_eq!(found("", usage), expected, "{usage}");
        }
        let list = r#""data":[],"#;
        assert_eq!(found(list, r#"{"prompt_tokens":3}"#), Some((3, 0, 3)));
        assert_eq!(found(list, r#"{"total_tokens":3}"#), Some((3, 0, 3)));
        assert_eq!(found(list, "{}"), None);
    }
}
