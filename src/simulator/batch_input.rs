//! The check of a batch's input, with the codes that the real server gives.

use super::answers::tokens;
use super::check::given;
use super::endpoint::Endpoint;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// The most requests that a batch may have.
const MOST_REQUESTS: usize = 50_000;

/// An input without errors.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Where each request lies in the file.
    pub(super) lines: Vec<Range<usize>>,
    pub(super) model: String,
    /// The input tokens of all requests, as far as they can be told from their length.
    pub(super) tokens: u64,
}

/// The lines of a file that are not empty, each with its number, counted from 1.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut start = 0;
    content.split(|byte| *byte == b'\n').enumerate().filter_map(move |(at, line)| {
        let range = start..start + line.len();
        start = range.end + 1;
        (!line.trim_ascii().is_empty()).then_some((at + 1, range))
    })
}

/// An entry of a batch's `errors`.
pub(super) fn error(code: &str, message: &str, param: Option<&str>, line: Option<usize>) -> Value {
    json!({"code": code, "message": message, "param": param, "line": line})
}

/// Checks the whole input; the errors name their lines.
pub(super) fn check(
    content: &[u8],
    endpoint: Endpoint,
    known: &dyn Fn(&str) -> bool,
) -> Result<Input, Vec<Value>> {
    let mut input = Input::default();
    let mut errors = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut models = HashSet::new();
    for (number, range) in lines(content) {
        let line = &content[range.clone()];
        match check_line(line, endpoint, known) {
            Err((code, message, param)) => {
                let param = (!param.is_empty()).then_some(param);
                errors.push(error(code, &message, param, Some(number)));
            }
            Ok((custom_id, model)) => {
                // No capture of these two shows its words.
                if let Some(first) = seen.insert(custom_id.clone(), number) {
                    let message =
                        format!("The custom_id '{custom_id}' is that of line {first} too.");
                    let code = "duplicate_custom_id";
                    errors.push(error(code, &message, Some("custom_id"), Some(number)));
                }
                if models.insert(model.clone()) && models.len() == 2 {
                    let message = "All requests of a batch must name the same model.";
                    let param = Some("body.model");
                    errors.push(error("mismatched_model", message, param, Some(number)));
                }
                input.model = model;
                input.tokens += tokens(std::str::from_utf8(line).unwrap_or(""));
            }
        }
        input.lines.push(range);
    }
    if input.lines.is_empty() {
        let message = "The input file is empty. Please ensure that your batch contains at least one \
                       request.";
        errors.push(error("empty_file", message, Some("input_file_id"), None));
    }
    if input.lines.len() > MOST_REQUESTS {
        let message = format!("A batch may have at most {MOST_REQUESTS} requests.");
        errors.push(error("invalid_request", &message, Some("input_file_id"), None));
    }
    if errors.is_empty() { Ok(input) } else { Err(errors) }
}

type LineError = (&'static str, String, &'static str);

/// Checks one line; gives its `custom_id` and its model.
fn check_line(
    line: &[u8],
    endpoint: Endpoint,
    known: &dyn Fn(&str) -> bool,
) -> Result<(String, String), LineError> {
    let Ok(row) = serde_json::from_slice::<Value>(line) else {
        let message = "This line is not parseable as valid JSON.";
        return Err(("invalid_json_line", message.into(), ""));
    };
    for name in ["custom_id", "method", "url", "body"] {
        if given(&row, name).is_none() {
            let message = format!("Missing required parameter: '{name}'.");
            return Err(("missing_required_parameter", message, name));
        }
    }
    if row["url"].as_str().and_then(|url| url.strip_prefix("/v1")) != Some(endpoint.path()) {
        let message = "The URL provided for this request does not match the batch endpoint.";
        return Err(("invalid_url", message.into(), "url"));
    }
    let body = &row["body"];
    let model = given(body, "model").and_then(Value::as_str).or(endpoint.default_model());
    let Some(model) = model else {
        return Err(("invalid_request", "Model parameter is required.".into(), "body.model"));
    };
    if !known(model) {
        let message = format!("The provided model '{model}' is not supported by the Batch API.");
        return Err(("model_not_found", message, "body.model"));
    }
    if endpoint == Endpoint::Chat && given(body, "messages").is_none() {
        return Err(("invalid_request", "Messages parameter is required.".into(), "body.messages"));
    }
    if body["stream"] == true {
        let what = if endpoint == Endpoint::Chat { "Chat Completions" } else { "Responses" };
        let message = format!("{what}: Streaming is not supported in the Batch API.");
        return Err(("streaming_unsupported", message, "body.stream"));
    }
    let custom_id =
        row["custom_id"].as_str().map_or_else(|| row["custom_id"].to_string(), Into::into);
    Ok((custom_id, model.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(content: &str) -> Vec<(String, Option<u64>)> {
        let known = |model: &str| model == "m";
        let found = check(content.as_bytes(), Endpoint::Chat, &known).unwrap_err();
        let code =
            |error: &Value| (error["code"].as_str().unwrap().to_owned(), error["line"].as_u64());
        found.iter().map(code).collect()
    }

    fn line(id: &str, body: &str) -> String {
        format!(
            r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{body}}}"#
        )
    }

    const GOOD: &str = r#"{"model":"m","messages":[]}"#;

    #[test]
    fn a_good_input_has_no_errors_and_its_lines() {
        let content = format!("{}\n\n{}\n", line("a", GOOD), line("b", GOOD));
        let input = check(content.as_bytes(), Endpoint::Chat, &|_| true).unwrap();
        assert_eq!(input.lines.len(), 2);
        assert_eq!(&content[input.lines[1].clone()], line("b", GOOD));
    }

    #[test]
    fn each_error_has_its_code_and_its_line() {
        let url = line("a", GOOD).replace("/v1/chat/completions", "/v1/embeddings");
        for (content, code, number) in [
            (format!("{}\nnot json", line("a", GOOD)), "invalid_json_line", Some(2)),
            (format!("\u{feff}{}", line("a", GOOD)), "invalid_json_line", Some(1)),
            (r#"{"method":"POST"}"#.into(), "missing_required_parameter", Some(1)),
            (url, "invalid_url", Some(1)),
            (line("a", r#"{"messages":[]}"#), "invalid_request", Some(1)),
            (line("a", r#"{"model":"m"}"#), "invalid_request", Some(1)),
            (line("a", r#"{"model":"x","messages":[]}"#), "model_not_found", Some(1)),
            (
                line("a", r#"{"model":"m","messages":[],"stream":true}"#),
                "streaming_unsupported",
                Some(1),
            ),
            (format!("{0}\n{0}", line("a", GOOD)), "duplicate_custom_id", Some(2)),
            ("\n\n".into(), "empty_file", None),
        ] {
            assert_eq!(errors(&content), [(code.to_owned(), number)], "{content}");
        }
    }

    #[test]
    fn two_models_do_not_mix() {
        let other = line("b", r#"{"model":"other","messages":[]}"#);
        let content = format!("{}\n{other}", line("a", GOOD));
        let found = check(content.as_bytes(), Endpoint::Chat, &|_| true).unwrap_err();
        assert_eq!(found[0]["code"], "mismatched_model");
    }
}
