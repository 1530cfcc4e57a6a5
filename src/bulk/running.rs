//! A run over a file while it goes on.

use super::costs::{CapUse, share};
use super::earlier::Earlier;
use super::feeder::{self, Feeding, Ticket};
use super::input::Source;
use super::journal::Journal;
use super::metrics::{Metrics, MetricsFile};
use super::record;
use super::run::{FileRun, Opened};
use super::snapshot::{Snapshot, Speed};
use super::summary::{Limit, LimitChange, Status, Summary, Tally};
use super::timeline::{Point, Timeline, sum};
use crate::clock::{Stage, Time};
use crate::dispatch::{Delivered, Pool, PoolOptions};
use crate::error::Error;
use crate::logs as key;
use crate::usage::{Amount, Purse, Standing};
use crate::wire::row::Format;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often the live line is shown, and the longest time that an answer waits to be written.
const TICK: Duration = Duration::from_millis(100);

/// Is called with each line of output.
pub(super) type Seen<'a> = dyn FnMut(&[u8]) + 'a;

/// A run while it goes on.
pub(super) struct Running<'a> {
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

impl<'a> Running<'a> {
    /// Begins to send the rows of an input.
    pub(super) fn start(
        run: &'a FileRun,
        source: Source,
        format: Format,
        opened: Opened,
        seen: Option<&'a mut Seen<'a>>,
    ) -> Result<Running<'a>, Error> {
        let Opened { journal, total, most } = opened;
        let mut metrics = run.metrics.as_ref().map(MetricsFile::new);
        if let Some(file) = &mut metrics {
            file.write(&Metrics::new(), Duration::ZERO)?;
        }
        let (purse, earlier) = run.purse(&journal)?;
        let dispatcher = &run.caller.dispatcher;
        let options = PoolOptions::new(run.window, &run.stop).purse(purse.clone());
        let (pool, intake) = Pool::start(dispatcher.clone(), options);
        let feeding = Arc::new(Feeding::default());
        feeder::start(feeder::Feeder {
            source,
            format,
            known: journal.known(),
            skip_invalid: run.skip_invalid,
            left_out: run.left_out.clone().unwrap_or_default(),
            leaves_failed: run.leaves_failed,
            caps: run.all_caps(),
            caller: run.caller.clone(),
            intake,
            feeding: feeding.clone(),
        });
        let now = dispatcher.clock.now();
        Ok(Running {
            run,
            metrics,
            is_streamed_in_order: run.is_ordered && journal.is_sink(),
            pool,
            purse,
            earlier,
            journal,
            feeding,
            tally: Tally::default(),
            timeline: Timeline::new(dispatcher.clock.date()),
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
            seen,
            unseen: Vec::new(),
        })
    }

    fn now(&self) -> Time {
        self.run.caller.dispatcher.clock.now()
    }

    pub(super) fn go(&mut self, show: &mut impl FnMut(&Snapshot)) {
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

    pub(super) fn end(mut self, show: &mut impl FnMut(&Snapshot)) -> Result<Summary, Error> {
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
        self.count_left(&mut summary);
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

    /// What the rows that are left may cost.
    fn count_left(&self, summary: &mut Summary) {
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
