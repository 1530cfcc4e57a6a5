//! From a file of requests to a file of answers.

use super::costs::{CapUse, share};
use super::earlier::Earlier;
use super::feeder::{self, Feeding, Ticket};
use super::input::{DuplicateGuard, Source, check};
use super::journal::{Fsync, Journal, Known, Options};
use super::metrics::{Metrics, MetricsFile};
use super::plan_file::PlanFile;
use super::record;
use super::snapshot::{Snapshot, Speed};
use super::spent::SpentFile;
use super::summary::{Limit, LimitChange, Status, Summary, Tally};
use super::timeline::{Point, Timeline, sum};
use super::under_way::UnderWayFile;
use crate::api::Caller;
use crate::clock::{Stage, Stop, Time};
use crate::dispatch::{Delivered, Pool, PoolOptions};
use crate::error::Error;
use crate::logs as key;
use crate::usage::{Amount, Capped, Caps, Money, Most, Purse, Reach, Standing};
use crate::wire::row::{Format, Row};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the live line is shown, and the longest time that an answer waits to be written.
const TICK: Duration = Duration::from_millis(100);

/// A run over a file: every row is sent, every answer written, and the output is the journal.
#[derive(Debug)]
#[must_use = "call .run()"]
pub struct FileRun {
    caller: Arc<Caller>,
    input: PathBuf,
    output: PathBuf,
    format: Format,
    is_ordered: bool,
    is_fresh: bool,
    skip_invalid: bool,
    fsync: Fsync,
    window: Option<usize>,
    caps: Caps,
    /// Rows that batches may answer; only with it, batches may be under way.
    left_out: Option<Arc<HashSet<u64>>>,
    leaves_failed: bool,
    keeps_plan: bool,
    metrics: Option<PathBuf>,
    stop: Stop,
}

