//! The count of a request.

use serde_json::{Map, Value};

use super::ceiling::ceiling;
use super::doubt::{Doubt, Doubts};
use super::{chat, tools};
use crate::usage::{Encoding, Tier};
use crate::wire::row::endpoint;

/// What a request takes in and may write, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestTokens {
    /// Tokens that the model reads.
    pub input: u64,
    /// The most tokens that stand in one context: all of them, or the longest input of a list of
    /// embeddings, prompts or texts to moderate.
    pub longest: u64,
    /// How many inputs there are: more than 1 only for lists of embeddings, prompts or texts.
    pub inputs: u64,
    /// The most tokens that one answer may have; `None` where the request says nothing, 0 where
    /// the endpoint writes nothing.
    pub most_each: Option<u64>,
    /// How many answers are written and paid for: `n`, `best_of`, and the number of prompts.
    pub answers: u64,
    /// The service tier that is asked for, the standard one where none is; `None` for one that has
    /// no price by the token.
    pub tier: Option<Tier>,
    /// Why the count of the input is an estimate; none where published rules give it exactly.
    pub doubts: Doubts,
}

impl RequestTokens {
    /// Whether the server may count otherwise.
    pub fn is_estimate(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// The most tokens that all answers may have together, where the request says it.
    pub fn ceiling(&self) -> Option<u64> {
        self.most_each.map(|most| most.saturating_mul(self.answers))
    }
}

/// What kind of request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Responses,
    Embeddings,
    Completions,
    Moderations,
    Unknown,
}

/// Counts a request: what it takes in, and the most that it may write.
///
/// `url` is where it is sent, such as `/v1/chat/completions`; if it is none of the
/// [endpoints of rows](crate::wire::row::ENDPOINTS), the body tells its kind. `model` is the model
/// that answers; if it is `None`, the body's own.
///
/// The rules are those that OpenAI has published: its tokenizer, the cookbook's for messages and
/// functions, the guide's for images. Where there is none, the nearest is taken, and `doubts` says
/// so. It takes any bytes: what is not a request is counted as text.
pub fn count_request(url: &str, model: Option<&str>, body: &[u8]) -> RequestTokens {
    let request: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(_) => return text_alone(model.unwrap_or_default(), &String::from_utf8_lossy(body)),
    };
    let model = model.or_else(|| request.get("model")?.as_str()).unwrap_or_default();
    let kind = kind(url, &request, model);
    let mut sum = Sum::new(model);
    match kind {
        Kind::Chat => chat::messages(&mut sum, &request),
        Kind::Responses => chat::response(&mut sum, &request),
        Kind::Embeddings => sum.list(request.get("input")),
        Kind::Moderations => sum.list(request.get("input")),
        Kind::Completions => sum.prompt(&request),
        Kind::Unknown => {
            sum.doubts.add(Doubt::Kind);
            sum.text(&String::from_utf8_lossy(body));
        }
    }
    if matches!(kind, Kind::Chat | Kind::Responses) {
        tools::tools(&mut sum, &request);
    }
    let (most_each, answers) = ceiling(kind, &request);
    let (longest, inputs) = sum.lists.unwrap_or((sum.tokens, 1));
    let tier = Tier::of_answer(request.get("service_tier").and_then(Value::as_str));
    RequestTokens {
        input: sum.tokens,
        longest,
        inputs,
        most_each,
        answers,
        tier,
        doubts: sum.doubts,
    }
}

fn kind(url: &str, request: &Map<String, Value>, model: &str) -> Kind {
    match endpoint(url) {
        Some("/v1/chat/completions") => return Kind::Chat,
        Some("/v1/responses") => return Kind::Responses,
        Some("/v1/embeddings") => return Kind::Embeddings,
        Some("/v1/completions") => return Kind::Completions,
        Some("/v1/moderations") => return Kind::Moderations,
        _ => {}
    }
    let has = |name: &str| request.contains_key(name);
    match () {
        _ if has("messages") => Kind::Chat,
        _ if has("input") && model.contains("embed") => Kind::Embeddings,
        _ if has("input") && model.contains("moderation") => Kind::Moderations,
        _ if has("input") || request.get("prompt").is_some_and(Value::is_object) => Kind::Responses,
        _ if has("prompt") => Kind::Completions,
        _ => Kind::Unknown,
    }
}

