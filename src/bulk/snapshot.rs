//! Where a run stands, for a live line.

use super::costs::share;
use crate::clock::Time;
use crate::dispatch::Held;
use crate::usage::Money;
use std::collections::VecDeque;
use std::time::Duration;

/// Where a run stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Rows of the input, if they have been counted.
    pub total: Option<u64>,
    /// Rows that an earlier run answered, as far as the input was read.
    pub done_before: u64,
    /// Rows that this run answered.
    pub succeeded: u64,
    /// Rows that failed in this run.
    pub failed: u64,
    /// Rows that this run answered without sending anything: from the cache, or with another row.
    pub unsent: u64,
    /// Attempts that the server refused for a rate limit.
    pub refused: u64,
    /// What the answers of this run cost so far, as far as their prices are known.
    pub cost: Money,
    /// Answers whose price is not known; with any, `cost` is a lower bound.
    pub unpriced: u64,
    /// What counts against the cap so far, earlier runs included, if money is capped.
    pub counted: Option<Money>,
    /// The most that may be spent, if money is capped.
    pub max_cost: Option<Money>,
    /// Requests in flight.
    pub in_flight: usize,
    /// Rows that wait to be tried again.
    pub waiting: usize,
    /// What holds the run back.
    pub held: Option<Held>,
    /// Since the start.
    pub elapsed: Duration,
    /// Attempts a second, over the last seconds.
    pub requests_per_second: f64,
    /// The limit of requests a minute, if it is known and there is one limit group.
    pub requests_per_minute_limit: Option<f64>,
    /// How many requests may be in flight at this moment, if there is one limit group.
    pub concurrency: Option<usize>,
}

impl Snapshot {
    /// Rows that need nothing more.
    pub fn done(&self) -> u64 {
        self.done_before + self.succeeded + self.failed
    }

    /// What the run will have cost at its end, if the rows that are left cost what those did that
    /// are done; with a cap, what will count against it. `None` where that is not known.
    pub fn projected(&self) -> Option<Money> {
        let left = self.total?.saturating_sub(self.done());
        let made = (self.succeeded + self.failed).saturating_sub(self.unsent);
        if made == 0 || self.unpriced > 0 {
            return None;
        }
        Some(self.counted.unwrap_or(self.cost) + share(self.cost, left, made))
    }

    /// The time that is left, if the run goes on as it did.
    pub fn eta(&self) -> Option<Duration> {
        let left = self.total?.saturating_sub(self.done());
        let made = self.succeeded + self.failed;
        if made == 0 || left == 0 {
            return None;
        }
        let seconds = self.elapsed.as_secs_f64() * left as f64 / made as f64;
        Some(Duration::from_secs_f64(seconds.min(1e9)))
    }
}

/// How far back a rate looks.
const SPAN: Duration = Duration::from_secs(10);

/// The rate of a rising count over the last seconds.
#[derive(Debug)]
pub(super) struct Speed(VecDeque<(Time, u64)>);

impl Speed {
    pub(super) fn new(now: Time) -> Speed {
        Speed(VecDeque::from([(now, 0)]))
    }

    /// The rate a second, now that the count is `count`.
    pub(super) fn update(&mut self, now: Time, count: u64) -> f64 {
        self.0.push_back((now, count));
        while self.0.len() > 2 && now.since(self.0[1].0) >= SPAN {
            self.0.pop_front();
        }
        let (then, before) = self.0[0];
        let seconds = now.since(then).as_secs_f64();
        if seconds > 0.0 { (count - before) as f64 / seconds } else { 0.0 }
    }
}
