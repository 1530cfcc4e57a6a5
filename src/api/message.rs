//! Messages of a chat.

use super::open::{Extra, json_text, or_default, text};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Who speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Role {
    /// Instructions, for older models.
    System,
    /// Instructions.
    Developer,
    /// The one who asks.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
    /// A role that this crate does not know.
    Other(String),
}

impl From<String> for Role {
    fn from(name: String) -> Role {
        match name.as_str() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => Role::Other(name),
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        match role {
            Role::System => "system".into(),
            Role::Developer => "developer".into(),
            Role::User => "user".into(),
            Role::Assistant => "assistant".into(),
            Role::Tool => "tool".into(),
            Role::Other(name) => name,
        }
    }
}

/// One message of a chat, sent or received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    #[serde(default, deserialize_with = "or_default")]
    pub role: Role,
    /// What is said; a model that calls a tool says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// The name of the speaker.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tools that the model wants to have called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall>>,
    /// The call whose result this is.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Why the model does not answer.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: Role, content: impl Into<Content>) -> Message {
        Message { role, content: Some(content.into()), ..Message::default() }
    }

    /// Instructions.
    pub fn system(content: impl Into<Content>) -> Message {
        Message::new(Role::System, content)
    }

    /// A question.
    pub fn user(content: impl Into<Content>) -> Message {
        Message::new(Role::User, content)
    }

    /// An answer of the model.
    pub fn assistant(content: impl Into<Content>) -> Message {
        Message::new(Role::Assistant, content)
    }

    /// The result of the tool call `id`.
    pub fn tool(id: impl Into<String>, content: impl Into<Content>) -> Message {
        Message { tool_call_id: Some(id.into()), ..Message::new(Role::Tool, content) }
    }

    /// The text of the message; of several parts, the texts one after the other.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                parts.iter().filter_map(|part| part.text.as_deref()).collect()
            }
        }
    }
}

/// What a message says: a text, or parts of several kinds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// A text.
    Text(String),
    /// Texts, images, sounds and files.
    Parts(Vec<Part>),
}

impl From<&str> for Content {
    fn from(text: &str) -> Content {
        Content::Text(text.into())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Text(text)
    }
}

impl From<Vec<Part>> for Content {
    fn from(parts: Vec<Part>) -> Content {
        Content::Parts(parts)
    }
}

/// A part of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// `text`, `image_url`, `input_audio`, `file`, `refusal`, or something newer.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The text of a text.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The other fields of its kind.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Part {
    /// A text.
    pub fn text(text: impl Into<String>) -> Part {
        Part { kind: "text".into(), text: Some(text.into()), extra: Extra::new() }
    }

    /// An image by its address, which may be a `data:` URL.
    pub fn image(url: impl Into<String>) -> Part {
        Part::other("image_url", json!({ "url": url.into() }))
    }

    /// A part of any kind, whose field is named like its kind.
    pub fn other(kind: &str, value: Value) -> Part {
        Part { kind: kind.into(), text: None, extra: Extra::from_iter([(kind.to_string(), value)]) }
    }
}

/// A tool that the model wants to have called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The id that the result refers to.
    #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`, or something newer.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub kind: Option<String>,
    /// The function and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionCall>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A function that the model wants to have called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FunctionCall {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its arguments as JSON text, which the model may have got wrong.
    #[serde(deserialize_with = "arguments")]
    pub arguments: String,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

fn arguments<'de, D: serde::Deserializer<'de>>(json: D) -> Result<String, D::Error> {
    Ok(json_text(json)?.unwrap_or_default())
}