fn text_alone(model: &str, text: &str) -> RequestTokens {
    let mut sum = Sum::new(model);
    sum.doubts.add(Doubt::Kind);
    sum.text(text);
    RequestTokens {
        input: sum.tokens,
        longest: sum.tokens,
        inputs: 1,
        answers: 1,
        tier: Some(Tier::Standard),
        doubts: sum.doubts,
        ..RequestTokens::default()
    }
}

/// A count that is under way.
pub(super) struct Sum<'a> {
    pub(super) model: &'a str,
    encoding: Encoding,
    pub(super) tokens: u64,
    pub(super) doubts: Doubts,
    /// The longest of several inputs, and how many they are.
    lists: Option<(u64, u64)>,
}

impl<'a> Sum<'a> {
    fn new(model: &'a str) -> Sum<'a> {
        let mut doubts = Doubts::default();
        let encoding = Encoding::of_model(model).unwrap_or_else(|| {
            doubts.add(Doubt::Model);
            Encoding::FALLBACK
        });
        Sum { model, encoding, tokens: 0, doubts, lists: None }
    }

    /// Adds the tokens of a text.
    pub(super) fn text(&mut self, text: &str) {
        self.tokens = self.tokens.saturating_add(self.encoding.count(text));
    }

    /// Adds the tokens of a value as it is written in JSON.
    pub(super) fn json(&mut self, value: &Value) {
        self.text(&value.to_string());
    }

    /// Adds so many tokens.
    pub(super) fn add(&mut self, tokens: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Whether the model is one whose framing of messages is published.
    pub(super) fn is_framing_known(&self) -> bool {
        const KNOWN: [&str; 5] =
            ["gpt-3.5-turbo", "gpt-35-turbo", "gpt-4-", "gpt-4o", "chatgpt-4o"];
        let base = crate::usage::base_model(self.model);
        base == "gpt-4" || KNOWN.iter().any(|start| base.starts_with(start))
    }

    /// Whether its functions are framed as those of `gpt-4o`.
    pub(super) fn is_new(&self) -> bool {
        !matches!(self.encoding, Encoding::Cl100kBase)
    }

    /// A text, a list of texts, token numbers, or a list of lists of them.
    fn list(&mut self, input: Option<&Value>) {
        let Some(Value::Array(list)) = input else {
            return match input {
                Some(one) => self.one(one),
                None => self.doubts.add(Doubt::Kind),
            };
        };
        if !list.is_empty() && list.iter().all(Value::is_number) {
            return self.add(list.len() as u64);
        }
        let mut longest = 0;
        for one in list {
            let before = self.tokens;
            self.one(one);
            longest = longest.max(self.tokens - before);
        }
        self.lists = Some((longest, list.len() as u64));
    }

    /// One input: text, token numbers, or a part of a message.
    fn one(&mut self, input: &Value) {
        match input {
            Value::String(text) => self.text(text),
            Value::Array(numbers) if numbers.iter().all(Value::is_number) => {
                self.add(numbers.len() as u64);
            }
            Value::Object(part) => chat::part(self, part),
            other => {
                self.doubts.add(Doubt::Kind);
                self.json(other);
            }
        }
    }

    fn prompt(&mut self, request: &Map<String, Value>) {
        match request.get("prompt") {
            // The server then begins a new document, which is one token.
            None | Some(Value::Null) => self.add(1),
            prompt => self.list(prompt),
        }
        if let Some(Value::String(suffix)) = request.get("suffix") {
            self.doubts.add(Doubt::Framing);
            self.text(suffix);
        }
    }
}
