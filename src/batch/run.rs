//! From a file of requests to a file of answers, by batches.

use super::handle::{Batches, LOOK, output_name, short};
use super::job::{Job, Part, State};
use super::poller::Tracked;
use super::progress::{BatchProgress, BatchSummary, PartProgress};
use super::results::{Outcome, Rank, join};
use super::split::{Splitter, rewrite};
use super::step::Moment;
use crate::api::Caller;
use crate::bulk::input::{DuplicateGuard, Source, check};
use crate::bulk::journal::{Fsync, Journal, Known, Options};
use crate::bulk::{
    CapUse, Earlier, SpentFile, Status, Tally, Ticket, share, write_failure, write_line,
};
use crate::clock::{Clock, Stop, Time};
use crate::dispatch::{Facts, HeldBack};
use crate::error::{Error, Result};
use crate::usage::{Amount, Capped, Caps, Money, Most, Purse, Reach, Weight};
use crate::wire::row::{Format, Row, RowError, id_hash};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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
    batches: Batches,
    input: PathBuf,
    output: PathBuf,
    format: Format,
    is_ordered: bool,
    is_fresh: bool,
    skip_invalid: bool,
    fsync: Fsync,
    caps: Caps,
    resubmits: bool,
    adds: bool,
    firsts: Option<HashMap<(String, String), u64>>,
    leave: Leave,
    stop: Stop,
}

