//! A run by batches whose output is free for something else, while its batches go on.

use super::super::running::Running;
use super::super::tracked::Tracked;
use super::BatchRun;
use crate::batch::{BatchProgress, BatchSummary, Job, Part, PartProgress};
use crate::bulk::input::Source;
use crate::bulk::{Earlier, SpentFile, Tally, Timeline};
use crate::clock::Time;
use crate::error::Result;
use crate::usage::{Amount, Caps, Purse};
use crate::wire::row::id_hash;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// A run by batches whose parts are written down and worked on, and whose output is not open: a
/// live run may write to it in the meantime.
#[must_use = "its batches go on, and nobody fetches them before the next run"]
pub struct Parked {
    run: BatchRun,
    purse: Option<Arc<Purse>>,
    earlier: Earlier,
    /// What the output and the file beside it told of spending when it was closed.
    told: Amount,
    started: Time,
    jobs: Vec<(Job, Arc<Tracked>)>,
    tally: Tally,
    timeline: Timeline,
    total: u64,
    done_before: u64,
}

/// How a wait has ended.
#[derive(Debug)]
pub enum Waited {
    /// The run has ended.
    Over(Box<BatchSummary>),
    /// It was paused, and its output is free again.
    Paused(Box<Parked>),
}

impl BatchRun {
    /// Makes the parts, has them worked on from now on, and closes the output.
    ///
    /// # Errors
    /// As for [`run`](BatchRun::run).
    pub fn park(self) -> Result<Parked> {
        Parked::close(self.begin()?)
    }
}

impl Parked {
    fn close(mut running: Running) -> Result<Parked> {
        running.journal.flush(running.clock.now())?;
        let mut parked = Parked {
            run: running.run,
            purse: running.purse,
            earlier: running.earlier,
            told: Amount::default(),
            started: running.started,
            jobs: running.jobs,
            tally: running.tally,
            timeline: running.timeline,
            total: running.total,
            done_before: running.done_before,
        };
        parked.told = parked.spent()?;
        Ok(parked)
    }

    /// What was spent by all that is told, the live runs in between among it. From now on the file
    /// beside the output follows this run.
    fn spent(&self) -> Result<Amount> {
        if self.purse.is_none() {
            return Ok(Amount::default());
        }
        let prices = &self.run.batches.steps().caller.dispatcher.prices;
        let told = Earlier::read(&self.run.output, prices, Caps::default())?.amount;
        let file = SpentFile::beside(&self.run.output);
        file.set_aside(|| Ok(told))?;
        file.read(told)
    }

    /// Rows of the input.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Rows that the output had the answer to when the run began.
    pub fn done_before(&self) -> u64 {
        self.done_before
    }

    /// Where the parts stand.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn parts(&self) -> Result<Vec<PartProgress>> {
        let mut all = Vec::new();
        for (job, _) in &self.jobs {
            all.extend(self.run.batches.status(job)?);
        }
        Ok(all)
    }

    fn pending(&self) -> Result<Vec<Part>> {
        let mut all = Vec::new();
        for (job, _) in &self.jobs {
            let parts = self.run.batches.store().parts(job.id)?;
            all.extend(parts.into_iter().filter(|part| !part.state.is_over()));
        }
        Ok(all)
    }

    /// The hashes of the ids of all rows that a batch may still answer; where `without_recalled`,
    /// those of parts that were recalled are not among them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rows(&self, without_recalled: bool) -> Result<HashSet<u64>> {
        let mut rows = HashSet::new();
        for part in self.pending()? {
            let tracked = self.jobs.iter().find(|(job, _)| job.id == part.job);
            let is_recalled = tracked.is_some_and(|(_, each)| each.is_recalled(part.number));
            if !(without_recalled && is_recalled) {
                self.run.batches.files(&part).each_note(|note| {
                    rows.insert(id_hash(&note.custom_id));
                })?;
            }
        }
        Ok(rows)
    }

    /// The most that the rows may use that a batch may still answer, as far as it is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn most(&self) -> Result<Amount> {
        let parts = self.pending()?;
        Ok(parts.iter().fold(Amount::default(), |sum, part| sum.plus(part.most_amount())))
    }

    /// Gives what brings parts to their end, which it takes by the names of their jobs and their
    /// numbers: what was not sent is taken back, and batches are cancelled.
    pub fn recaller(&self) -> impl Fn(&HashSet<(String, u32)>) + use<> {
        let of = |(job, tracked): &(Job, Arc<Tracked>)| (job.name.clone(), tracked.clone());
        let jobs: Vec<_> = self.jobs.iter().map(of).collect();
        let shared = self.run.batches.shared.clone();
        move |parts| {
            for (job, part) in parts {
                let tracked = jobs.iter().find(|(name, _)| name == job);
                tracked.iter().for_each(|(_, tracked)| tracked.recall(*part));
            }
            if !parts.is_empty() {
                shared.wake.raise();
            }
        }
    }

    /// Takes up the run where it stands; until its end, or until `show` says no.
    ///
    /// # Errors
    /// As for [`BatchRun::run`].
    pub fn wait(self, mut show: impl FnMut(&BatchProgress) -> bool) -> Result<Waited> {
        let mut running = self.open()?;
        let paused = running.is_paused.clone();
        let mut show = |now: &BatchProgress| {
            if !show(now) {
                paused.store(true, Relaxed);
            }
        };
        running.go(&mut show)?;
        let is_over = running.stopped_by.is_some() || running.is_interrupted;
        if running.is_paused.load(Relaxed) && !is_over {
            return Ok(Waited::Paused(Box::new(Parked::close(running)?)));
        }
        Ok(Waited::Over(Box::new(running.end(&mut show)?)))
    }

    fn open(self) -> Result<Running> {
        if let Some(purse) = &self.purse {
            purse.count_earlier(self.spent()?.less(self.told));
        }
        let source = self.run.input.as_ref().map(Source::open).transpose()?;
        let journal = self.run.open(false, source.as_ref())?;
        let mut running = Running::new(self.run, journal, self.purse, self.earlier);
        running.started = self.started;
        running.jobs = self.jobs;
        (running.tally, running.timeline) = (self.tally, self.timeline);
        // What was done meanwhile in another way is done.
        let (found, own) = (running.journal.found(), &running.tally.rows);
        let others = (found.succeeded + found.failed).saturating_sub(own.succeeded + own.failed);
        (running.total, running.done_before) = (self.total, others);
        Ok(running)
    }
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("run", &self.run).finish_non_exhaustive()
    }
}
