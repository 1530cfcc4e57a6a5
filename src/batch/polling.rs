//! The steps of a part while its batch goes on at the server.

use super::next::{Refusal, is_too_large, poll_wait, queue_wait, refusal};
use super::options::Moment;
use super::part::{Date, Job, Part, Remote, State};
use super::step::{BELIEVED, Steps, take, unreadable};
use crate::error::{Error, Result};
use crate::logs as key;
use crate::transport::Method;
use crate::wire::batch::{BatchFault, BatchObject, read_batch};

/// A batch may go on so long after it should have expired before that is told. Source: own choice;
/// what it did has to be written together first.
const OVERDUE: Date = 3_600_000;

impl Steps {
    /// Asks how the batch gets on.
    pub(super) fn poll(&self, job: &Job, part: &mut Part, others: u64) -> Result<()> {
        let id = part.batch_id.clone().unwrap_or_default();
        self.tell(part, "poll", Moment::Begun);
        let reply = self.send(&self.call(Method::Get, &format!("/batches/{id}"), Vec::new()));
        let reply = match reply {
            Err(error) if error.status() == Some(404) && part.missing + 1 >= BELIEVED => {
                part.trouble = Some(format!("the batch is gone: {error}"));
                part.is_gone = true;
                log::error!(target: "openai_bulk::batch", {key::PART} = part.number, {key::BATCH} = id.as_str(); "the server no longer knows the batch");
                return self.enter(part, State::Fetched, "gone");
            }
            reply => reply?,
        };
        self.tell(part, "poll", Moment::Acted);
        let batch = read_batch(&reply.body).map_err(unreadable)?;
        if part.status.as_deref() != Some(&batch.status) {
            log::info!(target: "openai_bulk::batch", {key::PART} = part.number, {key::BATCH} = id.as_str(), {key::SUCCEEDED} = batch.counts.completed, {key::ROWS} = batch.counts.total; "{} -> {}", part.status.as_deref().unwrap_or("-"), batch.status);
        }
        let now = self.now();
        take(part, &batch, now);
        part.status = Some(batch.status.clone());
        if is_unnamed(&batch) && part.failures + 1 < BELIEVED {
            return Err(unreadable("the batch has ended, and names no file of its answers".into()));
        }
        (part.failures, part.missing) = (0, 0);
        match remote(&batch) {
            Remote::Active | Remote::Cancelling => {
                part.trouble = overdue(part, now);
                // A batch that is cancelled is over soon, however old it is.
                let since = part.cancelled.or(part.created).unwrap_or(part.changed);
                let age = now.saturating_sub(since);
                part.due = now + poll_wait(self.first_wait(), age);
                self.store.save(part)?;
            }
            Remote::Over => {
                part.trouble = None;
                part.ended = Some(now);
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
            (part.created, part.cancelled, part.moved) = (None, None, None);
            part.tries += 1;
        };
        match refusal(&batch.errors) {
            Refusal::Queue(limit) => {
                if let Some(limit) = limit {
                    log::warn!(target: "openai_bulk::batch", {key::REQUEST_MODEL} = part.model.as_str(), {key::QUEUE} = limit; "the server's queue takes so many tokens");
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
            Refusal::File if part.tries + 1 < BELIEVED => {
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

    /// Cancels the part's batch.
    pub(super) fn cancel(&self, part: &mut Part) -> Result<()> {
        let id = part.batch_id.clone().unwrap_or_default();
        self.tell(part, "cancel", Moment::Begun);
        let reply =
            self.send(&self.call(Method::Post, &format!("/batches/{id}/cancel"), Vec::new()));
        let now = self.now();
        match reply {
            Ok(reply) => {
                self.tell(part, "cancel", Moment::Acted);
                let batch = read_batch(&reply.body);
                batch.iter().for_each(|batch| take(part, batch, now));
                let told = batch.ok().map(|batch| batch.status);
                // It is asked once; a server may say later that it has begun with it.
                let told = told.filter(|status| Remote::of(status) != Remote::Active);
                part.status = Some(told.unwrap_or_else(|| "cancelling".into()));
            }
            // It has ended meanwhile: a look tells how.
            Err(error) if matches!(error.status(), Some(400 | 404 | 409)) => {
                part.status = Some("cancelling".into());
            }
            Err(error) => return Err(error),
        }
        // A server that goes on all the same is asked again and again, and less and less often.
        let since = *part.cancelled.get_or_insert(now);
        (part.failures, part.missing) = (0, 0);
        part.due = now + poll_wait(self.first_wait(), now.saturating_sub(since));
        self.store.save(part)?;
        self.tell(part, "cancel", Moment::Kept);
        Ok(())
    }

    pub(super) fn get_batch(&self, id: &str) -> Result<BatchObject> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || !id.chars().all(is_plain) {
            return Err(Error::invalid("batch", "this is not the id of a batch"));
        }
        let reply = self.send(&self.call(Method::Get, &format!("/batches/{id}"), Vec::new()))?;
        read_batch(&reply.body).map_err(unreadable)
    }
}

/// What the status of a batch means: one that failed and has answers all the same did something.
fn remote(batch: &BatchObject) -> Remote {
    match Remote::of(&batch.status) {
        Remote::Refused if batch.output_file_id.is_some() => Remote::Over,
        remote => remote,
    }
}

/// Whether it has ended with answers by its own count, and does not say where they are.
fn is_unnamed(batch: &BatchObject) -> bool {
    let is_over = Remote::of(&batch.status) == Remote::Over;
    is_over && batch.counts.completed > 0 && batch.output_file_id.is_none()
}

/// What to say of a batch that goes on though it should have expired; told once.
fn overdue(part: &Part, now: Date) -> Option<String> {
    let late = now.checked_sub(part.expires?.saturating_add(OVERDUE))?;
    if part.trouble.is_none() {
        log::warn!(target: "openai_bulk::batch", {key::PART} = part.number, {key::BATCH} = part.batch_id.as_deref().unwrap_or("-"); "the batch should have expired {} h ago and goes on; `batch cancel JOB` keeps what it did and ends it", 1 + late / 3_600_000);
    }
    Some("it should have expired and goes on; `batch cancel JOB` keeps what it did".into())
}
