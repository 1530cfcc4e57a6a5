//! Error bodies, and what they mean.

use super::headers::{Headers, should_retry};
use crate::error::QUOTA_CODES;
use serde_json::Value;

/// Longest text of an error that is kept, in characters.
const LONGEST: usize = 2_000;

/// An error as the server put it, whatever the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// HTTP status.
    pub status: u16,
    /// The `type`, such as `invalid_request_error`.
    pub kind: Option<String>,
    /// The `code`; a number is kept as its text, unless it is the status.
    pub code: Option<String>,
    /// What the server said, without control characters.
    pub message: String,
    /// The parameter that it complains of.
    pub param: Option<String>,
}

/// Reads an error body: the envelope of OpenAI, the forms of servers that resemble it, HTML,
/// or anything else as text.
pub fn read_fault(status: u16, body: &[u8]) -> Fault {
    let mut fault = Fault { status, ..Fault::default() };
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => match fields.get("error") {
            Some(Value::Object(error)) => fill(&mut fault, error),
            Some(Value::String(text)) => {
                fault.message = clean(text);
                fault.code = fields.get("code").and_then(word);
            }
            _ => fill(&mut fault, &fields),
        },
        Ok(Value::Array(list)) => match list.first() {
            Some(Value::Object(fields)) => match fields.get("error") {
                Some(Value::Object(error)) => fill(&mut fault, error),
                _ => fill(&mut fault, fields),
            },
            _ => fault.message = plain(body),
        },
        Ok(Value::String(text)) => fault.message = clean(&text),
        _ => fault.message = plain(body),
    }
    fault
}

/// What a redirect says, and what to do about it. It is not followed: a key goes to no other server
/// than the one that it was given for.
pub fn redirect(location: Option<&str>) -> String {
    let place = location.map_or_else(|| "another address".into(), clean);
    format!(
        "it redirects to {place}; set the base URL (OPENAI_BASE_URL, --base-url) to where the API is"
    )
}

fn fill(fault: &mut Fault, fields: &serde_json::Map<String, Value>) {
    let field = |name: &str| fields.get(name).and_then(word);
    fault.kind = field("type");
    // Some servers repeat the status there, which says less than the type.
    fault.code = field("code").filter(|code| *code != fault.status.to_string());
    fault.param = field("param");
    fault.message = match fields.get("message").or_else(|| fields.get("detail")) {
        Some(Value::String(text)) => clean(text),
        Some(Value::Null) | None => String::new(),
        Some(other) => clean(&other.to_string()),
    };
}

/// A text that is not empty, or a number as its text. Servers in Python may write `None` for nothing.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() || text == "None" => None,
        Value::String(text) => Some(clean(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a body that is not JSON says: the title of a page, or its text.
fn plain(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    let lower = text.to_ascii_lowercase();
    if let Some(open) = lower.find("<title")
        && let Some(start) = lower[open..].find('>').map(|at| open + at + 1)
        && let Some(end) = lower[start..].find("</title").map(|at| start + at)
    {
        return clean(&text[start..end]);
    }
    clean(&text)
}

fn clean(text: &str) -> String {
    let calm = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let short: String = calm.take(LONGEST).collect();
    short.trim().to_string()
}

/// What a failure means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Class {
    /// No other request can succeed either: a bad key, no quota, a refused country.
    RunFatal,
    /// This request will never succeed.
    ItemFatal,
    /// This request alone is larger than the limit.
    TooLarge {
        /// The limit that the server named.
        limit: Option<u64>,
    },
    /// Refused for a rate limit: the same request passes later.
    Throttled {
        /// For which limit.
        scope: Scope,
    },
    /// Refused because the rate grew too fast: it must go down for everybody.
    SlowDown,
    /// The server is in trouble, or the exchange broke: another try may help.
    Ill,
}

/// The limit for which a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Anything a day.
    Day,
    /// The server did not say.
    Unknown,
}

/// Says what an error means, by its status, code and text. `x-should-retry` decides between another
/// try and none, but never about quota, keys and requests that are too large.
pub fn classify(fault: &Fault, headers: &Headers) -> Class {
    if is_out_of_quota(fault) {
        return Class::RunFatal;
    }
    let class = match fault.status {
        // The API does not redirect: the base URL is not the server's.
        300..=399 | 401 | 402 => return Class::RunFatal,
        403 if is_said(fault, "request_forbidden")
            || is_said(fault, "unsupported_country_region_territory") =>
        {
            return Class::RunFatal;
        }
        429 => refused(fault),
        // Old form of today's 429 `slow_down`.
        503 if is_said(fault, "slow_down") => Class::SlowDown,
        // A cancelled batch or a conflict of the caller's own making stays one.
        409 if fault.kind.as_deref() == Some("invalid_request_error") => Class::ItemFatal,
        408 | 409 | 425 | 500.. => Class::Ill,
        _ => Class::ItemFatal,
    };
    match (class, should_retry(headers)) {
        (Class::ItemFatal, Some(true)) => Class::Ill,
        (Class::Ill | Class::Throttled { .. } | Class::SlowDown, Some(false)) => Class::ItemFatal,
        _ => class,
    }
}

