//! The events of a stream, put together to the reply that it would have been without one.
//!
//! - `chunks` - chat and completions; `calls` - the tools that a chat calls.
//! - `steps` - responses.
//! - `merge` - a piece added to what came before it.
//! - `prelude` - parts that say nothing yet.

mod calls;
mod chunks;
mod merge;
mod prelude;
mod steps;

use super::sse::Event;
use chunks::Chunks;
pub use prelude::is_prelude;
use serde_json::{Value, json};
use steps::Steps;

/// What one event of a stream is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Piece {
    /// A part of the reply, as it was sent.
    Part(Value),
    /// The end.
    Done,
    /// Nothing: it only kept the connection alive.
    Nothing,
    /// An error in the form of an error body, `{"error": ...}`.
    Fault(Value),
    /// Not an event of this API: garbled, or no JSON object.
    Unreadable,
}

/// Puts a stream together: of chat and completions the chunks, of responses the steps.
#[derive(Clone, Debug, Default)]
pub struct Assembly {
    chunks: Chunks,
    steps: Steps,
    is_done: bool,
}

/// What a stream of chat and completions ends with.
pub const DONE: &str = "[DONE]";

impl Assembly {
    /// Of a stream that has not begun.
    pub fn new() -> Assembly {
        Assembly::default()
    }

    /// Takes in the next event, and says what it is.
    pub fn push(&mut self, event: &Event) -> Piece {
        let text = event.data.trim();
        if text == DONE {
            self.is_done = true;
            return Piece::Done;
        }
        let is_error = event.name.as_deref() == Some("error");
        if text.is_empty() && !is_error {
            return Piece::Nothing;
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if is_error => return Piece::Fault(json!({ "error": text })),
            // A server may have events of its own, of which nobody knows what they hold.
            Err(_) if event.name.is_some() => return Piece::Nothing,
            Err(_) => return Piece::Unreadable,
        };
        match fault(&value, is_error) {
            Some(fault) => {
                // What failed may have been told to its end before.
                self.steps.push(&value);
                Piece::Fault(fault)
            }
            None => self.add(value),
        }
    }

    fn add(&mut self, value: Value) -> Piece {
        let kind = value["type"].as_str().unwrap_or_default();
        match kind {
            "keepalive" | "ping" => return Piece::Nothing,
            _ if kind.starts_with("response.") => {
                self.steps.push(&value);
                self.is_done |= self.steps.has_ended();
            }
            _ if is_chunk(&value) => self.chunks.push(&value),
            // A server may have events of its own here too.
            _ if value.is_object() => return Piece::Nothing,
            _ => return Piece::Unreadable,
        }
        Piece::Part(value)
    }

    /// Whether the end was told: nothing that belongs to the reply follows.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Whether a stream that ends here is whole: its end was told, or each answer says why it
    /// ended. Some servers do not send `[DONE]`; of a response it tells nothing.
    pub fn is_whole(&self) -> bool {
        match self.steps.is_empty() {
            true => self.is_done || self.chunks.is_finished(),
            false => self.steps.has_ended(),
        }
    }

    /// Whether nothing has come of the reply.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.chunks.is_empty()
    }

    /// The reply as far as it has come, as JSON.
    pub fn reply(&self) -> Value {
        if self.steps.is_empty() { self.chunks.reply() } else { self.steps.reply() }
    }
}

/// Whether an event is a part of a chat or of completions.
fn is_chunk(value: &Value) -> bool {
    let has_name = value["object"].as_str().is_some_and(|name| name.contains("completion"));
    has_name || value["choices"].is_array() || value["usage"].is_object()
}

/// The error body of an event that is an error.
fn fault(value: &Value, is_error: bool) -> Option<Value> {
    let kind = value["type"].as_str().unwrap_or_default();
    let inner = &value["error"];
    if kind == "response.failed" {
        return Some(json!({ "error": value["response"]["error"] }));
    }
    if kind.starts_with("response.") {
        return None;
    }
    let is_told = match inner {
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => false,
    };
    // In the middle of a stream it is one even beside choices: nothing follows.
    if is_told {
        return Some(json!({ "error": inner }));
    }
    (is_error || kind == "error" || value["object"] == "error").then(|| json!({ "error": value }))
}

#[cfg(test)]
mod tests;
