//! What a run did: counted while it goes on, told at its end.

use super::distribution::{Distribution, Percentiles};
use super::{Costs, Timeline};
use crate::clock::Time;
use crate::dispatch::{Adjustment, AnsweredBy, Facts, Held, HeldBack, Reply};
use crate::error::{Error, fault_name};
use crate::wire::answer::RawUsage;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The version of the summary's shape; it rises when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// What a run did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Summary {
    /// Version of this shape.
    pub schema: u32,
    /// How the run ended.
    pub status: Status,
    /// Why it ended early, if it did.
    pub stopped_by: Option<String>,
    /// Rows by what became of them.
    pub rows: Rows,
    /// Attempts: every request that was sent.
    pub attempts: Attempts,
    /// Tokens of the answers, as the server counted them.
    pub tokens: Tokens,
    /// What it cost.
    pub cost: Costs,
    /// From start to end, in seconds.
    pub wall_seconds: f64,
    /// What was sent a minute, against the limits.
    pub rate: Rate,
    /// Seconds from the first byte sent to the last byte received, of the attempts that were
    /// answered.
    pub server_seconds: Percentiles,
    /// Seconds that answered rows spent outside of exchanges: in the gate and between attempts.
    pub waiting_seconds: Percentiles,
    /// The share of the run that each cause held it back, from 0 to 1.
    pub held_back: BTreeMap<Cow<'static, str>, f64>,
    /// How the limits changed, oldest first: the latest thousand changes.
    pub limit_changes: Vec<LimitChange>,
    /// Earlier changes that were too many to keep.
    pub limit_changes_dropped: u64,
    /// How the run went over time. It is without points in summaries of earlier versions.
    pub timeline: Timeline,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Every row has its line.
    #[default]
    Finished,
    /// The user interrupted it.
    Interrupted,
    /// The account or the server ended it.
    Stopped,
    /// What is left may cost more than the cap of money or tokens allows.
    Capped,
}

/// Rows by what became of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Rows {
    /// Rows of the input, as far as it was read.
    pub total: u64,
    /// Answered by an earlier run.
    pub done_before: u64,
    /// Answered by this run.
    pub succeeded: u64,
    /// Of those, answered by the cache of answers: nothing was sent.
    pub from_cache: u64,
    /// Of those, answered with another row that asked the same at the same time.
    pub shared: u64,
    /// Failed in this run, lines that are not valid among them.
    pub failed: u64,
    /// Not sent, or not answered for a cause that ended the run: they stay to be done.
    pub not_sent: u64,
    /// Failures by kind: the server's code or status, or what broke.
    pub failed_by_kind: BTreeMap<String, u64>,
}

/// Every request that was sent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Attempts {
    /// All of them.
    pub total: u64,
    /// Those after a row's first.
    pub retries: u64,
    /// Those that the server refused for a rate limit.
    pub refused: u64,
    /// Those that may have been billed though no answer came.
    pub maybe_billed: u64,
    /// Those that were sent beside one that took long; they are no retries.
    pub hedges: u64,
}

/// Tokens, as the server counted them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Tokens {
    /// Of the requests.
    pub input: u64,
    /// Of the requests, served from the server's cache; part of `input`.
    pub cached_input: u64,
    /// Of the answers.
    pub output: u64,
    /// Of the answers, spent on reasoning; part of `output`.
    pub reasoning: u64,
    /// All together.
    pub total: u64,
}

impl Tokens {
    /// Adds those of an answer. Servers may report any number, and a sum ends at the largest one.
    fn add(&mut self, usage: &RawUsage) {
        for (sum, more) in [
            (&mut self.input, usage.input),
            (&mut self.cached_input, usage.cached),
            (&mut self.output, usage.output),
            (&mut self.reasoning, usage.reasoning),
            (&mut self.total, usage.total),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What was sent a minute, against the limits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Rate {
    /// Attempts a minute over the whole run.
    pub requests_per_minute: f64,
    /// Tokens a minute over the whole run.
    pub tokens_per_minute: f64,
    /// The limits that were in force at the end, by limit group.
    pub limits: BTreeMap<String, Limit>,
}

/// The limits of one group, where they are known.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Limit {
    /// Requests a minute.
    pub requests_per_minute: Option<f64>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<f64>,
}

impl Limit {
    pub(super) fn new((requests, tokens): (Option<f64>, Option<f64>)) -> Limit {
        Limit { requests_per_minute: requests, tokens_per_minute: tokens }
    }
}

/// A change of a limit during the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LimitChange {
    /// When, in seconds since the start.
    pub seconds: f64,
    /// The limit group.
    pub group: String,
    /// What was changed: `requests_per_minute`, `tokens_per_minute` or `concurrency`.
    pub limit: Cow<'static, str>,
    /// Its value from then on.
    pub to: f64,
    /// Why.
    pub reason: Cow<'static, str>,
}

impl LimitChange {
    pub(super) fn new(change: &Adjustment, started: Time) -> LimitChange {
        LimitChange {
            seconds: change.at.since(started).as_secs_f64(),
            group: change.group.to_string(),
            limit: change.quantity.name().into(),
            to: change.to,
            reason: change.reason.into(),
        }
    }
}

/// Counts a run while it goes on.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rows by what became of them.
    pub rows: Rows,
    /// Every request that was sent.
    pub attempts: Attempts,
    /// Tokens of the answers.
    pub tokens: Tokens,
    /// What they cost.
    pub costs: Costs,
    server: Distribution,
    waiting: Distribution,
}

