//! How long to wait before another try.

use std::time::Duration;

/// Exponential back-off with full jitter: a random time up to `base * 2^n`, and never above `cap`.
///
/// Full jitter spreads the tries of many callers that failed at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The most that is waited before the first retry. Default: 500 ms.
    pub base: Duration,
    /// The most that is ever waited without the server's word. Default: 20 s.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(20) }
    }
}

/// A server's hint is a minimum; to it comes a random part of a tenth of it, and of 1 s at most.
const HINT_JITTER: f64 = 0.1;
const HINT_JITTER_CAP: Duration = Duration::from_secs(1);

impl Backoff {
    /// The wait before retry `number`, of which the first is 1; `roll` is from 0 to 1.
    pub fn delay(&self, number: u32, roll: f64) -> Duration {
        let doublings = number.saturating_sub(1).min(31);
        let most = self.base.saturating_mul(1 << doublings).min(self.cap);
        most.mul_f64(roll.clamp(0.0, 1.0))
    }

    /// The wait that follows a server's hint; `roll` is from 0 to 1.
    pub fn hinted(hint: Duration, roll: f64) -> Duration {
        hint + hint.mul_f64(HINT_JITTER).min(HINT_JITTER_CAP).mul_f64(roll.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_is_waited_doubles_up_to_the_cap() {
        let backoff = Backoff::default();
        let most: Vec<f64> = (1..9).map(|n| backoff.delay(n, 1.0).as_secs_f64()).collect();
        assert_eq!(most, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]);
        assert_eq!(backoff.delay(u32::MAX, 1.0), backoff.cap);
        assert_eq!(backoff.delay(3, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(3, 0.5), Duration::from_secs(1));
    }

    #[test]
    fn a_hint_is_a_minimum() {
        let hint = Duration::from_secs(7);
        assert_eq!(Backoff::hinted(hint, 0.0), hint);
        assert_eq!(Backoff::hinted(hint, 1.0), Duration::from_millis(7_700));
        assert_eq!(Backoff::hinted(Duration::from_secs(60), 1.0), Duration::from_secs(61));
    }
}
