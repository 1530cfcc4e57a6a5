use super::{Clock, Seen, Signal, Time};
use std::time::{Instant, SystemTime};

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is now.
    #[allow(clippy::disallowed_methods)] // The one place that reads the machine's clock.
    pub fn new() -> SystemClock {
        SystemClock { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // The one place that reads the machine's clock.
    fn now(&self) -> Time {
        Time::from_origin(self.origin.elapsed())
    }

    #[allow(clippy::disallowed_methods)] // The one place that reads the machine's date.
    fn date(&self) -> SystemTime {
        SystemTime::now()
    }

    fn wait(&self, signal: &Signal, seen: Seen, deadline: Option<Time>) {
        // A deadline past the end of the machine's scale is no deadline.
        let until = deadline.and_then(|at| self.origin.checked_add(at.since_origin()));
        signal.block(seen, until);
    }
}
