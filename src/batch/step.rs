//! The steps of a part, each through the client's own dispatcher.
//!
//! A step writes down what it is about to do, does it, and writes down what came of it.

use super::next::failure_wait;
use super::options::{BatchOptions, Moment, StepEvent};
use super::part::{Date, Part, State};
use super::store::Store;
use crate::api::Caller;
use crate::clock::Stop;
use crate::dispatch::{Call, Reply};
use crate::error::{Error, Result, TransportErrorKind, Undecodable};
use crate::logs as key;
use crate::transport::Method;
use crate::wire::batch::{BatchFault, BatchObject};
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime};

/// Time for a file on its way, with all tries. Source: own choice; 190 MB at 0.3 Mbit/s.
pub(super) const FILE_DEADLINE: Duration = Duration::from_secs(2 * 3_600);
/// The limit group of requests about batches and files.
const GROUP: &str = "batches";
/// So often in a row the server has to say something that loses answers before it is believed: that
/// a batch or a file does not exist, or that less came of its answers than it counts. Source: own
/// choice; with the waits in between it is half an hour, which a mistake at the server may last.
pub(super) const BELIEVED: u32 = 10;

/// Takes steps.
pub(super) struct Steps {
    pub(super) caller: Arc<Caller>,
    pub(super) store: Arc<Store>,
    pub(super) options: BatchOptions,
    pub(super) account: String,
    pub(super) stop: Stop,
    /// The thread that takes the steps, which holds the clock.
    pub(super) at_work: Mutex<Option<ThreadId>>,
}

impl Steps {
    /// The date now.
    pub(super) fn now(&self) -> Date {
        let date = self.caller.dispatcher.clock.date();
        date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as Date
    }

    pub(super) fn first_wait(&self) -> Date {
        (self.options.poll_interval.as_millis() as Date).max(1)
    }

    pub(super) fn tell(&self, part: &Part, step: &str, moment: Moment) {
        if let Some(observer) = &self.options.observer {
            observer(&StepEvent { part: part.number, step, moment });
        }
    }

    /// The most tokens of a model that may wait at the server, as far as it is known.
    pub(super) fn queue_limit(&self, model: &str) -> Result<Option<u64>> {
        let told = self.store.limit(&self.account, model)?;
        Ok(match (told, self.options.enqueued_tokens) {
            (Some(told), Some(stated)) => Some(told.min(stated)),
            (told, stated) => told.or(stated),
        })
    }

    pub(super) fn enter(&self, part: &mut Part, state: State, step: &str) -> Result<()> {
        let from = part.state;
        part.enter(state, self.now());
        self.store.save(part)?;
        if from != state {
            log::info!(target: "openai_bulk::batch", {key::PART} = part.number, {key::ROWS} = part.rows, {key::BATCH} = part.batch_id.as_deref().unwrap_or("-"); "{from} -> {state} ({step})");
        }
        Ok(())
    }

    pub(super) fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Call {
        self.caller.raw_call(method, path, GROUP, body).free()
    }

    pub(super) fn send(&self, call: &Call) -> Result<Reply> {
        let dispatcher = &self.caller.dispatcher;
        let is_held = *self.at_work.lock() == Some(thread::current().id());
        match is_held {
            true => dispatcher.send_held(call, &self.stop),
            false => dispatcher.send(call, &self.stop),
        }
    }

    /// Keeps that a step has failed, and when it is tried again.
    ///
    /// # Errors
    /// The same error, if no other try can help.
    pub(super) fn failed(&self, part: &mut Part, error: Error) -> Result<()> {
        let is_ours = matches!(error, Error::Cancelled | Error::File(_) | Error::Validation(_));
        let is_fatal = error.is_fatal_for_run() && !matches!(error, Error::CircuitOpen(_));
        let is_file = matches!(&error, Error::Transport(e) if e.kind == TransportErrorKind::File);
        if is_ours || is_fatal || is_file {
            return Err(error);
        }
        part.failures += 1;
        part.missing = if error.status() == Some(404) { part.missing + 1 } else { 0 };
        part.trouble = Some(error.to_string());
        log::warn!(target: "openai_bulk::batch", {key::PART} = part.number, {key::STATE} = part.state.name(), {key::FAILURES} = part.failures; "{error}");
        let is_refused =
            matches!(&error, Error::Api(e) if (400..500).contains(&e.status) && !e.retryable);
        if is_refused && matches!(part.state, State::Uploading | State::Uploaded) {
            // The server does not want it, and says why: so it is for each row.
            part.faults = vec![BatchFault {
                code: error.code().unwrap_or("batch_refused").into(),
                message: error.to_string(),
                line: None,
            }];
            return self.enter(part, State::Fetched, "refused");
        }
        part.due = self.now() + failure_wait(self.first_wait(), part.failures);
        if part.state == State::Creating {
            part.due = part.due.max(self.now() + self.options.grace.as_millis() as Date);
        }
        self.store.save(part)
    }
}

/// What a batch says besides its status.
pub(super) fn take(part: &mut Part, batch: &BatchObject, now: Date) {
    if part.counts != batch.counts {
        part.counts = batch.counts;
        part.moved = Some(now);
    }
    part.output_file_id.clone_from(&batch.output_file_id);
    part.error_file_id.clone_from(&batch.error_file_id);
    part.expires = batch.expires_at.map(milliseconds).or(part.expires);
}

/// A date of the server's, which has seconds.
pub(super) fn milliseconds(seconds: u64) -> Date {
    seconds.saturating_mul(1_000)
}

pub(super) fn unreadable(why: String) -> Error {
    Error::Decode(Box::new(Undecodable::new(200, why)))
}
