//! The steps of a part, each through the client's own dispatcher.
//!
//! A step writes down what it is about to do, does it, and writes down what came of it.

use super::job::{
    Date, Job, Part, Refusal, Remote, State, failure_wait, is_too_large, poll_wait, queue_wait,
    refusal,
};
use super::split::{PartFiles, PartLimits, Splitter, divide, half};
use super::store::Store;
use crate::api::Caller;
use crate::clock::{Hold, Stop};
use crate::dispatch::{Call, Reply};
use crate::error::{Error, Result, TimeoutStage, Undecodable};
use crate::transport::{Form, Method, Transfer};
use crate::wire::batch::{BatchFault, BatchObject, read_batch, read_batches, read_file};
use parking_lot::Mutex;
use serde_json::json;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime};

/// The key of a batch's metadata under which it bears its part's mark.
pub(super) const MARK: &str = "openai_bulk_part";
/// The limit group of requests about batches and files.
const GROUP: &str = "batches";
/// Time for a file on its way, with all tries. Source: own choice; 190 MB at 0.3 Mbit/s.
const FILE_DEADLINE: Duration = Duration::from_secs(2 * 3_600);
/// How far the server's clock may be off when old batches are looked through: a day. Source: own
/// choice; a look costs one request for a hundred batches.
const SKEW: Date = 86_400_000;
/// So often a file or a batch that is said not to exist is asked for. Source: own choice.
const GONE: u32 = 5;
/// So often files are tried to be deleted. Source: own choice; they expire by themselves.
const CLEANINGS: u32 = 3;

/// How batches are made and watched.
#[derive(Clone)]
#[non_exhaustive]
pub struct BatchOptions {
    /// The first wait before the state of a batch is asked for; later ones are a tenth of its age,
    /// up to two minutes. Default: 5 seconds.
    pub poll_interval: Duration,
    /// How large a part may be.
    pub limits: PartLimits,
    /// The time in which a batch is to be done, as the server writes it. Default: `24h`, the only
    /// one that it knows.
    pub completion_window: String,
    /// The most input tokens of one model that may wait at the server. A lower limit that the server
    /// tells goes before it. Default: none.
    pub enqueued_tokens: Option<u64>,
    /// In how many batches a row may be, before it fails. Default: 3, by own choice.
    pub most_batches: u32,
    /// How long to wait before a batch that was maybe made is looked for: a request that was on its
    /// way may still arrive. Default: 10 seconds, by own choice.
    pub grace: Duration,
    /// Leaves the files at the server. Default: no, they are deleted when the results are safe.
    pub keep_files: bool,
    /// Is told before and after each step. Default: nobody.
    pub observer: Option<StepObserver>,
}

/// Is called with every step.
pub type StepObserver = Arc<dyn Fn(&StepEvent<'_>) + Send + Sync>;

/// A step of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepEvent<'a> {
    /// The number of the part in its job.
    pub part: u32,
    /// What is done: `upload`, `create`, `find`, `poll`, `cancel`, `fetch`, `settle`, `clean`, and
    /// `split`.
    pub step: &'a str,
    /// How far it has come.
    pub moment: Moment,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// What is about to be done is written down.
    Begun,
    /// It is done, and nothing of that is written down yet.
    Acted,
    /// What came of it is written down.
    Kept,
}

impl Default for BatchOptions {
    fn default() -> BatchOptions {
        BatchOptions {
            poll_interval: Duration::from_secs(5),
            limits: PartLimits::default(),
            completion_window: "24h".into(),
            enqueued_tokens: None,
            most_batches: 3,
            grace: Duration::from_secs(10),
            keep_files: false,
            observer: None,
        }
    }
}

impl std::fmt::Debug for BatchOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchOptions")
            .field("poll_interval", &self.poll_interval)
            .field("limits", &self.limits)
            .field("enqueued_tokens", &self.enqueued_tokens)
            .finish_non_exhaustive()
    }
}

/// Takes steps.
pub(super) struct Steps {
    pub(super) caller: Arc<Caller>,
    pub(super) store: Arc<Store>,
    pub(super) options: BatchOptions,
    pub(super) account: String,
    pub(super) stop: Stop,
    /// The thread that takes the steps, and its mark at the clock that it is at work. The dispatcher
    /// has a mark of its own while it sends, and one thread must not have two.
    pub(super) at_work: Mutex<Option<(ThreadId, Hold)>>,
}

