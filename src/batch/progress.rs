//! Where batches stand, and what they did.

use super::part::{Date, Job, Part, State};
use crate::bulk::Summary;
use crate::usage::Money;
use serde::Serialize;
use std::time::Duration;

/// Where a job stands.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BatchProgress {
    /// Rows of the input, if they were counted.
    pub total: Option<u64>,
    /// Rows that were done before.
    pub done_before: u64,
    /// Rows that were answered by this run.
    pub succeeded: u64,
    /// Rows that failed in this run.
    pub failed: u64,
    /// What the answers cost so far, as far as it is known.
    pub cost: Money,
    /// What counts against the cap so far, if money is capped.
    pub counted: Option<Money>,
    /// The cap, if money is capped.
    pub max_cost: Option<Money>,
    /// Since the start.
    pub elapsed: Duration,
    /// The parts, in the order of their numbers.
    pub parts: Vec<PartProgress>,
}

/// Where a part stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartProgress {
    /// The name of its job.
    pub job: String,
    /// Its number in the job.
    pub part: u32,
    /// Its model.
    pub model: String,
    /// Its rows.
    pub rows: u64,
    /// How far it has come.
    pub state: &'static str,
    /// The server's word for it.
    pub status: Option<String>,
    /// Its batch.
    pub batch_id: Option<String>,
    /// Rows that the server has worked off so far, by its own count.
    pub worked_off: u64,
    /// Seconds since its batch was made.
    pub age_seconds: Option<u64>,
    /// Seconds since the server's count was seen to change last.
    pub still_seconds: Option<u64>,
    /// Seconds until its batch is expected to end: as fast as it went so far, or when it expires.
    pub expected_seconds: Option<u64>,
    /// Rows that were answered.
    pub succeeded: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Rows that went into another part, or stay to be done.
    pub left: u64,
    /// What went wrong last.
    pub trouble: Option<String>,
}

impl PartProgress {
    /// Where a part stands at a date.
    pub(super) fn of(job: &Job, part: &Part, now: Date) -> PartProgress {
        let is_running = part.state == State::Running;
        PartProgress {
            job: job.name.clone(),
            part: part.number,
            model: part.model.clone(),
            rows: part.rows,
            state: part.state.name(),
            status: part.status.clone(),
            batch_id: part.batch_id.clone(),
            worked_off: part.counts.completed + part.counts.failed,
            age_seconds: part.created.map(|at| now.saturating_sub(at) / 1_000),
            still_seconds: part.moved.map(|at| now.saturating_sub(at) / 1_000),
            expected_seconds: part
                .expected(now)
                .filter(|_| is_running)
                .map(|at| at.saturating_sub(now) / 1_000),
            succeeded: part.succeeded,
            failed: part.failed,
            left: part.left,
            trouble: part.trouble.clone(),
        }
    }

    /// Whether nothing more comes of its rows.
    pub fn is_over(&self) -> bool {
        State::named(self.state).is_some_and(State::is_over)
    }
}

impl BatchProgress {
    /// Rows that need nothing more.
    pub fn done(&self) -> u64 {
        self.done_before + self.succeeded + self.failed
    }
}

/// What a run by batches did: that of any run, and its parts.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct BatchSummary {
    /// What every run tells.
    #[serde(flatten)]
    pub run: Summary,
    /// The parts that this run worked on. Of each, the rows are those that succeeded, failed and
    /// are left together.
    pub parts: Vec<PartProgress>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::Counts;

    #[test]
    fn the_end_is_expected_at_the_pace_so_far_but_not_after_the_batch_expires() {
        let mut part = Part {
            created: Some(0),
            expires: Some(86_400_000),
            state: State::Running,
            ..Part::default()
        };
        assert_eq!(part.expected(10_000), Some(86_400_000), "nothing is known yet");
        part.counts = counts(100, 20, 5);
        assert_eq!(part.expected(10_000), Some(40_000));
        part.counts = counts(1_000_000, 1, 0);
        assert_eq!(part.expected(10_000), Some(86_400_000));
        let told = PartProgress::of(&Job::default(), &part, 10_000);
        assert_eq!((told.age_seconds, told.expected_seconds), (Some(10), Some(86_390)));
    }

    fn counts(total: u64, completed: u64, failed: u64) -> Counts {
        let mut counts = Counts::default();
        (counts.total, counts.completed, counts.failed) = (total, completed, failed);
        counts
    }
}
