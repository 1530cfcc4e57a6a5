//! `/chat/completions`.

use super::message::{Content, Message, Role};
use super::open::{Extra, count, lenient, or_default, set, text};
use super::usage::Usage;
use super::{Request, json_body, sealed};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// A question to a chat model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[must_use = "a request does nothing until it is sent"]
#[non_exhaustive]
pub struct ChatRequest {
    /// The model. Default: the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The chat so far.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// Every other field of the API, by its own name.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatRequest {
    /// A chat with `model`, in which nothing has been said yet.
    pub fn new(model: impl Into<String>) -> ChatRequest {
        ChatRequest { model: Some(model.into()), ..ChatRequest::default() }
    }

    /// One question to the client's model.
    pub fn ask(question: impl Into<Content>) -> ChatRequest {
        ChatRequest::default().user(question)
    }

    /// Chooses the model.
    pub fn model(mut self, model: impl Into<String>) -> ChatRequest {
        self.model = Some(model.into());
        self
    }

    /// Adds a message.
    pub fn message(mut self, message: Message) -> ChatRequest {
        self.messages.push(message);
        self
    }

    /// Adds instructions.
    pub fn system(self, content: impl Into<Content>) -> ChatRequest {
        self.message(Message::system(content))
    }

    /// Adds instructions, in the role that newer models have for them.
    pub fn developer(self, content: impl Into<Content>) -> ChatRequest {
        self.message(Message::new(Role::Developer, content))
    }

    /// Adds a question.
    pub fn user(self, content: impl Into<Content>) -> ChatRequest {
        self.message(Message::user(content))
    }

    /// Adds an answer that the model gave, or should have given.
    pub fn assistant(self, content: impl Into<Content>) -> ChatRequest {
        self.message(Message::assistant(content))
    }

    /// Sets any field of the API by its name; null takes it away.
    pub fn set(mut self, field: &str, value: impl Into<Value>) -> ChatRequest {
        set(&mut self.extra, field, value.into());
        self
    }

    /// How many tokens may be written, reasoning included. Default: the model's own limit.
    pub fn max_completion_tokens(self, most: u64) -> ChatRequest {
        self.set("max_completion_tokens", most)
    }

    /// How many tokens may be written, for older models and other servers. Default: the model's own
    /// limit.
    pub fn max_tokens(self, most: u64) -> ChatRequest {
        self.set("max_tokens", most)
    }

    /// How much chance there is in the answer, from 0 to 2. Default: 1.
    pub fn temperature(self, temperature: f64) -> ChatRequest {
        self.set("temperature", temperature)
    }

    /// The share of the likeliest tokens that are considered, from 0 to 1. Default: 1.
    pub fn top_p(self, share: f64) -> ChatRequest {
        self.set("top_p", share)
    }

    /// How many answers are given. Default: 1.
    pub fn n(self, answers: u32) -> ChatRequest {
        self.set("n", answers)
    }

    /// What chance follows, as far as the server can. Default: none.
    pub fn seed(self, seed: i64) -> ChatRequest {
        self.set("seed", seed)
    }

    /// Texts at which the answer ends. Default: none.
    pub fn stop<S: Into<String>>(self, texts: impl IntoIterator<Item = S>) -> ChatRequest {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        self.set("stop", texts)
    }

    /// How much a reasoning model reasons: `none`, `minimal`, `low`, `medium`, `high` or what is newer.
    /// Default: the model's own.
    pub fn reasoning_effort(self, effort: &str) -> ChatRequest {
        self.set("reasoning_effort", effort)
    }

    /// The form of the answer, such as `{"type": "json_object"}`. Default: text.
    pub fn response_format(self, format: Value) -> ChatRequest {
        self.set("response_format", format)
    }

    /// Tools that the model may call, as the API describes them. Default: none.
    pub fn tools(self, tools: Vec<Value>) -> ChatRequest {
        self.set("tools", tools)
    }

    /// Which tool is called: `auto`, `none`, `required`, or one by name. Default: `auto`.
    pub fn tool_choice(self, choice: impl Into<Value>) -> ChatRequest {
        self.set("tool_choice", choice)
    }

    /// How fast and at which price: `auto`, `default`, `flex` or `priority`. Default: `auto`.
    pub fn service_tier(self, tier: &str) -> ChatRequest {
        self.set("service_tier", tier)
    }

    /// The probabilities of the tokens, and of so many others at each place. Default: none.
    pub fn top_logprobs(self, others: u32) -> ChatRequest {
        self.set("logprobs", true).set("top_logprobs", others)
    }
}

impl sealed::Sealed for ChatRequest {}

impl Request for ChatRequest {
    type Reply = ChatReply;

    fn path(&self) -> Cow<'_, str> {
        "/chat/completions".into()
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn body(&self, default_model: &str) -> Result<Vec<u8>> {
        if self.messages.is_empty() {
            return Err(Error::invalid("messages", "a chat needs at least one message"));
        }
        json_body(self, self.model.as_deref(), default_model, &self.extra)
    }
}

/// What a chat model answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ChatReply {
    /// The reply's id.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was made, in seconds since 1970.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// The model that answered.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The answers; one, unless more were asked for.
    #[serde(deserialize_with = "or_default")]
    pub choices: Vec<Choice>,
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

impl ChatReply {
    /// The text of the first answer; empty if there is none.
    pub fn text(&self) -> String {
        self.message().map(Message::text).unwrap_or_default()
    }

    /// The first answer's message.
    pub fn message(&self) -> Option<&Message> {
        self.choices.first()?.message.as_ref()
    }

    /// Why the model does not answer, if it says so.
    pub fn refusal(&self) -> Option<&str> {
        self.message()?.refusal.as_deref().filter(|why| !why.is_empty())
    }

    /// Why the first answer ended.
    pub fn finish_reason(&self) -> Option<&FinishReason> {
        self.choices.first()?.finish_reason.as_ref()
    }
}

/// One of the answers of a chat model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Choice {
    /// Its number, from 0.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// What the model said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Why it ended.
    #[serde(deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// It reached the limit of tokens: the answer is cut short.
    Length,
    /// It wants tools to be called.
    ToolCalls,
    /// A filter left something out.
    ContentFilter,
    /// A reason that this crate does not know.
    Other(String),
}

/// Why an answer ended; an empty text is no reason.
pub(super) fn reason<'de, D>(json: D) -> std::result::Result<Option<FinishReason>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Ok(text(json)?.filter(|name| !name.is_empty()).map(FinishReason::from))
}

impl From<String> for FinishReason {
    fn from(name: String) -> FinishReason {
        match name.as_str() {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            "tool_calls" => FinishReason::ToolCalls,
            "content_filter" => FinishReason::ContentFilter,
            _ => FinishReason::Other(name),
        }
    }
}

impl From<FinishReason> for String {
    fn from(reason: FinishReason) -> String {
        match reason {
            FinishReason::Stop => "stop".into(),
            FinishReason::Length => "length".into(),
            FinishReason::ToolCalls => "tool_calls".into(),
            FinishReason::ContentFilter => "content_filter".into(),
            FinishReason::Other(name) => name,
        }
    }
}
