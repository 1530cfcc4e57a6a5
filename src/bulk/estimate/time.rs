//! How long rows take within limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::sums::Range;

/// How long a batch may take. Source: the API reference, whose only window is 24 hours.
const BATCH: f64 = 24.0 * 3600.0;

/// How long rows take, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Time {
    /// Sent now, as fast as the limits allow; `None` where no limit is given, because then nothing
    /// tells.
    pub live: Option<Seconds>,
    /// Sent now with the flex tier, which takes as long at least; `None` where no limit is given.
    pub flex: Option<Seconds>,
    /// Sent through the Batch API, at the most.
    pub batch_at_most: f64,
}

/// Seconds, from the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Seconds {
    /// With the shortest answers.
    pub low: f64,
    /// With the expected answers.
    pub expected: f64,
    /// With the longest answers; `None` where there is no bound for some of them.
    pub high: Option<f64>,
}

/// A day, in minutes.
const DAY: f64 = 24.0 * 60.0;

/// The limits of each group, as far as they are given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) requests_per_minute: Option<u64>,
    pub(crate) tokens_per_minute: Option<u64>,
    pub(crate) requests_per_day: Option<u64>,
    pub(crate) tokens_per_day: Option<u64>,
}

impl Limits {
    fn is_some(&self) -> bool {
        let Limits { requests_per_minute, tokens_per_minute, requests_per_day, tokens_per_day } =
            self;
        [requests_per_minute, tokens_per_minute, requests_per_day, tokens_per_day]
            .into_iter()
            .any(Option::is_some)
    }

    /// The minutes that so many requests and tokens take; `None` if it depends on tokens that have
    /// no bound.
    pub(crate) fn minutes(&self, requests: u64, tokens: Option<u64>) -> Option<f64> {
        let steady = |count: u64, limit: u64| count as f64 / limit.max(1) as f64;
        // What a day allows may go at once.
        let daily = |count: u64, limit: u64| steady(count.saturating_sub(limit), limit) * DAY;
        let mut most = 0f64;
        for (limit, count, time) in [
            (self.requests_per_minute, Some(requests), &steady as &dyn Fn(u64, u64) -> f64),
            (self.tokens_per_minute, tokens, &steady),
            (self.requests_per_day, Some(requests), &daily),
            (self.tokens_per_day, tokens, &daily),
        ] {
            if let Some(limit) = limit {
                most = most.max(time(count?, limit));
            }
        }
        Some(most)
    }
}

/// The rows and tokens of each group of models that shares its limits.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<Arc<str>, Group>);

#[derive(Debug, Default)]
struct Group {
    rows: u64,
    low: u64,
    expected: u64,
    /// `None` once a row has no bound.
    high: Option<u64>,
}

impl Groups {
    /// Adds a row: what it reads, and what it writes.
    pub(super) fn add(&mut self, group: Arc<str>, input: u64, output: Range<u64>) {
        let first = Group { high: Some(0), ..Group::default() };
        let group = self.0.entry(group).or_insert(first);
        let plus = |sum: u64, output: u64| sum.saturating_add(input).saturating_add(output);
        group.rows += 1;
        group.low = plus(group.low, output.low);
        group.expected = plus(group.expected, output.expected);
        group.high = group.high.zip(output.high).map(|(sum, output)| plus(sum, output));
    }

    /// How long they take, all groups beside each other, each within these limits.
    pub(super) fn time(&self, limits: &Limits) -> Time {
        let slowest = |tokens: &dyn Fn(&Group) -> Option<u64>| {
            let mut groups = self.0.values();
            let most = groups.try_fold(0f64, |most, group| {
                Some(most.max(limits.minutes(group.rows, tokens(group))?))
            });
            most.map(|minutes| minutes * 60.0)
        };
        let live = limits.is_some().then(|| Seconds {
            low: slowest(&|group| Some(group.low)).unwrap_or(0.0),
            expected: slowest(&|group| Some(group.expected)).unwrap_or(0.0),
            high: slowest(&|group| group.high),
        });
        Time { live, flex: live, batch_at_most: BATCH }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(requests: Option<u64>, tokens: Option<u64>) -> Limits {
        Limits { requests_per_minute: requests, tokens_per_minute: tokens, ..Limits::default() }
    }

    fn groups() -> Groups {
        let mut groups = Groups::default();
        for _ in 0..100 {
            groups.add("a".into(), 90, Range { low: 1, expected: 10, high: Some(110) });
        }
        for _ in 0..10 {
            groups.add("b".into(), 9_990, Range { low: 1, expected: 10, high: None });
        }
        groups
    }

    #[test]
    fn the_slowest_group_and_the_tighter_limit_tell_the_time() {
        let by_requests = groups().time(&minute(Some(50), None)).live.unwrap();
        assert_eq!((by_requests.expected, by_requests.high), (120.0, Some(120.0)));
        let by_tokens = groups().time(&minute(Some(50), Some(20_000))).live.unwrap();
        assert_eq!(by_tokens.expected, 300.0, "b has 100,000 tokens");
        assert_eq!(by_tokens.high, None, "nobody knows how much b writes");
    }

    #[test]
    fn without_limits_nothing_is_known_but_the_window_of_a_batch() {
        let time = groups().time(&Limits::default());
        assert_eq!((time.live, time.flex, time.batch_at_most), (None, None, 86_400.0));
        assert_eq!(
            Groups::default().time(&minute(Some(1), None)).live,
            Some(Seconds { high: Some(0.0), ..Seconds::default() })
        );
    }

    #[test]
    fn what_a_day_allows_goes_at_once_and_the_rest_waits_for_other_days() {
        let found = |requests_per_day, tokens_per_day| {
            let limits =
                Limits { requests_per_day, tokens_per_day, ..minute(Some(1_000_000), None) };
            groups().time(&limits).live.unwrap()
        };
        assert!(found(Some(100), None).expected < 1.0, "all in the first day");
        assert_eq!(found(Some(40), None).expected, 1.5 * 86_400.0, "60 of 100 wait");
        let by_tokens = found(None, Some(50_000));
        assert_eq!((by_tokens.expected, by_tokens.high), (86_400.0, None));
        let alone = Limits { requests_per_day: Some(100), ..Limits::default() };
        assert_eq!(groups().time(&alone).live.unwrap().expected, 0.0);
    }
}