impl Steps {
    /// The date now.
    pub(super) fn now(&self) -> Date {
        let date = self.caller.dispatcher.clock.date();
        date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as Date
    }

    fn first_wait(&self) -> Date {
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

    fn enter(&self, part: &mut Part, state: State, step: &str) -> Result<()> {
        let from = part.state;
        part.enter(state, self.now());
        self.store.save(part)?;
        if from != state {
            log::info!(target: "openai_bulk::batch", part = part.number, rows = part.rows, batch = part.batch_id.as_deref().unwrap_or("-"); "{from} -> {state} ({step})");
        }
        Ok(())
    }

    fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Call {
        self.caller.raw_call(method, path, GROUP, body).free()
    }

    fn send(&self, call: &Call) -> Result<Reply> {
        let own = thread::current().id();
        let hold = self.at_work.lock().take_if(|(id, _)| *id == own);
        let is_held = hold.is_some();
        drop(hold);
        let result = self.caller.dispatcher.send(call, &self.stop);
        if is_held {
            *self.at_work.lock() = Some((own, self.caller.dispatcher.clock.hold()));
        }
        result
    }

    /// Sends the part's file.
    pub(super) fn upload(&self, part: &mut Part) -> Result<()> {
        self.enter(part, State::Uploading, "upload")?;
        self.tell(part, "upload", Moment::Begun);
        let files = PartFiles::of(&self.store, part);
        let name = format!("{}.jsonl", part.mark);
        let form = Form::new(files.requests(), name, format!("openai-bulk-{}", part.mark));
        let form = form.field("purpose", "batch");
        let mut call = self.call(Method::Post, "/files", Vec::new()).with(Transfer::Upload(form));
        call.deadline = Some(FILE_DEADLINE);
        let reply = self.send(&call)?;
        self.tell(part, "upload", Moment::Acted);
        let file = read_file(&reply.body).map_err(unreadable)?;
        if file.bytes.is_some_and(|bytes| bytes != part.bytes) {
            return Err(unreadable("the server has a file of another length".into()));
        }
        part.file_id = Some(file.id);
        self.enter(part, State::Uploaded, "upload")?;
        self.tell(part, "upload", Moment::Kept);
        Ok(())
    }

    /// Makes the part's batch. Where that is in doubt, it is looked for later.
    pub(super) fn create(&self, job: &Job, part: &mut Part) -> Result<()> {
        self.enter(part, State::Creating, "create")?;
        part.due = part.changed + self.options.grace.as_millis() as Date;
        self.store.save(part)?;
        self.tell(part, "create", Moment::Begun);
        let body = json!({
            "input_file_id": part.file_id,
            "endpoint": part.endpoint,
            "completion_window": self.options.completion_window,
            "metadata": {
                MARK: part.bears(),
                "openai_bulk_job": job.name,
                "openai_bulk_rows": part.rows.to_string(),
            },
        });
        let call = self.call(Method::Post, "/batches", body.to_string().into_bytes()).once();
        let made = self.send(&call).and_then(|reply| read_batch(&reply.body).map_err(unreadable));
        match made {
            Ok(batch) => {
                self.tell(part, "create", Moment::Acted);
                self.record(part, &batch, "create")?;
                self.tell(part, "create", Moment::Kept);
                Ok(())
            }
            Err(error) => {
                if is_surely_not_done(&error) {
                    self.enter(part, State::Uploaded, "not created")?;
                }
                Err(error)
            }
        }
    }

    /// Looks whether the part's batch was made, among all that are not older than that.
    pub(super) fn find(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "find", Moment::Begun);
        let mut after = None;
        loop {
            let path = match &after {
                None => "/batches?limit=100".to_owned(),
                Some(id) => format!("/batches?limit=100&after={id}"),
            };
            let reply = self.send(&self.call(Method::Get, &path, Vec::new()))?;
            let page = read_batches(&reply.body).map_err(unreadable)?;
            let mark = part.bears();
            if let Some(found) =
                page.batches.iter().find(|batch| batch.metadata.get(MARK) == Some(&mark))
            {
                log::warn!(target: "openai_bulk::batch", part = part.number, batch = found.id.as_str(); "a batch was made and not recorded: it is adopted");
                self.record(part, found, "found")?;
                self.tell(part, "find", Moment::Kept);
                return Ok(());
            }
            let oldest = page.batches.iter().filter_map(|batch| batch.created_at).min();
            let is_past = oldest.is_some_and(|at| at * 1_000 + SKEW < part.changed);
            after = page.next;
            if after.is_none() || is_past {
                break;
            }
        }
        self.enter(part, State::Uploaded, "not found")?;
        self.tell(part, "find", Moment::Kept);
        Ok(())
    }

