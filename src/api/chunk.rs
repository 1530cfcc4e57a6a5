//! The parts of a streamed chat.

use super::chat::{FinishReason, reason};
use super::message::Role;
use super::open::{Extra, count, json_text, lenient, or_default, text};
use super::usage::Usage;
use serde::{Deserialize, Serialize};

/// A part of the answer of a chat model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ChatChunk {
    /// The reply's id, the same in each part.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answers.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The answers that go on with this part; none in the part that tells the usage.
    #[serde(deserialize_with = "or_default")]
    pub choices: Vec<ChunkChoice>,
    /// Tokens that it took, in the last part.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatChunk {
    /// How the text of the first answer goes on, if it does.
    pub fn text(&self) -> Option<&str> {
        let first = self.choices.iter().find(|choice| choice.index.unwrap_or(0) == 0)?;
        first.delta.content.as_deref().filter(|text| !text.is_empty())
    }
}

/// How one of the answers goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ChunkChoice {
    /// The number of the answer, from 0.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// What is new. A server that does not stream sends the whole message.
    #[serde(alias = "message", deserialize_with = "or_default")]
    pub delta: Delta,
    /// Why it ended, in its last part.
    #[serde(deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is new in an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Delta {
    /// Who speaks, in the first part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How the text goes on.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// How the reason goes on why the model does not answer.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// How calls of tools go on.
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How the call of a tool goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// The number of the call, from 0.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The id that the result refers to, in the first part.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The function.
    #[serde(deserialize_with = "or_default")]
    pub function: FunctionDelta,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How the call of a function goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FunctionDelta {
    /// Its name, in the first part.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How the JSON text of its arguments goes on.
    #[serde(deserialize_with = "json_text", skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}