impl FileRun {
    /// A run from `input` to `output`; `-` is standard input or output.
    pub fn new(
        caller: Arc<Caller>,
        input: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> FileRun {
        FileRun {
            format: Format { model: caller.default_model().into(), ..Format::default() },
            caller,
            input: input.into(),
            output: output.into(),
            is_ordered: false,
            is_fresh: false,
            skip_invalid: false,
            fsync: Fsync::Interval(Duration::from_secs(1)),
            window: None,
            caps: Caps::default(),
            left_out: None,
            leaves_failed: false,
            keeps_plan: false,
            metrics: None,
            stop: Stop::new(),
        }
    }

    /// How lines are read. Default: they say everything but the model themselves.
    pub fn format(mut self, format: Format) -> FileRun {
        self.format = format;
        self
    }

    /// Leaves the output in the order of the input. Default: no.
    pub fn ordered(mut self, is_ordered: bool) -> FileRun {
        self.is_ordered = is_ordered;
        self
    }

    /// Throws away what the output holds. Default: no.
    pub fn fresh(mut self, is_fresh: bool) -> FileRun {
        self.is_fresh = is_fresh;
        self
    }

    /// Turns lines that are not valid into failed rows. Default: they are an error.
    pub fn skip_invalid(mut self, skip: bool) -> FileRun {
        self.skip_invalid = skip;
        self
    }

    /// When answers are forced to the disk. Default: once a second.
    pub fn fsync(mut self, fsync: Fsync) -> FileRun {
        self.fsync = fsync;
        self
    }

    /// How many rows may be inside at once. Default: four times the concurrency limit, and at
    /// least 256.
    pub fn window(mut self, rows: usize) -> FileRun {
        self.window = Some(rows);
        self
    }

    /// The most that the run may cost, in US dollars: together with what the answers cost that the
    /// output holds already, and with what attempts may have cost that brought no answer. The run
    /// ends when what is left does not fit; see [`Status::Capped`]. Default: none; the client's own
    /// cap counts in any case.
    pub fn max_cost(mut self, most: impl Into<Option<Money>>) -> FileRun {
        self.caps.money = most.into();
        self
    }

    /// The most tokens that the run may use, read and written together; as
    /// [`max_cost`](FileRun::max_cost). Default: none.
    pub fn max_tokens_total(mut self, most: impl Into<Option<u64>>) -> FileRun {
        self.caps.tokens = most.into();
        self
    }

    /// Leaves out the rows whose ids have these hashes ([`id_hash`](crate::wire::row::id_hash)):
    /// batches answer them. They are told as not sent. The run goes on beside batches for its
    /// output, so these have to be all rows that are under way there. Default: none, and a run is
    /// refused while batches are under way.
    pub fn leave_out(mut self, rows: Arc<HashSet<u64>>) -> FileRun {
        self.left_out = Some(rows);
        self
    }

    /// Leaves rows as they are that the output tells as failed. They are told as not sent. Default:
    /// no, they are sent again.
    pub fn leave_failed(mut self, leaves: bool) -> FileRun {
        self.leaves_failed = leaves;
        self
    }

    /// Leaves the plan beside the output, of which the run is a step.
    pub(crate) fn keep_plan(mut self) -> FileRun {
        self.keeps_plan = true;
        self
    }

    /// Writes how the run stands to this file, as Prometheus reads it: at its start, every
    /// [`EVERY`](super::metrics::EVERY) and at its end. Default: none.
    pub fn metrics_file(mut self, path: impl Into<PathBuf>) -> FileRun {
        self.metrics = Some(path.into());
        self
    }

    /// Ends the run early. Default: a stop that nobody holds.
    pub fn stop(mut self, stop: &Stop) -> FileRun {
        self.stop = stop.clone();
        self
    }

    /// Does the run; `show` is called ten times a second with where it stands.
    ///
    /// # Errors
    /// When a file cannot be read or written, a line is not valid, or batches for the output are under
    /// way (see [`BatchRun`](crate::batch::BatchRun)): then nothing more is sent, and the output is
    /// valid. A run that the user or the server ended is no error; its summary
    /// says so.
    pub fn run(self, show: impl FnMut(&Snapshot)) -> Result<Summary, Error> {
        self.begin(show, None)
    }

    /// The same; `seen` is called with each line of output after it was written, and must not take
    /// long, because the next ones wait.
    ///
    /// # Errors
    /// As for [`run`](FileRun::run).
    pub fn run_seen(
        self,
        show: impl FnMut(&Snapshot),
        mut seen: impl FnMut(&[u8]),
    ) -> Result<Summary, Error> {
        self.begin(show, Some(&mut seen))
    }

    fn begin(
        mut self,
        mut show: impl FnMut(&Snapshot),
        seen: Option<&mut Seen<'_>>,
    ) -> Result<Summary, Error> {
        let source = Source::open(&self.input)?;
        if super::journal::same_file(&self.input, &self.output) {
            let message = format!("{} is the input; choose another output", self.output.display());
            return Err(Error::invalid("output", message));
        }
        self.refuse_batches()?;
        let Opened { mut journal, total, most } = self.open(&source)?;
        // Once more, because no other run can begin from here on.
        self.refuse_batches()?;
        journal.probe()?;
        if !self.keeps_plan && !journal.is_sink() {
            PlanFile::beside(&self.output).remove()?;
        }
        let mut metrics = self.metrics.take().map(MetricsFile::new);
        if let Some(file) = &mut metrics {
            file.write(&Metrics::new(), Duration::ZERO)?;
        }
        let (purse, earlier) = self.purse(&journal)?;
        let options = PoolOptions::new(self.window, &self.stop).purse(purse.clone());
        let (pool, intake) = Pool::start(self.caller.dispatcher.clone(), options);
        let feeding = Arc::new(Feeding::default());
        feeder::start(feeder::Feeder {
            source,
            format: std::mem::take(&mut self.format),
            known: journal.known(),
            skip_invalid: self.skip_invalid,
            left_out: self.left_out.clone().unwrap_or_default(),
            leaves_failed: self.leaves_failed,
            caps: self.all_caps(),
            caller: self.caller.clone(),
            intake,
            feeding: feeding.clone(),
        });
        let now = self.caller.dispatcher.clock.now();
        let mut running = Running {
            metrics,
            is_streamed_in_order: self.is_ordered && journal.is_sink(),
            run: &self,
            pool,
            purse,
            earlier,
            journal,
            feeding,
            tally: Tally::default(),
            timeline: Timeline::new(self.caller.dispatcher.clock.date()),
            total,
            most,
            started: now,
            speed: Speed::new(now),
            groups: BTreeSet::new(),
            early: BTreeMap::new(),
            next: 0,
            buffer: Vec::new(),
            failure: None,
            stopped_by: None,
            seen: seen.map(|seen| seen as &mut Seen<'_>),
            unseen: Vec::new(),
        };
        running.go(&mut show);
        running.end(&mut show)
    }

    /// Refuses to send rows that are under way in batches, unless those are known and left out.
    fn refuse_batches(&self) -> Result<(), Error> {
        match self.left_out {
            Some(_) => Ok(()),
            None => UnderWayFile::beside(&self.output).refuse(),
        }
    }

    /// What the run may spend, less what its output has cost already.
    fn purse(&self, journal: &Journal) -> Result<(Option<Arc<Purse>>, Earlier), Error> {
        let file = SpentFile::beside(&self.output);
        if self.is_fresh && !journal.is_sink() {
            file.remove()?;
        }
        let dispatcher = &self.caller.dispatcher;
        if !self.caps.is_some() {
            if !journal.is_sink() {
                let read = || Earlier::read(&self.output, &dispatcher.prices, self.caps);
                file.try_set_aside(|| Ok(read()?.amount));
            }
            return Ok((None, Earlier::default()));
        }
        let purse = Purse::new(self.caps, dispatcher.purse.clone());
        if journal.is_sink() {
            return Ok((Some(purse), Earlier::default()));
        }
        let earlier = Earlier::read(&self.output, &dispatcher.prices, self.caps)?;
        purse.count_earlier(file.read(earlier.amount)?);
        purse.mark(file.writer(purse.standing().taken())?);
        Ok((Some(purse), earlier))
    }

    /// Writes down what counts against the cap as far as the output does not tell it.
    fn end_spending(&self, purse: &Purse) -> Result<(), Error> {
        let prices = &self.caller.dispatcher.prices;
        let told = Earlier::read(&self.output, prices, Caps::default())?.amount;
        SpentFile::beside(&self.output).end(purse.standing().taken(), told)
    }

    /// The caps that a row has to be known for: those of the run and of the client.
    fn all_caps(&self) -> Caps {
        let client = self.caller.dispatcher.purse.as_ref();
        let client = client.map(|purse| purse.standing().caps).unwrap_or_default();
        Caps { money: self.caps.money.or(client.money), tokens: self.caps.tokens.or(client.tokens) }
    }

    /// Opens the output and checks the whole input against it, before anything is sent.
    fn open(&self, source: &Source) -> Result<Opened, Error> {
        let options =
            || Options { fresh: self.is_fresh, fsync: self.fsync, input: Some(self.input.clone()) };
        if source.is_stream() {
            let journal = Journal::open(&self.output, options())?;
            return Ok(Opened { journal, total: None, most: None });
        }
        if self.is_fresh {
            // The old answers go only when the input is known to be good.
            let mut unpriced = Unpriced::new(&self.caller, self.all_caps());
            let checked = check(source, &self.format, self.skip_invalid, |row| unpriced.look(row))?;
            let most = unpriced.refuse(&source.name())?;
            let journal = Journal::open(&self.output, options())?;
            return Ok(Opened { journal, total: Some(checked.rows + checked.total()), most });
        }
        let journal = Journal::open(&self.output, options())?;
        let known = journal.known();
        let mut changed = None;
        let mut unpriced = Unpriced::new(&self.caller, self.all_caps());
        // Where lines are skipped, a row with the id of an earlier one is never compared.
        let mut guard = self.skip_invalid.then(DuplicateGuard::new);
        let checked = check(source, &self.format, self.skip_invalid, |row| {
            let is_first = guard.as_mut().is_none_or(|guard| guard.admit(row).is_ok());
            if is_first && changed.is_none() && known.state_of(row) == Known::Changed {
                changed = Some(journal.changed(row));
            }
            if known.state_of(row) != Known::Done {
                unpriced.look(row);
            }
        })?;
        let most = unpriced.refuse(&source.name())?;
        match changed {
            Some(error) => Err(error),
            None => Ok(Opened { journal, total: Some(checked.rows + checked.total()), most }),
        }
    }
}

/// The output, and what the check of the input told.
struct Opened {
    journal: Journal,
    /// Rows of the input; unknown of a stream.
    total: Option<u64>,
    /// The most that the rows may use that are to be sent, if something is capped.
    most: Option<Amount>,
}

/// Rows of which it is not known what they may cost at most, where that is capped.
pub(super) struct Unpriced<'a> {
    caller: &'a Caller,
    caps: Caps,
    count: u64,
    first: Option<(u64, String)>,
    /// The most that all rows may use, as far as it is known.
    most: Amount,
}

impl<'a> Unpriced<'a> {
    pub(super) fn new(caller: &'a Caller, caps: Caps) -> Unpriced<'a> {
        Unpriced { caller, caps, count: 0, first: None, most: Amount::default() }
    }

    /// Looks at a row that is to be sent.
    pub(super) fn look(&mut self, row: &Row) {
        if !self.caps.is_some() {
            return;
        }
        let prices = &self.caller.dispatcher.prices;
        let model = row.model.as_deref().unwrap_or_default();
        let model = Caller::asked(&row.url, model);
        let reach = Reach::read(&row.body).sent_to(&row.url);
        let most = reach.most(prices, model);
        self.most = self.most.plus(Amount {
            money: most.money.unwrap_or(Money::ZERO),
            tokens: most.tokens.unwrap_or(0),
        });
        let capped = match (self.caps, most) {
            (Caps { money: Some(_), .. }, Most { money: None, .. }) => Capped::Money,
            (Caps { tokens: Some(_), .. }, Most { tokens: None, .. }) => Capped::Tokens,
            _ => return,
        };
        self.count += 1;
        let why = || (row.line, reach.why_unknown(prices, model, capped));
        self.first.get_or_insert_with(why);
    }

    /// Refuses if there is such a row: nothing was sent. Else it tells the most that all may use,
    /// if something is capped.
    pub(super) fn refuse(self, file: &str) -> Result<Option<Amount>, Error> {
        let Some((line, why)) = self.first else {
            return Ok(self.caps.is_some().then_some(self.most));
        };
        let others = match self.count {
            1 => String::new(),
            count => format!(" (and {} more rows)", count - 1),
        };
        let message = format!("the cap cannot be kept: {why}{others}");
        Err(Error::invalid(format!("{file}:{line}"), message))
    }
}

/// Is called with each line of output.
type Seen<'a> = dyn FnMut(&[u8]) + 'a;

/// A run while it goes on.
struct Running<'a> {
    run: &'a FileRun,
    metrics: Option<MetricsFile>,
    pool: Pool<Ticket>,
    /// The run's own purse, if it has a cap of its own.
    purse: Option<Arc<Purse>>,
    /// What the output told of its cost, if the run has a cap of its own.
    earlier: Earlier,
    journal: Journal,
    feeding: Arc<Feeding>,
    tally: Tally,
    timeline: Timeline,
    total: Option<u64>,
    /// The most that the rows may use that were to be sent, if it was asked.
    most: Option<Amount>,
    started: Time,
    speed: Speed,
    groups: BTreeSet<Arc<str>>,
    /// Answers go out in order, because the output cannot be sorted afterwards.
    is_streamed_in_order: bool,
    early: BTreeMap<u64, Option<Vec<u8>>>,
    next: u64,
    buffer: Vec<u8>,
    failure: Option<Error>,
    stopped_by: Option<Error>,
    seen: Option<&'a mut Seen<'a>>,
    /// Lines that are to be shown when they are written, one after the other.
    unseen: Vec<u8>,
}

impl Running<'_> {
    fn now(&self) -> Time {
        self.run.caller.dispatcher.clock.now()
    }

