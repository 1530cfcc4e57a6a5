//! The steps of a run by plan, one after another.
//!
//! First the rows for batches are put into parts, which are worked on from then on. Then the others
//! go live. Then batches are waited for, and those that will not make it are cancelled. What they
//! leave goes live last. Output and cap have one owner at any time.

use super::kept::Kept;
use super::measured::Measured;
use super::outlook::speed;
use super::run::AutoRun;
use super::situation::LiveSpeed;
use super::summary::{AutoProgress, AutoSummary, Followed, Stage, add};
use super::watch::{Waiting, Watch, late};
use crate::batch::{BatchProgress, BatchRun, Parked, PartProgress, Waited};
use crate::bulk::journal::Fsync;
use crate::bulk::{FileRun, PlanFile, Snapshot, Status, Summary};
use crate::error::Result;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether batches will make it while rows go live.
const LOOK: Duration = Duration::from_secs(1);
/// The live answers from which a speed is taken. Source: own choice.
const ENOUGH: u64 = 20;

type Show<'s> = dyn FnMut(AutoProgress<'_>) + 's;

/// A run by plan while it goes on.
pub(super) struct Going<'a> {
    run: &'a AutoRun,
    kept: Kept,
    file: &'a PlanFile,
    sum: Summary,
    parts: Vec<PartProgress>,
    /// Live answers a minute, as they were measured.
    measured: Option<u64>,
    /// Rows that they had worked off at that moment, by part.
    given_up: HashMap<(String, u32), u64>,
    both_ways: u64,
    /// Those of them whose rest was sent live while others went on.
    freed: Late,
    /// Whether what the output held is still to be thrown away.
    is_fresh: bool,
    has_sent_live: bool,
}

