//! Who may send now: one gate for all callers of a client.

use crate::clock::{Clock, Signal, Stage, Stop, Time};
use crate::error::{CircuitOpen, Error, Timeout, TimeoutStage};
use crate::policy::breaker::{self, Admission, Breaker, Verdict};
use crate::policy::budget::{Budget, Receipt};
use crate::wire::fault::Scope;
use crate::wire::headers::{Level, RateReport};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the gate allows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Requests a minute for each limit group. Default: what the server's headers say.
    pub requests_per_minute: Option<f64>,
    /// Tokens a minute for each limit group. Default: what the server's headers say.
    pub tokens_per_minute: Option<f64>,
    /// How much of a limit may go at once before the server has told what it allows.
    /// Default: 1 s worth, because a limit may be enforced by the second.
    pub burst: Duration,
    /// Requests in flight, over all groups. Default: 128.
    pub max_concurrency: usize,
    /// When the circuit opens and closes.
    pub breaker: breaker::Rules,
    /// How long the circuit may stay open before callers are told. Default: 5 min.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            requests_per_minute: None,
            tokens_per_minute: None,
            burst: Duration::from_secs(1),
            max_concurrency: 128,
            breaker: breaker::Rules::default(),
            patience: Duration::from_secs(300),
        }
    }
}

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
}

/// A refusal, with when to come back: at `until`, or when the gate's signal is raised.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) cause: Cause,
    pub(crate) until: Option<Time>,
    /// Set when the circuit has been open for longer than the limits allow.
    pub(crate) given_up: Option<CircuitOpen>,
}

impl Refusal {
    fn new(cause: Cause, until: Option<Time>) -> Refusal {
        Refusal { cause, until, given_up: None }
    }
}

/// Admits calls within every limit, first come, first served in each limit group.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    signal: Signal,
    limits: Limits,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    ceiling: usize,
    /// Single calls that wait on their callers' threads.
    callers: usize,
    tickets: u64,
    sequence: u64,
    groups: HashMap<Arc<str>, usize>,
    lanes: Vec<Lane>,
}

/// The state of one limit group.
#[derive(Debug)]
struct Lane {
    /// Requests, tokens, and the tokens of the project.
    budgets: [Option<Budget>; 3],
    breaker: Breaker,
    paused_until: Time,
    pause_began: Time,
    queue: VecDeque<u64>,
    last_failure: String,
}

const REQUESTS: usize = 0;
const TOKENS: usize = 1;
const PROJECT_TOKENS: usize = 2;

impl Gate {
    /// A gate with `limits`.
    pub fn new(limits: Limits) -> Arc<Gate> {
        let state = State {
            in_flight: 0,
            callers: 0,
            ceiling: limits.max_concurrency.max(1),
            tickets: 0,
            sequence: 0,
            groups: HashMap::new(),
            lanes: Vec::new(),
        };
        Arc::new(Gate { state: Mutex::new(state), signal: Signal::new(), limits })
    }

    /// Raised whenever somebody who was refused should ask again.
    pub(crate) fn signal(&self) -> &Signal {
        &self.signal
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.state.lock().in_flight
    }

    /// How many requests may be in flight.
    pub fn ceiling(&self) -> usize {
        self.state.lock().ceiling
    }

    /// Lowers or raises how many requests may be in flight.
    pub fn set_ceiling(&self, to: usize) {
        self.state.lock().ceiling = to.max(1);
        self.signal.raise();
    }

    /// The requests and tokens a minute that are in force for `group`, where known.
    pub fn rates(&self, group: &str) -> (Option<f64>, Option<f64>) {
        let state = self.state.lock();
        let Some(&lane) = state.groups.get(group) else { return (None, None) };
        let rate = |which: usize| state.lanes[lane].budgets[which].as_ref().map(Budget::per_minute);
        (rate(REQUESTS), rate(TOKENS))
    }

    /// Whether single calls wait, which have to be woken when a slot is free.
    pub(crate) fn has_callers(&self) -> bool {
        self.state.lock().callers > 0
    }

    /// Admits a call now, or says when to ask again and keeps its place in the queue.
    pub(crate) fn try_enter(
        self: &Arc<Self>,
        now: Time,
        group: &Arc<str>,
        weight: u64,
        place: &mut Option<Place>,
    ) -> Result<Permit, Refusal> {
        let mut state = self.state.lock();
        let lane = state.lane(group, &self.limits, now);
        let mine = place.as_ref().map(|place| place.ticket);
        let first = state.lanes[lane].queue.front().copied();
        let verdict = match first {
            Some(first) if Some(first) != mine => Err(Refusal::new(Cause::Turn, None)),
            _ => state.admit(now, lane, weight, &self.limits),
        };
        match verdict {
            Ok(mut permit) => {
                permit.gate = Some(self.clone());
                if let Some(mut place) = place.take() {
                    place.forget(&mut state);
                }
                let others = !state.lanes[lane].queue.is_empty();
                drop(state);
                if others {
                    self.signal.raise();
                }
                Ok(permit)
            }
            Err(refusal) => {
                if place.is_none() {
                    state.tickets += 1;
                    let ticket = state.tickets;
                    state.lanes[lane].queue.push_back(ticket);
                    *place = Some(Place { gate: self.clone(), lane, ticket });
                }
                Err(refusal)
            }
        }
    }

