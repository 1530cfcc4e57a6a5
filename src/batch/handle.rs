//! The handle of all jobs of a client.

use super::options::BatchOptions;
use super::part::{Job, Part, State};
use super::part_files::PartFiles;
use super::poller::{Poller, Shared};
use super::progress::{BatchProgress, PartProgress};
use super::step::Steps;
use super::store::{Lease, Store};
use super::tracked::Tracked;
use crate::api::Caller;
use crate::bulk::SpentFile;
use crate::clock::{Signal, Stop};
use crate::error::{Error, Result};
use crate::usage::{Amount, Purse};
use crate::wire::batch::account_name;
use crate::wire::row::id_hash;
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
        for part in self.parts_under_way(output)? {
            self.files(&part).each_note(|note| {
                rows.insert(id_hash(&note.custom_id));
            })?;
        }
        Ok(rows)
    }

    /// The most that those rows may use, as far as it is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn most_under_way(&self, output: &Path) -> Result<Amount> {
        let parts = self.parts_under_way(output)?;
        Ok(parts.iter().fold(Amount::default(), |sum, part| sum.plus(part.most_amount())))
    }

    fn parts_under_way(&self, output: &Path) -> Result<Vec<Part>> {
        let mut all = Vec::new();
        for job in self.store().jobs_for(&output_name(output)?)? {
            let parts = self.store().parts(job.id)?.into_iter();
            all.extend(parts.filter(|part| job.is_planned && !part.state.is_over()));
        }
        Ok(all)
    }

    /// Works on a job from now on, and pays it from `purse`, or else from the client's. With
    /// `is_hurried`, its batches are looked at once before that is due.
    ///
    /// # Errors
    /// When it belongs to another account, or another process works on it.
    pub(super) fn track(
        &self,
        job: &Job,
        purse: Option<Arc<Purse>>,
        is_hurried: bool,
    ) -> Result<Arc<Tracked>> {
        self.check_account(job)?;
        let known = self.tracked(job.id);
        let tracked = match &known {
            Some(known) => known.clone(),
            None => Arc::new(Tracked::new(job.id, self.lease(job)?)),
        };
        if known.is_none() || purse.is_some() {
            let purse = purse.or_else(|| self.steps().caller.dispatcher.purse.clone());
            tracked.pay_from(purse, &self.store().parts(job.id)?);
        }
        tracked.ask(is_hurried);
        if known.is_none() {
            self.shared.tracked.lock().push(tracked.clone());
        }
        self.poller.start();
        self.shared.wake.raise();
        Ok(tracked)
    }

    fn tracked(&self, job: i64) -> Option<Arc<Tracked>> {
        self.shared.tracked.lock().iter().find(|each| each.job == job).cloned()
    }

    pub(super) fn lease(&self, job: &Job) -> Result<Lease> {
        self.store().lease(job.id)?.ok_or_else(|| {
            let message = "another process works on it; it ends when that does";
            Error::invalid(format!("job {}", short(&job.name)), message)
        })
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
        self.track(job, None, false).map(drop)
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
        let tracked = self.track(job, None, false)?;
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

    /// Forgets a job that is over. With `all`, also one that is not: its batches go on at the server
    /// and nobody fetches them, so that all that they may cost counts against a later cap.
    ///
    /// # Errors
    /// When another process works on it.
    pub fn clean(&self, job: &Job, all: bool) -> Result<bool> {
        if !job.is_over && !all {
            return Ok(false);
        }
        self.leave(job.id);
        let lease = self.lease(job)?;
        if !job.is_over {
            let mut lost = Amount::default();
            for part in self.store().parts(job.id)? {
                if part.state.is_sent() {
                    lost = lost.plus(part.most_amount());
                } else if let Some(id) = part.file_id.filter(|_| part.state != State::Cleaned) {
                    let _ = self.steps().delete(&id);
                }
            }
            SpentFile::beside(Path::new(&job.output)).add(lost)?;
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