    fn go(&mut self, show: &mut impl FnMut(&Snapshot)) {
        let mut shown = self.started;
        loop {
            let Some(some) = self.pool.recv_some(TICK) else { return };
            some.into_iter().for_each(|delivered| self.take(delivered));
            self.write();
            let now = self.now();
            if now.since(shown) >= TICK {
                shown = now;
                let snapshot = self.snapshot(now);
                self.mark(&snapshot);
                show(&snapshot);
                self.write_metrics(&snapshot);
            }
            if self.failure.is_none()
                && let Some(error) = self.feeding.failure()
            {
                self.fail(error);
            }
        }
    }

    /// Counts a result and makes its line.
    fn take(&mut self, delivered: Delivered<Ticket>) {
        let Delivered { tag, result, facts, .. } = delivered;
        if let Some(group) = &tag.group
            && !self.groups.contains(group)
        {
            self.groups.insert(group.clone());
        }
        self.tally.count(&result, &facts);
        record::tell_log(&tag, &result, &facts);
        if let Ok(reply) = &result {
            let prices = &self.run.caller.dispatcher.prices;
            self.tally.costs.compare(reply, prices, &tag.asked, tag.weight);
        }
        let mut line = None;
        match &result {
            Err(Error::Cancelled) => {}
            // What concerns the account says nothing of the row, which stays to be done.
            Err(error) if error.is_fatal_for_run() => {}
            result => {
                let mut text = std::mem::take(&mut self.buffer);
                text.clear();
                let ended = Some(self.run.caller.dispatcher.clock.date());
                match record::write(&tag, result, &facts, ended, &mut text) {
                    Ok(()) => line = Some(text),
                    Err(error) => self.fail(error),
                }
            }
        }
        if let Err(error) = result
            && error.is_fatal_for_run()
            && self.stopped_by.is_none()
        {
            // An open circuit concerns one model; the pool ends by itself when none is left.
            if !matches!(error, Error::CircuitOpen(_)) {
                self.pool.end();
            }
            self.stopped_by = Some(error);
        }
        if self.is_streamed_in_order {
            self.early.insert(tag.index, line);
            while let Some(line) = self.early.remove(&self.next) {
                self.next += 1;
                self.put(line);
            }
        } else {
            self.put(line);
        }
    }

