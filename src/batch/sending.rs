//! The steps of a part until the server has its batch, or it is taken back.

use super::options::Moment;
use super::part::{Date, Job, Part, Remote, State};
use super::part_files::PartFiles;
use super::split::{Splitter, divide, half};
use super::step::{BELIEVED, FILE_DEADLINE, Steps, milliseconds, take, unreadable};
use crate::error::{Error, Result, TimeoutStage};
use crate::logs as key;
use crate::transport::{Form, Method, Transfer};
use crate::wire::batch::{BatchObject, read_batch, read_batches, read_file};
use serde_json::json;

/// The key of a batch's metadata under which it bears its part's mark.
pub(super) const MARK: &str = "openai_bulk_part";
/// How far the server's clock may be off when old batches are looked through: a day. Source: own
/// choice; a look costs one request for a hundred batches.
const SKEW: Date = 86_400_000;
/// So often a batch that was maybe made is looked for, each time after twice the wait of before.
/// Source: own choice.
const LOOKS: u32 = 3;

impl Steps {
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
        if file.bytes.is_some_and(|bytes| bytes != part.bytes) && part.failures + 1 < BELIEVED {
            return Err(unreadable("the server has a file of another length".into()));
        }
        part.file_id = Some(file.id);
        self.enter(part, State::Uploaded, "upload")?;
        self.tell(part, "upload", Moment::Kept);
        Ok(())
    }

    /// Makes the part's batch. Where that is in doubt, it is looked for later.
    pub(super) fn create(&self, job: &Job, part: &mut Part) -> Result<()> {
        let failures = part.failures;
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
                    // It goes on to wait longer and longer.
                    part.failures = failures;
                }
                Err(error)
            }
        }
    }

    /// Looks whether the part's batch was made, among all that are not older than that.
    pub(super) fn find(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "find", Moment::Begun);
        let mut after: Option<String> = None;
        loop {
            let path = match &after {
                None => "/batches?limit=100".to_owned(),
                Some(id) => format!("/batches?limit=100&after={id}"),
            };
            let reply = self.send(&self.call(Method::Get, &path, Vec::new()))?;
            let page = read_batches(&reply.body).map_err(unreadable)?;
            if let Some(found) = page.batches.iter().find(|batch| is_of(part, batch)) {
                log::warn!(target: "openai_bulk::batch", {key::PART} = part.number, {key::BATCH} = found.id.as_str(); "a batch was made and not recorded: it is adopted");
                self.record(part, found, "found")?;
                self.tell(part, "find", Moment::Kept);
                return Ok(());
            }
            // A server that begins at the same place again has no more to tell.
            let is_last = page.next.is_none() || page.next == after;
            if is_last || is_past(&page.batches, part.changed) {
                break;
            }
            after = page.next;
        }
        part.looks += 1;
        if part.looks < LOOKS {
            // A list may show a batch later than it is made, and two batches are paid twice.
            part.due = self.now() + ((self.options.grace.as_millis() as Date) << part.looks);
            self.store.save(part)?;
        } else {
            self.enter(part, State::Uploaded, "not found")?;
        }
        self.tell(part, "find", Moment::Kept);
        Ok(())
    }

    /// Writes down that a batch is the part's.
    pub(super) fn record(&self, part: &mut Part, batch: &BatchObject, step: &str) -> Result<()> {
        part.batch_id = Some(batch.id.clone());
        let now = self.now();
        // A batch of ours is no older than the request for it, whatever the server's clock says.
        let asked = if part.state == State::Creating { part.changed.min(now) } else { 0 };
        part.created = Some(batch.created_at.map_or(now, milliseconds).clamp(asked, now));
        take(part, batch, now);
        part.status = Some(batch.status.clone());
        self.enter(part, State::Running, step)?;
        part.due = self.now() + self.first_wait();
        self.store.save(part)
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
        // If that is all that is done, the server will say that it cannot find the file.
        if let Some(id) = &part.file_id {
            let _ = self.delete(id);
        }
        self.tell(part, "split", Moment::Acted);
        self.store.replace(&old, &mut parts)?;
        log::info!(target: "openai_bulk::batch", {key::PART} = part.number, {key::PARTS} = parts.len(); "the part is split");
        PartFiles::of(&self.store, part).remove()?;
        *part = old;
        self.tell(part, "split", Moment::Kept);
        Ok(())
    }

    /// Takes a part back that was not sent.
    pub(super) fn withdraw(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "withdraw", Moment::Begun);
        if let Some(id) = part.file_id.clone().filter(|_| !self.options.keep_files) {
            let _ = self.delete(&id);
        }
        part.left = part.rows;
        self.tell(part, "withdraw", Moment::Acted);
        self.enter(part, State::Withdrawn, "withdraw")?;
        PartFiles::of(&self.store, part).remove()?;
        self.tell(part, "withdraw", Moment::Kept);
        Ok(())
    }
}

/// Whether a batch is the one that was maybe made for a part. A server that keeps no metadata tells
/// it by the file, which is the part's alone; a batch that failed was one before.
fn is_of(part: &Part, batch: &BatchObject) -> bool {
    match batch.metadata.get(MARK) {
        Some(mark) => *mark == part.bears(),
        None => {
            let is_same = batch.input_file_id.is_some() && batch.input_file_id == part.file_id;
            is_same && Remote::of(&batch.status) != Remote::Refused
        }
    }
}

/// Whether a page of a list is that of batches before a date, and no later one follows: the list
/// begins with the newest, which not every server does.
fn is_past(page: &[BatchObject], date: Date) -> bool {
    let created = |batch: Option<&BatchObject>| batch?.created_at.map(milliseconds);
    match (created(page.first()), created(page.last())) {
        (Some(first), Some(last)) => last < first && last.saturating_add(SKEW) < date,
        _ => false,
    }
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
}
