//! How many retries are affordable.

use crate::clock::Time;
use std::time::Duration;

/// What is there at first and at most.
const CAPACITY: f64 = 100.0;
/// What a success earns.
const EARNED: f64 = 0.5;
/// What a second earns, so that a server that is down is still asked.
const TRICKLE: f64 = 1.0;
/// A retry is never put off for longer because of this.
const LONGEST: Duration = Duration::from_secs(30);

/// A budget of retries: each one costs 1, and successes earn it.
///
/// While successes fail to come, retries slow down to a trickle, so that a server in trouble does
/// not get each request several times. Where it is empty, a retry is put off, not dropped.
/// Sources: gRPC's retry throttling and the retry quota of the AWS SDKs, both of which drop it
/// because a caller waits; in a run of many nobody does.
#[derive(Debug)]
pub struct Quota {
    level: f64,
    at: Time,
}

impl Quota {
    /// A full one.
    pub fn new(now: Time) -> Quota {
        Quota { level: CAPACITY, at: now }
    }

    /// A request was answered.
    pub fn earn(&mut self, now: Time) {
        self.advance(now);
        self.level = (self.level + EARNED).min(CAPACITY);
    }

    /// Takes one retry, and says by how much it has to be put off.
    pub fn take(&mut self, now: Time) -> Duration {
        self.advance(now);
        // A debt beyond the longest delay would only delay those after the outage.
        self.level = (self.level - 1.0).max(-LONGEST.as_secs_f64() * TRICKLE);
        Duration::from_secs_f64((-self.level).max(0.0) / TRICKLE).min(LONGEST)
    }

    fn advance(&mut self, now: Time) {
        let passed = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.level = (self.level + TRICKLE * passed).min(CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_origin(Duration::from_secs(seconds))
    }

    #[test]
    fn retries_are_free_while_there_are_successes() {
        let mut quota = Quota::new(at(0));
        for _ in 0..1_000 {
            quota.earn(at(0));
            quota.earn(at(0));
            assert_eq!(quota.take(at(0)), Duration::ZERO);
        }
    }

    #[test]
    fn without_successes_they_become_a_trickle_and_none_waits_for_ever() {
        let mut quota = Quota::new(at(0));
        let put_off: Vec<u64> = (0..200).map(|_| quota.take(at(0)).as_secs()).collect();
        assert!(put_off[..100].iter().all(|&delay| delay == 0));
        assert_eq!(put_off[100..103], [1, 2, 3]);
        assert_eq!(put_off[199], 30);
        // A minute later there is something again.
        assert_eq!(quota.take(at(60)), Duration::ZERO);
    }
}
