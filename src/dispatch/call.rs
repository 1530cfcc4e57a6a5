use crate::transport::Method;
use crate::usage::{Weight, weigh};
use std::sync::Arc;
use std::time::Duration;

/// A request as bytes that can be sent again: what the dispatcher works on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// HTTP method.
    pub method: Method,
    /// The whole address.
    pub url: Arc<str>,
    /// The body, as it is sent at every attempt.
    pub body: Box<[u8]>,
    /// The limit group: calls of one group share the server's limits, most often a model's name.
    pub group: Arc<str>,
    /// Tokens that the call is charged when it is admitted.
    pub weight: Weight,
    /// Time for all attempts with the waits between them, counted from when the call first asks
    /// to be admitted. `None` takes the client's.
    pub deadline: Option<Duration>,
}

impl Call {
    /// A call with the weight of its body.
    pub fn new(method: Method, url: Arc<str>, body: impl Into<Box<[u8]>>, group: Arc<str>) -> Call {
        let body = body.into();
        let weight = if body.is_empty() { Weight::default() } else { weigh(&body) };
        Call { method, url, body, group, weight, deadline: None }
    }
}
