//! Typed requests and replies.
//!
//! Requests keep every field that this crate has no name for, and replies too; nothing that a
//! server leaves out or sends as null breaks the reading.
//!
//! - `chat`, `responses`, `embeddings`, `moderations`, `completions`, `models` - one endpoint each.
//! - `message` - messages of a chat.
//! - `stream` - replies that are read while they come; `chunk`, `step` - their parts.
//! - `tool`, `tool_loop` - tools that a model may call; `tooled` - requests in which it may.
//! - `schema` - answers in the form of a Rust type.
//! - `usage` - tokens of a reply.
//! - `open` - reading what servers really send.
//! - `groups` - models that share their limits.
//! - `caller` - makes calls of requests, and replies of answers.

mod caller;
mod chat;
mod chunk;
mod completions;
mod embeddings;
mod groups;
mod message;
mod models;
mod moderations;
mod open;
mod responses;
mod step;
#[cfg(feature = "schema")]
pub mod schema;
mod stream;
mod tool;
mod tool_loop;
mod tooled;
mod usage;

use crate::error::{Error, Result};
use crate::transport::Method;
use serde::Serialize;
use std::borrow::Cow;

pub use caller::{Address, Caller, Response, read};
pub use chat::{ChatReply, ChatRequest, Choice, FinishReason};
pub use chunk::{ChatChunk, ChunkChoice, Delta, FunctionDelta, ToolCallDelta};
pub use completions::{CompletionsReply, CompletionsRequest, TextChoice};
pub use embeddings::{Embedding, EmbeddingsReply, EmbeddingsRequest};
pub use groups::LimitGroups;
pub use message::{Content, FunctionCall, Message, Part, Role, ToolCall};
pub use models::{ListModels, Model, ModelList, RetrieveModel};
pub use moderations::{Moderation, ModerationsReply, ModerationsRequest};
pub use open::Extra;
pub use responses::{OutputContent, OutputItem, ResponsesReply, ResponsesRequest};
pub use step::{ResponseDelta, ResponseEvent};
pub use stream::{ChatStream, CompletionsStream, ResponsesStream, Stream, StreamRequest};
pub use tool::Tool;
pub use tool_loop::{ToolEnd, ToolLoop, ToolRun};
pub use tooled::ToolRequest;
pub use usage::{TokenDetails, Usage};

mod sealed {
    pub trait Sealed {}
}

/// A request that the API knows, tied to its reply. It cannot be implemented outside this crate.
pub trait Request: sealed::Sealed {
    /// What the server answers.
    type Reply: serde::de::DeserializeOwned + Send + 'static;

    /// The HTTP method. Default: POST.
    fn method(&self) -> Method {
        Method::Post
    }

    /// The path below the base URL, such as `/chat/completions`.
    fn path(&self) -> Cow<'_, str>;

    /// The model that it names, if it does; requests of one model share their limits.
    fn model(&self) -> Option<&str>;

    /// The JSON text to send, with `default_model` where the request names none; empty for a
    /// request without a body.
    ///
    /// # Errors
    /// When the request cannot be valid: no messages, an empty input, a stream.
    fn body(&self, default_model: &str) -> Result<Vec<u8>>;
}

/// A request as JSON, with the default model if it names none.
fn json_body<R: Serialize>(
    request: &R,
    model: Option<&str>,
    default_model: &str,
    extra: &Extra,
) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct WithModel<'a, R> {
        model: &'a str,
        #[serde(flatten)]
        request: &'a R,
    }
    if extra.get("stream").is_some_and(|stream| stream == true) {
        return Err(Error::invalid(
            "stream",
            "a reply that is streamed cannot be read here; leave it out, and send it with \
             `Client::stream`",
        ));
    }
    let json = match model {
        Some(_) => serde_json::to_vec(request),
        None => serde_json::to_vec(&WithModel { model: default_model, request }),
    };
    json.map_err(|e| Error::invalid("request", e.to_string()))
}