impl BatchRun {
    /// A run from `input` to `output`, which must be a file.
    pub fn new(
        batches: Batches,
        input: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> BatchRun {
        let model = batches.steps().caller.default_model().to_owned();
        BatchRun {
            batches,
            input: input.into(),
            output: output.into(),
            format: Format { model, ..Format::default() },
            is_ordered: false,
            is_fresh: false,
            skip_invalid: false,
            fsync: Fsync::Always,
            caps: Caps::default(),
            resubmits: true,
            adds: true,
            firsts: None,
            leave: Leave::Running,
            stop: Stop::new(),
        }
    }

    /// How lines are read. Default: they say everything but the model themselves.
    pub fn format(mut self, format: Format) -> BatchRun {
        self.format = format;
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
        running.go(&mut show)?;
        running.end(&mut show)
    }

    /// Makes the parts and sends them, and waits for no batch: the next run goes on. Gives the jobs.
    ///
    /// # Errors
    /// As for [`run`](BatchRun::run).
    pub fn submit(self, mut show: impl FnMut(&BatchProgress)) -> Result<Vec<Job>> {
        let mut running = self.begin()?;
        running.is_submit = true;
        running.go(&mut show)?;
        if let Some(error) = running.stopped_by.take() {
            return Err(error);
        }
        running.journal.flush(running.clock.now())?;
        Ok(running.jobs.iter().map(|(job, _)| job.clone()).collect())
    }

    fn begin(self) -> Result<Running> {
        let source = Source::open(&self.input)?;
        let mut journal = self.journal(false)?;
        if journal.is_sink() {
            let message = "batches take up to a day: the output must be a file";
            return Err(Error::invalid("output", message));
        }
        let output = output_name(&self.output)?;
        let store = self.batches.store();
        let mut jobs = Vec::new();
        for job in store.jobs_for(&output)? {
            // A job that was not written down to its end was not sent either.
            if job.is_planned {
                self.batches.check_account(&job)?;
                jobs.push(job);
            } else {
                store.remove_job(job.id)?;
            }
        }
        if self.is_fresh {
            if let Some(job) = jobs.first() {
                let message = format!(
                    "batches for it are under way; end them first with `batch cancel {}`",
                    short(&job.name)
                );
                return Err(Error::invalid("output", message));
            }
            if !source.is_stream() {
                check(&source, &self.format, self.skip_invalid, |_| {})?;
            }
            drop(journal);
            journal = self.journal(true)?;
            SpentFile::beside(&self.output).remove()?;
        }
        journal.probe()?;
        let (purse, earlier) = self.purse()?;
        let clock = self.batches.steps().caller.dispatcher.clock.clone();
        let hold = clock.hold();
        let started = clock.now();
        let mut running = Running {
            run: self,
            journal,
            purse,
            earlier,
            clock,
            _hold: hold,
            started,
            jobs: Vec::new(),
            tally: Tally::default(),
            total: 0,
            done_before: 0,
            stopped_by: None,
            is_interrupted: false,
            is_capped: false,
            is_submit: false,
            is_paused: Arc::default(),
            buffer: Vec::new(),
        };
        let mut pending = HashMap::new();
        for job in &jobs {
            for part in running.run.batches.store().parts(job.id)? {
                if !part.state.is_over() {
                    let files = running.run.batches.files(&part);
                    files.each_note(|note| {
                        pending.insert(id_hash(&note.custom_id), note.fingerprint);
                    })?;
                }
            }
        }
        let new = running.plan(&source, &pending, &output)?;
        for mut job in jobs.into_iter().chain(new) {
            if job.is_ending && running.run.adds {
                // It was to end, and somebody wants it to go on: what is cancelled stays so.
                job.is_ending = false;
            }
            job.resubmits = running.run.resubmits;
            running.run.batches.store().save_job(&job)?;
            let tracked = running.run.batches.track(&job, running.purse.clone())?;
            running.jobs.push((job, tracked));
        }
        Ok(running)
    }

    fn journal(&self, fresh: bool) -> Result<Journal> {
        // Standard input cannot be the output too.
        let input = (self.input.as_os_str() != "-").then(|| self.input.clone());
        Journal::open(&self.output, Options { fresh, fsync: self.fsync, input })
    }

    /// What the run may spend, less what its output has cost already.
    fn purse(&self) -> Result<(Option<Arc<Purse>>, Earlier)> {
        if !self.caps.is_some() {
            return Ok((None, Earlier::default()));
        }
        let dispatcher = &self.batches.steps().caller.dispatcher;
        let purse = Purse::new(self.caps, dispatcher.purse.clone());
        let earlier = Earlier::read(&self.output, &dispatcher.prices, self.caps)?;
        let told = earlier.amount;
        purse.count_earlier(SpentFile::beside(&self.output).read(told)?);
        Ok((Some(purse), earlier))
    }
}

/// A run while it goes on.
struct Running {
    run: BatchRun,
    journal: Journal,
    purse: Option<Arc<Purse>>,
    earlier: Earlier,
    clock: Arc<dyn Clock>,
    _hold: crate::clock::Hold,
    started: Time,
    jobs: Vec<(Job, Arc<Tracked>)>,
    tally: Tally,
    total: u64,
    done_before: u64,
    stopped_by: Option<Error>,
    is_interrupted: bool,
    is_capped: bool,
    /// Only until every part is at the server.
    is_submit: bool,
    /// Raised to free the output for something else.
    is_paused: Arc<AtomicBool>,
    buffer: Vec<u8>,
}

impl Running {
    /// Reads the input and makes a job of the rows that are neither done nor under way.
    fn plan(
        &mut self,
        source: &Source,
        pending: &HashMap<u64, u64>,
        output: &str,
    ) -> Result<Option<Job>> {
        let batches = self.run.batches.clone();
        let steps = batches.steps();
        if !source.is_stream() {
            // Everything is looked at before anything is written.
            check(source, &self.run.format, self.run.skip_invalid, |_| {})?;
        }
        let mut job = batches.new_job(&source.name(), output);
        job.resubmits = self.run.resubmits;
        batches.store().add_job(&mut job)?;
        let result = self.fill(source, pending, &mut job);
        let mut parts = match result {
            Ok(parts) if !parts.is_empty() => parts,
            nothing => {
                batches.store().remove_job(job.id)?;
                return nothing.map(|_| None);
            }
        };
        job.rows = parts.iter().map(|part| part.rows).sum();
        job.is_planned = true;
        batches.store().add_parts(&mut parts)?;
        batches.store().save_job(&job)?;
        log::info!(target: "openai_bulk::batch", job = short(&job.name), rows = job.rows, parts = parts.len(); "the rows are in parts");
        if let Some(first) = parts.first() {
            steps.tell(first, "plan", Moment::Kept);
        }
        Ok(Some(job))
    }

