//! What a line of the output says of what its row cost.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// What a line of the output says of what its row cost; see [`read_paid`].
#[derive(Debug, Default)]
pub struct PaidRef<'a> {
    /// The body of the answer, if it is one.
    pub answer: Option<&'a str>,
    /// Whether a batch has answered: the line has no `x_run`, or one that names the batch.
    pub is_batch: bool,
    /// Whether nothing was paid for it: it came from the cache of answers, or with another row.
    pub is_free: bool,
    /// The model that was asked, where the answer names none.
    pub asked: Option<Cow<'a, str>>,
    /// What the answer was counted for against a cap, where it does not tell its cost itself: a
    /// decimal number of dollars.
    pub counted_cost: Option<Cow<'a, str>>,
    /// The same for its tokens.
    pub counted_tokens: Option<u64>,
    /// What attempts without an answer may have cost: a decimal number of dollars.
    pub maybe_cost: Option<Cow<'a, str>>,
    /// Tokens that they may have used.
    pub maybe_tokens: Option<u64>,
}

/// Reads what a line of the output says of what its row cost; `None` if it is not one, or not whole.
pub fn read_paid(line: &[u8]) -> Option<PaidRef<'_>> {
    let line: Line<'_> = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
    let good = line.response.filter(|response| (200..300).contains(&response.status_code));
    let is_batch = line.x_run.as_ref().is_none_or(|run| run.batch.is_some());
    let run = line.x_run.unwrap_or_default();
    Some(PaidRef {
        answer: good.and_then(|response| response.body).map(RawValue::get),
        is_batch,
        is_free: run.cached || run.shared,
        asked: run.asked,
        counted_cost: run.counted_cost,
        counted_tokens: run.counted_tokens,
        maybe_cost: run.maybe_cost,
        maybe_tokens: run.maybe_tokens,
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(borrow)]
    x_run: Option<Run<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Run<'a> {
    #[serde(borrow)]
    asked: Option<Cow<'a, str>>,
    #[serde(borrow)]
    counted_cost: Option<Cow<'a, str>>,
    counted_tokens: Option<u64>,
    #[serde(borrow)]
    maybe_cost: Option<Cow<'a, str>>,
    maybe_tokens: Option<u64>,
    batch: Option<IgnoredAny>,
    cached: bool,
    shared: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_answer_and_what_was_counted() {
        let line = br#"{"custom_id":"a","response":{"status_code":200,"body":{"usage":1}},"error":null,"x_run":{"ok":true,"asked":"m","counted_cost":"0.5","maybe_cost":"1.25","maybe_tokens":7}}"#;
        let paid = read_paid(line).unwrap();
        assert_eq!(paid.answer, Some(r#"{"usage":1}"#));
        assert!(!paid.is_batch);
        assert_eq!((paid.asked.as_deref(), paid.counted_cost.as_deref()), (Some("m"), Some("0.5")));
        assert_eq!((paid.maybe_cost.as_deref(), paid.maybe_tokens), (Some("1.25"), Some(7)));
        let refused = br#"{"custom_id":"a","response":{"status_code":400,"body":{}},"error":null}"#;
        let paid = read_paid(refused).unwrap();
        assert!(paid.answer.is_none() && paid.is_batch);
        for other in [&b"{"[..], b"", b"\xff", b"[1]"] {
            assert!(read_paid(other).is_none());
        }
    }
}