    fn put(&mut self, line: Option<Vec<u8>>) {
        self.pool.release();
        let Some(line) = line else { return };
        if let Err(error) = self.journal.append(&line) {
            self.fail(error);
        }
        if self.seen.is_some() {
            self.unseen.extend_from_slice(&line);
        }
        self.buffer = line;
    }

    fn write(&mut self) {
        let now = self.now();
        if self.failure.is_none()
            && let Err(error) = self.journal.flush(now)
        {
            self.fail(error);
        }
        if let Some(seen) = &mut self.seen {
            self.unseen.split_inclusive(|byte| *byte == b'\n').for_each(seen);
            self.unseen.clear();
        }
    }

    /// Sends nothing more; what is in flight comes to its end, because it is paid for.
    fn fail(&mut self, error: Error) {
        if self.failure.is_none() {
            self.pool.end();
            self.failure = Some(error);
        }
    }

    /// Puts where the run stands on its timeline.
    fn mark(&mut self, at: &Snapshot) {
        if self.timeline.is_due(at.elapsed, at.in_flight) {
            let gate = &self.run.caller.dispatcher.gate;
            let mut point = Point::new(at.elapsed, &self.tally, at.in_flight);
            let groups = || self.groups.iter();
            point.requests_per_minute = sum(groups().map(|group| gate.rates(group).0));
            point.tokens_per_minute = sum(groups().map(|group| gate.rates(group).1));
            point.concurrency = sum(groups().map(|g| gate.concurrency(g).map(|most| most as f64)));
            self.timeline.push(point);
        }
    }