    fn fill(
        &mut self,
        source: &Source,
        pending: &HashMap<u64, u64>,
        job: &mut Job,
    ) -> Result<Vec<Part>> {
        let batches = self.run.batches.clone();
        let steps = batches.steps();
        let prices = &steps.caller.dispatcher.prices;
        let known = self.journal.known();
        let (limits, now) = (steps.options.limits, steps.now());
        // A limit that cannot be read is no limit yet: it is asked again before a part is sent.
        let queue = |model: &str| steps.queue_limit(model).ok().flatten();
        let planned = job.clone();
        let mut splitter = Splitter::new(batches.store(), &planned, limits, prices, queue, 1, now);
        let mut guard = (self.run.skip_invalid || source.is_stream()).then(DuplicateGuard::new);
        let caps = self.all_caps();
        let format = std::mem::take(&mut self.run.format);
        for row in source.rows(&format)? {
            self.total += 1;
            let row = row?.and_then(|row| match &mut guard {
                Some(guard) => guard.admit(&row).map(|()| row),
                None => Ok(row),
            });
            let row = match row {
                Ok(row) => row,
                Err(error) if self.run.skip_invalid => {
                    // Where only some rows go by batch, the live run tells of all lines.
                    if self.run.firsts.is_none() {
                        self.fail_line(&error)?;
                    }
                    continue;
                }
                Err(error) => return Err(error.in_file(&source.name())),
            };
            match (known.state_of(&row), pending.get(&row.id_hash)) {
                (Known::Done, _) => self.done_before += 1,
                (Known::Changed, _) => return Err(self.journal.changed(&row)),
                (_, Some(&print)) if print == row.fingerprint => {}
                (_, Some(_)) => return Err(changed(&row)),
                _ if !self.run.adds || !self.takes(&row) => {}
                _ => {
                    check_price(caps, prices, &row).map_err(|e| e.in_file(&source.name()))?;
                    splitter.add(&row)?;
                }
            }
        }
        let parts = splitter.finish()?;
        self.run.format = format;
        Ok(parts)
    }

    /// Whether a new row is one of those that go by batch.
    fn takes(&mut self, row: &Row) -> bool {
        let Some(firsts) = &mut self.run.firsts else { return true };
        let model = Caller::asked(&row.url, row.model.as_deref().unwrap_or_default());
        match firsts.get_mut(&(model.to_owned(), row.url.to_string())) {
            Some(rows) if *rows > 0 => {
                *rows -= 1;
                true
            }
            _ => false,
        }
    }

    fn all_caps(&self) -> Caps {
        let client = self.run.batches.steps().caller.dispatcher.purse.as_ref();
        let client = client.map(|purse| purse.standing().caps).unwrap_or_default();
        let own = self.run.caps;
        Caps { money: own.money.or(client.money), tokens: own.tokens.or(client.tokens) }
    }

