//! Where a run by plan stands, and what it did.

use super::measured::Measured;
use super::plan::Plan;
use crate::batch::{BatchProgress, PartProgress};
use crate::bulk::{Snapshot, Summary};
use crate::usage::Money;
use serde::Serialize;

/// Where a run by plan stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum AutoProgress<'a> {
    /// This is the plan, of which nothing is done yet.
    Planned(&'a Plan),
    /// The plan is followed that was begun before.
    GoesOn {
        /// Seconds since then.
        seconds_ago: f64,
    },
    /// A stage begins.
    Begins(Stage),
    /// Rows are sent live.
    Live(&'a Snapshot),
    /// Batches are waited for.
    Batch(&'a BatchProgress),
    /// Batches will not make it, and are given up: so many, with so many rows that they have not
    /// worked off.
    GivenUp {
        /// Batches, and parts that wait to become one.
        parts: usize,
        /// Rows that they have not worked off.
        rows: u64,
    },
}

/// What a run by plan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// So many rows go live.
    Live(u64),
    /// So many rows wait for batches.
    Batch(u64),
    /// So many rows that batches left go live.
    Rest(u64),
}

/// What a run by plan did.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct AutoSummary {
    /// What every run tells, of all that this one did.
    #[serde(flatten)]
    pub run: Summary,
    /// The parts that this run worked on.
    pub parts: Vec<PartProgress>,
    /// The plan against what came of it.
    pub plan: Followed,
    /// What all answers of the output cost, and what batches saved, by the server's count of their
    /// tokens.
    pub measured: Measured,
}

/// The plan against what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Followed {
    /// What the plan was expected to cost; `None` where that was not known.
    pub planned_cost: Option<Money>,
    /// Seconds that it was expected to take.
    pub planned_seconds: f64,
    /// Rows that were to go by batch.
    pub planned_batch_rows: u64,
    /// Seconds since the plan was begun, however often the run was started again.
    pub seconds: f64,
    /// Seconds from then until the deadline, if there is one.
    pub deadline_seconds: Option<f64>,
    /// Whether every row was done in time, if there is a deadline and the run has finished.
    pub in_time: Option<bool>,
    /// Batches that were given up by this run because they would not have made it.
    pub given_up: u64,
    /// Rows that batches had worked off when they were given up and that were sent live too, by the
    /// server's count; only where the double cost is allowed.
    pub both_ways: u64,
}

/// Adds what a further step of the same run did. Times are those of the longer live step, because
/// distributions cannot be added.
pub(super) fn add(sum: &mut Summary, more: Summary) {
    sum.status = more.status;
    sum.stopped_by = more.stopped_by;
    let rows = &mut sum.rows;
    rows.succeeded += more.rows.succeeded;
    rows.failed += more.rows.failed;
    rows.from_cache += more.rows.from_cache;
    rows.shared += more.rows.shared;
    for (kind, count) in more.rows.failed_by_kind {
        *rows.failed_by_kind.entry(kind).or_default() += count;
    }
    let (sent, also) = (&mut sum.attempts, more.attempts);
    sent.total += also.total;
    sent.retries += also.retries;
    sent.refused += also.refused;
    sent.maybe_billed += also.maybe_billed;
    sent.hedges += also.hedges;
    let (tokens, also) = (&mut sum.tokens, more.tokens);
    for (own, its) in [
        (&mut tokens.input, also.input),
        (&mut tokens.cached_input, also.cached_input),
        (&mut tokens.output, also.output),
        (&mut tokens.reasoning, also.reasoning),
        (&mut tokens.total, also.total),
    ] {
        *own = own.saturating_add(its);
    }
    if more.server_seconds.count > sum.server_seconds.count {
        sum.server_seconds = more.server_seconds;
        sum.waiting_seconds = more.waiting_seconds;
        sum.held_back = more.held_back;
    }
    sum.rate.limits.extend(more.rate.limits);
    sum.limit_changes.extend(more.limit_changes);
    sum.limit_changes_dropped += more.limit_changes_dropped;
    sum.timeline.add(&more.timeline);
    sum.cost.add(more.cost);
}
