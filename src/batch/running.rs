//! A run while it goes on.

use super::handle::LOOK;
use super::part::{Job, Part, State};
use super::progress::{BatchProgress, BatchSummary, PartProgress};
use super::run::{BatchRun, Goal, Leave};
use super::tracked::Tracked;
use crate::bulk::journal::Journal;
use crate::bulk::{CapUse, Earlier, Point, Status, Summary, Tally, Timeline, share};
use crate::clock::{Clock, Hold, Stage, Time};
use crate::dispatch::HeldBack;
use crate::error::{Error, Result};
use crate::usage::Purse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A run while it goes on.
pub(super) struct Running {
    pub(super) run: BatchRun,
    pub(super) journal: Journal,
    /// The run's own purse, if it has a cap of its own.
    pub(super) purse: Option<Arc<Purse>>,
    pub(super) earlier: Earlier,
    pub(super) clock: Arc<dyn Clock>,
    _hold: Hold,
    pub(super) started: Time,
    pub(super) jobs: Vec<(Job, Arc<Tracked>)>,
    pub(super) tally: Tally,
    pub(super) timeline: Timeline,
    pub(super) total: u64,
    pub(super) done_before: u64,
    pub(super) stopped_by: Option<Error>,
    pub(super) is_interrupted: bool,
    is_capped: bool,
    /// Raised to free the output for something else.
    pub(super) is_paused: Arc<AtomicBool>,
    pub(super) buffer: Vec<u8>,
}

impl Running {
    pub(super) fn new(
        run: BatchRun,
        journal: Journal,
        purse: Option<Arc<Purse>>,
        earlier: Earlier,
    ) -> Running {
        let clock = run.batches.steps().caller.dispatcher.clock.clone();
        let (hold, started) = (clock.hold(), clock.now());
        let timeline = Timeline::new(clock.date());
        Running {
            run,
            journal,
            purse,
            earlier,
            clock,
            _hold: hold,
            started,
            jobs: Vec::new(),
            tally: Tally::default(),
            timeline,
            total: 0,
            done_before: 0,
            stopped_by: None,
            is_interrupted: false,
            is_capped: false,
            is_paused: Arc::default(),
            buffer: Vec::new(),
        }
    }

    /// Works on the jobs from now on.
    pub(super) fn track(&mut self, jobs: impl Iterator<Item = Job>) -> Result<()> {
        let batches = self.run.batches.clone();
        for mut job in jobs {
            if job.is_ending && self.run.adds {
                // It was to end, and somebody wants it to go on: what is cancelled stays so.
                job.is_ending = false;
            }
            job.resubmits = self.run.resubmits;
            batches.store().save_job(&job)?;
            let is_hurried = self.run.goal == Goal::Seen;
            let tracked = batches.track(&job, self.purse.clone(), is_hurried)?;
            self.jobs.push((job, tracked));
        }
        Ok(())
    }

    /// Cancels all that is under way.
    pub(super) fn recall(&self) -> Result<()> {
        self.jobs.iter().try_for_each(|(job, _)| self.run.batches.cancel(job))
    }

    /// The jobs, all of whose parts are at the server or wait for others.
    pub(super) fn submitted(mut self) -> Result<Vec<Job>> {
        self.journal.flush(self.clock.now())?;
        match self.stopped_by.take() {
            Some(error) => Err(error),
            None => Ok(self.jobs.into_iter().map(|(job, _)| job).collect()),
        }
    }

    pub(super) fn go(&mut self, show: &mut impl FnMut(&BatchProgress)) -> Result<()> {
        let batches = self.run.batches.clone();
        let changed = &batches.shared.changed;
        let _subscription = self.run.stop.notify(changed);
        let mut is_recalled = false;
        self.journal.flush(self.clock.now())?;
        loop {
            let seen = changed.seen();
            if self.settle_all()? {
                batches.shared.wake.raise();
            }
            let progress = self.progress()?;
            self.mark(&progress);
            show(&progress);
            self.look_for_failures()?;
            if self.stopped_by.is_some() || self.is_over()? || self.is_paused.load(Relaxed) {
                return Ok(());
            }
            match (self.run.stop.stage(), self.run.leave) {
                (Stage::Run, _) => {}
                (Stage::Drain, Leave::Cancelled) => {
                    self.is_interrupted = true;
                    if !is_recalled {
                        is_recalled = true;
                        self.recall()?;
                    }
                }
                _ => {
                    self.is_interrupted = true;
                    return Ok(());
                }
            }
            self.clock.wait(changed, seen, Some(self.clock.now() + LOOK));
        }
    }

    fn look_for_failures(&mut self) -> Result<()> {
        for (_, tracked) in &self.jobs {
            match tracked.failure() {
                Some(error) if error.is_fatal_for_run() => {
                    self.stopped_by.get_or_insert(error);
                }
                Some(error) => return Err(error),
                None => {}
            }
        }
        Ok(())
    }