    /// A line that is not a request is a failed row, under its number.
    fn fail_line(&mut self, error: &RowError) -> Result<()> {
        let custom_id: Box<str> = format!("line-{}", error.line).into();
        let ticket = Ticket {
            index: 0,
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
        let mut line = Vec::new();
        write_failure(&ticket, "invalid_line", &error.to_string(), &mut line)?;
        self.count_failure("invalid_line");
        self.journal.append(&line)
    }

    fn count_failure(&mut self, code: &str) {
        self.tally.rows.failed += 1;
        *self.tally.rows.failed_by_kind.entry(code.to_owned()).or_default() += 1;
    }

    fn go(&mut self, show: &mut impl FnMut(&BatchProgress)) -> Result<()> {
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
            show(&self.progress()?);
            for (_, tracked) in &self.jobs {
                if let Some(error) = tracked.failure() {
                    if error.is_fatal_for_run() {
                        self.stopped_by.get_or_insert(error);
                    } else {
                        return Err(error);
                    }
                }
            }
            if self.stopped_by.is_some() || self.is_over()? || self.is_paused.load(Relaxed) {
                return Ok(());
            }
            match (self.run.stop.stage(), self.run.leave) {
                (crate::clock::Stage::Run, _) => {}
                (crate::clock::Stage::Drain, Leave::Cancelled) => {
                    self.is_interrupted = true;
                    if !is_recalled {
                        is_recalled = true;
                        for (job, _) in &self.jobs {
                            batches.cancel(job)?;
                        }
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

    /// Whether there is nothing more to wait for.
    fn is_over(&mut self) -> Result<bool> {
        let store = self.run.batches.store();
        let mut is_capped = false;
        for (job, tracked) in &self.jobs {
            let Some(job) = store.job(job.id)? else { continue };
            if job.is_over {
                continue;
            }
            let parts = store.parts(job.id)?;
            if self.is_submit
                && parts.iter().all(|part| {
                    part.state.is_over() || part.state.is_sent() && part.state != State::Creating
                })
            {
                continue;
            }
            // What waits for money waits for ever when nothing is under way.
            let waits = |part: &Part| !part.state.is_over() && !part.state.is_sent();
            let is_at_work = parts.iter().any(|part| part.state.is_sent());
            if tracked.is_capped() && !is_at_work && parts.iter().any(waits) {
                is_capped = true;
                continue;
            }
            return Ok(false);
        }
        self.is_capped = is_capped;
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

    /// Gives each row of a part its outcome: a line of the output, or a place in another part.
    fn settle(&mut self, job: &Job, mut part: Part, tracked: &Tracked) -> Result<()> {
        let batches = self.run.batches.clone();
        let steps = batches.steps();
        steps.tell(&part, "settle", Moment::Begun);
        let prices = steps.caller.dispatcher.prices.clone();
        let files = batches.files(&part);
        let known = self.journal.known();
        let batch: Option<Arc<str>> = part.batch_id.as_deref().map(Into::into);
        let may_go_on = job.resubmits && !job.is_ending;
        let is_last = part.generation + 1 >= steps.options.most_batches;
        let (mut redo, mut sums) = (HashSet::new(), Sums::default());
        let (mut succeeded, mut failed, mut left) = (0, 0, 0);
        let gone =
            (part.faults.is_empty() && part.output_file_id.is_none()).then_some(&part.trouble);
        let is_gone = gone.is_some_and(|trouble| trouble.is_some());
        let oddities = join(&files, &prices, &part, |note, row, rank, outcome| {
            let ticket = Ticket {
                index: row as u64,
                line: note.line,
                custom_id: note.custom_id.clone(),
                id_hash: id_hash(&note.custom_id),
                fingerprint: note.fingerprint,
                metadata: note.metadata.clone(),
                group: None,
                asked: "".into(),
                weight: Weight::default(),
                batch: batch.clone(),
            };
            let mut line = std::mem::take(&mut self.buffer);
            line.clear();
            // A death between the output and the store: the answer is there already.
            let is_there = known.find(ticket.id_hash, ticket.fingerprint) == Known::Done;
            let again = rank <= Rank::Again;
            match outcome {
                Some(Outcome::Result(result)) if !again || (is_last && may_go_on) => {
                    match result.is_ok() {
                        true => succeeded += 1,
                        false => failed += 1,
                    }
                    // What is there was counted with the output.
                    if !is_there {
                        sums.add(note.money, note.most, &result);
                        self.tally.count(&result, &Facts::default());
                        write_line(&ticket, &result, &Facts::default(), &mut line)?;
                    }
                }
                outcome => {
                    let refused = part
                        .faults
                        .iter()
                        .find(|fault| fault.line.is_none_or(|line| line == row as u64 + 1));
                    let reason = match (refused, outcome) {
                        (Some(fault), _) => Some((fault.code.clone(), fault.message.clone())),
                        _ if !is_last || !may_go_on => None,
                        (_, Some(Outcome::Undone { code, message })) => Some((code, message)),
                        _ => Some(("no_result".into(), "no batch had a line for this row".into())),
                    };
                    match reason {
                        _ if is_there => succeeded += 1,
                        Some((code, message)) => {
                            failed += 1;
                            self.count_failure(&code);
                            write_failure(&ticket, &code, &message, &mut line)?;
                        }
                        None => {
                            left += 1;
                            if may_go_on {
                                redo.insert(row as u64);
                            }
                        }
                    }
                }
            }
            if !line.is_empty() {
                self.journal.append(&line)?;
            }
            self.buffer = line;
            Ok(())
        })?;
        if oddities.any() && part.faults.is_empty() {
            log::warn!(target: "openai_bulk::batch", part = part.number, unreadable = oddities.unreadable, unknown = oddities.unknown, repeated = oddities.repeated, missing = oddities.missing; "lines of the results are odd");
        }
        (part.succeeded, part.failed, part.left) = (succeeded, failed, left);
        self.journal.flush(self.clock.now())?;
        steps.tell(&part, "settle", Moment::Acted);
        let mut others = Vec::new();
        if !redo.is_empty() {
            let parts = batches.store().parts(job.id)?;
            let next = parts.iter().map(|part| part.number).max().unwrap_or(0) + 1;
            let queue = steps.queue_limit(&part.model)?;
            let mut splitter = Splitter::new(
                batches.store(),
                job,
                steps.options.limits,
                &prices,
                move |_| queue,
                next,
                steps.now(),
            )
            .generation(part.generation + 1);
            rewrite(&files, &part, &mut splitter, |row| redo.contains(&row))?;
            others = splitter.finish()?;
        }
        part.enter(State::Done, steps.now());
        batches.store().replace(&part, &mut others)?;
        log::info!(target: "openai_bulk::batch", part = part.number, succeeded = succeeded, failed = failed, left = left; "fetched -> done");
        // What a batch that is gone has cost nobody can tell.
        tracked.settle(&part, (!is_gone).then_some(sums.used()));
        steps.tell(&part, "settle", Moment::Kept);
        Ok(())
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

    fn end(mut self, show: &mut impl FnMut(&BatchProgress)) -> Result<BatchSummary> {
        self.journal.flush(self.clock.now())?;
        show(&self.progress()?);
        let wall = self.clock.now().since(self.started);
        let mut run = self.tally.summary(wall, &HeldBack::default());
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
        let prices = self.run.batches.steps().caller.dispatcher.prices.clone();
        run.cost.prices_as_of = prices.as_of().map(str::to_owned);
        let parts = self.parts()?;
        for (job, _) in &self.jobs {
            self.run.batches.leave(job.id);
        }
        if run.status == Status::Finished {
            self.journal.finish(self.run.is_ordered)?;
        }
        if let Some(purse) = &self.purse {
            let told = Earlier::read(&self.run.output, &prices, Caps::default())?.amount;
            // What is held for batches that go on is known by the store.
            SpentFile::beside(&self.run.output).end(purse.standing().counted(), told)?;
        }
        Ok(BatchSummary { run, parts })
    }
}

/// What the answers of a part used.
#[derive(Default)]
struct Sums {
    used: Amount,
}

impl Sums {
    /// Counts an answer; where it does not tell, it is what it may have used at most.
    fn add(
        &mut self,
        money: Option<Money>,
        tokens: Option<u64>,
        result: &Result<crate::dispatch::Reply>,
    ) {
        let held = Amount { money: money.unwrap_or(Money::ZERO), tokens: tokens.unwrap_or(0) };
        let used = match result {
            Ok(reply) => Amount {
                money: reply.cost.map_or(held.money, |cost| cost.total),
                tokens: reply.peek.usage.as_ref().map_or(held.tokens, |usage| usage.total),
            },
            // It was worked off, and its answer cannot be read.
            Err(Error::Decode(_)) => held,
            Err(_) => Amount::default(),
        };
        self.used = self.used.plus(used);
    }

    fn used(&self) -> Amount {
        self.used
    }
}

/// Refuses a row of which it is not known what it may cost at most, where that is capped.
fn check_price(
    caps: Caps,
    prices: &crate::usage::Prices,
    row: &Row,
) -> std::result::Result<(), RowError> {
    if !caps.is_some() {
        return Ok(());
    }
    let model = row.model.as_deref().unwrap_or_default();
    let model = Caller::asked(&row.url, model);
    let reach = Reach::read(&row.body);
    let most = Most { money: reach.cost(prices, model, true), tokens: reach.tokens(prices, model) };
    let capped = match (caps, most) {
        (Caps { money: Some(_), .. }, Most { money: None, .. }) => Capped::Money,
        (Caps { tokens: Some(_), .. }, Most { tokens: None, .. }) => Capped::Tokens,
        _ => return Ok(()),
    };
    let why = reach.why_unknown(prices, model, capped);
    Err(RowError { line: row.line, message: format!("the cap cannot be kept in a batch: {why}") })
}

fn changed(row: &Row) -> Error {
    let message = format!(
        "the request `{}` is under way in a batch, and was another one then; give changed requests \
         other ids, or choose another output",
        row.custom_id.escape_debug()
    );
    Error::invalid(format!("line {}", row.line), message)
}
