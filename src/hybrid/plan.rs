//! What goes now and what by batch, and why. Nothing here acts.

use super::situation::{BatchTime, Group, Situation, Thresholds};
use super::weigh::{Rank, Split, splits};
use super::why::{Alternative, Reason, WhyNot};
use crate::usage::Money;
use serde::Serialize;

/// The version of the plan's shape; it rises when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// What goes now and what by batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// Version of this shape.
    pub schema: u32,
    /// The rows of each model and endpoint.
    pub shares: Vec<Share>,
    /// Whether it is in time and within the cap.
    pub verdict: Verdict,
    /// What it is expected to cost; `None` where a price is not known.
    pub cost: Option<Money>,
    /// The seconds in which it is expected to be done.
    pub seconds: f64,
    /// The time that was left, in seconds, if it matters.
    pub deadline_seconds: Option<f64>,
    /// What could still be spent, if it matters.
    pub cap: Option<Money>,
    /// Rows that were under way in batches already.
    pub under_way: u64,
    /// Seconds since an earlier plan for the same output was begun, which a run goes on with: what
    /// it has put into batches stays there, and everything else goes live.
    pub begun_seconds_ago: Option<f64>,
    /// Rows that the cache of answers has; they are in no share.
    pub from_cache: u64,
    /// The plan against all live and all by batch.
    pub alternatives: Vec<Alternative>,
}

/// Whether a plan is in time and within the cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// In time, also if the batches do nothing: what they leave is then sent live.
    #[default]
    Guarded,
    /// In time if the batches are as fast as they are expected to be; there is no time to send live
    /// all that they would leave.
    InTime,
    /// Nothing is in time: this is the soonest.
    Late,
    /// Even the cheapest way is expected to cost more than the cap: the run will end early.
    OverCap,
}

/// What becomes of the rows of one model and endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Share {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// Rows that are sent now.
    pub live_rows: u64,
    /// Rows that go by batch.
    pub batch_rows: u64,
    /// What the rows cost that are sent now; `None` where that is not known.
    pub live_cost: Option<Money>,
    /// What the rows cost that go by batch; `None` where that is not known.
    pub batch_cost: Option<Money>,
    /// The seconds that the rows take that are sent now.
    pub live_seconds: f64,
    /// The seconds until the batches are expected to have ended.
    pub batch_seconds: f64,
    /// The seconds that are kept for cancelling the batches and sending their rows live.
    pub fallback_seconds: f64,
    /// Whether no limit is known, so that the speed of sending live is an assumption.
    pub speed_is_assumed: bool,
    /// The seconds in which one batch is expected to end.
    pub batch_time: f64,
    /// Where that is known from.
    pub batch_time_from: BatchTime,
    /// Why it is so.
    pub reasons: Vec<Reason>,
}

impl Plan {
    /// Rows that are sent now.
    pub fn live_rows(&self) -> u64 {
        self.shares.iter().map(|share| share.live_rows).sum()
    }

    /// Rows that go by batch.
    pub fn batch_rows(&self) -> u64 {
        self.shares.iter().map(|share| share.batch_rows).sum()
    }
}

