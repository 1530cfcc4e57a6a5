//! Whether there is another try.

use super::backoff::Backoff;
use crate::wire::fault::Class;
use std::time::Duration;

/// Refusals for a rate limit that are borne for each retry that is allowed: they are the limiter's
/// business, and a row is not to be lost to them.
const REFUSALS_PER_RETRY: u32 = 10;

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Tries after the first one, where the server or the exchange failed. Refusals for a rate
    /// limit are counted apart, up to ten times this. Default: 8.
    pub max_retries: u32,
    /// How long to wait where the server gives no hint.
    pub backoff: Backoff,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { max_retries: 8, backoff: Backoff::default() }
    }
}

/// Attempts of a call so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that the server or the exchange failed.
    pub failures: u32,
    /// Those that were refused for a rate limit.
    pub refusals: u32,
}

/// What follows a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another attempt, not before `after` has passed.
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// None.
    GiveUp(Why),
}

/// Why there is no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It would not help.
    NotRetryable,
    /// As many were made as are allowed.
    OutOfTries,
    /// It would come too late.
    OutOfTime,
}

/// Decides what follows a failed attempt.
///
/// `tally` counts that attempt already; `hint` is what the server said of the wait; `left` is the
/// time until the call's deadline; `roll` is from 0 to 1. A wait that would not end in time is not
/// begun.
pub fn decide(
    rules: &Rules,
    tally: Tally,
    class: &Class,
    hint: Option<Duration>,
    left: Option<Duration>,
    roll: f64,
) -> Decision {
    let (made, allowed) = match class {
        Class::RunFatal | Class::ItemFatal | Class::TooLarge { .. } => {
            return Decision::GiveUp(Why::NotRetryable);
        }
        Class::Throttled { .. } | Class::SlowDown => {
            (tally.refusals, rules.max_retries.saturating_mul(REFUSALS_PER_RETRY))
        }
        Class::Ill => (tally.failures, rules.max_retries),
    };
    if made > allowed {
        return Decision::GiveUp(Why::OutOfTries);
    }
    let after = match hint {
        Some(hint) => Backoff::hinted(hint, roll),
        None => rules.backoff.delay(made, roll),
    };
    if left.is_some_and(|left| after >= left) {
        return Decision::GiveUp(Why::OutOfTime);
    }
    Decision::Retry { after }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fault::Scope;
    use proptest::prelude::*;

    const THROTTLED: Class = Class::Throttled { scope: Scope::Requests };

    fn tally(failures: u32, refusals: u32) -> Tally {
        Tally { failures, refusals }
    }

    #[test]
    fn the_table() {
        let rules = Rules { max_retries: 2, ..Rules::default() };
        let seconds = |s| Some(Duration::from_secs(s));
        let retry = |ms| Decision::Retry { after: Duration::from_millis(ms) };
        let give_up = Decision::GiveUp;
        let cases = [
            (tally(1, 0), Class::ItemFatal, None, None, give_up(Why::NotRetryable)),
            (tally(1, 0), Class::RunFatal, seconds(1), None, give_up(Why::NotRetryable)),
            (tally(1, 0), Class::TooLarge { limit: None }, None, None, give_up(Why::NotRetryable)),
            (tally(1, 0), Class::Ill, None, None, retry(500)),
            (tally(2, 0), Class::Ill, None, None, retry(1_000)),
            (tally(3, 0), Class::Ill, None, None, give_up(Why::OutOfTries)),
            (tally(2, 20), Class::Ill, None, None, retry(1_000)),
            (tally(2, 3), THROTTLED, None, None, retry(2_000)),
            (tally(2, 20), THROTTLED, seconds(5), None, retry(5_500)),
            (tally(2, 21), THROTTLED, seconds(5), None, give_up(Why::OutOfTries)),
            (tally(0, 1), Class::SlowDown, seconds(5), seconds(6), retry(5_500)),
            (tally(0, 1), Class::SlowDown, seconds(5), seconds(5), give_up(Why::OutOfTime)),
            (tally(1, 0), Class::Ill, None, seconds(0), give_up(Why::OutOfTime)),
        ];
        for (tally, class, hint, left, expected) in cases {
            let decision = decide(&rules, tally, &class, hint, left, 1.0);
            assert_eq!(decision, expected, "{tally:?} {class:?} {hint:?} {left:?}");
        }
    }

    proptest! {
        #[test]
        fn no_more_tries_and_no_more_time_than_allowed(
            max_retries in 0u32..20,
            failures in 0u32..40,
            refusals in 0u32..400,
            hint in proptest::option::of(0u64..100_000),
            left in 0u64..100_000,
            roll in 0.0f64..=1.0,
        ) {
            let rules = Rules { max_retries, ..Rules::default() };
            let (hint, left) = (hint.map(Duration::from_millis), Duration::from_millis(left));
            for class in [Class::Ill, THROTTLED, Class::SlowDown] {
                let decision = decide(&rules, tally(failures, refusals), &class, hint, Some(left), roll);
                if let Decision::Retry { after } = decision {
                    prop_assert!(after < left);
                    prop_assert!(after >= hint.unwrap_or_default());
                    let within = if class == Class::Ill { failures <= max_retries } else { refusals <= 10 * max_retries };
                    prop_assert!(within);
                }
            }
        }
    }
}
