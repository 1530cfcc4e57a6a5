//! The parts of a streamed response.

use super::responses::{OutputItem, ResponsesReply};
use serde::Deserialize;
use serde_json::Value;

/// A part of a streamed response.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResponseEvent {
    /// It has begun.
    Created(Box<ResponsesReply>),
    /// A text goes on.
    TextDelta(ResponseDelta),
    /// The reason goes on why the model does not answer.
    RefusalDelta(ResponseDelta),
    /// The arguments of a call go on, as JSON text.
    ArgumentsDelta(ResponseDelta),
    /// A step has begun: a message, a call, some reasoning.
    ItemAdded(Box<OutputItem>),
    /// A step is complete.
    ItemDone(Box<OutputItem>),
    /// The end.
    Completed(Box<ResponsesReply>),
    /// The end of a response that was cut short.
    Incomplete(Box<ResponsesReply>),
    /// Everything at once, from a server that does not stream.
    Whole(Box<ResponsesReply>),
    /// An event that this crate has no name for, as it was sent.
    Other(Value),
}

/// A piece of a text, and where it belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResponseDelta {
    /// Which item of the output, from 0.
    pub output_index: u64,
    /// Which part of the item, from 0.
    pub content_index: u64,
    /// How the text goes on.
    pub delta: String,
}

impl ResponseEvent {
    /// Reads an event; one of a known type that does not look like it is as good as unknown.
    pub(super) fn read(value: Value) -> ResponseEvent {
        let known = match value["type"].as_str() {
            Some("response.created") => reply(&value).map(ResponseEvent::Created),
            Some("response.completed") => reply(&value).map(ResponseEvent::Completed),
            Some("response.incomplete") => reply(&value).map(ResponseEvent::Incomplete),
            Some("response.output_text.delta") => delta(&value).map(ResponseEvent::TextDelta),
            Some("response.refusal.delta") => delta(&value).map(ResponseEvent::RefusalDelta),
            Some("response.function_call_arguments.delta") => {
                delta(&value).map(ResponseEvent::ArgumentsDelta)
            }
            Some("response.output_item.added") => item(&value).map(ResponseEvent::ItemAdded),
            Some("response.output_item.done") => item(&value).map(ResponseEvent::ItemDone),
            None => {
                ResponsesReply::deserialize(&value).ok().map(Box::new).map(ResponseEvent::Whole)
            }
            Some(_) => None,
        };
        known.unwrap_or(ResponseEvent::Other(value))
    }

    /// How the text goes on, if it does.
    pub fn text(&self) -> Option<String> {
        let text = match self {
            ResponseEvent::TextDelta(delta) => delta.delta.clone(),
            ResponseEvent::Whole(reply) => reply.text(),
            _ => return None,
        };
        Some(text).filter(|text| !text.is_empty())
    }
}

fn reply(value: &Value) -> Option<Box<ResponsesReply>> {
    ResponsesReply::deserialize(&value["response"]).ok().map(Box::new)
}

fn item(value: &Value) -> Option<Box<OutputItem>> {
    OutputItem::deserialize(&value["item"]).ok().map(Box::new)
}

fn delta(value: &Value) -> Option<ResponseDelta> {
    ResponseDelta::deserialize(value).ok()
}