    /// Waits until the call is admitted, and says on what it waited.
    pub(crate) fn enter(
        self: &Arc<Self>,
        clock: &dyn Clock,
        group: &Arc<str>,
        weight: u64,
        stop: &Stop,
        deadline: Option<(Time, Duration)>,
    ) -> Result<Permit, Error> {
        let mut place = None;
        if let Ok(permit) = self.try_enter(clock.now(), group, weight, &mut place)
            && !stop.is_stopped()
        {
            return Ok(permit);
        }
        self.state.lock().callers += 1;
        let entered = self.wait_to_enter(clock, group, weight, stop, deadline, place);
        self.state.lock().callers -= 1;
        entered
    }

    fn wait_to_enter(
        self: &Arc<Self>,
        clock: &dyn Clock,
        group: &Arc<str>,
        weight: u64,
        stop: &Stop,
        deadline: Option<(Time, Duration)>,
        mut place: Option<Place>,
    ) -> Result<Permit, Error> {
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
            match self.try_enter(now, group, weight, &mut place) {
                Ok(permit) => return Ok(permit),
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

impl State {
    fn lane(&mut self, group: &Arc<str>, limits: &Limits, now: Time) -> usize {
        if let Some(&lane) = self.groups.get(group) {
            return lane;
        }
        let stated = |rate: Option<f64>| rate.map(|rate| Budget::stated(rate, limits.burst, now));
        self.lanes.push(Lane {
            budgets: [stated(limits.requests_per_minute), stated(limits.tokens_per_minute), None],
            breaker: Breaker::new(limits.breaker),
            paused_until: Time::ZERO,
            pause_began: Time::ZERO,
            queue: VecDeque::new(),
            last_failure: String::new(),
        });
        self.groups.insert(group.clone(), self.lanes.len() - 1);
        self.lanes.len() - 1
    }

    fn admit(
        &mut self,
        now: Time,
        at: usize,
        weight: u64,
        limits: &Limits,
    ) -> Result<Permit, Refusal> {
        if self.in_flight >= self.ceiling {
            return Err(Refusal::new(Cause::Concurrency, None));
        }
        let lane = &mut self.lanes[at];
        if lane.paused_until > now {
            return Err(Refusal::new(Cause::Pause, Some(lane.paused_until)));
        }
        let costs = [1.0, weight as f64, weight as f64];
        for (which, budget) in lane.budgets.iter_mut().enumerate() {
            let Some(budget) = budget else { continue };
            let wait = budget.wait(now, costs[which]);
            if wait > Duration::ZERO {
                let cause = if which == REQUESTS { Cause::Requests } else { Cause::Tokens };
                return Err(Refusal::new(cause, Some(now + wait)));
            }
        }
        // Asked last, because a yes takes one of the counted probes.
        let is_probe = match lane.breaker.admit(now) {
            Admission::Yes => false,
            Admission::Probe => true,
            Admission::Until(until) => return Err(lane.circuit_open(now, until, limits)),
        };
        let mut receipts = [None; 3];
        for (which, budget) in lane.budgets.iter_mut().enumerate() {
            receipts[which] = budget.as_mut().map(|budget| budget.charge(costs[which]));
        }
        self.in_flight += 1;
        self.sequence += 1;
        Ok(Permit {
            gate: None,
            lane: at,
            sequence: self.sequence,
            sent_at: now,
            weight,
            receipts,
            is_probe,
        })
    }
}

impl Lane {
    fn circuit_open(&self, now: Time, until: Time, limits: &Limits) -> Refusal {
        let open_for = self.breaker.open_since().map_or(Duration::ZERO, |since| now.since(since));
        let given_up = (open_for >= limits.patience)
            .then(|| CircuitOpen::new(open_for, until.since(now), self.last_failure.clone()));
        Refusal { cause: Cause::Circuit, until: Some(until), given_up }
    }

    /// The bucket that a report speaks of; one that was unknown until now begins with it.
    fn learn(&mut self, permit: &Permit, which: usize, level: &Level, now: Time, burst: Duration) {
        let slot = &mut self.budgets[which];
        if slot.is_none() {
            let Some(limit) = level.limit.filter(|&limit| limit > 0) else { return };
            *slot = Some(Budget::told(limit as f64, burst, now));
        }
        if let Some(budget) = slot {
            let receipt = permit.receipts[which].unwrap_or_default();
            budget.learn(now, level, receipt, permit.sequence, permit.sent_at);
        }
    }

    /// A refusal holds everybody back once: those that were sent before it are no news.
    fn pause(&mut self, permit: &Permit, length: Duration, now: Time) -> bool {
        if permit.sent_at < self.pause_began {
            return false;
        }
        self.pause_began = now;
        self.paused_until = self.paused_until.max(now + length);
        true
    }
}

/// A place in the queue of a limit group; it is given up when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    lane: usize,
    ticket: u64,
}

impl Place {
    fn forget(&mut self, state: &mut State) {
        let queue = &mut state.lanes[self.lane].queue;
        if let Some(at) = queue.iter().position(|&ticket| ticket == self.ticket) {
            queue.remove(at);
        }
        self.ticket = 0;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ticket == 0 {
            return;
        }
        let gate = self.gate.clone();
        self.forget(&mut gate.state.lock());
        gate.signal.raise();
    }
}

/// The right to send one request. Settle it with what became of the request; dropped unsettled, it
/// is as if the request had never been sent.
#[derive(Debug)]
pub(crate) struct Permit {
    gate: Option<Arc<Gate>>,
    lane: usize,
    sequence: u64,
    pub(crate) sent_at: Time,
    weight: u64,
    receipts: [Option<Receipt>; 3],
    is_probe: bool,
}

/// What became of a request, as far as the gate is concerned.
#[derive(Debug)]
pub(crate) struct Settlement<'a> {
    /// For the breaker.
    pub(crate) verdict: Verdict,
    /// Whether no connection could be made.
    pub(crate) is_connect_failure: bool,
    /// What failed, to be told should the circuit stay open.
    pub(crate) failure: Option<&'a str>,
    /// Whether the request may have reached the server.
    pub(crate) is_sent: bool,
    /// The server refused: for which limit, and how long everybody should wait.
    pub(crate) refused: Option<(Scope, Duration)>,
    /// What the server's headers said.
    pub(crate) report: &'a RateReport,
    /// Tokens that the request used.
    pub(crate) used: Option<u64>,
}

impl Permit {
    /// Hands back the slot and corrects the budgets.
    ///
    /// It wakes nobody: the thread that settles may take the next call itself, and otherwise
    /// raises the gate's signal.
    pub(crate) fn settle(mut self, now: Time, settlement: &Settlement<'_>) {
        let Some(gate) = self.gate.take() else { return };
        let mut state = gate.state.lock();
        state.in_flight -= 1;
        let lane = &mut state.lanes[self.lane];
        self.settle_budgets(lane, now, settlement, gate.limits.burst);
        if let Some((scope, length)) = settlement.refused
            && lane.pause(&self, length, now)
        {
            let which = if scope == Scope::Tokens { TOKENS } else { REQUESTS };
            log::debug!(target: "openai_bulk::gate", scope:? = scope, pause_ms = length.as_millis() as u64; "refused");
            if let Some(budget) = &mut lane.budgets[which]
                && settlement.report.is_empty()
            {
                budget.empty(now);
            }
        }
        if let Some(failure) = settlement.failure {
            failure.clone_into(&mut lane.last_failure);
        }
        let change = lane.breaker.record(
            now,
            self.is_probe,
            self.sent_at,
            settlement.verdict,
            settlement.is_connect_failure,
            fastrand::f64(),
        );
        match change {
            Some(breaker::Change::Opened(length)) => {
                log::info!(target: "openai_bulk::breaker", open_ms = length.as_millis() as u64, cause = lane.last_failure.as_str(); "the circuit is open: the server is in trouble");
            }
            Some(breaker::Change::Closed) => {
                log::info!(target: "openai_bulk::breaker", "the circuit is closed: the server answers again");
            }
            None => {}
        }
    }

