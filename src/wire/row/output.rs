//! A line of the output, written and read.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::{Deserialize as DeriveDeserialize, Serialize};

use super::request::id_hash;
use crate::error::{Error, Result};

/// A line of the output: that of the Batch API, with one more key, `x_run`.
#[derive(Clone, Copy, Debug)]
pub struct OutputLine<'a, X> {
    /// The id of this answer.
    pub id: &'a str,
    /// The id of the row.
    pub custom_id: &'a str,
    /// What the server answered, if it did.
    pub response: Option<Response<'a>>,
    /// Code and message, if there is no answer.
    pub error: Option<(&'a str, &'a str)>,
    /// What the run knows: an object with at least `fingerprint` (see [`fingerprint_hex`]),
    /// `line` and `ok`.
    pub x_run: &'a X,
}

/// What the server answered.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// HTTP status.
    pub status_code: u16,
    /// The id that the server gave to the request.
    pub request_id: Option<&'a str>,
    /// The answer's body. It is written as it is spelled, but on one line.
    pub body: Body<'a>,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// Known to be valid JSON: it is not looked at again.
    Json(&'a [u8]),
    /// Whatever it is; what is not JSON is written as a string.
    Any(&'a [u8]),
}

impl<X: Serialize> OutputLine<'_, X> {
    /// Adds the line to `out`, with its line end, or leaves `out` as it is.
    ///
    /// # Errors
    /// When `x_run` cannot be written as JSON.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.extend_from_slice(b"{\"id\":");
        push_text(out, self.id);
        out.extend_from_slice(b",\"custom_id\":");
        push_text(out, self.custom_id);
        out.extend_from_slice(b",\"response\":");
        match &self.response {
            Some(response) => response.push(out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"error\":");
        match self.error {
            Some((code, message)) => {
                out.extend_from_slice(b"{\"code\":");
                push_text(out, code);
                out.extend_from_slice(b",\"message\":");
                push_text(out, message);
                out.push(b'}');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"x_run\":");
        if let Err(e) = serde_json::to_writer(&mut *out, self.x_run) {
            out.truncate(start);
            return Err(Error::invalid("x_run", e.to_string()));
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}

impl Response<'_> {
    fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"status_code\":");
        out.extend_from_slice(self.status_code.to_string().as_bytes());
        out.extend_from_slice(b",\"request_id\":");
        match self.request_id {
            Some(id) => push_text(out, id),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"body\":");
        self.body.push(out);
        out.push(b'}');
    }
}

impl Body<'_> {
    fn push(self, out: &mut Vec<u8>) {
        match self {
            Body::Json(json) => push_json(out, json),
            Body::Any(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                match serde_json::from_str::<IgnoredAny>(&text) {
                    Ok(_) => push_json(out, text.as_bytes()),
                    Err(_) => push_text(out, &text),
                }
            }
        }
    }
}

fn push_json(out: &mut Vec<u8>, json: &[u8]) {
    // A line end is white space between two tokens.
    for piece in json.trim_ascii().split(|byte| matches!(byte, b'\n' | b'\r')) {
        out.extend_from_slice(piece);
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing text to memory cannot fail.
    serde_json::to_writer(out, text).unwrap_or_default();
}

/// How a row's fingerprint is written in `x_run`.
pub fn fingerprint_hex(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}

/// What a line of the output says, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRef<'a> {
    /// The id of the row.
    pub custom_id: Cow<'a, str>,
    /// The status of the server's answer, if there is one.
    pub status_code: Option<u16>,
    /// Whether it is an answer that the row need not be sent again for.
    pub ok: bool,
    /// The row's fingerprint, if this crate wrote the line.
    pub fingerprint: Option<u64>,
    /// The row's line, if this crate wrote the line.
    pub line: Option<u64>,
}

impl OutputRef<'_> {
    /// 64 bits of a hash of the row's id.
    pub fn id_hash(&self) -> u64 {
        id_hash(&self.custom_id)
    }
}

/// Reads a line of the output; `None` if it is not one, or not whole.
pub fn read_output(line: &[u8]) -> Option<OutputRef<'_>> {
    let raw: RawLine<'_> = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
    let status_code = raw.response.map(|response| response.status_code);
    let run = raw.x_run.unwrap_or_default();
    Some(OutputRef {
        ok: is_ok(status_code, raw.error.is_some(), run.ok),
        fingerprint: match run.fingerprint {
            Some(hex) => Some(u64::from_str_radix(&hex, 16).ok()?),
            None => None,
        },
        custom_id: raw.custom_id,
        status_code,
        line: run.line,
    })
}

/// Whether a line is an answer that the row need not be sent again for; `said` is what the run says.
pub(super) fn is_ok(status: Option<u16>, has_error: bool, said: Option<bool>) -> bool {
    status.is_some_and(|status| (200..300).contains(&status)) && !has_error && said != Some(false)
}

#[derive(DeriveDeserialize)]
struct RawLine<'a> {
    #[serde(borrow)]
    custom_id: Cow<'a, str>,
    // Required, though it may be null: it tells an output line from an input line.
    #[serde(deserialize_with = "nullable")]
    response: Option<RawResponse>,
    error: Option<IgnoredAny>,
    #[serde(borrow)]
    x_run: Option<RawRun<'a>>,
}

#[derive(DeriveDeserialize)]
struct RawResponse {
    status_code: u16,
}

#[derive(Default, DeriveDeserialize)]
struct RawRun<'a> {
    #[serde(borrow)]
    fingerprint: Option<Cow<'a, str>>,
    line: Option<u64>,
    ok: Option<bool>,
}

fn nullable<'de, D: Deserializer<'de>>(d: D) -> Result<Option<RawResponse>, D::Error> {
    Option::deserialize(d)
}