    fn snapshot(&mut self, now: Time) -> Snapshot {
        let progress = self.pool.progress();
        let rows = &self.tally.rows;
        let gate = &self.run.caller.dispatcher.gate;
        let capped = self.standing().filter(|at| at.caps.money.is_some());
        let limit = self.groups.first().filter(|_| self.groups.len() == 1);
        Snapshot {
            total: self.total,
            done_before: self.feeding.done_before(),
            succeeded: rows.succeeded,
            failed: rows.failed,
            unsent: rows.unsent(),
            refused: self.tally.attempts.refused,
            cost: self.tally.costs.total,
            unpriced: self.tally.costs.unpriced,
            counted: capped.map(|at| at.counted().money),
            max_cost: capped.and_then(|at| at.caps.money),
            in_flight: progress.in_flight,
            waiting: progress.waiting,
            held: progress.held,
            elapsed: now.since(self.started),
            requests_per_second: self.speed.update(now, self.tally.attempts.total),
            requests_per_minute_limit: limit.and_then(|group| gate.rates(group).0),
            concurrency: limit.and_then(|group| gate.concurrency(group)),
        }
    }

    /// Writes how the run stands, if that is wanted and due. A file that cannot be written any more
    /// is no reason to end a run.
    fn write_metrics(&mut self, now: &Snapshot) {
        let Some(mut file) = self.metrics.take_if(|file| file.is_due(now.elapsed)) else { return };
        let mut summary = self.tally.summary(now.elapsed, &self.pool.held_back());
        summary.rows.total = self.total.unwrap_or_else(|| self.feeding.read());
        summary.rows.done_before = now.done_before;
        summary.cost.cap = self.standing().as_ref().map(CapUse::new);
        summary.rate.limits = self.limits();
        let _ = file.write(&Metrics::new().summary(&summary).snapshot(now), now.elapsed);
        self.metrics = Some(file);
    }

