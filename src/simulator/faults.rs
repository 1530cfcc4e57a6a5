//! Which request meets which fault.

use super::fault::{Fault, FaultSpec};
use super::random::{hash, mix, unit};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// The plan of faults, and what has been planned at run time.
pub(super) struct Faults {
    seed: u64,
    likely: Vec<FaultSpec>,
    only_first: Option<u32>,
    state: Mutex<State>,
}

struct State {
    /// Faults of the requests that come next.
    next: VecDeque<Fault>,
    /// Faults by the number of the request, counted from 1.
    scripted: HashMap<u64, Fault>,
    requests: u64,
    attempts: HashMap<u64, u32>,
}

impl Faults {
    pub(super) fn new(
        seed: u64,
        likely: Vec<FaultSpec>,
        only_first: Option<u32>,
        scripted: HashMap<u64, Fault>,
    ) -> Faults {
        let state =
            State { next: VecDeque::new(), scripted, requests: 0, attempts: HashMap::new() };
        Faults { seed, likely, only_first, state: Mutex::new(state) }
    }

    /// Gives `fault` to the next `count` requests.
    pub(super) fn fail_next(&self, count: usize, fault: Fault) {
        self.state.lock().next.extend(std::iter::repeat_n(fault, count));
    }

    /// The fault of the request that has just come.
    ///
    /// `said` is the number of earlier attempts, as its sender states it. It counts only where
    /// there is no body: two requests with one body are two attempts of one request.
    pub(super) fn choose(&self, path: &str, body: &[u8], said: Option<u32>) -> Option<Fault> {
        let identity = if self.likely.is_empty() {
            None
        } else {
            Some(hash(hash(self.seed, path.as_bytes()), body))
        };
        let mut state = self.state.lock();
        state.requests += 1;
        let number = state.requests;
        let planned = state.next.pop_front().or_else(|| state.scripted.remove(&number));
        let Some(identity) = identity else { return planned };
        let count = state.attempts.entry(identity).or_default();
        *count += 1;
        let attempt = match said {
            Some(earlier) if body.is_empty() => earlier + 1,
            _ => *count,
        };
        drop(state);
        planned.or_else(|| self.draw(identity, attempt))
    }

    fn draw(&self, identity: u64, attempt: u32) -> Option<Fault> {
        if self.only_first.is_some_and(|first| attempt > first) {
            return None;
        }
        let mut roll = unit(mix(identity, u64::from(attempt)));
        for spec in &self.likely {
            if roll < spec.probability {
                return Some(spec.fault);
            }
            roll -= spec.probability;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(seed: u64, first: Option<u32>) -> Faults {
        let likely = vec![FaultSpec::new(Fault::Reset, 0.1), FaultSpec::new(Fault::Empty, 0.2)];
        Faults::new(seed, likely, first, HashMap::new())
    }

    fn drawn(faults: &Faults, order: impl Iterator<Item = u32>) -> HashMap<u32, Option<Fault>> {
        order.map(|n| (n, faults.choose("/p", &n.to_le_bytes(), None))).collect()
    }

    #[test]
    fn the_order_of_arrival_does_not_matter_and_the_seed_does() {
        let forward = drawn(&faults(1, None), 0..200);
        assert_eq!(forward, drawn(&faults(1, None), (0..200).rev()));
        assert_ne!(forward, drawn(&faults(2, None), 0..200));
    }

    #[test]
    fn the_shares_are_met() {
        let drawn = drawn(&faults(3, None), 0..5_000);
        let share = |fault| drawn.values().filter(|each| **each == Some(fault)).count();
        assert!((400..600).contains(&share(Fault::Reset)), "{}", share(Fault::Reset));
        assert!((850..1150).contains(&share(Fault::Empty)), "{}", share(Fault::Empty));
    }

    #[test]
    fn later_attempts_can_be_spared() {
        let certain = vec![FaultSpec::new(Fault::ServerError, 1.0)];
        let faults = Faults::new(1, certain, Some(2), HashMap::new());
        let seen: Vec<_> = (0..4).map(|_| faults.choose("/p", b"x", None).is_some()).collect();
        assert_eq!(seen, [true, true, false, false]);
        assert!(faults.choose("/get", b"", Some(2)).is_none());
        assert!(faults.choose("/get", b"", Some(1)).is_some());
    }

    #[test]
    fn what_is_asked_for_comes_before_what_is_scripted_or_drawn() {
        let faults = Faults::new(1, Vec::new(), None, HashMap::from([(3, Fault::Hang)]));
        faults.fail_next(2, Fault::Garbage);
        let seen: Vec<_> = (0..4).map(|_| faults.choose("/p", b"x", None)).collect();
        assert_eq!(seen, [Some(Fault::Garbage), Some(Fault::Garbage), Some(Fault::Hang), None]);
    }
}