    /// Writes down that a batch is the part's.
    pub(super) fn record(&self, part: &mut Part, batch: &BatchObject, step: &str) -> Result<()> {
        part.batch_id = Some(batch.id.clone());
        let now = self.now();
        part.created = Some(batch.created_at.map_or(now, |at| at * 1_000).min(now));
        take(part, batch);
        part.status = Some(batch.status.clone());
        self.enter(part, State::Running, step)?;
        part.due = self.now() + self.first_wait();
        self.store.save(part)
    }

    /// Asks how the batch gets on.
    pub(super) fn poll(&self, job: &Job, part: &mut Part, others: u64) -> Result<()> {
        let id = part.batch_id.clone().unwrap_or_default();
        self.tell(part, "poll", Moment::Begun);
        let reply = self.send(&self.call(Method::Get, &format!("/batches/{id}"), Vec::new()));
        let reply = match reply {
            Err(error) if error.status() == Some(404) && part.failures + 1 >= GONE => {
                part.trouble = Some(format!("the batch is gone: {error}"));
                log::error!(target: "openai_bulk::batch", part = part.number, batch = id.as_str(); "the server no longer knows the batch");
                return self.enter(part, State::Fetched, "gone");
            }
            reply => reply?,
        };
        self.tell(part, "poll", Moment::Acted);
        let batch = read_batch(&reply.body).map_err(unreadable)?;
        if part.status.as_deref() != Some(&batch.status) {
            log::info!(target: "openai_bulk::batch", part = part.number, batch = id.as_str(), done = batch.counts.completed, of = batch.counts.total; "{} -> {}", part.status.as_deref().unwrap_or("-"), batch.status);
        }
        take(part, &batch);
        part.status = Some(batch.status.clone());
        part.failures = 0;
        part.trouble = None;
        match Remote::of(&batch.status) {
            Remote::Active | Remote::Cancelling => {
                let now = self.now();
                let age = now.saturating_sub(part.created.unwrap_or(part.changed));
                part.due = now + poll_wait(self.first_wait(), age);
                self.store.save(part)?;
            }
            Remote::Over => {
                part.ended = Some(self.now());
                self.enter(part, State::Ended, "poll")?;
            }
            Remote::Refused => self.refused(job, part, &batch, others)?,
        }
        self.tell(part, "poll", Moment::Kept);
        Ok(())
    }

    /// The server has refused the part's input: nothing was done and nothing is paid.
    fn refused(&self, job: &Job, part: &mut Part, batch: &BatchObject, others: u64) -> Result<()> {
        let told = batch.errors.first().map(|fault| format!("{}: {}", fault.code, fault.message));
        part.trouble = told;
        let again = |part: &mut Part| {
            part.batch_id = None;
            part.status = None;
            part.counts = Default::default();
            part.created = None;
            part.tries += 1;
        };
        match refusal(&batch.errors) {
            Refusal::Queue(limit) => {
                if let Some(limit) = limit {
                    log::warn!(target: "openai_bulk::batch", model = part.model.as_str(), limit = limit; "the server's queue takes so many tokens");
                    self.store.learn(&self.account, &part.model, limit, self.now())?;
                }
                part.refusals += 1;
                if is_too_large(part, others) {
                    if part.rows > 1 {
                        again(part);
                        return self.split(job, part, Some(part.tokens / 2));
                    }
                    part.faults.clone_from(&batch.errors);
                    return self.enter(part, State::Fetched, "larger than the queue");
                }
                again(part);
                self.enter(part, State::Uploaded, "the queue is full")?;
                part.due = part.changed + queue_wait(part.refusals);
                self.store.save(part)
            }
            Refusal::File if part.tries + 1 < GONE => {
                again(part);
                part.file_id = None;
                self.enter(part, State::Planned, "the file is gone")
            }
            _ => {
                part.faults.clone_from(&batch.errors);
                if part.faults.is_empty() {
                    part.faults.push(BatchFault {
                        code: "batch_failed".into(),
                        message: "the server refused the batch without a reason".into(),
                        line: None,
                    });
                }
                self.enter(part, State::Fetched, "refused")
            }
        }
    }