impl Rows {
    /// Rows that this run answered without sending anything.
    pub fn unsent(&self) -> u64 {
        self.from_cache + self.shared
    }

    /// The other rows that this run is done with.
    pub fn sent(&self) -> u64 {
        self.succeeded + self.failed - self.unsent()
    }
}

impl Tally {
    /// Counts a row that was sent, or failed before it could be.
    pub fn count(&mut self, result: &Result<Reply, Error>, facts: &Facts) {
        self.attempts.total += u64::from(facts.attempts);
        self.attempts.retries += u64::from(facts.attempts.saturating_sub(1 + facts.hedges));
        self.attempts.hedges += u64::from(facts.hedges);
        self.attempts.refused += u64::from(facts.refusals);
        self.attempts.maybe_billed += u64::from(facts.maybe_billed);
        self.costs.doubt(facts);
        match result {
            Ok(reply) => {
                self.rows.succeeded += 1;
                match facts.answered_by {
                    AnsweredBy::Cache => self.rows.from_cache += 1,
                    AnsweredBy::Twin => self.rows.shared += 1,
                    AnsweredBy::Server => {}
                }
                self.costs.answer(reply);
                // The answers of a batch have neither.
                if facts.attempts > 0 {
                    self.server.record(facts.latency);
                    self.waiting.record(facts.waited);
                }
                if let Some(usage) = reply.used() {
                    self.tokens.add(usage);
                }
            }
            Err(Error::Cancelled) => self.rows.not_sent += 1,
            // What concerns the account says nothing of the row, which stays to be done.
            Err(error) if error.is_fatal_for_run() => self.rows.not_sent += 1,
            Err(error) => {
                self.rows.failed += 1;
                *self.rows.failed_by_kind.entry(kind(error)).or_default() += 1;
            }
        }
    }

    /// The summary of everything counted so far.
    pub fn summary(&self, wall: Duration, held: &HeldBack) -> Summary {
        let minutes = wall.as_secs_f64().max(1e-9) / 60.0;
        Summary {
            schema: SCHEMA,
            rows: self.rows.clone(),
            attempts: self.attempts,
            tokens: self.tokens,
            cost: self.costs.clone(),
            wall_seconds: wall.as_secs_f64(),
            rate: Rate {
                requests_per_minute: self.attempts.total as f64 / minutes,
                tokens_per_minute: self.tokens.total as f64 / minutes,
                limits: BTreeMap::new(),
            },
            server_seconds: self.server.percentiles(),
            waiting_seconds: self.waiting.percentiles(),
            held_back: Held::ALL
                .iter()
                .map(|&cause| (cause.name().into(), held.share(cause)))
                .collect(),
            ..Summary::default()
        }
    }
}

/// A short, stable name for a failure: the server's code, or its status, or what broke.
pub fn kind(error: &Error) -> String {
    match error {
        Error::Api(e) | Error::RateLimit(e) => {
            fault_name(e.status, e.code.as_deref().or(e.kind.as_deref()))
        }
        Error::Timeout(_) => "timeout".into(),
        Error::Validation(_) => "invalid_line".into(),
        Error::Decode(_) => "invalid_answer".into(),
        Error::CircuitOpen(_) => "circuit_open".into(),
        Error::OverCap(_) => "over_cap".into(),
        Error::Cancelled => "cancelled".into(),
        Error::Stream(e) => kind(&e.cause),
        Error::Transport(e) => e.kind.name().into(),
        Error::Partial(_) | Error::File(_) | Error::Tool(_) => "error".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::answer::Peek;
    use crate::wire::headers::RateReport;

    #[test]
    fn a_server_that_reports_any_number_breaks_no_sum() {
        let usage = RawUsage {
            input: u64::MAX,
            cached: u64::MAX,
            output: u64::MAX,
            reasoning: u64::MAX,
            total: u64::MAX,
            ..RawUsage::default()
        };
        let reply = Reply {
            status: 200,
            body: Vec::new(),
            request_id: None,
            peek: Peek { usage: Some(usage), ..Peek::default() },
            report: RateReport::default(),
            cost: None,
            asked: None,
            counted: None,
            facts: Facts::default(),
        };
        let mut tally = Tally::default();
        for _ in 0..3 {
            tally.count(&Ok(reply.clone()), &Facts::default());
        }
        let summary = tally.summary(Duration::from_secs(1), &HeldBack::default());
        assert_eq!((summary.tokens.total, summary.tokens.cached_input), (u64::MAX, u64::MAX));
        assert_eq!(summary.cost.by_model[""]["standard"].output, u64::MAX);
        assert_eq!((summary.rows.succeeded, summary.cost.unpriced), (3, 3));
    }
}
