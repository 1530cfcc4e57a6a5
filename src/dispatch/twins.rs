//! Calls that ask the same at the same time.

use super::crew::{Shared, cancelled};
use super::feed::Feed;
use super::pool::{Delivered, Job};
use super::{AnsweredBy, Call, Reply};
use crate::cache::Key;
use crate::error::Error;
use crossbeam_channel::Sender;
use std::collections::HashMap;

/// The calls of a pool that wait for what becomes of another one that asks the same.
#[derive(Debug)]
pub(super) struct Twins<T>(HashMap<Key, Vec<Job<T>>>);

impl<T> Twins<T> {
    pub(super) fn new() -> Twins<T> {
        Twins(HashMap::new())
    }

    /// Lets a job wait, if another one of its key is under way; else gives it back: it is the one
    /// that others wait for from now on.
    pub(super) fn join(&mut self, key: Key, job: Job<T>) -> Option<Job<T>> {
        match self.0.get_mut(&key) {
            Some(waiting) => {
                waiting.push(job);
                None
            }
            None => {
                self.0.insert(key, Vec::new());
                Some(job)
            }
        }
    }

    /// The jobs that wait for the one of this key, which has come to its end.
    pub(super) fn leave(&mut self, key: &Key) -> Vec<Job<T>> {
        self.0.remove(key).unwrap_or_default()
    }

    /// All that wait; nothing of it will be sent.
    pub(super) fn clear(&mut self) -> Vec<Job<T>> {
        self.0.drain().flat_map(|(_, waiting)| waiting).collect()
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Answers a job without sending it, or lets it wait for another one that asks the same; else
    /// gives it back.
    pub(super) fn answer_at_once(
        &self,
        job: Job<T>,
        results: &Sender<Delivered<T>>,
    ) -> Option<Job<T>> {
        let job = match self.dispatcher.twin_key(&job.call) {
            Some(key) => self.twins.lock().join(key, job)?,
            None => job,
        };
        // The answer of one that was waited for is kept before nobody waits for it any more.
        let Some(reply) = self.dispatcher.recall(&job.call) else { return Some(job) };
        for twin in self.twins_of(&job.call) {
            let _ = results.send(answered(twin.tag, reply.clone()));
        }
        let _ = results.send(answered(job.tag, reply));
        None
    }

    /// The jobs that waited for what becomes of this call.
    pub(super) fn twins_of(&self, call: &Call) -> Vec<Job<T>> {
        self.dispatcher.twin_key(call).map(|key| self.twins.lock().leave(&key)).unwrap_or_default()
    }

    /// Lets go those that waited for a call: with its answer, or to be sent themselves, and then it
    /// says so. What one call failed for may not be what another one fails for.
    pub(super) fn end_waiting(
        &self,
        call: &Call,
        result: &Result<Reply, Error>,
        feed: &mut Feed<T>,
        results: &Sender<Delivered<T>>,
    ) -> bool {
        let twins = self.twins_of(call);
        let has_news = result.is_err() && !twins.is_empty();
        for twin in twins {
            match result {
                Ok(reply) => {
                    let reply = reply.clone().unpaid(AnsweredBy::Twin);
                    let _ = results.send(answered(twin.tag, reply));
                }
                Err(_) => feed.push(twin),
            }
        }
        has_news
    }

    /// Those that wait come out as cancelled.
    pub(super) fn cancel_twins(&self, results: &Sender<Delivered<T>>) {
        for job in self.twins.lock().clear() {
            let _ = results.send(cancelled(job.tag));
        }
    }
}

fn answered<T>(tag: T, reply: Reply) -> Delivered<T> {
    Delivered { tag, facts: reply.facts, result: Ok(reply) }
}
