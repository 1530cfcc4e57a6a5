//! What a line of input says, and the settings under which it is read.

use std::fmt;

use serde_json::value::RawValue;

use crate::error::Error;
use crate::wire::template::Template;

/// The endpoints that rows may be sent to.
pub const ENDPOINTS: &[&str] = &[CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS];

pub(super) const CHAT: &str = "/v1/chat/completions";
pub(super) const RESPONSES: &str = "/v1/responses";
pub(super) const EMBEDDINGS: &str = "/v1/embeddings";
pub(super) const COMPLETIONS: &str = "/v1/completions";
pub(super) const MODERATIONS: &str = "/v1/moderations";

/// The endpoint that `url` names, if rows may be sent there.
///
/// A full URL is taken by its path: the host is the client's business.
pub fn endpoint(url: &str) -> Option<&'static str> {
    let path = match url.split_once("://") {
        Some((scheme, rest))
            if ["https", "http"].iter().any(|s| scheme.eq_ignore_ascii_case(s)) =>
        {
            &rest[rest.find('/')?..]
        }
        Some(_) => return None,
        None => url,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
    ENDPOINTS.iter().find(|each| **each == path).copied()
}

/// How the lines of an input are read.
///
/// Without any setting, lines say everything themselves.
#[derive(Clone, Debug, Default)]
pub struct Format {
    /// The request that every row is put into. Default: none, rows are requests or prompts.
    pub template: Option<Template>,
    /// The model of rows that name none; empty if there is none. Default: empty.
    ///
    /// Moderations choose their model themselves, unless this one is a moderation model.
    pub model: String,
    /// The system message of rows that are only a prompt. Default: none.
    ///
    /// Chat and responses have such a message; the other endpoints leave it out.
    pub system: Option<String>,
    /// Where bodies without a URL and prompts are sent; one of [`ENDPOINTS`]. Default: none, a
    /// body tells it by its fields, and a prompt goes to chat.
    pub endpoint: Option<String>,
    /// Refuses rows that ask for a stream. Default: they may; their answers are put together.
    pub no_streams: bool,
}

/// One request of the input.
#[derive(Clone, Debug)]
pub struct Row {
    /// The number of its line, from 1.
    pub line: u64,
    /// The id that joins it to its answer.
    pub custom_id: Box<str>,
    /// The path it is sent to, one of [`ENDPOINTS`].
    pub url: Box<str>,
    /// The model it names, or was given.
    pub model: Option<Box<str>>,
    /// The JSON text to send, spelled as the input spells it.
    pub body: Box<[u8]>,
    /// Whether the body asks for a stream.
    pub is_streamed: bool,
    /// What the input wants back beside the answer.
    pub metadata: Option<Box<RawValue>>,
    /// 64 bits of a hash of the request; neither its id nor its spelling changes it. Never 0.
    pub fingerprint: u64,
    /// 64 bits of a hash of the id.
    pub id_hash: u64,
}

/// 64 bits of a hash of a row's id.
pub fn id_hash(custom_id: &str) -> u64 {
    first_64(&blake3::hash(custom_id.as_bytes()))
}

/// 64 bits of a hash of a request whose body is spelled canonically; never 0.
pub(super) fn request_hash(url: &str, canonical: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(url.as_bytes()).update(b"\n").update(canonical);
    first_64(&hasher.finalize()).max(1)
}

fn first_64(hash: &blake3::Hash) -> u64 {
    hash.as_bytes()[..8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// A line of input that is not a request.
///
/// The message holds names of fields, never their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it, and what is allowed.
    pub message: String,
}

impl RowError {
    /// The same as the crate's error, which names the file.
    pub fn in_file(self, file: &str) -> Error {
        Error::invalid(format!("{file}:{}", self.line), self.message)
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for RowError {}