    /// Whether there is nothing more to wait for.
    fn is_over(&mut self) -> Result<bool> {
        let store = self.run.batches.store();
        let (mut is_capped, mut goes_on) = (false, false);
        for (job, tracked) in &self.jobs {
            let Some(job) = store.job(job.id)?.filter(|job| !job.is_over) else { continue };
            // Before the parts: what is done after this look is seen in them.
            let (is_idle, is_short) = (tracked.is_idle(), tracked.is_capped());
            let parts = store.parts(job.id)?;
            let waits = |part: &Part| !part.state.is_over() && !part.state.is_sent();
            let is_reached = match self.run.goal {
                // What waits for money waits for ever when nothing is under way.
                Goal::All => {
                    let is_at_work = parts.iter().any(|part| part.state.is_sent());
                    let is_stuck = is_idle && is_short && !is_at_work && parts.iter().any(waits);
                    is_capped |= is_stuck;
                    is_stuck
                }
                Goal::Sent => {
                    let is_open = |part: &Part| {
                        part.state == State::Creating || (waits(part) && part.failures > 0)
                    };
                    is_idle && !parts.iter().any(is_open)
                }
                Goal::Seen => {
                    use State::{Creating, Done, Ended, Fetched};
                    let is_open =
                        |part: &Part| matches!(part.state, Creating | Ended | Fetched | Done);
                    is_idle && !parts.iter().any(is_open)
                }
            };
            if !is_reached {
                return Ok(false);
            }
            goes_on = true;
        }
        self.is_capped = is_capped;
        self.is_interrupted |= goes_on && self.run.goal == Goal::Seen;
        Ok(true)
    }

    /// Gives the rows of all parts that were fetched their outcomes; whether there were any.
    fn settle_all(&mut self) -> Result<bool> {
        let mut any = false;
        for at in 0..self.jobs.len() {
            let (id, tracked) = (self.jobs[at].0.id, self.jobs[at].1.clone());
            let Some(job) = self.run.batches.store().job(id)? else { continue };
            for part in self.run.batches.store().parts(id)? {
                if part.state == State::Fetched {
                    self.settle(&job, part, &tracked)?;
                    any = true;
                }
            }
        }
        Ok(any)
    }

    /// Puts where the run stands on its timeline: rows that a batch has worked off are done there
    /// before they are fetched.
    fn mark(&mut self, at: &BatchProgress) {
        if self.timeline.is_due(at.elapsed, 0) {
            let mut point = Point::new(at.elapsed, &self.tally, 0);
            let running = at.parts.iter().filter(|part| !part.is_over());
            point.rows += running.map(|part| part.worked_off).sum::<u64>();
            self.timeline.push(point);
        }
    }

    fn progress(&self) -> Result<BatchProgress> {
        let standing = self.standing().filter(|at| at.caps.money.is_some());
        Ok(BatchProgress {
            total: Some(self.total),
            done_before: self.done_before,
            succeeded: self.tally.rows.succeeded,
            failed: self.tally.rows.failed,
            cost: self.tally.costs.total,
            counted: standing.map(|at| at.counted().money),
            max_cost: standing.and_then(|at| at.caps.money),
            elapsed: self.clock.now().since(self.started),
            parts: self.parts()?,
        })
    }

    fn parts(&self) -> Result<Vec<PartProgress>> {
        let mut all = Vec::new();
        for (job, _) in &self.jobs {
            all.extend(self.run.batches.status(job)?);
        }
        Ok(all)
    }

    fn standing(&self) -> Option<crate::usage::Standing> {
        let client = &self.run.batches.steps().caller.dispatcher.purse;
        self.purse.as_ref().or(client.as_ref()).map(|purse| purse.standing())
    }

    pub(super) fn end(mut self, show: &mut impl FnMut(&BatchProgress)) -> Result<BatchSummary> {
        self.journal.flush(self.clock.now())?;
        show(&self.progress()?);
        let wall = self.clock.now().since(self.started);
        let mut run = self.tally.summary(wall, &HeldBack::default());
        self.timeline.end(Point::new(wall, &self.tally, 0));
        run.timeline = self.timeline.clone();
        run.status = match (&self.stopped_by, self.is_interrupted, self.is_capped) {
            (Some(_), _, _) => Status::Stopped,
            (None, true, _) => Status::Interrupted,
            (None, false, true) => Status::Capped,
            (None, false, false) => Status::Finished,
        };
        run.stopped_by = self.stopped_by.as_ref().map(Error::to_string);
        if self.is_capped && run.stopped_by.is_none() {
            run.stopped_by =
                Some("what is left of the cap does not suffice for another row".into());
        }
        self.count_rows(&mut run);
        let prices = self.run.batches.steps().caller.dispatcher.prices.clone();
        run.cost.prices_as_of = prices.as_of().map(str::to_owned);
        let parts = self.parts()?;
        for (job, _) in &self.jobs {
            self.run.batches.leave(job.id);
        }
        if run.status == Status::Finished {
            self.journal.finish(self.run.is_ordered)?;
        }
        Ok(BatchSummary { run, parts })
    }

    /// What became of the rows, and what the rest may cost.
    fn count_rows(&self, run: &mut Summary) {
        run.rows.total = self.total;
        run.rows.done_before = self.done_before;
        let counted = self.done_before + run.rows.succeeded + run.rows.failed;
        run.rows.not_sent = self.total.saturating_sub(counted);
        let answered = run.rows.succeeded + run.rows.failed + self.earlier.answers;
        if answered > 0 && run.cost.unpriced == 0 {
            let spent = run.cost.total + self.earlier.amount.money;
            run.cost.left = Some(share(spent, run.rows.not_sent, answered));
        }
        run.cost.cap = self.standing().as_ref().map(CapUse::new);
    }
}
