//! What a plan is made of.

use crate::bulk::estimate::Limits;
use crate::usage::Money;
use serde::Serialize;
use std::time::Duration;

/// The requests a minute that are expected where no limit is known. Source: own choice; the limit
/// of the first paid tier at OpenAI, so that a plan hopes for rather too little.
pub const ASSUMED_REQUESTS_PER_MINUTE: u64 = 500;

/// The time until an answer that is expected. Source: own choice; some hundred tokens of a small
/// model.
pub const ASSUMED_LATENCY: Duration = Duration::from_secs(5);

/// By what a plan decides.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Thresholds {
    /// The fewest rows of one model and endpoint that go by batch. Default: 100 rows, by own choice.
    pub batch_rows: u64,
    /// How long a batch is expected to take before any has ended. Default: 4 hours, by own choice.
    pub batch_time: Duration,
    /// The share of earlier batches that would have been in time, for a new one to be expected to
    /// be. Default: 0.95, by own choice.
    pub in_time: f64,
    /// How much more than its expected time is kept for sending live what batches leave. Default:
    /// 0.5 of that time, by own choice.
    pub margin: f64,
    /// The time that is kept for cancelling batches. Default: 10 minutes, by the API reference.
    pub cancel_time: Duration,
    /// Whether rows of a late batch are sent live while it is still being cancelled; some may be
    /// paid twice. Default: no, by own choice.
    pub allow_double: bool,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            batch_rows: 100,
            batch_time: Duration::from_secs(4 * 3_600),
            in_time: 0.95,
            margin: 0.5,
            cancel_time: Duration::from_secs(600),
            allow_double: false,
        }
    }
}

/// Rows that are to be sent, and all that decides how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    /// The rows of each model and endpoint.
    pub groups: Vec<Group>,
    /// The time that is left; `None` where it does not matter.
    pub deadline: Option<Duration>,
    /// What may still be spent; `None` where it does not matter.
    pub cap: Option<Money>,
    /// Rows that are under way in batches already, and stay there.
    pub under_way: u64,
}

/// The rows of one model for one endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// The model.
    pub model: String,
    /// The endpoint, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// How many rows there are.
    pub rows: u64,
    /// The tokens that they read and are expected to write.
    pub tokens: u64,
    /// What they are expected to cost sent now; `None` where a price is not known.
    pub live_cost: Option<Money>,
    /// What they are expected to cost in batches; `None` where a price is not known.
    pub batch_cost: Option<Money>,
    /// Whether the endpoint takes batches.
    pub takes_batches: bool,
    /// How fast rows go now.
    pub speed: LiveSpeed,
    /// What the server's queue takes.
    pub queue: Queue,
    /// How long earlier batches took.
    pub history: Vec<Duration>,
}

/// How fast rows go that are sent now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveSpeed {
    /// Requests a minute, if a limit is known.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, if a limit is known.
    pub tokens_per_minute: Option<u64>,
    /// Requests a day, if a limit is known.
    pub requests_per_day: Option<u64>,
    /// Tokens a day, if a limit is known.
    pub tokens_per_day: Option<u64>,
    /// The time until an answer.
    pub latency: Duration,
    /// How many requests may be in flight; 0 means any number.
    pub concurrency: u64,
}

/// The server's queue for the input tokens of batches of one model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// What it takes, if that is known.
    pub limit: Option<u64>,
    /// What is in it already.
    pub taken: u64,
    /// What all rows of the group need.
    pub needed: u64,
}

/// Where the expected time of a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BatchTime {
    /// So many batches of the same account and model.
    History(u64),
    /// None has ended yet: the threshold.
    Assumed,
}

impl LiveSpeed {
    /// Whether no limit is known that says how fast rows go.
    pub fn is_assumed(&self) -> bool {
        self.requests_per_minute.is_none() && self.tokens_per_minute.is_none()
    }

    /// The seconds that so many requests take, which use so many tokens together.
    pub fn seconds(&self, requests: u64, tokens: u64) -> f64 {
        if requests == 0 {
            return 0.0;
        }
        let assumed = self.is_assumed().then_some(ASSUMED_REQUESTS_PER_MINUTE);
        let limits = Limits {
            requests_per_minute: self.requests_per_minute.or(assumed),
            tokens_per_minute: self.tokens_per_minute,
            requests_per_day: self.requests_per_day,
            tokens_per_day: self.tokens_per_day,
        };
        let allowed = limits.minutes(requests, Some(tokens)).unwrap_or(0.0) * 60.0;
        let turns = if self.concurrency == 0 { 1 } else { requests.div_ceil(self.concurrency) };
        allowed.max(self.latency.as_secs_f64() * turns as f64)
    }
}

impl Group {
    /// The seconds in which a batch is expected to end, and where that is known from.
    pub fn batch_seconds(&self, thresholds: &Thresholds) -> (f64, BatchTime) {
        if self.history.is_empty() {
            return (thresholds.batch_time.as_secs_f64(), BatchTime::Assumed);
        }
        let mut times = self.history.clone();
        times.sort_unstable();
        let rank = (thresholds.in_time * times.len() as f64).ceil() as usize;
        let time = times[rank.clamp(1, times.len()) - 1];
        (time.as_secs_f64(), BatchTime::History(times.len() as u64))
    }

    /// `whole` is that of all rows; how much of it falls to `rows` of them.
    pub(super) fn share(&self, whole: u64, rows: u64) -> u64 {
        let part = u128::from(whole) * u128::from(rows) / u128::from(self.rows.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}
