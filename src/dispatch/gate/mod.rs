//! Who may send now: one gate for all callers of a client.
//!
//! - `limits` - what the user allows.
//! - `state` - what is in flight, who waits, and who may go.
//! - `seat` - a place among those who wait, first come first served by weight.
//! - `lane` - one limit group: budgets, searches, concurrency, breaker.
//! - `pause` - holds everybody back after a refusal.
//! - `permit` - the right to send one request, settled with what became of it.
//! - `pay` - whether a request may still be paid for.
//! - `journal` - how the limits changed.

mod journal;
mod lane;
mod limits;
mod pause;
mod pay;
mod permit;
mod seat;
mod state;

use super::{Call, Dispatcher};
use crate::clock::{Signal, Stage, Stop, Time};
use crate::error::{CircuitOpen, Error, Timeout, TimeoutStage};
use crate::usage::Weight;
use journal::Journal;
use parking_lot::Mutex;
use state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

pub use journal::{Adjustment, Quantity};
pub use limits::Limits;
pub(crate) use permit::{Permit, Refused, Settlement, Spent};
pub(crate) use seat::Seat;

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The requests budget is spent.
    Requests,
    /// The tokens budget is spent.
    Tokens,
    /// As many requests are in flight as may be.
    Concurrency,
    /// The server refused a moment ago, and everybody waits.
    Pause,
    /// The circuit breaker is open.
    Circuit,
    /// Somebody else came first.
    Turn,
    /// What is in flight may use up what the cap of money or tokens leaves.
    Cap,
}

/// A refusal, with when to come back: at `until`, or when the gate's signal is raised.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) until: Option<Time>,
    /// Set when the circuit has been open for longer than the limits allow.
    pub(crate) given_up: Option<CircuitOpen>,
    /// Set when the call cannot be paid for, whatever is waited for.
    pub(crate) unpaid: Option<Box<Error>>,
}

impl Refusal {
    fn new(cause: Cause, until: Option<Time>) -> Refusal {
        Refusal { cause, until, given_up: None, unpaid: None }
    }
}

/// Admits calls within every limit, first come, first served in each limit group.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    signal: Signal,
    /// Pools and single calls that may wait at the same time.
    members: AtomicUsize,
}

impl Gate {
    /// A gate with `limits`.
    pub fn new(limits: Limits) -> Arc<Gate> {
        Arc::new(Gate {
            state: Mutex::new(State::new(limits)),
            signal: Signal::new(),
            members: AtomicUsize::new(0),
        })
    }

    /// Raised whenever somebody who was refused should ask again.
    pub(crate) fn signal(&self) -> &Signal {
        &self.signal
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.state.lock().in_flight
    }

    /// How many requests may be in flight, over all limit groups.
    pub fn ceiling(&self) -> usize {
        self.state.lock().ceiling
    }

    /// Lowers or raises how many requests may be in flight, over all limit groups.
    pub fn set_ceiling(&self, to: usize) {
        self.state.lock().ceiling = to.max(1);
        self.signal.raise();
    }

    /// Changes the limits that the user states, for every limit group and from now on. What servers
    /// tell still counts where it is lower.
    pub fn set_limits(&self, limits: Limits, now: Time) {
        self.state.lock().restate(limits, now);
        self.signal.raise();
    }

    /// The limits that the user states.
    pub fn limits(&self) -> Limits {
        self.state.lock().limits.clone()
    }

    /// The requests and tokens a minute that are in force for `group`, where known.
    pub fn rates(&self, group: &str) -> (Option<f64>, Option<f64>) {
        self.state.lock().find(group).map_or((None, None), |lane| lane.rates())
    }

    /// How many requests of `group` may be in flight.
    pub fn concurrency(&self, group: &str) -> Option<usize> {
        let state = self.state.lock();
        state.find(group).map(|lane| lane.concurrency.limit().min(state.ceiling))
    }

    /// How the limits changed until now, oldest first, and how many changes were too many to keep.
    pub fn journal(&self) -> (Vec<Adjustment>, u64) {
        self.state.lock().journal.all()
    }

    /// Counts somebody who may wait for a place beside others, for as long as the value lives.
    pub(crate) fn join(self: &Arc<Self>) -> Member {
        self.members.fetch_add(1, SeqCst);
        Member(self.clone())
    }

    /// Whether there are others than the one who asks, who have to be woken when a slot is free.
    pub(crate) fn is_shared(&self) -> bool {
        self.members.load(SeqCst) > 1
    }

    /// A seat in the queue of `group`. Those who wait share by weight: one of `share` 2 is admitted
    /// twice as often as one of 1.
    pub(crate) fn seat(self: &Arc<Self>, group: &Arc<str>, share: f64) -> Seat {
        Seat::new(self.clone(), group.clone(), share)
    }

    /// By how much a retry in `group` has to be put off, so that retries do not multiply the load.
    pub(crate) fn put_off(&self, group: &str, now: Time) -> Duration {
        let mut state = self.state.lock();
        state.find_mut(group).map_or(Duration::ZERO, |lane| lane.quota.take(now))
    }

    /// Admits a call now, or says when to ask again and keeps its place in the queue. `has_more` is
    /// whether another call of the seat waits: beside others, it has its turn in the queue at once.
    pub(crate) fn try_enter(
        self: &Arc<Self>,
        now: Time,
        weight: Weight,
        seat: &mut Seat,
        has_more: bool,
    ) -> Result<Permit, Refusal> {
        let has_more = has_more && self.is_shared();
        let (verdict, is_news) = self.state.lock().ask(now, weight, seat, has_more);
        if is_news {
            self.signal.raise();
        }
        verdict.map(|mut permit| {
            permit.gate = Some(self.clone());
            permit
        })
    }

    /// Waits until the call is admitted, and says on what it waited.
    pub(crate) fn enter(
        self: &Arc<Self>,
        dispatcher: &Dispatcher,
        call: &Call,
        stop: &Stop,
        deadline: Option<(Time, Duration)>,
    ) -> Result<Permit, Error> {
        let _member = self.join();
        let mut seat = self.seat(&call.group, 1.0);
        let (clock, purse) = (&*dispatcher.clock, dispatcher.purse.as_ref());
        let _subscription = stop.notify(&self.signal);
        loop {
            let seen = self.signal.seen();
            if stop.stage() >= Stage::Drain {
                return Err(Error::Cancelled);
            }
            let now = clock.now();
            if let Some((_, allowed)) = deadline.filter(|(at, _)| *at <= now) {
                let timeout = Timeout::new(TimeoutStage::Admission, allowed, 0);
                return Err(Error::Timeout(Box::new(timeout)));
            }
            match self.try_pay(now, call, purse, &dispatcher.prices, &mut seat, false) {
                Ok(permit) => return Ok(permit),
                Err(Refusal { unpaid: Some(error), .. }) => return Err(*error),
                Err(Refusal { given_up: Some(open), .. }) => {
                    return Err(Error::CircuitOpen(Box::new(open)));
                }
                Err(refusal) => {
                    let ends = deadline.map(|(at, _)| at);
                    let until = [refusal.until, ends].into_iter().flatten().min();
                    clock.wait(&self.signal, seen, until);
                }
            }
        }
    }
}

/// Somebody who may wait at a gate; see [`Gate::join`].
#[derive(Debug)]
pub(crate) struct Member(Arc<Gate>);

impl Drop for Member {
    fn drop(&mut self) {
        self.0.members.fetch_sub(1, SeqCst);
    }
}
