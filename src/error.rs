//! The one error of the crate, by cause.

use std::fmt;
use std::time::Duration;

/// A result whose error is this crate's own.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Codes with which the server says that the account cannot pay for another request.
///
/// Source: the error guide of the OpenAI API, with the codes added in July 2026.
pub(crate) const QUOTA_CODES: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
];

/// Everything that can go wrong, by cause.
///
/// No message holds a key or the text of a prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error: one that another try will not mend (a bad request, a
    /// bad key, an unknown model, no quota), or one that lasted through all tries.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The server refused for the rate limit until the tries or the time ran out, or the request
    /// alone is larger than the limit.
    #[error(transparent)]
    RateLimit(Box<ApiError>),
    /// Time ran out; the stage says where.
    #[error(transparent)]
    Timeout(Box<Timeout>),
    /// A setting, a request or a line of input is not valid; nothing was sent.
    #[error(transparent)]
    Validation(Box<Invalid>),
    /// A bulk run came to its end, and some of its requests failed.
    #[error(transparent)]
    Partial(Box<Partial>),
    /// The exchange with the server broke before an answer was complete, at every try.
    #[error(transparent)]
    Transport(Box<TransportError>),
    /// A stream broke after a part of its answer had been given out; what came is with it.
    #[error(transparent)]
    Stream(Box<StreamError>),
    /// The server said 200, but what it sent is not an answer, at every try.
    #[error(transparent)]
    Decode(Box<Undecodable>),
    /// The server was out of order for longer than the circuit breaker may stay open.
    #[error(transparent)]
    CircuitOpen(Box<CircuitOpen>),
    /// A cap of money or tokens is reached: nothing more is sent.
    #[error(transparent)]
    OverCap(Box<OverCap>),
    /// A tool of the caller's own failed while a model used it.
    #[error(transparent)]
    Tool(Box<ToolError>),
    /// The caller ended it.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be read or written.
    #[error(transparent)]
    File(Box<FileError>),
}

impl Error {
    /// A setting or a request that is not valid.
    pub fn invalid(what: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Validation(Box::new(Invalid { what: what.into(), message: message.into() }))
    }

    /// A file that could not be read or written; `doing` is what was tried, such as `write`.
    pub fn file(
        doing: &'static str,
        path: impl Into<std::path::PathBuf>,
        e: std::io::Error,
    ) -> Error {
        Error::File(Box::new(FileError { doing, path: path.into(), source: e }))
    }

    /// The HTTP status of the server's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Error::Api(e) | Error::RateLimit(e) => Some(e.status),
            Error::Decode(e) => Some(e.status),
            Error::Stream(e) => e.cause.status(),
            _ => None,
        }
    }

    /// The server's error code, such as `invalid_api_key`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Error::Api(e) | Error::RateLimit(e) => e.code.as_deref(),
            Error::Stream(e) => e.cause.code(),
            _ => None,
        }
    }

    /// The id that the server gave to the request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Error::Api(e) | Error::RateLimit(e) => e.request_id.as_deref(),
            Error::Decode(e) => e.request_id.as_deref(),
            Error::Stream(e) => e.cause.request_id(),
            _ => None,
        }
    }

    /// How many times the request was sent; 0 if it never was.
    pub fn attempts(&self) -> u32 {
        match self {
            Error::Api(e) | Error::RateLimit(e) => e.attempts,
            Error::Timeout(e) => e.attempts,
            Error::Transport(e) => e.attempts,
            Error::Decode(e) => e.attempts,
            Error::Stream(e) => e.cause.attempts(),
            _ => 0,
        }
    }

    /// When the server says that another try makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Api(e) | Error::RateLimit(e) => e.retry_after,
            Error::CircuitOpen(e) => Some(e.retry_after),
            Error::Stream(e) => e.cause.retry_after(),
            _ => None,
        }
    }

    /// Whether the server refused for the rate limit.
    pub fn is_rate_limited(&self) -> bool {
        self.is(|error| matches!(error, Error::RateLimit(_)))
    }

    /// Whether time ran out.
    pub fn is_timeout(&self) -> bool {
        self.is(|error| matches!(error, Error::Timeout(_)))
    }

    /// Whether the account cannot pay for another request.
    pub fn is_out_of_quota(&self) -> bool {
        self.is(|error| matches!(error, Error::Api(e) | Error::RateLimit(e) if e.is_out_of_quota()))
    }

    /// Whether the caller ended it.
    pub fn is_cancelled(&self) -> bool {
        self.is(|error| matches!(error, Error::Cancelled))
    }

    /// Whether something holds of the error, or of what broke a stream.
    fn is(&self, holds: impl Fn(&Error) -> bool) -> bool {
        match self {
            Error::Stream(e) => holds(&e.cause),
            error => holds(error),
        }
    }

    /// Whether the same request may succeed when it is sent again later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Api(e) | Error::RateLimit(e) => e.retryable,
            Error::Timeout(_) | Error::Transport(_) | Error::Decode(_) | Error::CircuitOpen(_) => {
                true
            }
            Error::Stream(e) => e.cause.is_retryable(),
            _ => false,
        }
    }

    /// Whether the error concerns the account or the server as a whole, so that no other request
    /// can succeed either: a bad key, no quota, a refused country, an open circuit, a cap that is
    /// reached.
    pub fn is_fatal_for_run(&self) -> bool {
        match self {
            Error::Api(e) | Error::RateLimit(e) => e.fatal,
            Error::CircuitOpen(_) | Error::OverCap(_) => true,
            Error::Stream(e) => e.cause.is_fatal_for_run(),
            _ => false,
        }
    }
}

