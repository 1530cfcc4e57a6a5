//! `/moderations`.

use super::open::{Extra, or_default, text};
use super::{Request, sealed};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Texts or images to judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct ModerationsRequest {
    /// The model. Default: the server's newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// One text, many, or a list of parts.
    #[serde(default)]
    pub input: Value,
    /// Every other field of the API, by its own name.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ModerationsRequest {
    /// A text, a list of texts, or a list of parts.
    pub fn new(input: impl Into<Value>) -> ModerationsRequest {
        ModerationsRequest { input: input.into(), ..ModerationsRequest::default() }
    }

    /// Chooses the model.
    pub fn model(mut self, model: impl Into<String>) -> ModerationsRequest {
        self.model = Some(model.into());
        self
    }
}

impl sealed::Sealed for ModerationsRequest {}

impl Request for ModerationsRequest {
    type Reply = ModerationsReply;

    fn path(&self) -> Cow<'_, str> {
        "/moderations".into()
    }

    fn model(&self) -> Option<&str> {
        // Its limits are its own, not those of the client's chat model.
        Some(self.model.as_deref().unwrap_or("moderation"))
    }

    fn body(&self, _: &str) -> Result<Vec<u8>> {
        if self.input.is_null() || self.input == Value::Array(Vec::new()) {
            return Err(Error::invalid("input", "there must be something to judge"));
        }
        serde_json::to_vec(self).map_err(|e| Error::invalid("request", e.to_string()))
    }
}

/// What is wrong with each text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModerationsReply {
    /// The reply's id.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that judged.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A result for each text.
    #[serde(deserialize_with = "or_default")]
    pub results: Vec<Moderation>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ModerationsReply {
    /// Whether anything is wrong with any of the texts.
    pub fn flagged(&self) -> bool {
        self.results.iter().any(|result| result.flagged)
    }
}

/// What is wrong with one text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Moderation {
    /// Whether anything is.
    #[serde(deserialize_with = "or_default")]
    pub flagged: bool,
    /// By category; a category that the model does not know is null.
    #[serde(deserialize_with = "or_default")]
    pub categories: BTreeMap<String, Option<bool>>,
    /// How sure the model is, by category, from 0 to 1.
    #[serde(deserialize_with = "or_default")]
    pub category_scores: BTreeMap<String, Option<f64>>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