/// The cheapest way to be done in time: in time first, then the cheapest, then the soonest. A cap
/// goes before the deadline, because a run ends at it.
pub fn plan(situation: &Situation, thresholds: &Thresholds) -> Plan {
    let deadline = situation.deadline.map(|time| time.as_secs_f64());
    let choices: Vec<Vec<Split>> =
        situation.groups.iter().map(|group| splits(group, deadline, thresholds)).collect();
    let best = |all: &[Split]| *all.iter().min_by(|a, b| a.better(b)).expect("none is one of them");
    let wished: Vec<Split> = choices.iter().map(|all| best(all)).collect();
    let chosen = within_cap(&wished, &choices, situation.cap);
    let (cost, wished_cost) = (sum(&chosen), sum(&wished));
    let is_over = cost.zip(situation.cap).is_some_and(|(cost, cap)| cost > cap);
    let rank = chosen.iter().map(|split| split.rank).max().unwrap_or(Rank::Guarded);
    let shares = situation.groups.iter().zip(&wished).zip(&chosen);
    let shares: Vec<Share> = shares
        .map(|((group, wished), chosen)| {
            let mut share = share_of(group, chosen, thresholds);
            let capped = situation.cap.filter(|_| wished != chosen).zip(wished_cost);
            share.reasons = reasons(group, chosen, deadline, thresholds);
            if let Some((cap, otherwise)) = capped {
                // It is the cap that keeps it from being in time.
                share.reasons.retain(|reason| !matches!(reason, Reason::NothingInTime { .. }));
                share.reasons.insert(0, Reason::CapAllowsOnly { cap, otherwise });
            }
            share
        })
        .collect();
    Plan {
        schema: SCHEMA,
        shares,
        verdict: match rank {
            _ if is_over => Verdict::OverCap,
            Rank::Guarded => Verdict::Guarded,
            Rank::InTime => Verdict::InTime,
            Rank::Late => Verdict::Late,
        },
        cost,
        seconds: seconds(&chosen),
        deadline_seconds: deadline,
        cap: situation.cap,
        under_way: situation.under_way,
        begun_seconds_ago: None,
        from_cache: 0,
        alternatives: alternatives(situation, &chosen, deadline, thresholds),
    }
}

/// The wished splits, or cheaper ones where those together cost more than the cap.
fn within_cap(wished: &[Split], choices: &[Vec<Split>], cap: Option<Money>) -> Vec<Split> {
    let mut chosen = wished.to_vec();
    let is_over = |chosen: &[Split]| cap.zip(sum(chosen)).is_some_and(|(cap, cost)| cost > cap);
    for at in 0..chosen.len() {
        if !is_over(&chosen) {
            break;
        }
        let cheapest = choices[at].iter().filter(|split| split.cost().is_some());
        let cheapest = cheapest.min_by_key(|split| split.cost());
        chosen[at] = cheapest.copied().unwrap_or(chosen[at]);
    }
    chosen
}

fn sum(splits: &[Split]) -> Option<Money> {
    splits.iter().map(Split::cost).try_fold(Money::ZERO, |sum, cost| Some(sum + cost?))
}

fn seconds(splits: &[Split]) -> f64 {
    splits.iter().map(Split::seconds).fold(0.0, f64::max)
}

fn share_of(group: &Group, split: &Split, thresholds: &Thresholds) -> Share {
    Share {
        model: group.model.clone(),
        endpoint: group.endpoint.clone(),
        live_rows: split.live,
        batch_rows: split.batch,
        live_cost: split.live_cost.filter(|_| split.live > 0),
        batch_cost: split.batch_cost.filter(|_| split.batch > 0),
        live_seconds: split.live_seconds,
        batch_seconds: split.batch_seconds,
        fallback_seconds: split.fallback,
        speed_is_assumed: group.speed.is_assumed(),
        batch_time: group.batch_seconds(thresholds).0,
        batch_time_from: group.batch_seconds(thresholds).1,
        reasons: Vec::new(),
    }
}

