//! `par_iter` style: questions in a slice, answers scored on rayon.

use super::Bulk;
use super::repeats::Repeats;
use crate::api::{self, Request, Response};
use crate::dispatch::{Delivered, Intake, Job, Pool};
use crate::error::Error;
use parking_lot::Mutex;
use rayon::prelude::*;

/// At most so many requests are made at once on rayon, so that the first are under way early.
const CHUNK: usize = 64;

/// Sends a request for every item of a slice or a vector.
pub trait ParSend<T: Sync> {
    /// Makes a request of every item; [`ParRequests::map`] sends them.
    fn par_send<R, F>(&self, bulk: Bulk, request: F) -> ParRequests<'_, T, F>
    where
        R: Request,
        F: Fn(&T) -> R + Sync;
}

impl<T: Sync> ParSend<T> for [T] {
    fn par_send<R, F>(&self, bulk: Bulk, request: F) -> ParRequests<'_, T, F>
    where
        R: Request,
        F: Fn(&T) -> R + Sync,
    {
        ParRequests { items: self, bulk, request }
    }
}

/// Requests that are ready to be made and sent; see [`ParSend`].
#[derive(Debug)]
#[must_use = "call .map() to send the requests"]
pub struct ParRequests<'a, T, F> {
    items: &'a [T],
    bulk: Bulk,
    request: F,
}

impl<T: Sync, F> ParRequests<'_, T, F> {
    /// Sends the requests, calls `then` with each item and its reply, and gives the results in the
    /// order of the items.
    ///
    /// Requests are made and replies are scored on rayon; the sending and the waiting are done by
    /// the pool and the calling thread, so that no rayon thread is ever blocked. Do not call it
    /// from inside a rayon job.
    pub fn map<R, S, G>(self, then: G) -> Vec<S>
    where
        R: Request,
        F: Fn(&T) -> R + Sync,
        S: Send,
        G: Fn(&T, Result<Response<R::Reply>, Error>) -> S + Sync,
    {
        let ParRequests { items, bulk, request } = self;
        let caller = bulk.caller.clone();
        let (pool, intake) = Pool::start(caller.dispatcher.clone(), bulk.options());
        let slots: Vec<Mutex<Option<S>>> = items.iter().map(|_| Mutex::new(None)).collect();
        let keep = |at: usize, result| *slots[at].lock() = Some(then(&items[at], result));
        rayon::in_place_scope(|scope| {
            let mut intake = Some(intake);
            let mut next = 0;
            let cache = &caller.dispatcher.cache;
            let mut repeats = Repeats::new(cache);
            loop {
                while let Some(open) =
                    intake.take_if(|open| next == items.len() || open.is_closed())
                {
                    drop(open);
                }
                if let Some(open) = intake.as_ref().filter(|open| open.room() > 0) {
                    let chunk = &items[next..items.len().min(next + open.room().min(CHUNK))];
                    let calls: Vec<_> =
                        chunk.par_iter().map(|item| caller.call(&request(item))).collect();
                    for mut call in calls {
                        if let Ok(call) = &mut call {
                            repeats.number(call, cache);
                        }
                        put_in(open, next, call);
                        next += 1;
                    }
                    continue;
                }
                let Some(Delivered { tag, result, .. }) = pool.recv() else { break };
                let (keep, pool) = (&keep, &pool);
                scope.spawn(move |_| {
                    keep(tag, result.and_then(api::read));
                    pool.release();
                });
            }
        });
        // What was never taken in, because the run had been ended, is cancelled.
        let rest = slots.into_iter().enumerate();
        rest.map(|(at, slot)| {
            slot.into_inner().unwrap_or_else(|| then(&items[at], Err(Error::Cancelled)))
        })
        .collect()
    }
}

fn put_in(intake: &Intake<usize>, at: usize, call: Result<crate::dispatch::Call, Error>) {
    match call {
        // A pool that takes no more has been ended; the rest is told as cancelled.
        Ok(call) => drop(intake.push(Job { call, tag: at })),
        Err(error) => intake.fail(at, error),
    }
}
