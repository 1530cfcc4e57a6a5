use crate::cache::{Cache, Key, Request, Sample};
use crate::transport::{Method, Transfer};
use crate::usage::{Money, Most, Prices, Reach, Weight, weigh};
use std::sync::{Arc, OnceLock};
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
    /// The model that is asked: it tells what the call may cost.
    pub model: Arc<str>,
    /// Tokens that the call is charged when it is admitted.
    pub weight: Weight,
    /// Time for all attempts with the waits between them, counted from when the call first asks
    /// to be admitted. `None` takes the client's.
    pub deadline: Option<Duration>,
    /// A file that goes with it.
    pub transfer: Option<Arc<Transfer>>,
    /// Whether it is given up where the server may have done it without our having the answer: for
    /// what must not be done twice. Default: no.
    pub is_once: bool,
    /// Whether its body asks for a stream. Default: no.
    pub is_streamed: bool,
    /// Which answer to its request it asks for; `None` if no other than one of its own will do. Only
    /// where there is one, its answer is kept, or shared with others. Default: none.
    pub sample: Option<Sample>,
    /// Its request, once somebody has asked; none of which the answer is never kept.
    pub(super) request: OnceLock<Option<Request>>,
    /// What it may use at most, once somebody has asked.
    pub(super) most: OnceLock<Box<Most>>,
}

impl Call {
    /// A call with the weight of its body, to a model of the name of its group.
    pub fn new(method: Method, url: Arc<str>, body: impl Into<Box<[u8]>>, group: Arc<str>) -> Call {
        let body = body.into();
        let weight = if body.is_empty() { Weight::default() } else { weigh(&body) };
        let (model, most, request) = (group.clone(), OnceLock::new(), OnceLock::new());
        Call {
            method,
            url,
            body,
            group,
            model,
            weight,
            deadline: None,
            transfer: None,
            is_once: false,
            is_streamed: false,
            sample: None,
            request,
            most,
        }
    }

    /// The same call to another model than its group is named after.
    pub fn asking(mut self, model: Arc<str>) -> Call {
        self.model = model;
        self
    }

    /// The same call, which asks nothing of a model: it costs nothing, and weighs nothing.
    pub fn free(mut self) -> Call {
        let nothing = Most { money: Some(Money::ZERO), tokens: Some(0) };
        self.most = OnceLock::from(Box::new(nothing));
        self.weight = Weight::default();
        self
    }

    /// The same call with a file.
    pub fn with(mut self, transfer: Transfer) -> Call {
        self.transfer = Some(Arc::new(transfer));
        self
    }

    /// The same call, which is not sent again where the server may have done it.
    pub fn once(mut self) -> Call {
        self.is_once = true;
        self
    }

    /// The same call, whose body asks for a stream. Sent like any other, its answer is the reply that
    /// the stream makes together.
    pub fn streamed(mut self) -> Call {
        self.is_streamed = true;
        self
    }

    /// The same call, whose answer may be one that is kept or shared.
    pub fn sampled(mut self, sample: Option<Sample>) -> Call {
        self.sample = sample;
        self
    }

    /// What is asked, if its answer may be kept. It is found out once, at the first time.
    pub(crate) fn request(&self, cache: &Cache) -> Option<Request> {
        self.sample?;
        let is_plain = self.method == Method::Post && self.transfer.is_none() && !self.is_once;
        *self
            .request
            .get_or_init(|| if is_plain { cache.request(&self.url, &self.body) } else { None })
    }

    /// What its answer is kept under, if it is.
    pub(crate) fn key(&self, cache: &Cache) -> Option<Key> {
        Some(self.request(cache)?.sample(self.sample?))
    }

    /// What the call may use at most; see [`Reach`]. It is found out once, at the first time.
    pub fn most(&self, prices: &Prices) -> Most {
        let find = || {
            // What asks nothing of a model costs nothing.
            let nothing = Most { money: Some(Money::ZERO), tokens: Some(0) };
            let is_empty = self.body.is_empty();
            Box::new(if is_empty {
                nothing
            } else {
                Reach::read(&self.body).sent_to(&self.url).most(prices, &self.model)
            })
        };
        **self.most.get_or_init(find)
    }
}
