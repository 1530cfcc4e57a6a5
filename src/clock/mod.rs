//! The only door to time, and the ways to end a wait early.
//!
//! - `system` - the machine's clock.
//! - `manual` - a fake whose waits end at once, for tests.
//! - `signal` - what a wait listens to besides its deadline.
//! - `stop` - cancellation, in two stages.

mod manual;
mod signal;
mod stop;
mod system;

use std::fmt::Debug;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

pub use manual::ManualClock;
pub use signal::{Seen, Signal};
pub use stop::{Stage, Stop, Subscription};
pub use system::SystemClock;

/// A point in time, counted from an origin that only its clock knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The clock's origin.
    pub const ZERO: Time = Time(Duration::ZERO);
    /// A point that no clock reaches.
    pub const NEVER: Time = Time(Duration::MAX);

    /// The point that lies `since` after the clock's origin.
    pub const fn from_origin(since: Duration) -> Time {
        Time(since)
    }

    /// How far this point lies after the clock's origin.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this point, or zero if `earlier` is later.
    pub const fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, more: Duration) -> Time {
        Time(self.0.saturating_add(more))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, less: Duration) -> Time {
        Time(self.0.saturating_sub(less))
    }
}

/// Tells the time and waits.
///
/// There are two: [`SystemClock`], and [`ManualClock`] for tests.
pub trait Clock: Send + Sync + Debug + 'static {
    /// The time now, on a scale that never goes back.
    fn now(&self) -> Time;

    /// The date now, for headers and records.
    fn date(&self) -> SystemTime;

    /// Blocks until `signal` has been raised since `seen` was taken, or until `deadline`.
    ///
    /// It may return early for no reason, so callers look again at what they wait for.
    fn wait(&self, signal: &Signal, seen: Seen, deadline: Option<Time>);

    /// Says that the holder is at work for as long as the value lives.
    ///
    /// A manual clock jumps only when every holder waits for it. The system clock does nothing.
    fn hold(&self) -> Hold {
        Hold(None)
    }

    /// Blocks for `length`, or until `stop` has been asked to abort.
    fn sleep(&self, length: Duration, stop: &Stop) {
        let deadline = self.now() + length;
        let signal = Signal::new();
        let _subscription = stop.notify(&signal);
        loop {
            let seen = signal.seen();
            if stop.stage() == Stage::Abort || self.now() >= deadline {
                return;
            }
            self.wait(&signal, seen, Some(deadline));
        }
    }
}

/// A mark that somebody is at work; see [`Clock::hold`].
#[must_use]
#[derive(Debug)]
pub struct Hold(Option<manual::ManualClock>);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(clock) = self.0.take() {
            clock.release();
        }
    }
}