    /// Makes smaller parts of one that was not sent.
    pub(super) fn split(&self, job: &Job, part: &mut Part, queue: Option<u64>) -> Result<()> {
        self.tell(part, "split", Moment::Begun);
        let next = self.store.parts(job.id)?.iter().map(|part| part.number).max().unwrap_or(0) + 1;
        let prices = &self.caller.dispatcher.prices;
        let limits = half(part, self.options.limits);
        let now = self.now();
        let splitter = Splitter::new(&self.store, job, limits, prices, move |_| queue, next, now)
            .generation(part.generation);
        let mut parts = divide(&PartFiles::of(&self.store, part), part, splitter)?;
        let mut old = Part { left: part.rows, ..part.clone() };
        old.enter(State::Split, now);
        self.tell(part, "split", Moment::Acted);
        self.store.replace(&old, &mut parts)?;
        log::info!(target: "openai_bulk::batch", part = part.number, into = parts.len(); "the part is split");
        if let Some(id) = &part.file_id {
            let _ = self.delete(id);
        }
        PartFiles::of(&self.store, part).remove()?;
        *part = old;
        self.tell(part, "split", Moment::Kept);
        Ok(())
    }

    /// Cancels the part's batch.
    pub(super) fn cancel(&self, part: &mut Part) -> Result<()> {
        let id = part.batch_id.clone().unwrap_or_default();
        self.tell(part, "cancel", Moment::Begun);
        match self.send(&self.call(Method::Post, &format!("/batches/{id}/cancel"), Vec::new())) {
            Ok(reply) => {
                self.tell(part, "cancel", Moment::Acted);
                if let Ok(batch) = read_batch(&reply.body) {
                    take(part, &batch);
                    part.status = Some(batch.status);
                }
            }
            // It has ended meanwhile: a look tells how.
            Err(error) if matches!(error.status(), Some(400 | 404 | 409)) => {
                part.status = Some("cancelling".into());
            }
            Err(error) => return Err(error),
        }
        part.due = self.now() + self.first_wait();
        self.store.save(part)?;
        self.tell(part, "cancel", Moment::Kept);
        Ok(())
    }

