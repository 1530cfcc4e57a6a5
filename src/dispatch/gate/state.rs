use super::lane::Lane;
use super::seat::Turn;
use super::{Cause, Journal, Limits, Permit, Refusal, Seat};
use crate::clock::Time;
use crate::usage::Weight;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Everything that the gate's lock guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) in_flight: usize,
    pub(super) ceiling: usize,
    pub(super) journal: Journal,
    tickets: u64,
    /// The queue's own time: the turn of the call that was admitted last.
    now: u64,
    /// Who waits for a slot and for nothing else.
    slots: BTreeSet<Turn>,
    groups: HashMap<Arc<str>, usize>,
    pub(super) lanes: Vec<Lane>,
}

impl State {
    pub(super) fn new(limits: Limits) -> State {
        State {
            in_flight: 0,
            ceiling: limits.max_concurrency.max(1),
            journal: Journal::default(),
            tickets: 0,
            now: 0,
            slots: BTreeSet::new(),
            groups: HashMap::new(),
            lanes: Vec::new(),
            limits,
        }
    }

    pub(super) fn find(&self, group: &str) -> Option<&Lane> {
        self.groups.get(group).map(|&lane| &self.lanes[lane])
    }

    pub(super) fn find_mut(&mut self, group: &str) -> Option<&mut Lane> {
        self.groups.get(group).map(|&lane| &mut self.lanes[lane])
    }

    fn lane(&mut self, group: &Arc<str>, now: Time) -> usize {
        if let Some(&lane) = self.groups.get(group) {
            return lane;
        }
        self.lanes.push(Lane::new(group.clone(), &self.limits, now));
        self.groups.insert(group.clone(), self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    pub(super) fn restate(&mut self, limits: Limits, now: Time) {
        self.ceiling = limits.max_concurrency.max(1);
        for lane in &mut self.lanes {
            lane.restate(&limits, now, &mut self.journal);
        }
        self.limits = limits;
    }

    /// Admits the seat's call, or says why not; and whether others should ask again.
    pub(super) fn ask(
        &mut self,
        now: Time,
        weight: Weight,
        seat: &mut Seat,
        has_more: bool,
    ) -> (Result<Permit, Refusal>, bool) {
        let lane = match seat.lane {
            Some(lane) => lane,
            None => *seat.lane.insert(self.lane(&seat.group, now)),
        };
        let turn = match seat.turn {
            Some(turn) => turn,
            None => {
                self.tickets += 1;
                (self.now.max(seat.next), self.tickets)
            }
        };
        let had_asked_for_slot = self.slots.remove(&turn);
        let is_first = self.lanes[lane].queue.first().is_none_or(|first| *first >= turn);
        let verdict = if is_first {
            self.admit(now, lane, weight, turn)
        } else {
            Err(Refusal::new(Cause::Turn, None))
        };
        match verdict {
            Ok(permit) => {
                seat.turn = None;
                seat.next = turn.0 + seat.stride;
                self.now = self.now.max(turn.0);
                self.lanes[lane].queue.remove(&turn);
                let others = !self.lanes[lane].queue.is_empty();
                if has_more {
                    self.tickets += 1;
                    let next = (self.now.max(seat.next), self.tickets);
                    seat.turn = Some(next);
                    self.lanes[lane].queue.insert(next);
                }
                (Ok(permit), others)
            }
            Err(refusal) => {
                if seat.turn.is_none() {
                    seat.turn = Some(turn);
                    self.lanes[lane].queue.insert(turn);
                }
                // Who does not want its slot any more may be what the others waited for.
                let is_news =
                    had_asked_for_slot && !self.slots.contains(&turn) && self.has_free_slot();
                (Err(refusal), is_news)
            }
        }
    }

    /// Takes a turn out of the queues, and says whether somebody may go for it.
    pub(super) fn leave(&mut self, lane: usize, turn: Turn) -> bool {
        let queue = &mut self.lanes[lane].queue;
        let was_first = queue.first() == Some(&turn);
        queue.remove(&turn);
        let others = was_first && !queue.is_empty();
        (self.slots.remove(&turn) && self.has_free_slot()) || others
    }

    fn has_free_slot(&self) -> bool {
        self.in_flight < self.ceiling && !self.slots.is_empty()
    }

    fn admit(
        &mut self,
        now: Time,
        at: usize,
        weight: Weight,
        turn: Turn,
    ) -> Result<Permit, Refusal> {
        let lane = &mut self.lanes[at];
        lane.may_send(now, weight, &self.limits, &mut self.journal)?;
        // Who came first in another group has the first right to a slot.
        let free = self.ceiling.saturating_sub(self.in_flight);
        let ahead = self.slots.iter().take(free).take_while(|other| **other < turn).count();
        if ahead >= free {
            self.slots.insert(turn);
            return Err(Refusal::new(Cause::Concurrency, None));
        }
        // Asked last, because a yes takes one of the counted probes.
        let is_probe = lane.pass_breaker(now)?;
        self.in_flight += 1;
        Ok(lane.send(now, at, weight, is_probe))
    }
}
