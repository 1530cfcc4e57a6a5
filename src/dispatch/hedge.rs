//! Second requests for stragglers: of two the first answer counts, and the other is given up.

use super::agenda::{Agenda, Due};
use super::attempt::{self, Outcome};
use super::feed::Pending;
use super::{Call, Dispatcher};
use crate::clock::{Stage, Stop, Subscription, Time};
use crate::policy::hedge::Hedge;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Watches over the requests in flight of one pool.
#[derive(Debug)]
pub(super) struct Hedger<T> {
    share: f64,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    groups: HashMap<Arc<str>, Hedge>,
    /// When each race gets its second request.
    due: Agenda<Arc<Race<T>>>,
    /// Nothing was possible, and is not tried again before this.
    resting: Time,
    /// When the pacer looks again by itself.
    watched: Option<Time>,
}

/// A call with one request in flight, or two.
#[derive(Debug)]
pub(super) struct Race<T> {
    pub(super) call: Arc<Call>,
    /// Interrupts whatever is in flight for the call.
    pub(super) stop: Stop,
    /// When the first request was sent.
    pub(super) began: Time,
    runners: Mutex<Runners<T>>,
    _subscription: Subscription,
}

#[derive(Debug)]
struct Runners<T> {
    /// The call, until a request has decided it.
    pending: Option<Box<Pending<T>>>,
    /// Requests that may decide it: in flight, or about to be.
    out: u32,
    /// Requests in flight.
    sent: u32,
}

impl<T> Hedger<T> {
    /// One that sends at most `share` second requests for each first one.
    pub(super) fn new(share: f64) -> Hedger<T> {
        let state = State {
            groups: HashMap::new(),
            due: Agenda::new(),
            resting: Time::ZERO,
            watched: None,
        };
        Hedger { share, state: Mutex::new(state) }
    }

    /// A race for a call whose first request is sent now, and whether the pacer has to look sooner
    /// than it would.
    pub(super) fn begin(
        &self,
        pending: Box<Pending<T>>,
        stop: &Stop,
        now: Time,
    ) -> (Arc<Race<T>>, bool) {
        let call = pending.call.clone();
        let own = Stop::new();
        let subscription = stop.subscribe({
            let own = own.clone();
            move |stage| {
                if stage == Stage::Abort {
                    own.abort();
                }
            }
        });
        let runners = Mutex::new(Runners { pending: Some(pending), out: 1, sent: 0 });
        let race =
            Arc::new(Race { call, stop: own, began: now, runners, _subscription: subscription });
        let mut state = self.state.lock();
        let Some(patience) = state.group(&race.call.group, self.share).sent() else {
            return (race, false);
        };
        let at = now + patience;
        state.due.put(at, race.clone());
        (race, state.watched.is_none_or(|watched| at < watched))
    }

    /// The first request of a call took this long, whatever came of it.
    pub(super) fn took(&self, group: &Arc<str>, time: Duration) {
        self.state.lock().group(group, self.share).took(time);
    }

    /// The next race that may have a second request now: the one that has been due for longest.
    pub(super) fn next(&self, now: Time) -> Option<Due<Arc<Race<T>>>> {
        let mut state = self.state.lock();
        if now < state.resting {
            return None;
        }
        let (mut found, mut poor) = (None, Vec::new());
        while let Some(due) = state.due.take(now) {
            if due.what.is_over() {
                continue;
            }
            if state.group(&due.what.call.group, self.share).may_send() {
                found = Some(due);
                break;
            }
            poor.push(due);
        }
        if found.is_none() && !poor.is_empty() {
            state.resting = now + REST;
        }
        for due in poor {
            state.due.put_back(due);
        }
        found
    }

    /// The second request of a race was admitted.
    pub(super) fn spend(&self, group: &Arc<str>) {
        self.state.lock().group(group, self.share).spend();
    }

    /// The second request of a race was not sent: the answer to the first came just before.
    pub(super) fn give_back(&self, group: &Arc<str>) {
        self.state.lock().group(group, self.share).give_back();
    }

    /// The second request of a race was not admitted: it keeps its place for a later moment.
    pub(super) fn put_off(&self, due: Due<Arc<Race<T>>>, now: Time) {
        let mut state = self.state.lock();
        state.resting = now + REST;
        state.due.put_back(due);
    }

    /// When the pacer has to look again, which it will.
    pub(super) fn watch(&self) -> Option<Time> {
        let mut state = self.state.lock();
        while state.due.first().is_some_and(|(_, race)| race.is_over()) {
            state.due.take(Time::NEVER);
        }
        state.watched = state.due.first().map(|(at, _)| at.max(state.resting));
        state.watched
    }
}

/// Time between two looks where second requests are due and none could be sent.
const REST: Duration = Duration::from_millis(50);

impl<T> State<T> {
    fn group(&mut self, group: &Arc<str>, share: f64) -> &mut Hedge {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.clone(), Hedge::new(share));
        }
        self.groups.get_mut(group).expect("it was just put there")
    }
}

impl<T> Race<T> {
    fn is_over(&self) -> bool {
        self.runners.lock().pending.is_none()
    }

    /// Puts a second request beside the first; `false` if the race is over.
    pub(super) fn join(&self) -> bool {
        let mut runners = self.runners.lock();
        let is_on = runners.pending.is_some();
        runners.out += u32::from(is_on);
        is_on
    }

    /// Counts a request that is about to be made; when it began and the time it has, or `None` if
    /// the race is over.
    pub(super) fn start(&self, dispatcher: &Dispatcher) -> Option<(Time, Duration)> {
        let mut runners = self.runners.lock();
        let runners = &mut *runners;
        let Some(pending) = &mut runners.pending else {
            runners.out -= 1;
            return None;
        };
        let history = pending.history.as_mut().expect("an admitted call has asked");
        if runners.sent > 0 {
            history.hedged();
        }
        runners.sent += 1;
        let began = attempt::begin(dispatcher, &self.call, history);
        let left = history.deadline().since(began);
        Some((began, attempt::time(dispatcher, &self.call, left)))
    }

    /// A request has come to its end. Gives the call if that decides it: an answer always does, and
    /// a failure when no other request is in flight.
    pub(super) fn finish(
        &self,
        dispatcher: &Dispatcher,
        outcome: Option<&Outcome>,
    ) -> Option<Box<Pending<T>>> {
        let mut runners = self.runners.lock();
        runners.out -= 1;
        runners.sent -= 1;
        let is_answer = outcome.is_some_and(Outcome::is_good);
        if runners.out > 0 && !is_answer {
            if let (Some(pending), Some(outcome)) = (&mut runners.pending, outcome) {
                let history = pending.history.as_mut().expect("it was sent");
                history.set_aside(dispatcher, &self.call, outcome);
            }
            return None;
        }
        let mut pending = runners.pending.take()?;
        if runners.sent > 0 {
            let history = pending.history.as_mut().expect("it was sent");
            history.abandoned(dispatcher, &self.call);
            drop(runners);
            self.stop.abort();
        }
        Some(pending)
    }
}