/// A cap that is reached: the next request might pass it.
///
/// Amounts are written as they are shown, `$4.98` or `12000 tokens`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cap of {cap} is reached: {spent} counted so far, and the next request may use up to {needed}, \
     less with a lower max_tokens"
)]
#[non_exhaustive]
pub struct OverCap {
    /// The cap.
    pub cap: String,
    /// What was counted against it, attempts that were maybe billed included.
    pub spent: String,
    /// What the request may use at most: raise the cap by what is missing, or let it write less.
    pub needed: String,
}

impl OverCap {
    /// A cap of which `spent` is used, so that `needed` does not fit.
    pub fn new(
        cap: impl Into<String>,
        spent: impl Into<String>,
        needed: impl Into<String>,
    ) -> OverCap {
        OverCap { cap: cap.into(), spent: spent.into(), needed: needed.into() }
    }
}

/// An error that the server sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The server's `type`, such as `invalid_request_error`.
    pub kind: Option<String>,
    /// The server's `code`; a number is kept as its text.
    pub code: Option<String>,
    /// The server's text.
    pub message: String,
    /// The parameter that the server complains of.
    pub param: Option<String>,
    /// The `x-request-id` of the answer.
    pub request_id: Option<String>,
    /// When the server says that another try makes sense.
    pub retry_after: Option<Duration>,
    /// How many times the request was sent.
    pub attempts: u32,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Whether no other request can succeed either.
    pub fatal: bool,
    /// The body as it came, if it is JSON: everything that the server said.
    pub body: Option<Box<str>>,
}

impl ApiError {
    /// Whether the account cannot pay for another request.
    pub fn is_out_of_quota(&self) -> bool {
        let said =
            |text: &Option<String>| text.as_deref().is_some_and(|t| QUOTA_CODES.contains(&t));
        said(&self.code) || said(&self.kind)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.status)?;
        if let Some(code) = self.code.as_ref().or(self.kind.as_ref()) {
            write!(f, " ({code})")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        tries(f, self.attempts)?;
        if let Some(id) = &self.request_id {
            write!(f, " [request id {id}]")?;
        }
        Ok(())
    }
}

fn tries(f: &mut fmt::Formatter<'_>, attempts: u32) -> fmt::Result {
    if attempts > 1 { write!(f, " (after {attempts} attempts)") } else { Ok(()) }
}

/// Time that ran out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Timeout {
    /// Where it ran out.
    pub stage: TimeoutStage,
    /// The time that was allowed.
    pub limit: Duration,
    /// How many times the request was sent.
    pub attempts: u32,
}

impl Timeout {
    /// A timeout of `limit` at `stage`, after `attempts` attempts.
    pub fn new(stage: TimeoutStage, limit: Duration, attempts: u32) -> Timeout {
        Timeout { stage, limit, attempts }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timed out {} ({:?} allowed)", self.stage, self.limit)?;
        tries(f, self.attempts)
    }
}

