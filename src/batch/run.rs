//! From a file of requests to a file of answers, by batches.

use super::handle::{Batches, output_name, short};
use super::part::Job;
use super::progress::{BatchProgress, BatchSummary};
use super::running::Running;
use crate::bulk::input::{Source, check};
use crate::bulk::journal::{Fsync, Journal, Options};
use crate::bulk::{Earlier, PlanFile, SpentFile};
use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::usage::{Caps, Money, Purse};
use crate::wire::row::Format;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

mod parked;

pub use parked::{Parked, Waited};

/// What stopping a run does with the batches that are at the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// They go on, and the next run fetches them.
    #[default]
    Running,
    /// They are cancelled, and what they did is kept.
    Cancelled,
}

/// A run over a file by batches: the same input and output as a [`FileRun`](crate::bulk::FileRun),
/// which may go on where this one stopped, and the other way round.
#[derive(Debug)]
#[must_use = "call .run()"]
pub struct BatchRun {
    pub(super) batches: Batches,
    /// None if only what is under way is to come to its end.
    pub(super) input: Option<PathBuf>,
    pub(super) output: PathBuf,
    pub(super) format: Format,
    pub(super) is_ordered: bool,
    is_fresh: bool,
    pub(super) skip_invalid: bool,
    fsync: Fsync,
    caps: Caps,
    pub(super) resubmits: bool,
    pub(super) adds: bool,
    /// The rows that go by batch, by model and endpoint; all if there is nothing.
    pub(super) firsts: Option<HashMap<(String, String), u64>>,
    pub(super) leave: Leave,
    /// The only job that it concerns.
    only: Option<i64>,
    pub(super) goal: Goal,
    pub(super) stop: Stop,
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Until every row has its outcome.
    All,
    /// Until every part is at the server, or has to wait for others.
    Sent,
    /// Until everything is written that has ended.
    Seen,
}

