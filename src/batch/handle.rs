//! The handle of all jobs of a client.

use super::job::{Job, Part, State};
use super::poller::{Poller, Shared, Tracked};
use super::progress::{BatchProgress, PartProgress};
use super::split::{PartFiles, Splitter, each_line};
use super::step::{BatchOptions, Steps};
use super::store::Store;
use crate::api::Caller;
use crate::clock::{Signal, Stop};
use crate::error::{Error, Result};
use crate::usage::Purse;
use crate::wire::batch::{BatchObject, account_name};
use crate::wire::row::{Format, id_hash};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a watcher waits at most before it looks again, so that ages are shown. Source: own
/// choice.
pub(super) const LOOK: Duration = Duration::from_secs(10);

/// The account that a client's batches belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    place: String,
}

impl Account {
    /// The account that is reached at `place` with these headers, of which none is kept.
    pub fn new(place: impl Into<String>, headers: &[(String, String)]) -> Account {
        let place = place.into();
        let mut parts = vec![place.as_str()];
        parts.extend(headers.iter().flat_map(|(name, value)| [name.as_str(), value]));
        Account { name: account_name(&parts), place }
    }
}

/// All jobs of a client: made, watched, fetched and cancelled. Clones are the same handle.
///
/// One thread takes the steps of all of them, from the first job on until the last clone is dropped.
/// Then the batches go on at the server, and the next handle on the same store goes on with them.
#[derive(Clone)]
pub struct Batches {
    pub(super) shared: Arc<Shared>,
    poller: Arc<Poller>,
    account: Account,
}

impl Batches {
    /// The jobs in `store` that belong to `account`, which `caller` reaches.
    pub fn new(
        caller: Arc<Caller>,
        store: Store,
        account: Account,
        options: BatchOptions,
    ) -> Batches {
        let steps = Steps {
            caller,
            store: Arc::new(store),
            options,
            account: account.name.clone(),
            stop: Stop::new(),
            at_work: Mutex::default(),
        };
        let (wake, changed) = (Signal::new(), Signal::new());
        let shared = Arc::new(Shared { steps, tracked: Mutex::default(), wake, changed });
        let poller = Arc::new(Poller::new(shared.clone()));
        Batches { shared, poller, account }
    }

    pub(super) fn steps(&self) -> &Steps {
        &self.shared.steps
    }

