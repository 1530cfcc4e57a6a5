use crate::policy::breaker;
use std::time::Duration;

/// What the gate allows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Requests a minute for each limit group. Default: what the server's headers say, and without
    /// them what its refusals show.
    pub requests_per_minute: Option<f64>,
    /// Tokens a minute for each limit group. Default: as for requests.
    pub tokens_per_minute: Option<f64>,
    /// Requests a day for each limit group, of which a day's worth may go at once. Default: none.
    pub requests_per_day: Option<f64>,
    /// Tokens a day for each limit group. Default: none.
    pub tokens_per_day: Option<f64>,
    /// How much of a limit may go at once before the server has told what it allows.
    /// Default: 1 s worth, because a limit may be enforced by the second.
    pub burst: Duration,
    /// Requests in flight, over all groups. Default: 1,024.
    pub max_concurrency: usize,
    /// Requests in flight below which a group is not brought down by slow or overloaded answers;
    /// the same as the maximum fixes their number. Default: 1.
    pub min_concurrency: usize,
    /// When the circuit opens and closes.
    pub breaker: breaker::Rules,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            requests_per_minute: None,
            tokens_per_minute: None,
            requests_per_day: None,
            tokens_per_day: None,
            burst: Duration::from_secs(1),
            max_concurrency: 1_024,
            min_concurrency: 1,
            breaker: breaker::Rules::default(),
        }
    }
}