impl BatchRun {
    /// A run from `input` to `output`, which must be a file.
    pub fn new(
        batches: Batches,
        input: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> BatchRun {
        BatchRun { input: Some(input.into()), adds: true, ..BatchRun::resume(batches, output) }
    }

    /// A run without an input: what is under way for `output` comes to its end, and nothing else is
    /// sent.
    pub fn resume(batches: Batches, output: impl Into<PathBuf>) -> BatchRun {
        let model = batches.steps().caller.default_model().to_owned();
        BatchRun {
            batches,
            input: None,
            output: output.into(),
            format: Format { model, no_streams: true, ..Format::default() },
            is_ordered: false,
            is_fresh: false,
            skip_invalid: false,
            fsync: Fsync::Always,
            caps: Caps::default(),
            resubmits: true,
            adds: false,
            firsts: None,
            leave: Leave::Running,
            only: None,
            goal: Goal::All,
            stop: Stop::new(),
        }
    }

    /// The same for one job alone.
    pub fn of(batches: Batches, job: &Job) -> BatchRun {
        BatchRun { only: Some(job.id), ..BatchRun::resume(batches, &job.output) }
    }

    /// How lines are read. Default: they say everything but the model themselves.
    pub fn format(mut self, format: Format) -> BatchRun {
        self.format = Format { no_streams: true, ..format };
        self
    }

    /// Leaves the output in the order of the input. Default: no.
    pub fn ordered(mut self, is_ordered: bool) -> BatchRun {
        self.is_ordered = is_ordered;
        self
    }

    /// Throws away what the output holds. Default: no.
    pub fn fresh(mut self, is_fresh: bool) -> BatchRun {
        self.is_fresh = is_fresh;
        self
    }

    /// Turns lines that are not valid into failed rows. Default: they are an error.
    pub fn skip_invalid(mut self, skip: bool) -> BatchRun {
        self.skip_invalid = skip;
        self
    }

    /// When answers are forced to the disk. Default: with each part, before its files are deleted at
    /// the server.
    pub fn fsync(mut self, fsync: Fsync) -> BatchRun {
        self.fsync = fsync;
        self
    }

    /// The most that the run may cost; as [`FileRun::max_cost`](crate::bulk::FileRun::max_cost). A
    /// part is reserved as a whole before it is sent; one that does not fit is made smaller.
    /// Default: none.
    pub fn max_cost(mut self, most: impl Into<Option<Money>>) -> BatchRun {
        self.caps.money = most.into();
        self
    }

    /// The most tokens that the run may use. Default: none.
    pub fn max_tokens_total(mut self, most: impl Into<Option<u64>>) -> BatchRun {
        self.caps.tokens = most.into();
        self
    }

    /// Whether rows that a batch left undone, because it expired or was cancelled or the server
    /// failed, go into another batch. Otherwise they stay to be done. Default: yes.
    pub fn resubmit(mut self, resubmits: bool) -> BatchRun {
        self.resubmits = resubmits;
        self
    }

    /// Whether rows of the input that are in no batch yet are sent. Otherwise only what is under way
    /// comes to its end. Default: yes.
    pub fn send_new(mut self, adds: bool) -> BatchRun {
        self.adds = adds;
        self
    }

    /// Of the rows of each model and endpoint that are to be sent, only so many go by batch, in the
    /// order of the input; none of a pair that is not named. Default: all.
    pub fn send_first(mut self, rows: HashMap<(String, String), u64>) -> BatchRun {
        self.firsts = Some(rows);
        self
    }

    /// What `stop` does with batches at the server. Default: they go on.
    pub fn leave(mut self, leave: Leave) -> BatchRun {
        self.leave = leave;
        self
    }

    /// Ends the run early; see [`leave`](BatchRun::leave). With [`Leave::Cancelled`], an abort ends
    /// also the wait for the cancellation. Default: a stop that nobody holds.
    pub fn stop(mut self, stop: &Stop) -> BatchRun {
        self.stop = stop.clone();
        self
    }

    /// Does the run; `show` is called with where it stands whenever something has changed, and every
    /// ten seconds.
    ///
    /// # Errors
    /// When a file or the store cannot be read or written, a line is not valid, or batches for this
    /// output belong to another account or are in another process's hands. The output is valid in
    /// any case. A run that the user or the server ended is no error; its summary says so.
    pub fn run(self, mut show: impl FnMut(&BatchProgress)) -> Result<BatchSummary> {
        let mut running = self.begin()?;
        running.run.set_plan_aside()?;
        running.go(&mut show)?;
        running.end(&mut show)
    }

    /// Makes the parts and sends them, and waits for no batch: the next run goes on, and sends what
    /// has to wait for room in the server's queue or for money. Gives the jobs.
    ///
    /// # Errors
    /// As for [`run`](BatchRun::run).
    pub fn submit(mut self, mut show: impl FnMut(&BatchProgress)) -> Result<Vec<Job>> {
        self.goal = Goal::Sent;
        let mut running = self.begin()?;
        running.run.set_plan_aside()?;
        running.go(&mut show)?;
        running.submitted()
    }

    /// Asks once how the batches get on, and writes what those did that have ended.
    ///
    /// # Errors
    /// As for [`run`](BatchRun::run).
    pub fn fetch(mut self, show: impl FnMut(&BatchProgress)) -> Result<BatchSummary> {
        self.goal = Goal::Seen;
        self.run(show)
    }

    /// Cancels what is under way, and waits for the end of that: what was done is written, the rest
    /// stays to be done. Before rows that are under way in batches are sent in another way.
    ///
    /// # Errors
    /// As for [`run`](BatchRun::run).
    pub fn recall(mut self, mut show: impl FnMut(&BatchProgress)) -> Result<BatchSummary> {
        (self.input, self.adds) = (None, false);
        let mut running = self.begin()?;
        running.recall()?;
        running.go(&mut show)?;
        running.end(&mut show)
    }

    fn begin(self) -> Result<Running> {
        let source = self.input.as_ref().map(Source::open).transpose()?;
        let output = output_name(&self.output)?;
        let journal = self.open(false, source.as_ref())?;
        if journal.is_sink() {
            let message = "batches take up to a day: the output must be a file";
            return Err(Error::invalid("output", message));
        }
        let jobs = self.jobs(&output)?;
        let mut journal = match self.is_fresh {
            true => self.start_over(journal, source.as_ref(), &jobs)?,
            false => journal,
        };
        journal.probe()?;
        let (purse, earlier) = self.purse()?;
        let mut running = Running::new(self, journal, purse, earlier);
        let pending = running.pending(&jobs)?;
        let new = match &source {
            Some(source) => running.plan(source, &pending, &output)?,
            None => None,
        };
        running.track(jobs.into_iter().chain(new))?;
        Ok(running)
    }

    fn open(&self, fresh: bool, source: Option<&Source>) -> Result<Journal> {
        let input = self.input.clone().filter(|_| source.is_some_and(|source| !source.is_stream()));
        Journal::open(&self.output, Options { fresh, fsync: self.fsync, input })
    }

    /// The jobs for the output that are not over.
    fn jobs(&self, output: &str) -> Result<Vec<Job>> {
        let store = self.batches.store();
        let mut jobs = Vec::new();
        for job in store.jobs_for(output)? {
            // A job that was not written down to its end was not sent either.
            if job.is_planned {
                self.batches.check_account(&job)?;
                jobs.push(job);
            } else {
                store.remove_job(job.id)?;
            }
        }
        store.mark_again(output)?;
        jobs.retain(|job| self.only.is_none_or(|only| only == job.id));
        Ok(jobs)
    }

    /// Throws away what the output holds, when the input is known to be good.
    fn start_over(
        &self,
        journal: Journal,
        source: Option<&Source>,
        jobs: &[Job],
    ) -> Result<Journal> {
        if let Some(job) = jobs.first() {
            let message = format!(
                "batches for it are under way; end them first with `batch cancel {}`",
                short(&job.name)
            );
            return Err(Error::invalid("output", message));
        }
        if let Some(source) = source.filter(|source| !source.is_stream()) {
            check(source, &self.format, self.skip_invalid, |_| {})?;
        }
        drop(journal);
        let journal = self.open(true, source)?;
        SpentFile::beside(&self.output).remove()?;
        Ok(journal)
    }

    /// Where all new rows go by batch, no plan is followed that was begun for the output.
    fn set_plan_aside(&self) -> Result<()> {
        if self.adds { PlanFile::beside(&self.output).remove() } else { Ok(()) }
    }

    /// What the run may spend, less what its output has cost already.
    fn purse(&self) -> Result<(Option<Arc<Purse>>, Earlier)> {
        let dispatcher = &self.batches.steps().caller.dispatcher;
        let file = SpentFile::beside(&self.output);
        let read = || Earlier::read(&self.output, &dispatcher.prices, self.caps);
        if !self.caps.is_some() {
            file.try_set_aside(|| Ok(read()?.amount));
            return Ok((None, Earlier::default()));
        }
        let earlier = read()?;
        // From now on the store knows what is in flight, and the output what was answered.
        file.set_aside(|| Ok(earlier.amount))?;
        let purse = Purse::new(self.caps, dispatcher.purse.clone());
        purse.count_earlier(file.read(earlier.amount)?);
        Ok((Some(purse), earlier))
    }

    /// The caps that a row has to be known for: those of the run and of the client.
    pub(super) fn all_caps(&self) -> Caps {
        let client = self.batches.steps().caller.dispatcher.purse.as_ref();
        let client = client.map(|purse| purse.standing().caps).unwrap_or_default();
        Caps { money: self.caps.money.or(client.money), tokens: self.caps.tokens.or(client.tokens) }
    }
}
