//! Turns requests into calls, and answers into replies.

use super::{LimitGroups, Request};
use crate::cache::Sample;
use crate::clock::Stop;
use crate::dispatch::{Call, Dispatcher, Facts, Reply};
use crate::error::{Error, Undecodable};
use crate::transport::Method;
use crate::usage::Cost;
use crate::wire::headers::RateReport;
use crate::wire::row::endpoint;
use crate::wire::streaming;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Gives the address of a path such as `/chat/completions` for a model.
pub type Address = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// Makes calls of requests and sends them: what a client and its bulk runs share.
pub struct Caller {
    /// Sends the calls.
    pub dispatcher: Arc<Dispatcher>,
    address: Address,
    model: Arc<str>,
    groups: LimitGroups,
    /// The epoch of its calls; none if their answers are neither kept nor looked up.
    epoch: Option<u32>,
    /// What is known of each path and model: a run uses few of them, very often.
    known: Mutex<Known>,
}

type Known = HashMap<Box<str>, HashMap<Box<str>, Destination>>;

/// Where calls of one path and model go.
#[derive(Clone)]
struct Destination {
    url: Arc<str>,
    group: Arc<str>,
    model: Arc<str>,
    /// Whether a model is asked, so that the answer may be kept.
    is_question: bool,
}

impl Caller {
    /// A caller that fills in `model` where a request names none.
    pub fn new(dispatcher: Arc<Dispatcher>, address: Address, model: &str) -> Caller {
        let (groups, known) = (LimitGroups::default(), Mutex::default());
        Caller { dispatcher, address, model: model.into(), groups, epoch: Some(0), known }
    }

    /// The same caller with models that share their limits. Default: each has its own.
    pub fn limit_groups(mut self, groups: LimitGroups) -> Caller {
        self.groups = groups;
        self
    }

    /// Models that share their limits.
    pub(crate) fn groups(&self) -> &LimitGroups {
        &self.groups
    }

    /// The same caller, whose calls ask for this sample of their answers; `None` goes past the cache.
    /// Default: the first, which is 0.
    pub fn epoch(&self, epoch: Option<u32>) -> Caller {
        let (dispatcher, address) = (self.dispatcher.clone(), self.address.clone());
        let (model, groups) = (self.model.clone(), self.groups.clone());
        Caller { dispatcher, address, model, groups, epoch, known: Mutex::default() }
    }

    /// The model of requests that name none.
    pub fn default_model(&self) -> &str {
        &self.model
    }

    /// The call of a typed request.
    pub fn call<R: Request>(&self, request: &R) -> Result<Call, Error> {
        let model = request.model().unwrap_or(&self.model);
        let body = request.body(&self.model)?;
        Ok(self.raw_call(request.method(), &request.path(), model, body))
    }

    /// The call of a body that is sent as it is to `path`, such as `/v1/embeddings`.
    pub fn raw_call(
        &self,
        method: Method,
        path: &str,
        model: &str,
        body: impl Into<Box<[u8]>>,
    ) -> Call {
        let to = self.resolve(path, model);
        let epoch = self.epoch.filter(|_| to.is_question);
        let sample = epoch.map(|epoch| Sample { epoch, repeat: 0 });
        Call::new(method, to.url, body, to.group).asking(to.model).sampled(sample)
    }

    /// The call of a body that asks for a stream; it is given as it is, and asks for its usage too.
    pub fn raw_stream_call(&self, path: &str, model: &str, body: &[u8]) -> Call {
        self.raw_call(Method::Post, path, model, streaming::ask(path, body)).streamed()
    }

    /// The model that a request to `path` is answered by, if it names `model` or none.
    pub(crate) fn asked<'a>(path: &str, model: &'a str) -> &'a str {
        // Moderations choose their model themselves; all of them are free.
        let is_free = model.is_empty() && path.ends_with("/moderations");
        if is_free { "omni-moderation-latest" } else { model }
    }

    fn resolve(&self, path: &str, model: &str) -> Destination {
        let mut known = self.known.lock();
        if let Some(found) = known.get(path).and_then(|models| models.get(model)) {
            return found.clone();
        }
        let (url, group) = ((self.address)(path, model).into(), self.groups.group(model));
        let is_question = endpoint(path).or_else(|| endpoint(&format!("/v1{path}"))).is_some();
        let model_asked = Caller::asked(path, model).into();
        let found = Destination { url, group, model: model_asked, is_question };
        known.entry(path.into()).or_default().insert(model.into(), found.clone());
        found
    }

    /// Sends a typed request on this thread, and waits for its reply.
    pub fn send<R: Request>(&self, request: &R, stop: &Stop) -> Result<Response<R::Reply>, Error> {
        let call = self.call(request)?;
        read(self.dispatcher.send(&call, stop)?)
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Reads an answer as the reply that its request is tied to.
pub fn read<T: serde::de::DeserializeOwned>(reply: Reply) -> Result<Response<T>, Error> {
    let value = serde_json::from_slice(&reply.body).map_err(|e| {
        let mut error =
            Undecodable::new(reply.status, format!("not the reply to this request: {e}"));
        error.request_id = reply.request_id.clone().map(String::from);
        error.attempts = reply.facts.attempts;
        Error::Decode(Box::new(error))
    })?;
    Ok(Response {
        value,
        request_id: reply.request_id,
        limits: reply.report,
        cost: reply.cost,
        facts: reply.facts,
    })
}

/// A reply, and what it took to get it. It can be used as if it were the reply itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response<T> {
    /// The reply.
    pub value: T,
    /// The server's id for the request, for its support.
    pub request_id: Option<Box<str>>,
    /// What the server's headers said of its limits.
    pub limits: RateReport,
    /// What it cost, if its price is known; see [`cost`](crate::usage::cost).
    pub cost: Option<Cost>,
    /// Attempts, latency and waiting.
    pub facts: Facts,
}

impl<T> Response<T> {
    /// The same with another value in the place of the reply.
    #[cfg(feature = "schema")]
    pub(super) fn with<U>(self, value: U) -> Response<U> {
        let Response { request_id, limits, cost, facts, .. } = self;
        Response { value, request_id, limits, cost, facts }
    }

    /// The same after a request whose reply was not what was wanted: what both took is told together.
    #[cfg(feature = "schema")]
    pub(super) fn after<U>(mut self, earlier: &Response<U>) -> Response<T> {
        self.cost = self.cost.zip(earlier.cost).map(|(cost, earlier)| cost.plus(&earlier));
        self.facts = self.facts.after(&earlier.facts);
        self
    }
}

impl<T> Deref for Response<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