/// Where time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutStage {
    /// While the name of the server was looked up.
    Resolve,
    /// While the connection was made, TLS included.
    Connect,
    /// While the request was sent.
    Send,
    /// While the server was silent, before the first byte of its answer.
    FirstByte,
    /// While the answer came.
    Body,
    /// While a stream that had begun was silent.
    Idle,
    /// During one attempt; the stage is not known more exactly.
    Attempt,
    /// While the request waited for a place within the limits.
    Admission,
    /// All attempts together, with the waits between them.
    Deadline,
}

impl fmt::Display for TimeoutStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeoutStage::Resolve => "looking up the server's name",
            TimeoutStage::Connect => "connecting",
            TimeoutStage::Send => "sending the request",
            TimeoutStage::FirstByte => "waiting for the first byte of the answer",
            TimeoutStage::Body => "reading the answer",
            TimeoutStage::Idle => "waiting for more of a stream",
            TimeoutStage::Attempt => "in one attempt",
            TimeoutStage::Admission => "waiting for a place within the limits",
            TimeoutStage::Deadline => "over all attempts",
        })
    }
}

/// A setting, a request or a line of input that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {message}")]
#[non_exhaustive]
pub struct Invalid {
    /// The setting or the place, such as `OPENAI_MAX_RETRIES` or `input.jsonl:17`.
    pub what: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// A bulk run of which some requests failed.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {} requests failed", succeeded + failed)]
#[non_exhaustive]
pub struct Partial {
    /// How many requests were answered.
    pub succeeded: u64,
    /// How many were not.
    pub failed: u64,
    /// The first failure.
    #[source]
    pub first: Error,
}

impl Partial {
    /// A run in which `failed` requests failed, `first` first.
    pub fn new(succeeded: u64, failed: u64, first: Error) -> Partial {
        Partial { succeeded, failed, first }
    }
}

/// An exchange that broke before an answer was complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct TransportError {
    /// What broke.
    pub kind: TransportErrorKind,
    /// What was said about it, without the request's text.
    pub message: String,
    /// Whether the request may have reached the server, so that it may be billed.
    pub sent: bool,
    /// How many times the request was sent.
    pub attempts: u32,
}

impl TransportError {
    /// A failure of one attempt.
    pub fn new(kind: TransportErrorKind, sent: bool, message: impl Into<String>) -> TransportError {
        TransportError { kind, message: message.into(), sent, attempts: 1 }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        tries(f, self.attempts)
    }
}

/// What broke in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The server's name could not be looked up.
    Resolve,
    /// No connection could be made.
    Connect,
    /// No secure connection could be made: most often a certificate that is not trusted.
    Tls,
    /// The proxy refused or broke.
    Proxy,
    /// The connection broke while the request was sent or the answer awaited.
    Reset,
    /// The answer ended before it was complete.
    Cut,
    /// The answer is larger than the limit for answers.
    TooLarge,
    /// What came is not HTTP.
    Protocol,
    /// Time ran out.
    Timeout(TimeoutStage),
    /// The caller interrupted it.
    Interrupted,
    /// The machine has no room for it: no file handle, no thread.
    Exhausted,
    /// A file on this machine, which was to be sent or saved, could not be read or written.
    File,
}

impl TransportErrorKind {
    /// A short, stable name.
    pub fn name(self) -> &'static str {
        match self {
            TransportErrorKind::Resolve => "unknown_host",
            TransportErrorKind::Connect => "connection_failed",
            TransportErrorKind::Tls => "tls_failed",
            TransportErrorKind::Proxy => "proxy_failed",
            TransportErrorKind::Reset => "connection_broken",
            TransportErrorKind::Cut => "answer_cut_short",
            TransportErrorKind::TooLarge => "answer_too_large",
            TransportErrorKind::Protocol => "not_http",
            TransportErrorKind::Timeout(_) => "timeout",
            _ => "transport_error",
        }
    }
}