    /// The limits in force, by limit group.
    fn limits(&self) -> BTreeMap<String, Limit> {
        let gate = &self.run.caller.dispatcher.gate;
        let limit = |group: &Arc<str>| (group.to_string(), Limit::new(gate.rates(group)));
        self.groups.iter().map(limit).collect()
    }

    /// Where the purse stands that the run spends from.
    fn standing(&self) -> Option<Standing> {
        let purse = self.purse.as_ref().or(self.run.caller.dispatcher.purse.as_ref());
        purse.map(|purse| purse.standing())
    }

    fn end(mut self, show: &mut impl FnMut(&Snapshot)) -> Result<Summary, Error> {
        // A gap in the order is a row that was not sent: what came after it is kept all the same.
        for (_, line) in std::mem::take(&mut self.early) {
            self.put(line);
        }
        self.write();
        let now = self.now();
        let snapshot = self.snapshot(now);
        show(&snapshot);
        if let Some(error) = self.failure.take() {
            return Err(self.give_up(error));
        }
        let is_interrupted = self.run.stop.stage() != Stage::Run;
        let wall = now.since(self.started);
        let mut summary = self.tally.summary(wall, &self.pool.held_back());
        self.timeline.end(Point::new(wall, &self.tally, 0));
        summary.timeline = std::mem::take(&mut self.timeline);
        summary.status = match (&self.stopped_by, is_interrupted) {
            (Some(Error::OverCap(_)), _) => Status::Capped,
            (Some(_), _) => Status::Stopped,
            (None, true) => Status::Interrupted,
            (None, false) => Status::Finished,
        };
        summary.stopped_by = self.stopped_by.as_ref().map(Error::to_string);
        summary.rows.done_before = self.feeding.done_before();
        summary.rows.total = self.total.unwrap_or_else(|| self.feeding.read());
        let rows = &mut summary.rows;
        rows.not_sent = rows.total.saturating_sub(rows.done_before + rows.succeeded + rows.failed);
        let rows = summary.rows.sent() + self.earlier.answers;
        let not_sent = summary.rows.not_sent;
        if rows > 0 && summary.cost.unpriced == 0 {
            let spent = summary.cost.total + self.earlier.amount.money;
            summary.cost.left = Some(share(spent, not_sent, rows));
        }
        if rows > 0 {
            let used = u128::from(summary.tokens.total) + u128::from(self.earlier.amount.tokens);
            let left = used * u128::from(not_sent) / u128::from(rows);
            summary.cost.left_tokens = Some(u64::try_from(left).unwrap_or(u64::MAX));
        }
        // Failed rows may be sent again, and are among those that are not answered.
        let answered = self.purse.as_ref().map(|purse| purse.standing().reserved);
        summary.cost.left_at_most =
            self.most.zip(answered).map(|(most, done)| most.less(done).money);
        summary.cost.cap = self.standing().as_ref().map(CapUse::new);
        let prices = &self.run.caller.dispatcher.prices;
        summary.cost.prices_as_of = prices.as_of().map(str::to_owned);
        summary.rate.limits = self.limits();
        let (changes, dropped) = self.run.caller.dispatcher.gate.journal();
        let since = changes.iter().filter(|change| change.at >= self.started);
        summary.limit_changes = since.map(|c| LimitChange::new(c, self.started)).collect();
        summary.limit_changes_dropped = dropped;
        let is_sink = self.journal.is_sink();
        if summary.status == Status::Finished {
            self.journal.finish(self.run.is_ordered)?;
        }
        if let Some(file) = &mut self.metrics {
            file.write(&Metrics::new().summary(&summary).ended(summary.status), wall)?;
        }
        if let Some(purse) = self.purse.filter(|_| !is_sink) {
            self.run.end_spending(&purse)?;
        }
        Ok(summary)
    }

    /// Tries once more to keep the answers that could not be written.
    fn give_up(&mut self, error: Error) -> Error {
        if self.journal.unwritten() == 0 || self.journal.retry_flush().is_ok() {
            return error;
        }
        log::error!(target: "openai_bulk::run", {key::BYTES} = self.journal.unwritten(); "answers that were paid for could not be written");
        error
    }
}
