//! An answer that is kept.

use super::Key;
use crate::wire::row::digest;
use serde::Deserialize;

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// HTTP status; always a success.
    pub status: u16,
    /// The server's id for the request.
    pub request_id: Option<Box<str>>,
    /// The body, byte for byte as it came.
    pub body: Vec<u8>,
}

/// What tells that a body of the Responses API is not the last word.
#[derive(Deserialize)]
struct State {
    #[serde(default)]
    object: serde_json::Value,
    #[serde(default)]
    status: serde_json::Value,
}

impl Entry {
    /// An answer that may be kept: one that is a success, and whole. The caller has found its body to
    /// be an answer.
    pub fn new(status: u16, request_id: Option<&str>, body: &[u8]) -> Option<Entry> {
        let is_success = (200..300).contains(&status);
        if !is_success || !is_final(body) {
            return None;
        }
        Some(Entry { status, request_id: request_id.map(Into::into), body: body.to_vec() })
    }

    /// What tells a torn entry from a whole one.
    pub(super) fn checksum(&self, key: &Key) -> [u8; 16] {
        let id = self.request_id.as_deref().unwrap_or_default();
        let parts = [key.bytes(), &self.status.to_be_bytes(), id.as_bytes(), &self.body];
        let mut sum = [0; 16];
        sum.copy_from_slice(&digest(&parts)[..16]);
        sum
    }
}

/// A response may have failed, been cancelled, or not be done yet, and come with a status of 200.
fn is_final(body: &[u8]) -> bool {
    let Ok(state) = serde_json::from_slice::<State>(body) else { return false };
    let status = state.status.as_str().unwrap_or_default();
    state.object != "response" || matches!(status, "" | "completed" | "incomplete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_successes_are_kept() {
        for (status, body, is_kept) in [
            (200, r#"{"object":"chat.completion","choices":[]}"#, true),
            (201, "{}", true),
            (400, "{}", false),
            (500, "{}", false),
            (200, r#"{"object":"response","status":"completed"}"#, true),
            (200, r#"{"object":"response","status":"incomplete"}"#, true),
            (200, r#"{"object":"response"}"#, true),
            (200, r#"{"object":"response","status":"failed"}"#, false),
            (200, r#"{"object":"response","status":"queued"}"#, false),
            (200, r#"{"object":"response","status":"in_progress"}"#, false),
            (200, r#"{"object":"response","status":"cancelled"}"#, false),
            (200, r#"{"status":"failed"}"#, true),
            (200, r#"{"object":"#, false),
        ] {
            assert_eq!(Entry::new(status, None, body.as_bytes()).is_some(), is_kept, "{body}");
        }
    }
}
