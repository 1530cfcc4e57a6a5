//! Pulls rows from the input, on a thread of its own.

use super::input::{DuplicateGuard, Source};
use super::journal::{Index, Known};
use super::repeats::{self, Repeats};
use super::run::Unpriced;
use crate::api::Caller;
use crate::dispatch::{Intake, Job};
use crate::error::Error;
use crate::transport::Method;
use crate::usage::{Caps, Weight};
use crate::wire::row::{Format, Row, RowError, id_hash};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

/// What of a row is needed when its answer comes.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Its place among the rows that are sent; the first is 0.
    pub(crate) index: u64,
    pub(crate) line: u64,
    pub(crate) custom_id: Box<str>,
    pub(crate) id_hash: u64,
    /// 0 for a line that is not a request.
    pub(crate) fingerprint: u64,
    pub(crate) metadata: Option<Box<RawValue>>,
    /// The limit group; none for a line that is not a request.
    /// The model that is asked; empty for a line that is not a request.
    pub(crate) asked: Arc<str>,
    /// What the request weighs.
    pub(crate) weight: Weight,
    pub(crate) group: Option<Arc<str>>,
    /// The batch that brought its answer; none for one that was asked live.
    pub(crate) batch: Option<Arc<str>>,
}

impl Ticket {
    /// That of a row that is not sent live, or not at all.
    pub(crate) fn of(custom_id: Box<str>, line: u64, fingerprint: u64) -> Ticket {
        Ticket {
            index: 0,
            line,
            id_hash: id_hash(&custom_id),
            custom_id,
            fingerprint,
            metadata: None,
            asked: "".into(),
            weight: Weight::default(),
            group: None,
            batch: None,
        }
    }
}

/// How far the input has been read.
#[derive(Debug, Default)]
pub(super) struct Feeding {
    read: AtomicU64,
    done_before: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl Feeding {
    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(super) fn done_before(&self) -> u64 {
        self.done_before.load(Relaxed)
    }

    /// Why the input could not be read to its end, told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.failure.lock().take()
    }
}

/// What feeding takes.
pub(super) struct Feeder {
    pub(super) source: Source,
    pub(super) format: Format,
    pub(super) known: Arc<Index>,
    pub(super) skip_invalid: bool,
    /// Rows that something else answers, by the hashes of their ids.
    pub(super) left_out: Arc<HashSet<u64>>,
    /// Whether rows stay as they are that failed before.
    pub(super) leaves_failed: bool,
    pub(super) caps: Caps,
    pub(super) caller: Arc<Caller>,
    pub(super) intake: Intake<Ticket>,
    pub(super) feeding: Arc<Feeding>,
}

/// Starts to feed. Nobody waits for the thread: it may be blocked in a read for ever.
pub(super) fn start(feeder: Feeder) {
    let thread = thread::Builder::new().name("openai-bulk-input".into());
    let hold = feeder.caller.dispatcher.clock.hold();
    let feed = move || {
        let _hold = hold;
        if let Err(error) = feeder.feed() {
            *feeder.feeding.failure.lock() = Some(error);
        }
    };
    thread.spawn(feed).expect("one thread can be started");
}

impl Feeder {
    fn feed(&self) -> Result<(), Error> {
        // A file was checked before; a stream, and a file whose bad lines are skipped, is now.
        let mut guard = (self.skip_invalid || self.source.is_stream()).then(DuplicateGuard::new);
        let mut repeats = Repeats::new(&self.caller.dispatcher.cache);
        let mut index = 0;
        for row in self.source.rows(&self.format)? {
            let row = row?;
            self.feeding.read.fetch_add(1, Relaxed);
            let row = row.and_then(|row| match &mut guard {
                Some(guard) => guard.admit(&row).map(|()| row),
                None => Ok(row),
            });
            // Those that are done count too, so that a number does not depend on what is done.
            let repeat = row.as_ref().map_or(0, |row| repeats.count(row.fingerprint));
            let is_taken = match row {
                Ok(row) => match self.known.state_of(&row) {
                    Known::Done => {
                        self.feeding.done_before.fetch_add(1, Relaxed);
                        continue;
                    }
                    Known::Changed => return Err(changed(&row)),
                    Known::Failed if self.leaves_failed => continue,
                    _ if self.left_out.contains(&row.id_hash) => continue,
                    Known::New | Known::Failed => {
                        // A file was looked through before.
                        if self.source.is_stream() {
                            let mut unpriced = Unpriced::new(&self.caller, self.caps);
                            unpriced.look(&row);
                            unpriced.refuse(&self.source.name())?;
                        }
                        self.send(row, index, repeat)
                    }
                },
                Err(_) if self.skip_invalid && self.leaves_failed => continue,
                Err(error) if self.skip_invalid => self.fail(error, index),
                Err(error) => return Err(error.in_file(&self.source.name())),
            };
            index += 1;
            if !is_taken {
                break;
            }
        }
        Ok(())
    }

    fn send(&self, row: Row, index: u64, repeat: u32) -> bool {
        let model = row.model.as_deref().unwrap_or_default();
        let mut call = match row.is_streamed {
            true => self.caller.raw_stream_call(&row.url, model, &row.body),
            false => self.caller.raw_call(Method::Post, &row.url, model, row.body),
        };
        repeats::set(&mut call, repeat);
        let tag = Ticket {
            index,
            line: row.line,
            custom_id: row.custom_id,
            id_hash: row.id_hash,
            fingerprint: row.fingerprint,
            metadata: row.metadata,
            group: Some(call.group.clone()),
            asked: call.model.clone(),
            weight: call.weight,
            batch: None,
        };
        self.intake.push(Job { call, tag }).is_ok()
    }

    /// A line that is not a request is a failed row, under its number.
    fn fail(&self, error: RowError, index: u64) -> bool {
        let custom_id: Box<str> = format!("line-{}", error.line).into();
        let tag = Ticket {
            index,
            line: error.line,
            id_hash: id_hash(&custom_id),
            custom_id,
            fingerprint: 0,
            metadata: None,
            group: None,
            asked: "".into(),
            weight: Weight::default(),
            batch: None,
        };
        self.intake.fail(tag, error.in_file(&self.source.name()));
        !self.intake.is_closed()
    }
}

fn changed(row: &Row) -> Error {
    let message = format!(
        "the request `{}` is not the one that the output has the answer to; give changed requests \
         other ids, choose another output, or start over with --fresh",
        row.custom_id
    );
    Error::invalid(format!("line {}", row.line), message)
}
