//! `/responses`.

use super::open::{Extra, count, json_text, lenient, or_default, set, text};
use super::usage::Usage;
use super::{Request, json_body, sealed};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A request for a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct ResponsesRequest {
    /// The model. Default: the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A text, or a list of items.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// Every other field of the API, by its own name.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ResponsesRequest {
    /// A request to `model` with a text or a list of items.
    pub fn new(model: impl Into<String>, input: impl Into<Value>) -> ResponsesRequest {
        ResponsesRequest { model: Some(model.into()), ..ResponsesRequest::ask(input) }
    }

    /// A request to the client's model.
    pub fn ask(input: impl Into<Value>) -> ResponsesRequest {
        ResponsesRequest { input: input.into(), ..ResponsesRequest::default() }
    }

    /// Sets any field of the API by its name; null takes it away.
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> ResponsesRequest {
        set(&mut self.extra, field, value.into());
        self
    }

    /// What the model is told before the input. Default: nothing.
    pub fn instructions(self, text: impl Into<String>) -> ResponsesRequest {
        self.set("instructions", text.into())
    }

    /// How many tokens may be written, reasoning included. Default: the model's own limit.
    pub fn max_output_tokens(self, most: u64) -> ResponsesRequest {
        self.set("max_output_tokens", most)
    }

    /// How much chance there is in the answer, from 0 to 2. Default: 1.
    pub fn temperature(self, temperature: f64) -> ResponsesRequest {
        self.set("temperature", temperature)
    }

    /// Whether the server keeps the response. Default: it does.
    pub fn store(self, store: bool) -> ResponsesRequest {
        self.set("store", store)
    }
}

impl sealed::Sealed for ResponsesRequest {}

impl Request for ResponsesRequest {
    type Reply = ResponsesReply;

    fn path(&self) -> Cow<'_, str> {
        "/responses".into()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn body(&self, default_model: &str) -> Result<Vec<u8>> {
        // A stored prompt or an earlier response can stand in for the input.
        let goes_on = ["prompt", "previous_response_id", "conversation"];
        let is_empty = match &self.input {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        if is_empty && !goes_on.iter().any(|field| self.extra.contains_key(*field)) {
            return Err(Error::invalid("input", "a request needs a text or a list of items"));
        }
        json_body(self, self.model.as_deref(), default_model, &self.extra)
    }
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ResponsesReply {
    /// The response's id.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was made, in seconds since 1970.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
    /// The model that answered.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `completed`, `incomplete`, `failed`, or something newer.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What the model did, step by step.
    #[serde(deserialize_with = "or_default")]
    pub output: Vec<OutputItem>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// Why it is incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete_details: Option<Value>,
    /// Tokens that it took.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The tier that is billed.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ResponsesReply {
    /// Everything that the model said, one text after the other.
    pub fn text(&self) -> String {
        self.contents()
            .filter(|c| c.kind == "output_text")
            .filter_map(|c| c.text.as_deref())
            .collect()
    }

    /// Why the model does not answer, if it says so.
    pub fn refusal(&self) -> Option<&str> {
        self.contents().find_map(|content| content.refusal.as_deref()).filter(|why| !why.is_empty())
    }

    /// Whether it was cut short: by the limit of tokens or by a filter.
    pub fn is_incomplete(&self) -> bool {
        self.status.as_deref() == Some("incomplete")
    }

    fn contents(&self) -> impl Iterator<Item = &OutputContent> {
        self.output.iter().filter(|item| item.kind == "message").flat_map(|item| &item.content)
    }
}

/// A step of a response: a message, a call of a tool, some reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutputItem {
    /// `message`, `function_call`, `reasoning`, or something newer.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The item's id.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What a message says.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub content: Vec<OutputContent>,
    /// The name of the function to call.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The arguments of the call as JSON text.
    #[serde(deserialize_with = "json_text", skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// The id that the call's result refers to.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A part of a message of a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OutputContent {
    /// `output_text`, `refusal`, or something newer.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// The text.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why the model does not answer.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