    /// Saves what the batch brought.
    pub(super) fn fetch(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "fetch", Moment::Begun);
        let files = PartFiles::of(&self.store, part);
        for (id, path) in
            [(&part.output_file_id, files.output()), (&part.error_file_id, files.errors())]
        {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, e));
                }
                _ => {}
            }
            let Some(id) = id else { continue };
            match self.download(id, &path) {
                Err(error) if error.status() == Some(404) && part.failures + 1 >= GONE => {
                    log::error!(target: "openai_bulk::batch", part = part.number, file = id.as_str(); "a file of results is gone: {error}");
                    let _ = fs::remove_file(&path);
                }
                downloaded => downloaded?,
            }
        }
        self.tell(part, "fetch", Moment::Acted);
        self.enter(part, State::Fetched, "fetch")?;
        self.tell(part, "fetch", Moment::Kept);
        Ok(())
    }

    pub(super) fn download(&self, id: &str, path: &Path) -> Result<()> {
        // What the server says of the length, if it says something.
        let about = self.send(&self.call(Method::Get, &format!("/files/{id}"), Vec::new()));
        let length = match about {
            Ok(reply) => read_file(&reply.body).ok().and_then(|file| file.bytes),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(_) => None,
        };
        let content = format!("/files/{id}/content");
        let transfer = Transfer::Download(path.to_owned());
        let mut call = self.call(Method::Get, &content, Vec::new()).with(transfer);
        call.deadline = Some(FILE_DEADLINE);
        self.send(&call)?;
        let saved = fs::metadata(path).map_err(|e| Error::file("read", path, e))?.len();
        if length.is_some_and(|length| length != saved) || !ends_whole(path)? {
            let length = length.map_or("more".into(), |length| length.to_string());
            return Err(unreadable(format!("{saved} bytes came of {length}")));
        }
        Ok(())
    }

    /// Takes the part's files from the server and from this machine.
    pub(super) fn clean(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "clean", Moment::Begun);
        if !self.options.keep_files {
            for id in [&part.file_id, &part.output_file_id, &part.error_file_id] {
                let Some(id) = id else { continue };
                match self.delete(id) {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) if part.failures + 1 < CLEANINGS => return Err(error),
                    Err(error) => {
                        log::warn!(target: "openai_bulk::batch", file = id.as_str(); "a file stays at the server: {error}");
                    }
                    Ok(()) => {}
                }
            }
        }
        self.tell(part, "clean", Moment::Acted);
        PartFiles::of(&self.store, part).remove()?;
        self.enter(part, State::Cleaned, "clean")?;
        self.tell(part, "clean", Moment::Kept);
        Ok(())
    }

    /// Takes a part back that was not sent.
    pub(super) fn withdraw(&self, part: &mut Part) -> Result<()> {
        part.left = part.rows;
        self.enter(part, State::Withdrawn, "withdraw")?;
        if let Some(id) = part.file_id.clone().filter(|_| !self.options.keep_files) {
            let _ = self.delete(&id);
        }
        PartFiles::of(&self.store, part).remove()
    }

    pub(super) fn delete(&self, id: &str) -> Result<()> {
        match self.send(&self.call(Method::Delete, &format!("/files/{id}"), Vec::new())) {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn get_batch(&self, id: &str) -> Result<BatchObject> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err(Error::invalid("batch", "this is not the id of a batch"));
        }
        let reply = self.send(&self.call(Method::Get, &format!("/batches/{id}"), Vec::new()))?;
        read_batch(&reply.body).map_err(unreadable)
    }

    /// A step failed: when to try again, or the end of it.
    ///
    /// # Errors
    /// The same error, if no other try can help.
    pub(super) fn failed(&self, part: &mut Part, error: Error) -> Result<()> {
        let is_ours = matches!(error, Error::Cancelled | Error::File(_) | Error::Validation(_));
        let is_fatal = error.is_fatal_for_run() && !matches!(error, Error::CircuitOpen(_));
        let is_file = matches!(&error, Error::Transport(e) if e.kind == crate::error::TransportErrorKind::File);
        if is_ours || is_fatal || is_file {
            return Err(error);
        }
        part.failures += 1;
        part.trouble = Some(error.to_string());
        log::warn!(target: "openai_bulk::batch", part = part.number, state = part.state.name(), failures = part.failures; "{error}");
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
fn take(part: &mut Part, batch: &BatchObject) {
    part.counts = batch.counts;
    part.output_file_id.clone_from(&batch.output_file_id);
    part.error_file_id.clone_from(&batch.error_file_id);
    part.expires = batch.expires_at.map(|at| at * 1_000).or(part.expires);
}

/// Whether the server has surely not done what it was asked.
fn is_surely_not_done(error: &Error) -> bool {
    match error {
        Error::Api(e) | Error::RateLimit(e) => e.status < 500,
        Error::Transport(e) => !e.sent,
        Error::Timeout(e) => e.stage == TimeoutStage::Admission && e.attempts == 0,
        Error::CircuitOpen(_) | Error::OverCap(_) => true,
        _ => false,
    }
}

fn unreadable(why: String) -> Error {
    Error::Decode(Box::new(Undecodable::new(200, why)))
}

/// Whether the last line of a file has its end, or is JSON without it.
fn ends_whole(path: &Path) -> Result<bool> {
    const TAIL: u64 = 64 << 20;
    let failed = |e| Error::file("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1)).map_err(failed)?;
    file.read_exact(&mut last).map_err(failed)?;
    if last == *b"\n" {
        return Ok(true);
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).map_err(failed)?;
    file.read_to_end(&mut tail).map_err(failed)?;
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ApiError, Timeout, TransportError, TransportErrorKind as Kind};

    #[test]
    fn only_what_was_surely_not_done_is_done_again_without_a_look() {
        let api = |status| Error::Api(Box::new(ApiError { status, ..ApiError::default() }));
        let broken = |sent| Error::Transport(Box::new(TransportError::new(Kind::Reset, sent, "")));
        let timeout = |stage| Error::Timeout(Box::new(Timeout::new(stage, FILE_DEADLINE, 1)));
        for (error, expected) in [
            (api(400), true),
            (api(429), true),
            (api(500), false),
            (api(503), false),
            (broken(false), true),
            (broken(true), false),
            (timeout(TimeoutStage::Body), false),
            (timeout(TimeoutStage::Admission), false),
            (unreadable("x".into()), false),
            (Error::Cancelled, false),
        ] {
            assert_eq!(is_surely_not_done(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_last_line_that_is_cut_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (text, whole) in
            [("", true), ("{}\n", true), ("{}\n{}", true), ("{}\n{\"a", false), ("{\"a", false)]
        {
            fs::write(&path, text).unwrap();
            assert_eq!(ends_whole(&path).unwrap(), whole, "{text:?}");
        }
    }
}
