//! The situation of a run: its rows, its limits, and the history of its batches.

use super::situation::{ASSUMED_LATENCY, Group, LiveSpeed, Queue, Situation};
use crate::api::LimitGroups;
use crate::batch::{Batches, Job, Part, Store};
use crate::bulk::estimate::{Estimate, GroupEstimate};
use crate::dispatch::Limits;
use crate::error::Result;
use crate::usage::Money;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long the batches took that have ended, by model and endpoint, of the jobs that `is_own`
/// chooses. One that expired took its whole window; of one that was cancelled it is only known that
/// it took so long at least, and it counts with that.
///
/// # Errors
/// When the store cannot be read.
pub fn history(
    store: &Store,
    is_own: impl Fn(&Job) -> bool,
) -> Result<BTreeMap<(String, String), Vec<Duration>>> {
    let mut found = BTreeMap::<_, Vec<Duration>>::new();
    for job in store.jobs()?.iter().filter(|job| is_own(job)) {
        for part in store.parts(job.id)? {
            if let Some(time) = time_of(&part) {
                found.entry((part.model, part.endpoint)).or_default().push(time);
            }
        }
    }
    Ok(found)
}

fn time_of(part: &Part) -> Option<Duration> {
    Some(Duration::from_millis(part.ended?.saturating_sub(part.created?)))
}

/// The tokens of the server's queue that a group needs, by the estimate that batches use.
fn queue_tokens(group: &GroupEstimate) -> u64 {
    crate::batch::queue_tokens(usize::try_from(group.bytes).unwrap_or(usize::MAX))
}

/// What is known besides the rows.
pub(super) struct Outlook<'a> {
    pub(super) batches: &'a Batches,
    pub(super) limits: Limits,
    pub(super) groups: LimitGroups,
}

impl Outlook<'_> {
    /// The situation of the rows that are to be sent.
    pub(super) fn situation(
        &self,
        estimate: &Estimate,
        deadline: Option<Duration>,
        cap: Option<Money>,
    ) -> Result<Situation> {
        let is_own = |job: &Job| self.batches.check_account(job).is_ok();
        let history = history(self.batches.store(), is_own)?;
        let mut rows_of = HashMap::<Arc<str>, u64>::new();
        for each in &estimate.groups {
            *rows_of.entry(self.groups.group(&each.model)).or_default() += each.rows;
        }
        let mut groups = Vec::new();
        for each in &estimate.groups {
            let all = rows_of[&self.groups.group(&each.model)];
            let (limit, taken) = self.batches.queue(&each.model)?;
            let key = (each.model.clone(), each.endpoint.clone());
            let output = each.sums.output_tokens.expected;
            let whole = |cost: &crate::bulk::estimate::CostRange| {
                cost.expected.filter(|_| cost.rows_without_price == 0)
            };
            groups.push(Group {
                model: each.model.clone(),
                endpoint: each.endpoint.clone(),
                rows: each.rows,
                tokens: each.input_tokens.saturating_add(output),
                live_cost: whole(&each.sums.live),
                batch_cost: whole(&each.sums.batch),
                takes_batches: crate::batch::takes_batches(&each.endpoint),
                speed: speed(&self.limits, each.rows, all),
                queue: Queue { limit, taken, needed: queue_tokens(each) },
                history: history.get(&key).cloned().unwrap_or_default(),
            });
        }
        Ok(Situation { groups, deadline, cap, under_way: estimate.rows.under_way })
    }
}

/// The speed of a group that has `rows` of the `all` rows that share a limit.
pub(super) fn speed(limits: &Limits, rows: u64, all: u64) -> LiveSpeed {
    let part = |limit: Option<f64>| {
        limit.map(|limit| ((limit * rows as f64 / all.max(1) as f64) as u64).max(1))
    };
    LiveSpeed {
        requests_per_minute: part(limits.requests_per_minute),
        tokens_per_minute: part(limits.tokens_per_minute),
        requests_per_day: part(limits.requests_per_day),
        tokens_per_day: part(limits.tokens_per_day),
        latency: ASSUMED_LATENCY,
        concurrency: limits.max_concurrency as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_share_a_limit_share_its_speed() {
        let limits =
            Limits { requests_per_minute: Some(600.0), max_concurrency: 8, ..Limits::default() };
        assert_eq!(speed(&limits, 100, 300).requests_per_minute, Some(200));
        assert_eq!(speed(&limits, 300, 300).requests_per_minute, Some(600));
        assert_eq!(speed(&limits, 300, 300).concurrency, 8);
        assert!(speed(&Limits::default(), 1, 1).is_assumed());
    }

    #[test]
    fn only_batches_that_have_ended_are_history() {
        let mut part = Part { created: Some(1_000), ..Part::default() };
        assert_eq!(time_of(&part), None);
        part.ended = Some(61_000);
        assert_eq!(time_of(&part), Some(Duration::from_secs(60)));
    }
}
