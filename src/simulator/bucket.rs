//! The server's limiter: a bucket that refills continuously.

use crate::clock::Time;
use std::time::Duration;

/// One limit of one model.
///
/// Its capacity is the limit itself unless the limit is enforced over a shorter time, as in
/// "60,000 a minute enforced as 1,000 a second".
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    limit: f64,
    /// What comes back in a second.
    refill: f64,
    capacity: f64,
    level: f64,
    at: Time,
}

/// Why a bucket refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Short {
    /// There will be enough after this time.
    Wait(Duration),
    /// More was asked for than the limit itself; no wait helps.
    TooLarge,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(limit: u64, window: Duration, burst: Duration, now: Time) -> Bucket {
        let limit = limit as f64;
        let refill = limit / window.as_secs_f64();
        let capacity = (refill * burst.min(window).as_secs_f64()).max(1.0).min(limit.max(1.0));
        Bucket { limit, refill, capacity, level: capacity, at: now }
    }

    /// Takes on another bucket's limit and keeps the level as far as it fits.
    pub(super) fn change_to(&mut self, other: Bucket) {
        let level = self.level.min(other.capacity);
        *self = Bucket { level, ..other };
    }

    pub(super) fn advance(&mut self, now: Time) {
        let passed = now.since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.refill).min(self.capacity);
        self.at = self.at.max(now);
    }

    /// Whether `asked` is there; nothing is taken.
    ///
    /// What is larger than the bucket but not than the limit needs a full bucket and leaves a debt.
    pub(super) fn check(&self, asked: f64) -> Result<(), Short> {
        // A sum of many small refills may miss a whole number by a rounding error.
        const SLACK: f64 = 1e-6;
        if asked > self.limit {
            return Err(Short::TooLarge);
        }
        let needed = asked.min(self.capacity);
        if self.level + SLACK >= needed {
            return Ok(());
        }
        Err(Short::Wait(self.time_for(needed - self.whole())))
    }

    pub(super) fn take(&mut self, asked: f64) {
        self.level -= asked;
    }

    /// Takes what is there, up to `asked`.
    pub(super) fn drain(&mut self, asked: f64) {
        self.level = self.level.min((self.level - asked).max(0.0));
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit as u64
    }

    pub(super) fn remaining(&self) -> u64 {
        self.whole().max(0.0) as u64
    }

    pub(super) fn used(&self) -> u64 {
        (self.limit - self.remaining() as f64).max(0.0) as u64
    }

    /// The time until it is full again.
    pub(super) fn reset(&self) -> Duration {
        self.time_for(self.capacity - self.whole())
    }

    /// The captures fit a level counted in whole numbers: each refusal for requests names exactly
    /// the time of one request.
    fn whole(&self) -> f64 {
        (self.level + 1e-6).floor()
    }

    /// The captured times are cut to milliseconds, not rounded: 51.1899 s is written `51.189s`.
    fn time_for(&self, amount: f64) -> Duration {
        if amount <= 0.0 {
            return Duration::ZERO;
        }
        let millis = amount / self.refill * 1e3 + 1e-6;
        Duration::from_millis((millis as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(millis: u64) -> Time {
        Time::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn it_says_what_the_captured_server_said() {
        let mut bucket = Bucket::new(200_000, MINUTE, MINUTE, at(0));
        bucket.take(170_633.0);
        assert_eq!(bucket.remaining(), 29_367);
        assert_eq!(bucket.reset(), Duration::from_millis(51_189));
        assert_eq!(bucket.check(180_002.0), Err(Short::Wait(Duration::from_millis(45_190))));
    }

    #[test]
    fn an_empty_bucket_names_the_time_of_one_request() {
        let day = Duration::from_secs(86_400);
        for (limit, window, wait) in
            [(500, MINUTE, 120), (3, MINUTE, 20_000), (200, day, 432_000), (10_000, day, 8_640)]
        {
            let mut bucket = Bucket::new(limit, window, window, at(0));
            bucket.take(limit as f64);
            assert_eq!(bucket.check(1.0), Err(Short::Wait(Duration::from_millis(wait))));
            bucket.advance(at(wait));
            assert_eq!(bucket.check(1.0), Ok(()));
        }
    }

    #[test]
    fn a_limit_enforced_by_the_second_has_a_small_bucket() {
        let mut bucket = Bucket::new(60_000, MINUTE, Duration::from_secs(1), at(0));
        assert_eq!(bucket.remaining(), 1_000);
        bucket.take(1_000.0);
        assert!(bucket.check(1.0).is_err());
        bucket.advance(at(10));
        assert_eq!(bucket.remaining(), 10);
    }

    #[test]
    fn what_is_larger_than_the_bucket_needs_a_full_one_and_leaves_a_debt() {
        let mut bucket = Bucket::new(60_000, MINUTE, Duration::from_secs(1), at(0));
        assert_eq!(bucket.check(5_000.0), Ok(()));
        bucket.take(5_000.0);
        assert_eq!(bucket.remaining(), 0);
        assert_eq!(bucket.check(1.0), Err(Short::Wait(Duration::from_millis(4_001))));
        assert_eq!(bucket.check(60_001.0), Err(Short::TooLarge));
    }

    #[test]
    fn a_lowered_limit_cuts_the_level() {
        let mut bucket = Bucket::new(100, MINUTE, MINUTE, at(0));
        bucket.change_to(Bucket::new(10, MINUTE, MINUTE, at(0)));
        assert_eq!(bucket.remaining(), 10);
    }
}