impl<'a> Going<'a> {
    pub(super) fn new(run: &'a AutoRun, kept: Kept, file: &'a PlanFile) -> Going<'a> {
        Going {
            run,
            kept,
            file,
            sum: Summary::default(),
            parts: Vec::new(),
            measured: None,
            given_up: HashMap::new(),
            both_ways: 0,
            freed: Late::new(),
            is_fresh: run.is_fresh,
            has_sent_live: false,
        }
    }

    pub(super) fn go(mut self, show: &mut Show<'_>) -> Result<AutoSummary> {
        let mut parked = self.park()?;
        loop {
            self.live(parked.as_ref(), show)?;
            let Some(waiting) = parked.take().filter(|_| self.may_go_on()) else { break };
            match self.wait(waiting, show)? {
                Some(paused) => parked = Some(paused),
                None => break,
            }
        }
        // Parts that the cap keeps from being sent keep their rows.
        let is_free = self.sum.status == Status::Finished && !self.parts.is_empty();
        if is_free && self.may_go_on() && self.sum.rows.not_sent > 0 {
            show(AutoProgress::Begins(Stage::Rest(self.sum.rows.not_sent)));
            self.live(None, show)?;
        }
        self.end()
    }

    /// Whether nothing ended the run but its last row.
    fn may_go_on(&self) -> bool {
        let is_over = self.sum.stopped_by.is_some() && self.sum.status != Status::Capped;
        !is_over && !self.run.stop.is_stopped()
    }

    /// Puts the rows for batches into parts, once; `None` if nothing goes by batch.
    fn park(&mut self) -> Result<Option<Parked>> {
        let run = self.run;
        let rows = self.kept.batch_rows();
        // A death between the parts and the note of them: their job tells.
        let begun = self.kept.begun;
        let jobs = run.batches.store().jobs()?;
        let here = std::fs::canonicalize(&run.output).unwrap_or_default().display().to_string();
        let is_made =
            jobs.iter().any(|job| job.is_planned && job.output == here && job.created >= begun);
        let adds = !self.kept.is_sent && !is_made && !rows.is_empty();
        if !adds && run.batches.jobs_for(&run.output)?.is_empty() {
            return Ok(None);
        }
        let batches = BatchRun::new(run.batches.clone(), &run.input, &run.output)
            .format(run.format.clone())
            .ordered(run.is_ordered)
            .fresh(std::mem::take(&mut self.is_fresh))
            .skip_invalid(run.skip_invalid)
            .fsync(if run.fsync == Fsync::Never { Fsync::Never } else { Fsync::Always })
            .max_cost(run.caps.money)
            .max_tokens_total(run.caps.tokens)
            .resubmit(false)
            .send_new(adds)
            .send_first(rows)
            .stop(&run.stop);
        let parked = batches.park()?;
        // A store that is gone with the process knows nothing of them at the next start.
        let is_known = !run.batches.store().path().as_os_str().is_empty();
        if is_known && !self.kept.is_sent {
            self.kept.is_sent = true;
            self.kept.write(self.file)?;
        }
        Ok(Some(parked))
    }

    /// Sends live what no batch may still answer.
    fn live(&mut self, parked: Option<&Parked>, show: &mut Show<'_>) -> Result<()> {
        let run = self.run;
        let double = run.thresholds.allow_double;
        let (left_out, held) = match parked {
            Some(parked) => (parked.rows(double)?, parked.most()?),
            None => Default::default(),
        };
        let left_out = Arc::new(left_out);
        let others = left_out.len() as u64;
        let mut live = FileRun::new(run.batches.caller().clone(), &run.input, &run.output)
            .format(run.format.clone())
            .ordered(run.is_ordered)
            .fresh(std::mem::take(&mut self.is_fresh))
            .skip_invalid(run.skip_invalid)
            .fsync(run.fsync)
            // What batches may cost at most is not for the others.
            .max_cost(run.caps.money.map(|cap| cap.less(held.money)))
            .max_tokens_total(run.caps.tokens.map(|cap| cap.saturating_sub(held.tokens)))
            .leave_failed(self.has_sent_live)
            .keep_plan()
            .stop(&run.stop);
        if parked.is_some() {
            live = live.leave_out(left_out);
        }
        if let Some(path) = &run.metrics {
            live = live.metrics_file(path);
        }
        let mut looked = None;
        let summary = live.run(|snapshot| {
            let is_due = looked.is_none_or(|at| snapshot.elapsed >= at + LOOK);
            if is_due {
                if looked.is_none() && !self.has_sent_live {
                    let rows = snapshot.total.unwrap_or(0).saturating_sub(snapshot.done() + others);
                    show(AutoProgress::Begins(Stage::Live(rows)));
                }
                looked = Some(snapshot.elapsed);
                self.look_while_live(snapshot, parked, others, show);
            }
            show(AutoProgress::Live(snapshot));
        })?;
        self.count(summary);
        self.has_sent_live = true;
        Ok(())
    }

    fn look_while_live(
        &mut self,
        now: &Snapshot,
        parked: Option<&Parked>,
        others: u64,
        show: &mut Show<'_>,
    ) {
        let made = now.succeeded + now.failed;
        let minutes = now.elapsed.as_secs_f64() / 60.0;
        if made >= ENOUGH && minutes > 0.0 {
            self.measured = Some(((made as f64 / minutes) as u64).max(1));
        }
        let Some(parked) = parked else { return };
        let left = now.total.unwrap_or(0).saturating_sub(now.done() + others);
        let seconds = self.measured.map_or(0.0, |rate| left as f64 / rate as f64 * 60.0);
        // A store that cannot be read is told when batches are waited for.
        if let Ok(parts) = parked.parts() {
            let late = self.late(&parts, seconds);
            self.give_up(&late, &parts, show);
            parked.recaller()(&late);
        }
    }

    /// Waits for batches, and gives up those that will not make it. Gives them back where rows are to
    /// go live now: those of batches that were given up and have ended, while others go on, or where
    /// double cost is allowed, at once.
    fn wait(&mut self, parked: Parked, show: &mut Show<'_>) -> Result<Option<Parked>> {
        let rows = parked.rows(false)?.len() as u64;
        show(AutoProgress::Begins(Stage::Batch(rows)));
        let recall = parked.recaller();
        let double = self.run.thresholds.allow_double;
        let waited = parked.wait(|now: &BatchProgress| {
            show(AutoProgress::Batch(now));
            let late = self.late(&now.parts, 0.0);
            self.give_up(&late, &now.parts, show);
            recall(&late);
            if double { late.is_empty() } else { !self.frees(&now.parts, show) }
        })?;
        let summary = match waited {
            Waited::Paused(parked) => return Ok(Some(*parked)),
            Waited::Over(summary) => *summary,
        };
        if double {
            // Their rows were sent live before any of their answers was fetched.
            self.both_ways = self.given_up.values().sum();
        }
        self.parts = summary.parts;
        self.count(summary.run);
        Ok(None)
    }

    /// Whether rows of batches that were given up are free to go live while others go on. It is said
    /// once of each.
    fn frees(&mut self, parts: &[PartProgress], show: &mut Show<'_>) -> bool {
        let name = |part: &PartProgress| (part.job.clone(), part.part);
        let is_new = |part: &&PartProgress| {
            let is_free = part.is_over() && part.left > 0;
            is_free && self.given_up.contains_key(&name(part)) && !self.freed.contains(&name(part))
        };
        let free: Vec<_> = parts.iter().filter(is_new).collect();
        if free.is_empty() || parts.iter().all(PartProgress::is_over) {
            return false;
        }
        show(AutoProgress::Begins(Stage::Rest(free.iter().map(|part| part.left).sum())));
        self.freed.extend(free.into_iter().map(name));
        true
    }

    /// Tells what is given up from now on.
    fn give_up(&mut self, late: &Late, parts: &[PartProgress], show: &mut Show<'_>) {
        if late.is_empty() {
            return;
        }
        let mut rows = 0;
        for part in parts {
            let name = (part.job.clone(), part.part);
            if late.contains(&name) {
                rows += part.rows.saturating_sub(part.worked_off);
                self.given_up.insert(name, part.worked_off);
            }
        }
        show(AutoProgress::GivenUp { parts: late.len(), rows });
    }

    /// The parts that are to be given up now, and were not before.
    fn late(&self, parts: &[PartProgress], live_seconds: f64) -> Late {
        let Some(left) = self.run.left(self.kept.begun) else { return Late::new() };
        let is_open = |part: &&PartProgress| {
            matches!(part.state, "planned" | "uploading" | "uploaded" | "creating" | "running")
                && part.status.as_deref() != Some("cancelling")
                && !self.given_up.contains_key(&(part.job.clone(), part.part))
        };
        let open: Vec<_> = parts.iter().filter(is_open).collect();
        let mut waiting: Vec<_> = open.iter().map(|part| self.waiting(part)).collect();
        // What is not at the server waits for what is.
        let longest = waiting.iter().filter(|each| each.age.is_some()).map(Waiting::expected);
        let longest = longest.fold(0.0, f64::max);
        for each in waiting.iter_mut().filter(|each| each.age.is_none()) {
            each.usual += longest;
        }
        let models = waiting.iter().map(|each| (each.model.clone(), self.row_seconds(&each.model)));
        let watch = Watch {
            left: left.as_secs_f64(),
            row_seconds: models.collect::<BTreeMap<_, _>>(),
            live_seconds,
            waiting,
        };
        let places = late(&watch, &self.run.thresholds);
        places.into_iter().map(|at| (open[at].job.clone(), open[at].part)).collect()
    }

    fn waiting(&self, part: &PartProgress) -> Waiting {
        let share = self.kept.shares.iter().find(|share| share.model == part.model);
        let usual = share.map_or(self.run.thresholds.batch_time.as_secs_f64(), |s| s.batch_time);
        let is_running = part.state == "running";
        Waiting {
            model: part.model.clone(),
            rows: part.rows,
            worked_off: part.worked_off,
            age: part.age_seconds.filter(|_| is_running).map(|age| age as f64),
            still: part.still_seconds.unwrap_or(0) as f64,
            usual,
        }
    }

    /// The seconds that one row of a model takes live: by the limits that are known by now, or by
    /// what was measured, or by the assumption of the plan.
    fn row_seconds(&self, model: &str) -> f64 {
        const MANY: u64 = 1_000;
        let caller = self.run.batches.caller();
        let gate = &caller.dispatcher.gate;
        let stated: LiveSpeed = speed(&gate.limits(), 1, 1);
        let (requests, tokens) = gate.rates(&caller.groups().group(model));
        let whole = |rate: Option<f64>| rate.map(|rate| (rate as u64).max(1));
        let mut known = LiveSpeed {
            requests_per_minute: whole(requests).or(stated.requests_per_minute),
            tokens_per_minute: whole(tokens).or(stated.tokens_per_minute),
            // The time of one answer is no matter of how many there are.
            concurrency: 0,
            ..stated
        };
        known.latency = Duration::ZERO;
        if known.is_assumed() {
            known.requests_per_minute = self.measured;
        }
        let share = self.kept.shares.iter().find(|share| share.model == model);
        let tokens = share.map_or(0, |share| share.row_tokens);
        known.seconds(MANY, tokens.saturating_mul(MANY)) / MANY as f64
    }

    fn count(&mut self, step: Summary) {
        let (total, before) = (step.rows.total, step.rows.done_before);
        if self.has_sent_live {
            add(&mut self.sum, step);
        } else {
            self.sum = step;
            (self.sum.rows.total, self.sum.rows.done_before) = (total, before);
        }
        let rows = &mut self.sum.rows;
        rows.not_sent = rows.total.saturating_sub(rows.done_before + rows.succeeded + rows.failed);
    }

    fn end(mut self) -> Result<AutoSummary> {
        let run = self.run;
        let seconds = run.seconds_since(self.kept.begun);
        let deadline = run.deadline.map(|deadline| deadline.as_secs_f64());
        let is_done = self.sum.status == Status::Finished && self.sum.rows.not_sent == 0;
        if is_done {
            self.file.remove()?;
        }
        self.sum.wall_seconds = seconds;
        let minutes = seconds.max(1e-9) / 60.0;
        self.sum.rate.requests_per_minute = self.sum.attempts.total as f64 / minutes;
        self.sum.rate.tokens_per_minute = self.sum.tokens.total as f64 / minutes;
        let prices = &run.batches.caller().dispatcher.prices;
        Ok(AutoSummary {
            measured: Measured::read(&run.output, prices)?,
            plan: Followed {
                planned_cost: self.kept.cost,
                planned_seconds: self.kept.seconds,
                planned_batch_rows: self.kept.batch_rows().values().sum(),
                seconds,
                deadline_seconds: deadline,
                in_time: deadline.filter(|_| is_done).map(|deadline| seconds <= deadline),
                given_up: self.given_up.len() as u64,
                both_ways: self.both_ways,
            },
            run: self.sum,
            parts: self.parts,
        })
    }
}

/// Parts by their job and number.
pub(super) type Late = HashSet<(String, u32)>;
