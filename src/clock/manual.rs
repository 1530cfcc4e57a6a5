use super::{Clock, Hold, Seen, Signal, Time};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A clock for tests: it stands still while anybody works, and jumps when all wait.
///
/// Everybody who works holds it ([`Clock::hold`]). When each holder is inside [`Clock::wait`] and
/// none of their signals has been raised, the clock moves to the earliest of their deadlines. So
/// an hour of waiting takes no time, and no wait ends before its time. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: Time,
    holds: usize,
    next: u64,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    signal: Signal,
    seen: Seen,
    deadline: Option<Time>,
}

impl Waiter {
    fn is_awake(&self, now: Time) -> bool {
        self.signal.seen() != self.seen || self.deadline.is_some_and(|at| at <= now)
    }
}

impl ManualClock {
    /// A clock that stands at its origin.
    pub fn new() -> ManualClock {
        ManualClock::default()
    }

    /// Moves the clock on by `by`, and wakes those whose deadline has come.
    pub fn advance(&self, by: Duration) {
        let mut inner = self.0.lock();
        let to = inner.now + by;
        inner.move_to(to);
    }

    pub(super) fn release(&self) {
        let mut inner = self.0.lock();
        inner.holds -= 1;
        inner.jump();
    }
}

impl Inner {
    fn move_to(&mut self, to: Time) {
        self.now = to;
        for waiter in self.waiters.iter().filter(|each| each.deadline.is_some_and(|at| at <= to)) {
            waiter.signal.raise();
        }
    }

    /// Moves to the earliest deadline if there is nobody left who could do anything before it.
    fn jump(&mut self) {
        if self.waiters.len() < self.holds || self.waiters.iter().any(|w| w.is_awake(self.now)) {
            return;
        }
        if let Some(earliest) = self.waiters.iter().filter_map(|w| w.deadline).min() {
            self.move_to(earliest);
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        self.0.lock().now
    }

    fn date(&self) -> SystemTime {
        // A fixed date, so that records made under this clock are always the same: 2030-01-01.
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000) + self.now().since_origin()
    }

    fn wait(&self, signal: &Signal, seen: Seen, deadline: Option<Time>) {
        let id = {
            let mut inner = self.0.lock();
            inner.next += 1;
            let id = inner.next;
            inner.waiters.push(Waiter { id, signal: signal.clone(), seen, deadline });
            inner.jump();
            id
        };
        loop {
            {
                let mut inner = self.0.lock();
                let now = inner.now;
                let at = inner.waiters.iter().position(|w| w.id == id).expect("only we remove it");
                if inner.waiters[at].is_awake(now) {
                    inner.waiters.swap_remove(at);
                    return;
                }
                inner.jump();
            }
            // A raised signal ends this at once. The bound is for a signal that another waiter
            // took for its own: with it, a mistake costs a moment and not the whole test.
            signal.block_for(seen, Duration::from_millis(5));
        }
    }

    fn hold(&self) -> Hold {
        self.0.lock().holds += 1;
        Hold(Some(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stop;
    use std::thread;

    #[test]
    fn a_sleep_of_a_day_ends_at_once_and_moves_the_clock_by_a_day() {
        let clock = ManualClock::new();
        let _hold = clock.hold();
        clock.sleep(Duration::from_secs(86_400), &Stop::new());
        assert_eq!(clock.now(), Time::from_origin(Duration::from_secs(86_400)));
    }

    #[test]
    fn the_clock_stands_still_while_a_holder_works() {
        let clock = ManualClock::new();
        let working = clock.hold();
        let sleeper = {
            let clock = clock.clone();
            let hold = clock.hold();
            thread::spawn(move || {
                let _hold = hold;
                clock.sleep(Duration::from_secs(60), &Stop::new());
            })
        };
        while clock.0.lock().waiters.is_empty() {
            thread::yield_now();
        }
        assert_eq!(clock.now(), Time::ZERO);
        drop(working);
        sleeper.join().unwrap();
        assert_eq!(clock.now(), Time::from_origin(Duration::from_secs(60)));
    }

    #[test]
    fn two_sleepers_wake_in_the_order_of_their_deadlines() {
        let clock = ManualClock::new();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let holds: Vec<_> = (0..2).map(|_| clock.hold()).collect();
        let threads: Vec<_> = holds
            .into_iter()
            .zip([7, 3])
            .map(|(hold, seconds)| {
                let (clock, woken) = (clock.clone(), woken.clone());
                thread::spawn(move || {
                    clock.sleep(Duration::from_secs(seconds), &Stop::new());
                    woken.lock().push(clock.now().since_origin().as_secs());
                    drop(hold);
                })
            })
            .collect();
        for each in threads {
            each.join().unwrap();
        }
        assert_eq!(*woken.lock(), [3, 7]);
    }

    #[test]
    fn an_abort_ends_a_sleep_before_its_time() {
        let clock = ManualClock::new();
        let stop = Stop::new();
        stop.abort();
        let _hold = clock.hold();
        clock.sleep(Duration::from_secs(60), &stop);
        assert_eq!(clock.now(), Time::ZERO);
    }
}
