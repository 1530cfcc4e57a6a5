//! Many requests as a blocking iterator.

use super::repeats::Repeats;
use crate::api::{self, Caller, Request, Response};
use crate::clock::Stop;
use crate::dispatch::{Delivered, Facts, HeldBack, Job, Pool, PoolOptions, Progress};
use crate::error::{Error, Partial};
use crate::usage::{Caps, Money, Purse};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;

/// Many requests at once: how they are sent.
#[derive(Clone, Debug)]
#[must_use = "call .send() to send requests"]
pub struct Bulk {
    pub(super) caller: Arc<Caller>,
    is_ordered: bool,
    window: Option<usize>,
    stop: Stop,
    share: f64,
    caps: Caps,
}

impl Bulk {
    /// Bulk sending through `caller`; most often made by `Client::bulk`.
    pub fn new(caller: Arc<Caller>) -> Bulk {
        Bulk {
            caller,
            is_ordered: false,
            window: None,
            stop: Stop::new(),
            share: 1.0,
            caps: Caps::default(),
        }
    }

    /// Gives the outcomes in the order of the requests. Default: as they come.
    pub fn ordered(mut self) -> Bulk {
        self.is_ordered = true;
        self
    }

    /// How many requests may be inside at once: taken from the input, and their outcome not yet
    /// taken by you. Default: the concurrency limit, and as many again between 128 and 512.
    pub fn window(mut self, requests: usize) -> Bulk {
        self.window = Some(requests);
        self
    }

    /// The share of this run where several of one client want the same limit: one of 2 sends twice
    /// as much as one of 1. Single requests have 1. Default: 1.
    pub fn share(mut self, share: f64) -> Bulk {
        self.share = share;
        self
    }

    /// The most that this run may cost, in US dollars, attempts included that may have been billed
    /// without an answer. When what is next does not fit, it comes out as
    /// [`Error::OverCap`], and what was not sent as cancelled. A request whose price is not known is
    /// refused. Default: none; the client's own cap counts in any case.
    pub fn max_cost(mut self, most: impl Into<Option<Money>>) -> Bulk {
        self.caps.money = most.into();
        self
    }

    /// The most tokens that this run may use, read and written together; as
    /// [`max_cost`](Bulk::max_cost). Default: none.
    pub fn max_tokens_total(mut self, most: impl Into<Option<u64>>) -> Bulk {
        self.caps.tokens = most.into();
        self
    }

    /// Ends the run early. Default: a stop that nobody holds.
    pub fn stop(mut self, stop: &Stop) -> Bulk {
        self.stop = stop.clone();
        self
    }

    /// Sends every request, and gives their outcomes as a blocking iterator.
    ///
    /// The input is pulled on a thread of its own, never further ahead than the window. Every
    /// request that was pulled has exactly one outcome. A failure that concerns the account or the
    /// server as a whole ends the run: what was not sent then comes out as cancelled.
    pub fn send<R, I>(self, requests: I) -> Results<R>
    where
        R: Request + Send + 'static,
        I: IntoIterator<Item = R>,
        I::IntoIter: Send + 'static,
    {
        let caller = self.caller.clone();
        let (pool, intake) = Pool::start(caller.dispatcher.clone(), self.options());
        let requests = requests.into_iter();
        let feeder = thread::Builder::new().name("openai-bulk-feeder".into());
        let hold = caller.dispatcher.clock.hold();
        let spawned = feeder.spawn(move || {
            let _hold = hold;
            let cache = &caller.dispatcher.cache;
            let mut repeats = Repeats::new(cache);
            for (index, request) in requests.enumerate() {
                let index = index as u64;
                match caller.call(&request) {
                    Ok(mut call) => {
                        repeats.number(&mut call, cache);
                        if let Err(job) = intake.push(Job { call, tag: index }) {
                            // It was pulled, so it comes out.
                            intake.fail(job.tag, Error::Cancelled);
                            return;
                        }
                    }
                    Err(error) => intake.fail(index, error),
                }
            }
        });
        spawned.expect("one thread can be started");
        Results {
            pool,
            is_ordered: self.is_ordered,
            early: BTreeMap::new(),
            next: 0,
            reply: PhantomData,
        }
    }

    /// Sends every request and waits for all of them: the replies in order, or how many failed.
    pub fn send_all<R, I>(self, requests: I) -> Result<Vec<Response<R::Reply>>, Error>
    where
        R: Request + Send + 'static,
        I: IntoIterator<Item = R>,
        I::IntoIter: Send + 'static,
    {
        let (mut replies, mut failed, mut first) = (Vec::new(), 0, None);
        for outcome in self.ordered().send(requests) {
            match outcome.result {
                Ok(reply) => replies.push(reply),
                Err(error) => {
                    failed += 1;
                    // What was cancelled because of a failure says less than the failure.
                    if first.as_ref().is_none_or(|first| matches!(first, Error::Cancelled)) {
                        first = Some(error);
                    }
                }
            }
        }
        match first {
            None => Ok(replies),
            Some(first) => {
                Err(Error::Partial(Box::new(Partial::new(replies.len() as u64, failed, first))))
            }
        }
    }

    pub(super) fn options(&self) -> PoolOptions {
        let client = &self.caller.dispatcher.purse;
        let purse = self.caps.is_some().then(|| Purse::new(self.caps, client.clone()));
        PoolOptions::new(self.window, &self.stop).share(self.share).purse(purse)
    }
}

/// What became of one request of a bulk run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// Which request of the input it is; the first is 0.
    pub index: u64,
    /// The reply, or why there is none.
    pub result: Result<Response<T>, Error>,
    /// Attempts, latency and waiting.
    pub facts: Facts,
}

/// The outcomes of a bulk run; dropping it ends the run.
#[derive(Debug)]
pub struct Results<R: Request> {
    pool: Pool<u64>,
    is_ordered: bool,
    early: BTreeMap<u64, Delivered<u64>>,
    next: u64,
    reply: PhantomData<fn() -> R>,
}

impl<R: Request> Results<R> {
    /// Where the run stands.
    pub fn progress(&self) -> Progress {
        self.pool.progress()
    }

    /// What held the run back so far.
    pub fn held_back(&self) -> HeldBack {
        self.pool.held_back()
    }

    fn next_delivered(&mut self) -> Option<Delivered<u64>> {
        if !self.is_ordered {
            return self.pool.recv();
        }
        loop {
            if let Some(delivered) = self.early.remove(&self.next) {
                self.next += 1;
                return Some(delivered);
            }
            match self.pool.recv() {
                Some(delivered) => {
                    self.early.insert(delivered.tag, delivered);
                }
                // A run that was ended may leave gaps; what is there still comes in order.
                None => {
                    let (index, delivered) = self.early.pop_first()?;
                    self.next = index + 1;
                    return Some(delivered);
                }
            }
        }
    }
}

impl<R: Request> Iterator for Results<R> {
    type Item = Outcome<R::Reply>;

    fn next(&mut self) -> Option<Self::Item> {
        let Delivered { tag, result, facts, .. } = self.next_delivered()?;
        self.pool.release();
        Some(Outcome { index: tag, result: result.and_then(api::read), facts })
    }
}