    /// What makes the calls of the client that they belong to.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.steps().caller
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.shared.steps.store
    }

    /// A job that is not in the store yet, for the rows of `input` and their answers in `output`.
    pub(super) fn new_job(&self, input: &str, output: &str) -> Job {
        Job {
            name: format!("{:032x}", fastrand::u128(..)),
            account: self.account.name.clone(),
            place: self.account.place.clone(),
            input: input.into(),
            output: output.into(),
            created: self.steps().now(),
            resubmits: true,
            ..Job::default()
        }
    }

    /// The job whose name begins like that.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn job(&self, name: &str) -> Result<Job> {
        let mut found = self.store().jobs()?;
        found.retain(|job| !name.is_empty() && job.name.starts_with(name));
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(Error::invalid("job", format!("there is no job `{name}`"))),
            n => Err(Error::invalid("job", format!("{n} jobs begin with `{name}`"))),
        }
    }

    /// Refuses a job of another account: its batches cannot be seen from here.
    ///
    /// # Errors
    /// When it is one.
    pub fn check_account(&self, job: &Job) -> Result<()> {
        if job.account == self.account.name {
            return Ok(());
        }
        let message = if job.place == self.account.place {
            format!(
                "it was sent to {} with another key, organization or project; use the same, or \
                 choose another output",
                job.place
            )
        } else {
            format!(
                "it was sent to {}, and the settings name {}; use the same, or choose another output",
                job.place, self.account.place
            )
        };
        Err(Error::invalid(format!("job {}", short(&job.name)), message))
    }

    /// The most input tokens of a model that the server's queue takes, as far as it is known, and
    /// how many of this account are in it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn queue(&self, model: &str) -> Result<(Option<u64>, u64)> {
        let taken = self.shared.queue()?.into_values();
        let taken = taken.filter(|(each, _)| each == model).map(|(_, tokens)| tokens).sum();
        Ok((self.steps().queue_limit(model)?, taken))
    }

    /// The jobs of this account whose answers go to `output` and that are not over.
    ///
    /// # Errors
    /// When the store cannot be read, or one belongs to another account.
    pub fn jobs_for(&self, output: &Path) -> Result<Vec<Job>> {
        let mut jobs = self.store().jobs_for(&output_name(output)?)?;
        // A job that was not written down to its end was not sent either.
        jobs.retain(|job| job.is_planned);
        jobs.iter().try_for_each(|job| self.check_account(job))?;
        Ok(jobs)
    }

    /// The hashes of the ids of all rows for `output` that a batch may still answer, whichever
    /// account it belongs to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rows_under_way(&self, output: &Path) -> Result<HashSet<u64>> {
        let mut rows = HashSet::new();
        for job in self.store().jobs_for(&output_name(output)?)? {
            let parts = self.store().parts(job.id)?;
            for part in parts.iter().filter(|part| job.is_planned && !part.state.is_over()) {
                self.files(part).each_note(|note| {
                    rows.insert(id_hash(&note.custom_id));
                })?;
            }
        }
        Ok(rows)
    }

    /// Works on a job from now on.
    ///
    /// # Errors
    /// When it belongs to another account, or another process works on it.
    pub(super) fn track(&self, job: &Job, purse: Option<Arc<Purse>>) -> Result<Arc<Tracked>> {
        self.check_account(job)?;
        if let Some(known) = self.shared.tracked.lock().iter().find(|each| each.job == job.id) {
            return Ok(known.clone());
        }
        let Some(lease) = self.store().lease(job.id)? else {
            let message = "another process works on it; it ends when that does";
            return Err(Error::invalid(format!("job {}", short(&job.name)), message));
        };
        let tracked = Arc::new(Tracked::new(job.id, purse, lease));
        tracked.hold_again(&self.store().parts(job.id)?);
        self.shared.tracked.lock().push(tracked.clone());
        self.poller.start();
        self.shared.wake.raise();
        Ok(tracked)
    }

    /// Works on a job no longer; its batches go on.
    pub(super) fn leave(&self, job: i64) {
        self.shared.tracked.lock().retain(|each| each.job != job);
    }

    /// Works on a job that is in the store: sends its parts, and watches over its batches.
    ///
    /// # Errors
    /// As for [`wait`](Batches::wait).
    pub fn submit(&self, job: &Job) -> Result<()> {
        self.track(job, None).map(drop)
    }

    /// Where the parts of a job stand, by what is known here.
    pub fn status(&self, job: &Job) -> Result<Vec<PartProgress>> {
        let now = self.steps().now();
        let parts = self.store().parts(job.id)?;
        Ok(parts.iter().map(|part| PartProgress::of(job, part, now)).collect())
    }

    /// Waits until `is_enough` of the parts of a job, or until `stop`; `show` is called whenever
    /// something has changed, and every ten seconds. Gives whether it is enough.
    ///
    /// # Errors
    /// When the job belongs to another account, another process works on it, or the account or the
    /// store is out of order.
    pub fn wait(
        &self,
        job: &Job,
        stop: &Stop,
        is_enough: impl Fn(&[Part]) -> bool,
        mut show: impl FnMut(&BatchProgress),
    ) -> Result<bool> {
        let clock = self.steps().caller.dispatcher.clock.clone();
        let _hold = clock.hold();
        let tracked = self.track(job, None)?;
        let changed = &self.shared.changed;
        let _subscription = stop.notify(changed);
        let begun = clock.now();
        loop {
            let seen = changed.seen();
            let parts = self.store().parts(job.id)?;
            let now = self.steps().now();
            show(&BatchProgress {
                total: Some(job.rows),
                succeeded: parts.iter().map(|part| part.succeeded).sum(),
                failed: parts.iter().map(|part| part.failed).sum(),
                elapsed: clock.now().since(begun),
                parts: parts.iter().map(|part| PartProgress::of(job, part, now)).collect(),
                ..BatchProgress::default()
            });
            if let Some(error) = tracked.failure() {
                self.leave(job.id);
                return Err(error);
            }
            let is_over = self.store().job(job.id)?.is_none_or(|job| job.is_over);
            if is_over || is_enough(&parts) {
                return Ok(true);
            }
            if stop.is_stopped() {
                return Ok(false);
            }
            clock.wait(changed, seen, Some(clock.now() + LOOK));
        }
    }

    /// Brings a job to its end: nothing more of it is sent, what runs is cancelled, and what is done
    /// is kept. It takes up to ten minutes at the server.
    pub fn cancel(&self, job: &Job) -> Result<()> {
        self.check_account(job)?;
        let Some(mut job) = self.store().job(job.id)? else { return Ok(()) };
        job.is_ending = true;
        self.store().save_job(&job)?;
        // What waited for its next look is cancelled now.
        self.shared.wake.raise();
        Ok(())
    }

    /// Takes over a batch that was made elsewhere: its rows come from its own input file, its
    /// answers go to `output`.
    ///
    /// # Errors
    /// When the batch or its input file is not there, or a job has it already.
    pub fn adopt(&self, batch_id: &str, output: &Path) -> Result<Job> {
        let batch = self.steps().get_batch(batch_id)?;
        for job in self.store().jobs()? {
            let parts = self.store().parts(job.id)?;
            if parts.iter().any(|part| part.batch_id.as_deref() == Some(&batch.id)) {
                let message = format!("job {} has it already", short(&job.name));
                return Err(Error::invalid(format!("batch {}", batch.id), message));
            }
        }
        let mut job = self.new_job(&format!("batch {}", batch.id), &output_name(output)?);
        self.store().add_job(&mut job)?;
        match self.take_over(&mut job, &batch) {
            Ok(()) => Ok(job),
            Err(error) => {
                self.store().remove_job(job.id)?;
                Err(error)
            }
        }
    }

    fn take_over(&self, job: &mut Job, batch: &BatchObject) -> Result<()> {
        let Some(input) = &batch.input_file_id else {
            let message = "it does not name its input file";
            return Err(Error::invalid(format!("batch {}", batch.id), message));
        };
        let steps = self.steps();
        let path = self.store().folder(job.id).join("adopted.jsonl");
        steps.download(input, &path)?;
        let prices = &steps.caller.dispatcher.prices;
        // One batch is one part, however large it is.
        let mut limits = steps.options.limits;
        (limits.rows, limits.bytes, limits.inputs) = (u64::MAX, u64::MAX, u64::MAX);
        let now = steps.now();
        let mut splitter = Splitter::new(self.store(), job, limits, prices, |_| None, 1, now);
        let format = Format::default();
        let mut number = 0;
        each_line(&path, |_, line| {
            number += 1;
            if line.trim_ascii().is_empty() {
                return Ok(());
            }
            let row = format.parse(number, line);
            splitter.add(&row.map_err(|e| e.in_file("the batch's input"))?)
        })?;
        let mut parts = splitter.finish()?;
        let [part] = parts.as_mut_slice() else {
            let message = "its input is not one of one model and one endpoint";
            return Err(Error::invalid(format!("batch {}", batch.id), message));
        };
        part.file_id = Some(input.clone());
        job.rows = part.rows;
        self.store().add_parts(&mut parts)?;
        steps.record(&mut parts[0], batch, "adopted")?;
        job.is_planned = true;
        self.store().save_job(job)
    }

    /// Forgets jobs that are over. With `all`, also one whose parts are not: its batches go on at
    /// the server and nobody fetches them.
    ///
    /// # Errors
    /// When another process works on one.
    pub fn clean(&self, job: &Job, all: bool) -> Result<bool> {
        if !job.is_over && !all {
            return Ok(false);
        }
        self.leave(job.id);
        let Some(lease) = self.store().lease(job.id)? else {
            let message = "another process works on it";
            return Err(Error::invalid(format!("job {}", short(&job.name)), message));
        };
        if !job.is_over {
            for part in self.store().parts(job.id)? {
                let Some(id) = part.file_id.filter(|_| !part.state.is_sent()) else { continue };
                if part.state != State::Cleaned {
                    let _ = self.steps().delete(&id);
                }
            }
        }
        drop(lease);
        self.store().remove_job(job.id)?;
        Ok(true)
    }

    pub(super) fn files(&self, part: &Part) -> PartFiles {
        PartFiles::of(self.store(), part)
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("account", &self.account).finish_non_exhaustive()
    }
}

/// The first digits of a job's name, which tell it apart.
pub(super) fn short(name: &str) -> &str {
    name.get(..8).unwrap_or(name)
}

/// The whole path of an output that may not be there yet.
pub(super) fn output_name(output: &Path) -> Result<String> {
    let failed = |e| Error::file("find", output, e);
    let whole = match std::fs::canonicalize(output) {
        Ok(whole) => whole,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let folder = std::fs::canonicalize(parent).map_err(failed)?;
            folder.join(output.file_name().unwrap_or_default())
        }
        Err(e) => return Err(failed(e)),
    };
    Ok(whole.display().to_string())
}
