//! The endpoints behind which a model stands.

use super::answers::Author;
use super::failure::Failure;
use super::response::Body;
use super::{chat, completions, embeddings, moderations, responses};
use serde_json::Value;

/// An endpoint that asks a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Responses,
    Embeddings,
    Completions,
    Moderations,
}

/// What a request asks for, as far as limits and the shape of the answer depend on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Demand {
    pub(super) characters: u64,
    pub(super) max_tokens: Option<u64>,
    pub(super) choices: u64,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
}

/// A request that is to be answered.
pub(super) struct Job<'a> {
    pub(super) author: &'a Author,
    pub(super) body: &'a Value,
    pub(super) model: &'a str,
    pub(super) demand: &'a Demand,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// A number that no other request has.
    pub(super) serial: u64,
}

/// An answer of a model, and what it would be billed for.
pub(super) struct Made {
    pub(super) body: Body,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

const ALL: [Endpoint; 5] = [
    Endpoint::Chat,
    Endpoint::Responses,
    Endpoint::Embeddings,
    Endpoint::Completions,
    Endpoint::Moderations,
];

impl Endpoint {
    /// The endpoint at `path`, which stands after `/v1`.
    pub(super) fn at(path: &str) -> Option<Endpoint> {
        ALL.into_iter().find(|each| each.path() == path)
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Endpoint::Chat => "/chat/completions",
            Endpoint::Responses => "/responses",
            Endpoint::Embeddings => "/embeddings",
            Endpoint::Completions => "/completions",
            Endpoint::Moderations => "/moderations",
        }
    }

    /// The model that is meant where none is named.
    pub(super) fn default_model(self) -> Option<&'static str> {
        (self == Endpoint::Moderations).then_some("omni-moderation-latest")
    }

    /// Checks a body, the model apart.
    pub(super) fn check(self, body: &Value) -> Result<Demand, Failure> {
        match self {
            Endpoint::Chat => chat::check(body),
            Endpoint::Responses => responses::check(body),
            Endpoint::Embeddings => embeddings::check(body),
            Endpoint::Completions => completions::check(body),
            Endpoint::Moderations => moderations::check(body),
        }
    }

    /// Answers a body that has been checked.
    pub(super) fn answer(self, job: &Job<'_>) -> Made {
        match self {
            Endpoint::Chat => chat::answer(job),
            Endpoint::Responses => responses::answer(job),
            Endpoint::Embeddings => embeddings::answer(job),
            Endpoint::Completions => completions::answer(job),
            Endpoint::Moderations => moderations::answer(job),
        }
    }
}