    fn settle_budgets(
        &self,
        lane: &mut Lane,
        now: Time,
        settlement: &Settlement<'_>,
        burst: Duration,
    ) {
        if !settlement.is_sent {
            self.refund(lane);
            return;
        }
        let report = settlement.report;
        for (which, level) in [
            (REQUESTS, &report.requests),
            (TOKENS, &report.tokens),
            (PROJECT_TOKENS, &report.project_tokens),
        ] {
            lane.learn(self, which, level, now, burst);
        }
        if let Some(used) = settlement.used {
            for which in [TOKENS, PROJECT_TOKENS] {
                if let (Some(budget), Some(receipt)) =
                    (&mut lane.budgets[which], self.receipts[which])
                {
                    budget.settle(receipt, used as f64);
                }
            }
        }
    }

    fn refund(&self, lane: &mut Lane) {
        let costs = [1.0, self.weight as f64, self.weight as f64];
        for (which, cost) in costs.into_iter().enumerate() {
            if let (Some(budget), Some(_)) = (&mut lane.budgets[which], self.receipts[which]) {
                budget.refund(cost);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        {
            let mut state = gate.state.lock();
            state.in_flight -= 1;
            let lane = &mut state.lanes[self.lane];
            self.refund(lane);
            let (now, probe) = (self.sent_at, self.is_probe);
            lane.breaker.record(now, probe, now, Verdict::Ignored, false, 0.0);
        }
        gate.signal.raise();
    }
}
