//! `/completions`, of the models that go on with a text.

use super::chat::{FinishReason, reason};
use super::open::{Extra, count, lenient, or_default, set, text};
use super::usage::Usage;
use super::{Request, json_body, sealed};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A text to go on with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct CompletionsRequest {
    /// The model. Default: the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// One text or many, or their tokens.
    #[serde(default)]
    pub prompt: Value,
    /// Every other field of the API, by its own name.
    #[serde(flatten)]
    pub extra: Extra,
}

impl CompletionsRequest {
    /// A text, a list of texts, or lists of tokens for `model`.
    pub fn new(model: impl Into<String>, prompt: impl Into<Value>) -> CompletionsRequest {
        CompletionsRequest { model: Some(model.into()), prompt: prompt.into(), extra: Extra::new() }
    }

    /// Sets any field of the API by its name; null takes it away.
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> CompletionsRequest {
        set(&mut self.extra, field, value.into());
        self
    }

    /// How many tokens may be written. Default: 16.
    pub fn max_tokens(self, most: u64) -> CompletionsRequest {
        self.set("max_tokens", most)
    }
}

impl sealed::Sealed for CompletionsRequest {}

impl Request for CompletionsRequest {
    type Reply = CompletionsReply;

    fn path(&self) -> Cow<'_, str> {
        "/completions".into()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn body(&self, default_model: &str) -> Result<Vec<u8>> {
        if self.prompt.is_null() {
            return Err(Error::invalid("prompt", "there must be a text to go on with"));
        }
        json_body(self, self.model.as_deref(), default_model, &self.extra)
    }
}

/// How the text goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CompletionsReply {
    /// The reply's id.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was made, in seconds since 1970.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// The model that answered.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The answers.
    #[serde(deserialize_with = "or_default")]
    pub choices: Vec<TextChoice>,
    /// Tokens that it took.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl CompletionsReply {
    /// The text of the first answer; empty if there is none.
    pub fn text(&self) -> &str {
        self.choices.first().and_then(|choice| choice.text.as_deref()).unwrap_or_default()
    }
}

/// One way in which the text goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TextChoice {
    /// Its number, from 0.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The text.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why it ended.
    #[serde(deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