/// Why a split is as it is.
fn reasons(
    group: &Group,
    split: &Split,
    deadline: Option<f64>,
    thresholds: &Thresholds,
) -> Vec<Reason> {
    if group.rows == 0 {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    if let Some(deadline) = deadline.filter(|_| split.rank == Rank::Late) {
        reasons.push(Reason::NothingInTime { deadline });
    }
    if !group.takes_batches {
        reasons.push(Reason::NoBatches);
        return reasons;
    }
    if group.rows < thresholds.batch_rows {
        reasons.push(Reason::TooFewRows { rows: group.rows, least: thresholds.batch_rows });
        return reasons;
    }
    let all = Split::of(group, group.rows, deadline, thresholds);
    if split.batch > 0 {
        let none = Split::of(group, 0, deadline, thresholds);
        match none.cost().zip(split.cost()) {
            Some((live, cost)) if live > cost => {
                reasons.push(Reason::Cheaper { saved: live.less(cost) });
            }
            None => reasons.push(Reason::PriceUnknown),
            _ => {}
        }
        if let Some(deadline) = deadline.filter(|_| none.rank == Rank::Late) {
            reasons.push(Reason::LiveTooLate { expected: none.seconds(), deadline });
        }
    }
    if split.live == 0 {
        return reasons;
    }
    match group.live_cost.zip(group.batch_cost) {
        None if split.batch == 0 => reasons.push(Reason::PriceUnknown),
        Some((live, batch)) if live <= batch && split.batch == 0 => reasons.push(Reason::NoSaving),
        _ => {
            reasons.extend(deadline.map(|deadline| limit(group, split, &all, deadline, thresholds)))
        }
    }
    reasons
}

/// What keeps more rows from going by batch.
fn limit(
    group: &Group,
    split: &Split,
    all: &Split,
    deadline: f64,
    thresholds: &Thresholds,
) -> Reason {
    let one = group.batch_seconds(thresholds).0;
    // One batch would be in time, and several after one another are not.
    if let Some(limit) = group.queue.limit
        && one + all.fallback <= deadline
        && all.batch_seconds > one
    {
        let room = limit.saturating_sub(group.queue.taken);
        return Reason::QueueRoom { room, needed: group.queue.needed };
    }
    match split.batch {
        0 => Reason::BatchTooLate { expected: all.batch_seconds, deadline, kept: all.fallback },
        rows => Reason::DeadlineAllows { rows },
    }
}

fn alternatives(
    situation: &Situation,
    chosen: &[Split],
    deadline: Option<f64>,
    thresholds: &Thresholds,
) -> Vec<Alternative> {
    let groups = &situation.groups;
    let split = |batch: fn(&Group) -> u64| -> Vec<Split> {
        groups.iter().map(|g| Split::of(g, batch(g), deadline, thresholds)).collect()
    };
    let live = split(|_| 0);
    let batch = split(|group| if group.takes_batches { group.rows } else { 0 });
    let is_worthwhile = |group: &Group| group.takes_batches && group.rows >= thresholds.batch_rows;
    let can_batch = groups.iter().all(is_worthwhile);
    let describe = |name, splits: &[Split]| Alternative {
        name,
        live_rows: splits.iter().map(|split| split.live).sum(),
        batch_rows: splits.iter().map(|split| split.batch).sum(),
        cost: sum(splits),
        seconds: seconds(splits),
        why_not: None,
    };
    let against = |name, splits: &[Split], is_possible: bool| {
        let mut told = describe(name, splits);
        if splits != chosen {
            told.why_not = why_not(splits, chosen, situation.cap, deadline, is_possible);
        }
        told
    };
    vec![
        describe("chosen", chosen),
        against("all live", &live, true),
        against("all batch", &batch, can_batch),
    ]
}

fn why_not(
    splits: &[Split],
    chosen: &[Split],
    cap: Option<Money>,
    deadline: Option<f64>,
    is_possible: bool,
) -> Option<WhyNot> {
    let worst = |splits: &[Split]| splits.iter().map(|split| split.rank).max();
    let (own, its) = (worst(splits), worst(chosen));
    let (cost, least) = (sum(splits), sum(chosen));
    let longer = seconds(splits) - seconds(chosen);
    Some(match (cost, cap, deadline) {
        (Some(cost), Some(cap), _) if cost > cap && least.is_some_and(|least| least <= cap) => {
            WhyNot::OverCap
        }
        (_, _, Some(deadline)) if own > its && own == Some(Rank::Late) => {
            WhyNot::Late { seconds: seconds(splits) - deadline }
        }
        _ if !is_possible => WhyNot::NotWorthwhile,
        _ if own > its => WhyNot::NoTimeForTheRest,
        (Some(cost), ..) if least.is_some_and(|least| cost > least) => {
            WhyNot::Dearer { by: cost.less(least.unwrap_or_default()) }
        }
        _ if longer > 0.0 => WhyNot::Slower { seconds: longer },
        _ => return None,
    })
}
