//! `/embeddings`.

use super::open::{Extra, count, or_default, set, text};
use super::usage::Usage;
use super::{Request, json_body, sealed};
use crate::error::{Error, Result};
use base64::Engine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// Texts to embed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct EmbeddingsRequest {
    /// The model. Default: the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// One text or many, or their tokens.
    #[serde(default)]
    pub input: Value,
    /// Every other field of the API, by its own name.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EmbeddingsRequest {
    /// A text, a list of texts, or lists of tokens for `model`.
    pub fn new(model: impl Into<String>, input: impl Into<Value>) -> EmbeddingsRequest {
        EmbeddingsRequest { model: Some(model.into()), input: input.into(), extra: Extra::new() }
    }

    /// Sets any field of the API by its name; null takes it away.
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> EmbeddingsRequest {
        set(&mut self.extra, field, value.into());
        self
    }

    /// How many numbers an embedding has. Default: the model's own.
    pub fn dimensions(self, numbers: u32) -> EmbeddingsRequest {
        self.set("dimensions", numbers)
    }

    /// Asks for the embeddings as base64, which is a quarter of the size. Default: numbers.
    pub fn base64(self) -> EmbeddingsRequest {
        self.set("encoding_format", "base64")
    }
}

impl sealed::Sealed for EmbeddingsRequest {}

impl Request for EmbeddingsRequest {
    type Reply = EmbeddingsReply;

    fn path(&self) -> Cow<'_, str> {
        "/embeddings".into()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn body(&self, default_model: &str) -> Result<Vec<u8>> {
        let is_empty = match &self.input {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty() || items.iter().any(|item| item == ""),
            _ => true,
        };
        if is_empty {
            return Err(Error::invalid("input", "there must be a text, and none may be empty"));
        }
        json_body(self, self.model.as_deref(), default_model, &self.extra)
    }
}

/// Embeddings, in the order of the texts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EmbeddingsReply {
    /// The embeddings.
    #[serde(deserialize_with = "or_default")]
    pub data: Vec<Embedding>,
    /// The model that made them.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EmbeddingsReply {
    /// The numbers of each embedding.
    ///
    /// # Errors
    /// When one of them is neither numbers nor base64 of them.
    pub fn vectors(&self) -> Result<Vec<Vec<f32>>> {
        self.data.iter().map(Embedding::vector).collect()
    }
}

/// The embedding of one text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Embedding {
    /// The number of the text, from 0.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// A list of numbers, or their base64.
    pub embedding: Value,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Embedding {
    /// The numbers.
    ///
    /// # Errors
    /// When it is neither numbers nor base64 of them.
    pub fn vector(&self) -> Result<Vec<f32>> {
        let wrong = || Error::invalid("embedding", "it is neither numbers nor base64 of them");
        match &self.embedding {
            Value::Array(numbers) => {
                numbers.iter().map(|n| n.as_f64().map(|n| n as f32).ok_or_else(wrong)).collect()
            }
            Value::String(text) => {
                let bytes = base64::prelude::BASE64_STANDARD.decode(text).map_err(|_| wrong())?;
                let (numbers, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(wrong());
                }
                Ok(numbers.iter().map(|four| f32::from_le_bytes(*four)).collect())
            }
            _ => Err(wrong()),
        }
    }
}
