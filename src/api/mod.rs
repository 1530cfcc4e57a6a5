//! Typed requests and replies.
//!
//! - `caller` - makes calls of requests, and replies of answers.

mod caller;

use crate::error::Result;
use crate::transport::Method;
use std::borrow::Cow;

pub use caller::{Address, Caller, Response, read};

mod sealed {
    pub trait Sealed {}
}

/// A request that the API knows, tied to its reply. It cannot be implemented outside this crate.
pub trait Request: sealed::Sealed {
    /// What the server answers.
    type Reply: serde::de::DeserializeOwned + Send + 'static;

    /// The HTTP method.
    fn method(&self) -> Method;

    /// The path below the base URL, such as `/chat/completions`.
    fn path(&self) -> Cow<'_, str>;

    /// The model that it names, if it does.
    fn model(&self) -> Option<&str>;

    /// The JSON text to send, with `default_model` where the request names none; empty for a
    /// request without a body.
    ///
    /// # Errors
    /// When the request cannot be valid: no messages, an empty input, a stream.
    fn body(&self, default_model: &str) -> Result<Vec<u8>>;
}
