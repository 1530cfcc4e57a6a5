//! What is to be done at a time, the earliest first.

use crate::clock::Time;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Things with the time at which each is due; of those for the same time, the first one put in
/// comes first.
#[derive(Debug)]
pub(super) struct Agenda<V> {
    all: BinaryHeap<Reverse<Due<V>>>,
    order: u64,
}

/// Something and its place in an [`Agenda`].
#[derive(Debug)]
pub(super) struct Due<V> {
    at: Time,
    order: u64,
    pub(super) what: V,
}

impl<V> Agenda<V> {
    /// One with nothing in it.
    pub(super) fn new() -> Agenda<V> {
        Agenda { all: BinaryHeap::new(), order: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn put(&mut self, at: Time, what: V) {
        self.order += 1;
        self.put_back(Due { at, order: self.order, what });
    }

    /// Puts something back in its old place.
    pub(super) fn put_back(&mut self, due: Due<V>) {
        self.all.push(Reverse(due));
    }

    /// The earliest, with its time.
    pub(super) fn first(&self) -> Option<(Time, &V)> {
        self.all.peek().map(|Reverse(due)| (due.at, &due.what))
    }

    /// Takes out the earliest, if it is due.
    pub(super) fn take(&mut self, now: Time) -> Option<Due<V>> {
        self.first().filter(|(at, _)| *at <= now)?;
        self.all.pop().map(|Reverse(due)| due)
    }

    /// Takes out everything, in no order.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = V> {
        self.all.drain().map(|Reverse(due)| due.what)
    }
}

impl<V> PartialEq for Due<V> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<V> Eq for Due<V> {}
impl<V> PartialOrd for Due<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<V> Ord for Due<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_comes_first_and_only_when_it_is_due() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut agenda = Agenda::new();
        for (time, what) in [(3, 'c'), (1, 'a'), (3, 'd'), (2, 'b')] {
            agenda.put(at(time), what);
        }
        assert!(agenda.take(Time::ZERO).is_none());
        assert_eq!(agenda.len(), 4, "what is not due stays");
        let first = agenda.take(at(9)).unwrap();
        assert_eq!(first.what, 'a');
        agenda.put_back(first);
        assert_eq!(agenda.first(), Some((at(1), &'a')));
        let all: String = std::iter::from_fn(|| agenda.take(at(9))).map(|due| due.what).collect();
        assert_eq!(all, "abcd");
    }
}
