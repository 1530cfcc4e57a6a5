//! What one split of a group's rows comes to. Nothing here acts.

use super::situation::{Group, Thresholds};
use crate::bulk::share;
use crate::usage::Money;
use std::cmp::Ordering;

/// So many rows of a group by batch, and the others now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    pub(super) live: u64,
    pub(super) batch: u64,
    pub(super) live_cost: Option<Money>,
    pub(super) batch_cost: Option<Money>,
    pub(super) live_seconds: f64,
    /// Until the last batch is expected to have ended.
    pub(super) batch_seconds: f64,
    /// What has to be left of the time when the batches are given up.
    pub(super) fallback: f64,
    pub(super) rank: Rank,
    /// Whether it is known what rows cost either way; else no cost is compared.
    is_priced: bool,
}

/// How sure it is that a split is in time; the first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Also if the batches do nothing.
    Guarded,
    /// If the batches are as fast as they are expected to be.
    InTime,
    Late,
}

impl Split {
    pub(super) fn of(
        group: &Group,
        batch: u64,
        deadline: Option<f64>,
        thresholds: &Thresholds,
    ) -> Split {
        let live = group.rows - batch;
        let cost = |whole: Option<Money>, rows| whole.map(|all| share(all, rows, group.rows));
        let seconds = |rows| group.speed.seconds(rows, group.share(group.tokens, rows));
        let cancel =
            if thresholds.allow_double { 0.0 } else { thresholds.cancel_time.as_secs_f64() };
        // What the others use of a day's limit is not there for the rest.
        let rest = seconds(batch).max(seconds(group.rows) - seconds(live));
        let fallback = if batch == 0 { 0.0 } else { cancel + rest * (1.0 + thresholds.margin) };
        let mut split = Split {
            live,
            batch,
            live_cost: cost(group.live_cost, live),
            batch_cost: cost(group.batch_cost, batch),
            live_seconds: seconds(live),
            batch_seconds: waves(group, batch) as f64 * group.batch_seconds(thresholds).0,
            fallback,
            rank: Rank::Guarded,
            is_priced: group.live_cost.is_some() && group.batch_cost.is_some(),
        };
        if let Some(deadline) = deadline {
            split.rank = match split.seconds() {
                time if time + fallback <= deadline => Rank::Guarded,
                time if time <= deadline => Rank::InTime,
                _ => Rank::Late,
            };
        }
        split
    }

    pub(super) fn seconds(&self) -> f64 {
        self.live_seconds.max(self.batch_seconds)
    }

    /// What both parts cost; `None` where it is not known.
    pub(super) fn cost(&self) -> Option<Money> {
        let part =
            |rows: u64, cost: Option<Money>| if rows == 0 { Some(Money::ZERO) } else { cost };
        Some(part(self.live, self.live_cost)? + part(self.batch, self.batch_cost)?)
    }

    /// In time first, then the cheapest, then the soonest; of those that are late the soonest.
    pub(super) fn better(&self, other: &Split) -> Ordering {
        let by_cost = || match (self.cost(), other.cost()) {
            (Some(own), Some(its)) if self.is_priced => own.cmp(&its),
            // What is not known is not taken for cheap.
            _ => Ordering::Equal,
        };
        let by_time = || self.seconds().total_cmp(&other.seconds());
        let by_rank = self.rank.cmp(&other.rank);
        by_rank
            .then_with(|| if self.rank == Rank::Late { by_time() } else { by_cost() })
            .then_with(|| if self.rank == Rank::Late { by_cost() } else { by_time() })
            .then_with(|| self.batch.cmp(&other.batch))
    }
}

/// How often the server's queue has to be filled for so many rows.
fn waves(group: &Group, rows: u64) -> u64 {
    let tokens = group.share(group.queue.needed, rows);
    match group.queue.limit {
        _ if rows == 0 => 0,
        None => 1,
        Some(limit) => {
            let room = limit.saturating_sub(group.queue.taken);
            // What finds no room waits for what is in the queue.
            1 + tokens.saturating_sub(room).div_ceil(limit.max(1))
        }
    }
}

/// The largest number of rows up to `most` that fits, where each smaller one does.
fn largest(most: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = high - (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// The splits of a group that are worth a look: none, all, and those at which something changes.
pub(super) fn splits(group: &Group, deadline: Option<f64>, thresholds: &Thresholds) -> Vec<Split> {
    let of = |batch| Split::of(group, batch, deadline, thresholds);
    if !group.takes_batches || group.rows < thresholds.batch_rows {
        return vec![of(0)];
    }
    let mut counts = vec![0, group.rows];
    if let Some(deadline) = deadline {
        let by_batch = |rows| of(rows).batch_seconds;
        counts.push(largest(group.rows, |rows| by_batch(rows) <= deadline));
        counts.push(largest(group.rows, |rows| by_batch(rows) + of(rows).fallback <= deadline));
        let guarded = |rows| rows == 0 || of(rows).rank == Rank::Guarded;
        counts.push(largest(group.rows, guarded));
        // The fewest by batch with which the others are done in time.
        counts.push(
            group.rows - largest(group.rows, |live| of(group.rows - live).live_seconds <= deadline),
        );
    }
    // What fits the queue at once.
    counts.push(largest(group.rows, |rows| waves(group, rows) <= 1));
    counts.retain(|rows| *rows == 0 || *rows >= thresholds.batch_rows);
    counts.sort_unstable();
    counts.dedup();
    counts.into_iter().map(of).collect()
}
