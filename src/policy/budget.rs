//! A rate budget: how much may be sent now, and when more may be.

use crate::clock::Time;
use crate::wire::headers::Level;
use ratelimit::{Clock as RefillClock, Ratelimiter, TryWaitError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The share of a bucket that is left untouched once the server tells its level, so that answers
/// which are under way cannot overdraw it. Source: simulation of many buckets under load.
const RESERVE: f64 = 0.02;

/// One limit of a server, such as requests a minute, as a bucket that is refilled continuously.
///
/// The refill comes from a `ratelimit` bucket; the level beside it may be raised by refunds and go
/// below zero by a request that is larger than the bucket. Where the server tells what is left,
/// its word replaces the level.
#[derive(Debug)]
pub struct Budget {
    refill: Ratelimiter<Fed>,
    fed: Fed,
    level: f64,
    depth: f64,
    per_minute: f64,
    stated: Option<f64>,
    is_told: bool,
    spent: f64,
    newest: u64,
}

/// The time that the refill sees: set before each look, so that the bucket has no clock of its own.
#[derive(Clone, Debug, Default)]
struct Fed(Arc<AtomicU64>);

impl Fed {
    fn set(&self, now: Time) {
        self.0.store(now.since_origin().as_nanos().min(u64::MAX as u128) as u64, Ordering::Relaxed);
    }
}

impl RefillClock for Fed {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// What a call was charged, and when: the receipt that an answer's headers are read against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipt {
    cost: f64,
    spent: f64,
}

impl Budget {
    /// A budget that the user stated, of `per_minute`, whose bucket holds `burst` worth of it.
    pub fn stated(per_minute: f64, burst: Duration, now: Time) -> Budget {
        Budget::new(per_minute, Some(per_minute), burst, now)
    }

    /// A budget that is known from the server's headers only.
    pub fn told(per_minute: f64, burst: Duration, now: Time) -> Budget {
        Budget::new(per_minute, None, burst, now)
    }

    fn new(per_minute: f64, stated: Option<f64>, burst: Duration, now: Time) -> Budget {
        let per_minute = per_minute.max(0.001);
        let depth = (per_minute / 60.0 * burst.as_secs_f64()).max(1.0);
        let fed = Fed::default();
        fed.set(now);
        let refill = Ratelimiter::with_clock(1, fed.clone());
        // The level has its own depth; what pays a debt of hours must not run over meanwhile.
        refill.set_max_tokens(1_000_000_000_000);
        let mut budget = Budget {
            refill,
            fed,
            level: depth,
            depth,
            per_minute,
            stated,
            is_told: false,
            spent: 0.0,
            newest: 0,
        };
        budget.set_rate(per_minute);
        // What the fresh bucket made of the time before it existed is not ours to spend.
        budget.collect(now);
        budget.level = depth;
        budget
    }

    /// The rate in force, a minute.
    pub fn per_minute(&self) -> f64 {
        self.per_minute
    }

    /// How long a call of `cost` has to wait; zero when it may go now.
    ///
    /// A call that is larger than the bucket waits for a full bucket and no longer.
    pub fn wait(&mut self, now: Time, cost: f64) -> Duration {
        self.collect(now);
        let reserve = if self.is_told { RESERVE * self.depth } else { 0.0 };
        let need = (cost + reserve).min(self.depth);
        let missing = need - self.level;
        // Less than a thousandth of a token is rounding, not a debt.
        if missing <= 0.001 {
            return Duration::ZERO;
        }
        // The refill gives whole tokens and knows best when the next ones are due.
        match self.refill.try_wait_n(missing.ceil() as u64) {
            Err(TryWaitError::Insufficient(wait)) => wait.max(Duration::from_micros(50)),
            _ => Duration::from_secs_f64((missing / self.per_second()).min(1e6)),
        }
    }

    /// Takes `cost`, below zero if it must be; call it only after [`Budget::wait`] gave zero.
    pub fn charge(&mut self, cost: f64) -> Receipt {
        self.level -= cost;
        self.spent += cost;
        Receipt { cost, spent: self.spent }
    }

    /// Gives back what a call was charged too much: all of it if it was never sent.
    pub fn refund(&mut self, amount: f64) {
        self.level = (self.level + amount).min(self.depth);
        self.spent -= amount;
    }

    /// Corrects an estimate by what the call really used, where no header does it.
    pub fn settle(&mut self, receipt: Receipt, used: f64) {
        if !self.is_told {
            self.refund(receipt.cost - used);
        }
    }

    /// Takes over what the server says of the bucket in its answer to call `sequence`.
    ///
    /// The level that an answer tells is that of the moment when its call was admitted; what was
    /// sent since counts against it, and what was refilled since counts for it. Answers to older
    /// calls than the newest are not news.
    pub fn learn(
        &mut self,
        now: Time,
        level: &Level,
        receipt: Receipt,
        sequence: u64,
        sent_at: Time,
    ) {
        self.collect(now);
        if let Some(limit) = level.limit.filter(|&limit| limit > 0) {
            let limit = limit as f64;
            let rate = self.stated.map_or(limit, |stated| stated.min(limit));
            if (rate - self.per_minute).abs() > 1e-9 {
                self.set_rate(rate);
                self.depth = self.depth.min(limit).max(1.0);
            }
        }
        let Some(left) = level.remaining.filter(|_| sequence > self.newest) else { return };
        self.newest = sequence;
        self.is_told = true;
        let left = left as f64;
        self.depth = self.depth.max(left);
        let since = now.since(sent_at).as_secs_f64();
        let sent_since = (self.spent - receipt.spent).max(0.0);
        self.level = (left + self.per_second() * since).min(self.depth) - sent_since;
    }

    /// Empties the bucket: the server refused although something seemed to be left.
    pub fn empty(&mut self, now: Time) {
        self.collect(now);
        self.level = self.level.min(0.0);
    }

    fn per_second(&self) -> f64 {
        self.per_minute / 60.0
    }

    fn set_rate(&mut self, per_minute: f64) {
        self.per_minute = per_minute;
        // Thousandths in a thousand minutes: the bucket counts whole tokens, rates need not be.
        let rate = (per_minute * 1_000.0).round().max(1.0) as u64;
        self.refill.set_rate_per(rate, Duration::from_secs(60_000));
    }

    /// Moves what was refilled since the last look into the level.
    fn collect(&mut self, now: Time) {
        self.fed.set(now);
        let most = self.refill.max_tokens();
        // Asking for a full bucket makes it count the time; it is nearly always refused.
        let taken = match self.refill.try_wait_n(most) {
            Ok(()) => most,
            Err(_) => {
                let there = self.refill.available();
                self.refill.try_wait_n(there).map_or(0, |()| there)
            }
        };
        if taken > 0 {
            self.level = (self.level + taken as f64).min(self.depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> Time {
        Time::from_origin(Duration::from_secs_f64(seconds))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_bucket_lets_its_depth_go_at_once_and_then_the_rate() {
        let mut budget = Budget::stated(600.0, SECOND, at(5.0));
        for _ in 0..10 {
            assert_eq!(budget.wait(at(5.0), 1.0), Duration::ZERO);
            budget.charge(1.0);
        }
        let wait = budget.wait(at(5.0), 1.0);
        assert!((wait.as_secs_f64() - 0.1).abs() < 1e-3, "{wait:?}");
        assert_eq!(budget.wait(at(5.1001), 1.0), Duration::ZERO);
    }

    #[test]
    fn a_request_larger_than_the_bucket_goes_when_it_is_full_and_its_debt_is_repaid() {
        let mut budget = Budget::stated(6_000.0, SECOND, at(0.0)); // 100 a second, 100 deep
        assert_eq!(budget.wait(at(0.0), 350.0), Duration::ZERO);
        budget.charge(350.0);
        // 250 below zero: a call of 10 has to wait for 260 tokens.
        let wait = budget.wait(at(0.0), 10.0).as_secs_f64();
        assert!((wait - 2.6).abs() < 0.02, "{wait}");
        assert_eq!(budget.wait(at(2.61), 10.0), Duration::ZERO);
    }

    #[test]
    fn a_debt_of_many_minutes_is_repaid_while_nobody_looks() {
        let mut budget = Budget::stated(60.0, SECOND, at(0.0));
        budget.charge(601.0);
        assert_eq!(budget.wait(at(601.5), 1.0), Duration::ZERO);
    }

    #[test]
    fn a_thousand_failures_that_are_refunded_leave_the_level_as_it_was() {
        let mut budget = Budget::stated(60_000.0, SECOND, at(0.0));
        for _ in 0..1_000 {
            assert_eq!(budget.wait(at(0.0), 400.0), Duration::ZERO);
            budget.charge(400.0);
            budget.refund(400.0);
        }
        assert_eq!(budget.wait(at(0.0), 1_000.0), Duration::ZERO);
    }

    #[test]
    fn the_servers_level_replaces_ours_less_what_was_sent_since() {
        let mut budget = Budget::stated(600.0, SECOND, at(0.0));
        let first = budget.charge(1.0);
        budget.charge(1.0);
        let level = Level { limit: Some(600), remaining: Some(5), reset: None };
        budget.learn(at(0.0), &level, first, 1, at(0.0));
        // 5 were left after the first; the second is on its way: 4, less the reserve of 0.2.
        for _ in 0..3 {
            assert_eq!(budget.wait(at(0.0), 1.0), Duration::ZERO);
            budget.charge(1.0);
        }
        assert!(budget.wait(at(0.0), 1.0) > Duration::ZERO);
    }

    #[test]
    fn an_older_answer_is_no_news() {
        let mut budget = Budget::stated(600.0, SECOND, at(0.0));
        let receipt = budget.charge(1.0);
        let full = Level { limit: Some(600), remaining: Some(500), reset: None };
        let empty = Level { limit: Some(600), remaining: Some(0), reset: None };
        budget.learn(at(0.0), &empty, receipt, 7, at(0.0));
        budget.learn(at(0.0), &full, receipt, 6, at(0.0));
        assert!(budget.wait(at(0.0), 1.0) > Duration::ZERO);
    }

    #[test]
    fn a_limit_below_the_stated_one_is_obeyed_and_one_above_is_not_used() {
        let mut budget = Budget::stated(600.0, SECOND, at(0.0));
        let level = |limit| Level { limit: Some(limit), remaining: None, reset: None };
        budget.learn(at(0.0), &level(60), Receipt::default(), 1, at(0.0));
        assert_eq!(budget.per_minute(), 60.0);
        budget.learn(at(0.0), &level(6_000), Receipt::default(), 2, at(0.0));
        assert_eq!(budget.per_minute(), 600.0);
    }

    #[test]
    fn three_a_minute_are_one_every_twenty_seconds() {
        let mut budget = Budget::stated(3.0, SECOND, at(0.0));
        budget.charge(1.0);
        let wait = budget.wait(at(0.0), 1.0).as_secs_f64();
        assert!((wait - 20.0).abs() < 0.1, "{wait}");
    }

    proptest! {
        /// Whatever is asked for and whenever, no more passes than the bucket and its refill.
        #[test]
        fn never_more_than_depth_and_refill(
            per_minute in 1u32..100_000,
            asks in proptest::collection::vec((0.0f64..2.0, 0.1f64..50.0), 1..200),
        ) {
            let per_minute = f64::from(per_minute);
            let mut budget = Budget::stated(per_minute, SECOND, at(0.0));
            let depth = (per_minute / 60.0).max(1.0);
            let (mut now, mut passed, mut largest) = (0.0, 0.0, 0.0f64);
            for (gap, cost) in asks {
                now += gap;
                if budget.wait(at(now), cost) == Duration::ZERO {
                    budget.charge(cost);
                    passed += cost;
                    largest = largest.max(cost);
                }
                // One that is larger than the bucket may run into debt by itself.
                prop_assert!(passed <= depth + per_minute / 60.0 * now + largest + 1.0);
            }
        }

        /// The wait that is told is enough, and nothing is held longer than needed by much.
        #[test]
        fn the_wait_that_is_told_is_enough(
            per_minute in 1u32..1_000_000,
            spend in 0.0f64..5_000.0,
            cost in 0.1f64..5_000.0,
        ) {
            let mut budget = Budget::stated(f64::from(per_minute), SECOND, at(0.0));
            budget.charge(spend);
            let mut now = Time::ZERO;
            for _ in 0..4 {
                let wait = budget.wait(now, cost);
                now = now + wait;
                if wait == Duration::ZERO { break }
            }
            prop_assert_eq!(budget.wait(now, cost), Duration::ZERO);
        }
    }
}
