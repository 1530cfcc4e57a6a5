use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Something that waits can listen to: raising it wakes all of them.
///
/// A waiter takes [`Signal::seen`] first, looks at the state it cares about, and then waits;
/// a signal raised in between is not lost. Clones are the same signal.
#[derive(Clone, Debug, Default)]
pub struct Signal(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    raised: Mutex<u64>,
    wake: Condvar,
}

/// How often a signal had been raised when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(u64);

impl Signal {
    /// A signal that has not been raised.
    pub fn new() -> Signal {
        Signal::default()
    }

    /// Wakes everybody who waits.
    pub fn raise(&self) {
        *self.0.raised.lock() += 1;
        self.0.wake.notify_all();
    }

    /// The state to hand to a wait.
    pub fn seen(&self) -> Seen {
        Seen(*self.0.raised.lock())
    }

    /// Blocks until the signal is raised or the machine's clock reaches `until`.
    pub(super) fn block(&self, seen: Seen, until: Option<Instant>) {
        let mut raised = self.0.raised.lock();
        while Seen(*raised) == seen {
            match until {
                None => self.0.wake.wait(&mut raised),
                Some(until) => {
                    if self.0.wake.wait_until(&mut raised, until).timed_out() {
                        return;
                    }
                }
            }
        }
    }

    /// Blocks until the signal is raised, for at most `most` of real time.
    pub(super) fn block_for(&self, seen: Seen, most: Duration) {
        let mut raised = self.0.raised.lock();
        if Seen(*raised) == seen {
            self.0.wake.wait_for(&mut raised, most);
        }
    }
}
