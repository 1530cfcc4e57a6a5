//! What a line of the output says of how its row went.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::is_ok;
use super::request::id_hash;
use crate::wire::fault::read_fault;

/// What a line of the output says of how its row went; see [`read_course`].
#[derive(Debug)]
pub struct CourseRef<'a> {
    /// The id of the row.
    pub custom_id: Cow<'a, str>,
    /// Whether it was answered.
    pub ok: bool,
    /// The row's line in the input, if this crate wrote the line.
    pub line: Option<u64>,
    /// How many times it was sent.
    pub attempts: Option<u32>,
    /// How many of them the server refused for a rate limit.
    pub refusals: Option<u32>,
    /// How many of them may have been billed without an answer.
    pub maybe_billed: Option<u32>,
    /// Milliseconds that the last exchange took.
    pub latency_ms: Option<f64>,
    /// Milliseconds that it spent outside of exchanges.
    pub waiting_ms: Option<f64>,
    /// Unix time of its end, in seconds.
    pub ended: Option<f64>,
    response: Option<Response<'a>>,
    error: Option<Failure<'a>>,
}

impl CourseRef<'_> {
    /// 64 bits of a hash of the row's id.
    pub fn id_hash(&self) -> u64 {
        id_hash(&self.custom_id)
    }

    /// The kind of failure and what was said of it, as in summaries; for a line that is not ok.
    pub fn failure(&self) -> (String, String) {
        if let Some(error) = &self.error {
            let code = error.code.as_deref().unwrap_or("error");
            return (code.into(), error.message.as_deref().unwrap_or_default().into());
        }
        let Some(response) = &self.response else { return ("no_answer".into(), String::new()) };
        let body = response.body.map_or("", RawValue::get);
        let fault = read_fault(response.status_code, body.as_bytes());
        let status = || format!("http_{}", fault.status);
        (fault.code.or(fault.kind).unwrap_or_else(status), fault.message)
    }
}

/// Reads how a row went from its line of output; `None` if it is not one, or not whole.
pub fn read_course(line: &[u8]) -> Option<CourseRef<'_>> {
    let line: Line<'_> = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
    let run = line.x_run.unwrap_or_default();
    let status = line.response.as_ref().map(|response| response.status_code);
    Some(CourseRef {
        ok: is_ok(status, line.error.is_some(), run.ok),
        custom_id: line.custom_id,
        line: run.line,
        attempts: run.attempts,
        refusals: run.refusals,
        maybe_billed: run.maybe_billed,
        latency_ms: run.latency_ms,
        waiting_ms: run.waiting_ms,
        ended: run.ended,
        response: line.response,
        error: line.error,
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    custom_id: Cow<'a, str>,
    // Required, though it may be null: it tells an output line from an input line.
    #[serde(borrow, deserialize_with = "Option::deserialize")]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
    x_run: Option<Run>,
}

#[derive(Debug, Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Run {
    ok: Option<bool>,
    line: Option<u64>,
    attempts: Option<u32>,
    refusals: Option<u32>,
    maybe_billed: Option<u32>,
    latency_ms: Option<f64>,
    waiting_ms: Option<f64>,
    ended: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_its_row_went() {
        let line = br#"{"id":"b","custom_id":"a","response":{"status_code":200,"body":{}},"error":null,"x_run":{"ok":true,"line":3,"attempts":2,"latency_ms":7.5,"waiting_ms":1,"ended":9.25}}"#;
        let row = read_course(line).unwrap();
        assert!(row.ok);
        assert_eq!((row.line, row.attempts, row.ended), (Some(3), Some(2), Some(9.25)));
        assert_eq!((row.latency_ms, row.waiting_ms), (Some(7.5), Some(1.0)));
        for (line, kind, message) in [
            (
                r#"{"custom_id":"a","response":null,"error":{"code":"timeout","message":"late"}}"#,
                "timeout",
                "late",
            ),
            (
                r#"{"custom_id":"a","response":{"status_code":400,"body":{"error":{"message":"no","code":"bad"}}},"error":null}"#,
                "bad",
                "no",
            ),
            (
                r#"{"custom_id":"a","response":{"status_code":502,"body":{"error":{"message":"no"}}}}"#,
                "http_502",
                "no",
            ),
            (r#"{"custom_id":"a","response":null}"#, "no_answer", ""),
        ] {
            let row = read_course(line.as_bytes()).unwrap();
            assert!(!row.ok, "{line}");
            assert_eq!(row.failure(), (kind.into(), message.into()));
        }
        for other in [r#"{"custom_id":"a","method":"POST"}"#, "{", "[]"] {
            assert!(read_course(other.as_bytes()).is_none(), "{other}");
        }
    }
}