fn is_said(fault: &Fault, word: &str) -> bool {
    fault.code.as_deref() == Some(word) || fault.kind.as_deref() == Some(word)
}

fn is_out_of_quota(fault: &Fault) -> bool {
    matches!(fault.status, 402 | 403 | 429) && QUOTA_CODES.iter().any(|code| is_said(fault, code))
}

fn refused(fault: &Fault) -> Class {
    if is_said(fault, "slow_down") {
        return Class::SlowDown;
    }
    let text = fault.message.to_ascii_lowercase();
    // The same type and code as an ordinary refusal; only the text tells them apart.
    if text.contains("request too large") && !text.contains("try again in") {
        return Class::TooLarge { limit: number_after(&text, "limit ") };
    }
    let scope = if text.contains("per day") || text.contains("(rpd)") || text.contains("(tpd)") {
        Scope::Day
    } else if is_said(fault, "tokens") || text.contains("tokens per min") {
        Scope::Tokens
    } else if is_said(fault, "requests") || text.contains("requests per min") {
        Scope::Requests
    } else {
        Scope::Unknown
    };
    Class::Throttled { scope }
}

/// The status that an error in the middle of a stream would have had as an answer of its own.
pub fn status_in_stream(fault: &Fault) -> u16 {
    let said = |words: &[&str]| words.iter().any(|word| is_said(fault, word));
    let number = fault.code.as_ref().and_then(|code| code.parse().ok());
    if let Some(status) = number.filter(|status| (400..600).contains(status)) {
        return status;
    }
    let refusals = ["rate_limit_exceeded", "rate_limit_error", "too_many_requests", "slow_down"];
    if said(&refusals) || said(&["tokens", "requests"]) || said(QUOTA_CODES) {
        return 429;
    }
    if said(&["invalid_api_key", "authentication_error"]) {
        return 401;
    }
    let busy = ["server_is_overloaded", "overloaded", "overloaded_error", "vector_store_timeout"];
    if said(&busy) {
        return 503;
    }
    let is_ours = |word: &String| {
        let begins = ["invalid_", "content_", "context_length", "string_above", "unsupported_"];
        begins.iter().any(|start| word.starts_with(start)) || word == "BadRequestError"
    };
    let words = [&fault.code, &fault.kind];
    if words.into_iter().flatten().any(is_ours) { 400 } else { 500 }
}

/// The limit that the text of a refusal names, as in "(RPM): Limit 500, Used 500, Requested 1".
pub fn named_limit(fault: &Fault) -> Option<u64> {
    number_after(&fault.message.to_ascii_lowercase(), "limit ").filter(|&limit| limit > 0)
}

fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = &text[text.find(word)? + word.len()..];
    let digits: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == ',')
        .filter(|c| *c != ',')
        .collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn class_of(status: u16, body: &str, headers: &[(&str, &str)]) -> Class {
        let mut all = Headers::default();
        for (name, value) in headers {
            all.push(name, value);
        }
        classify(&read_fault(status, body.as_bytes()), &all)
    }

    #[test]
    fn every_published_error_is_judged_as_its_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/errors.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is not here");
            return;
        };
        let table: Value = serde_json::from_str(&text).unwrap();
        let rows = table["errors"].as_array().unwrap();
        assert!(rows.len() >= 27);
        for row in rows {
            let mut headers = Headers::default();
            for (name, value) in row["headers"].as_object().unwrap() {
                headers.push(name, value.as_str().unwrap());
            }
            let status = row["status"].as_u64().unwrap() as u16;
            let body = row["body"].as_str().map_or_else(|| row["body"].to_string(), str::to_string);
            let fault = read_fault(status, body.as_bytes());
            let class = classify(&fault, &headers);
            let again = matches!(class, Class::Ill | Class::Throttled { .. } | Class::SlowDown);
            assert_eq!(again, row["retry"].as_bool().unwrap(), "{row} is {class:?}");
            let code = fault.code.as_deref().unwrap_or_default();
            let fatal = status == 401
                || QUOTA_CODES.contains(&code)
                || fault.kind.as_deref() == Some("request_forbidden");
            assert_eq!(class == Class::RunFatal, fatal, "{row} is {class:?}");
        }
    }

    #[test]
    fn codes_and_texts_decide_not_digits_in_them() {
        let bad =
            r#"{"error":{"message":"max 15 tokens, 500 given","type":"invalid_request_error"}}"#;
        assert_eq!(class_of(400, bad, &[]), Class::ItemFatal);
        assert_eq!(class_of(400, bad, &[("x-should-retry", "true")]), Class::Ill);
        assert_eq!(class_of(500, "{}", &[("x-should-retry", "false")]), Class::ItemFatal);
        assert_eq!(class_of(500, "{}", &[("x-should-retry", "False")]), Class::Ill);
        let quota = r#"{"error":{"code":null,"type":"insufficient_quota","message":"x"}}"#;
        assert_eq!(class_of(429, quota, &[("x-should-retry", "true")]), Class::RunFatal);
        let large = r#"{"error":{"type":"tokens","code":"rate_limit_exceeded",
            "message":"Request too large for m on tokens per min (TPM): Limit 30,000, Requested 129625."}}"#;
        assert_eq!(class_of(429, large, &[]), Class::TooLarge { limit: Some(30_000) });
        let day =
            r#"{"error":{"type":"requests","message":"on requests per day (RPD): Limit 200"}}"#;
        assert_eq!(class_of(429, day, &[]), Class::Throttled { scope: Scope::Day });
        assert_eq!(class_of(429, "", &[]), Class::Throttled { scope: Scope::Unknown });
        assert_eq!(class_of(301, "", &[]), Class::RunFatal, "every row would meet it");
        assert_eq!(class_of(529, "", &[]), Class::Ill);
    }

    #[test]
    fn an_error_in_a_stream_means_what_it_means_as_an_answer() {
        for (error, status, class) in [
            (r#"{"code":"rate_limit_exceeded"}"#, 429, Class::Throttled { scope: Scope::Unknown }),
            (r#"{"code":"insufficient_quota"}"#, 429, Class::RunFatal),
            (r#"{"code":"slow_down"}"#, 429, Class::SlowDown),
            (r#"{"code":"server_error"}"#, 500, Class::Ill),
            (r#"{"code":"server_is_overloaded"}"#, 503, Class::Ill),
            (r#"{"code":"invalid_prompt"}"#, 400, Class::ItemFatal),
            (r#"{"type":"invalid_request_error"}"#, 400, Class::ItemFatal),
            (r#"{"code":"context_length_exceeded"}"#, 400, Class::ItemFatal),
            (r#"{"code":401,"message":"no"}"#, 401, Class::RunFatal),
            (r#"{"type":"BadRequestError","code":400}"#, 400, Class::ItemFatal),
            (r#"{"code":"brand_new"}"#, 500, Class::Ill),
            ("null", 500, Class::Ill),
        ] {
            let mut fault = read_fault(200, format!(r#"{{"error":{error}}}"#).as_bytes());
            fault.status = status_in_stream(&fault);
            let found = (fault.status, classify(&fault, &Headers::default()));
            assert_eq!(found, (status, class), "{error}");
        }
    }

    #[test]
    fn every_form_of_error_body_is_read() {
        let cases: &[(&str, Option<&str>, &str)] = &[
            (
                r#"{"error":{"code":400,"message":"'messages' is required"}}"#,
                Some("400"),
                "'messages' is required",
            ),
            (r#"{"error":{"code":500,"type":"server_error","message":"x"}}"#, None, "x"),
            (r#"{"error":{"code":"None","type":"None","message":"y"}}"#, None, "y"),
            (r#"{"error":"gone"}"#, None, "gone"),
            (r#"{"message":"no","code":"x"}"#, Some("x"), "no"),
            (r#"{"detail":"Not Found"}"#, None, "Not Found"),
            (r#"{"detail":[{"msg":"field required"}]}"#, None, r#"[{"msg":"field required"}]"#),
            (r#"[{"error":{"code":503,"message":"busy"}}]"#, Some("503"), "busy"),
            ("<html><head><TITLE>502 Bad\nGateway</title></head></html>", None, "502 Bad Gateway"),
            (r#"{"error":{"message":"cut"#, None, r#"{"error":{"message":"cut"#),
            ("", None, ""),
            ("null", None, "null"),
        ];
        for (body, code, message) in cases {
            let fault = read_fault(500, body.as_bytes());
            assert_eq!(
                (fault.code.as_deref(), fault.message.as_str()),
                (*code, *message),
                "{body}"
            );
        }
        let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "é".repeat(5_000));
        assert_eq!(read_fault(400, long.as_bytes()).message.chars().count(), LONGEST);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let fault = read_fault(status, &body);
            let _ = classify(&fault, &Headers::default());
            prop_assert!(!fault.message.contains(char::is_control));
        }
    }
}
