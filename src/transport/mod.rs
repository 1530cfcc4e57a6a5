//! One HTTP exchange: a request's bytes out, an answer's bytes in.
//!
//! - `http` - the real one, over ureq.
//! - `incoming` - answers that are read while they come.
//! - `multipart` - files that go with an exchange.
//! - `scripted`, `script` - a public fake that answers from a script.

mod http;
mod incoming;
mod multipart;
mod script;
mod scripted;

use crate::clock::Stop;
use crate::error::TransportError;
use std::time::Duration;

pub use crate::wire::headers::Headers;
pub use http::{Http, HttpOptions};
pub use incoming::{Incoming, Patience, Pieces};
pub use multipart::{Form, Transfer};
pub use script::StreamScript;
pub use scripted::{Recorded, Scripted};

/// The HTTP methods that the API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Reads.
    Get,
    /// Asks; the one with a body.
    Post,
    /// Removes.
    Delete,
}

/// What is sent in one attempt.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Exchange<'a> {
    /// HTTP method.
    pub method: Method,
    /// The whole address, query included.
    pub url: &'a str,
    /// Headers to send, the key among them. `Content-Type: application/json` goes with a body.
    pub headers: &'a [(String, String)],
    /// The body; empty for [`Method::Get`].
    pub body: &'a [u8],
    /// How long the whole exchange may take, connecting and the last byte of the answer included.
    pub timeout: Duration,
    /// Interrupts the exchange when it is aborted.
    pub stop: &'a Stop,
}

impl<'a> Exchange<'a> {
    /// An exchange without headers.
    pub fn new(
        method: Method,
        url: &'a str,
        body: &'a [u8],
        timeout: Duration,
        stop: &'a Stop,
    ) -> Exchange<'a> {
        Exchange { method, url, headers: &[], body, timeout, stop }
    }
}

/// What the server answered, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers that say something about limits, retries and identity.
    pub headers: Headers,
    /// The whole body.
    pub body: Vec<u8>,
    /// Whether it is an error that came in the middle of a stream, so that what came before it may
    /// be billed.
    pub is_late: bool,
}

impl Answer {
    /// An answer with `status` and `body` and no headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    /// The same answer with one header more.
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push(name, value);
        self
    }
}

/// Does one exchange on the caller's thread.
///
/// An answer of any status is an [`Answer`]; an error means that no complete answer came. A closure
/// of the same shape is a transport too.
pub trait Transport: Send + Sync + 'static {
    /// Sends the request and waits for the whole answer.
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError>;

    /// The same, with a body that is read while it comes. Its whole time is that of the request;
    /// within it the server may not be silent for longer than `patience` says.
    ///
    /// Default: the whole answer by [`exchange`](Transport::exchange), in one piece.
    fn stream(
        &self,
        request: &Exchange<'_>,
        patience: Patience,
    ) -> Result<Incoming, TransportError> {
        let _ = patience;
        self.exchange(request).map(Incoming::whole)
    }

    /// The same with a file that is sent, or that the answer is saved in.
    ///
    /// Default: through memory, by [`exchange`](Transport::exchange).
    fn transfer(
        &self,
        request: &Exchange<'_>,
        transfer: &Transfer,
    ) -> Result<Answer, TransportError> {
        multipart::in_memory(request, transfer, |request| self.exchange(request))
    }
}

impl<F> Transport for F
where
    F: Fn(&Exchange<'_>) -> Result<Answer, TransportError> + Send + Sync + 'static,
{
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        self(request)
    }
}