/// A short, stable name for an error of the server: its code, or else its status.
pub(crate) fn fault_name(status: u16, code: Option<&str>) -> String {
    code.map_or_else(|| format!("http_{status}"), str::to_owned)
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransportErrorKind::Resolve => "the server's name could not be looked up",
            TransportErrorKind::Connect => "no connection could be made",
            TransportErrorKind::Tls => "no secure connection could be made",
            TransportErrorKind::Proxy => "the proxy refused",
            TransportErrorKind::Reset => "the connection broke",
            TransportErrorKind::Cut => "the answer was cut short",
            TransportErrorKind::TooLarge => "the answer is larger than allowed",
            TransportErrorKind::Protocol => "what came is not HTTP",
            TransportErrorKind::Timeout(stage) => return write!(f, "timed out {stage}"),
            TransportErrorKind::Interrupted => "interrupted",
            TransportErrorKind::File => "a file on this machine could not be read or written",
            TransportErrorKind::Exhausted => "the machine has no room for another connection",
        })
    }
}

/// A 200 that is not an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Undecodable {
    /// HTTP status.
    pub status: u16,
    /// What is wrong with it.
    pub message: String,
    /// The `x-request-id` of the answer.
    pub request_id: Option<String>,
    /// How many times the request was sent.
    pub attempts: u32,
}

impl Undecodable {
    /// An answer with `status` of which `message` says what is wrong.
    pub fn new(status: u16, message: impl Into<String>) -> Undecodable {
        Undecodable { status, message: message.into(), request_id: None, attempts: 1 }
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the server answered {} with something that is not an answer: {}",
            self.status, self.message
        )?;
        tries(f, self.attempts)
    }
}

/// A stream that broke after a part of its answer had been given out.
#[derive(Debug, thiserror::Error)]
#[error("the stream broke: {cause}")]
#[non_exhaustive]
pub struct StreamError {
    /// What broke it.
    pub cause: Error,
    /// What had come, as JSON in the form of the whole reply.
    pub partial: Box<str>,
}

impl StreamError {
    /// A stream that `cause` broke, after `partial` had come.
    pub fn new(cause: Error, partial: impl Into<Box<str>>) -> StreamError {
        StreamError { cause, partial: partial.into() }
    }
}

/// A tool that failed while a model used it.
#[derive(Debug, thiserror::Error)]
#[error("the tool {name} failed")]
#[non_exhaustive]
pub struct ToolError {
    /// The name of the tool.
    pub name: String,
    /// What it said.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl ToolError {
    /// The tool `name` that failed with `source`.
    pub fn new(
        name: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> ToolError {
        ToolError { name: name.into(), source: source.into() }
    }
}

/// A circuit breaker that has been open for too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} for {open_for:.1?}; last seen: {last}", match was_reached {
    true => "the server has been out of order",
    false => "the server could not be reached even once",
})]
#[non_exhaustive]
pub struct CircuitOpen {
    /// How long the circuit has been open.
    pub open_for: Duration,
    /// When the next probe may be sent.
    pub retry_after: Duration,
    /// The failure that was seen last.
    pub last: String,
    /// Whether any request ever came as far as the server.
    pub was_reached: bool,
}

impl CircuitOpen {
    /// A circuit that has been open for `open_for`.
    pub fn new(open_for: Duration, retry_after: Duration, last: impl Into<String>) -> CircuitOpen {
        CircuitOpen { open_for, retry_after, last: last.into(), was_reached: true }
    }
}

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
#[non_exhaustive]
pub struct FileError {
    /// What was tried.
    pub doing: &'static str,
    /// With which file.
    pub path: std::path::PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_small_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert!(size_of::<Error>() <= 16, "{} bytes", size_of::<Error>());
    }

    #[test]
    fn every_quota_code_is_out_of_quota_and_nothing_else_is() {
        for code in QUOTA_CODES {
            let e = ApiError { status: 429, code: Some(code.to_string()), ..ApiError::default() };
            assert!(Error::Api(Box::new(e)).is_out_of_quota(), "{code}");
        }
        let e = ApiError {
            status: 429,
            code: Some("rate_limit_exceeded".into()),
            ..ApiError::default()
        };
        assert!(!Error::RateLimit(Box::new(e)).is_out_of_quota());
    }

    #[test]
    fn the_message_tells_status_code_text_and_tries_once() {
        let e = ApiError {
            status: 503,
            code: Some("server_is_overloaded".into()),
            message: "Try again later.".into(),
            attempts: 3,
            request_id: Some("req_1".into()),
            ..ApiError::default()
        };
        assert_eq!(
            Error::Api(Box::new(e)).to_string(),
            "the server answered 503 (server_is_overloaded): Try again later. (after 3 attempts) [request id req_1]"
        );
    }
}
