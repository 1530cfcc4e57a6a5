//! The engine without threads: feed, gate, retries and breaker against a model of a server, event
//! by event in virtual time. What is tested here are the decisions, at any scale.

mod hour;
mod known;
mod server;
mod trouble;
mod unknown;

use super::attempt::{self, Step};
use super::feed::{Feed, Pending, Take};
use super::gate::{Gate, Limits, Permit};
use super::pool::Job;
use super::{Call, Dispatcher};
use crate::cache::Cache;
use crate::clock::{Clock, ManualClock, Time};
use crate::error::{Error, TransportError};
use crate::policy::retry;
use crate::transport::{Answer, Exchange, Method};
use crate::usage::{Prices, Weight};
use server::{Server, Work};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn at(seconds: f64) -> Time {
    Time::from_origin(Duration::from_secs_f64(seconds))
}

/// Calls that are taken in ahead of what is sent.
const AHEAD: usize = 256;

/// One run of many calls against a server.
struct Run {
    gate: Arc<Gate>,
    server: Server,
    clock: ManualClock,
    dispatcher: Dispatcher,
    feed: Feed<usize>,
    events: BinaryHeap<Reverse<Due>>,
    order: u64,
    /// What is done at a time, such as a change of the server's limits.
    script: Vec<(Time, Act)>,
    outcomes: Vec<u8>,
    told: Told,
}

/// What a run tells in the end.
#[derive(Debug, Default)]
struct Told {
    /// When the last call was done, in seconds.
    took: f64,
    attempts: usize,
    refused: usize,
    /// Refused in each second.
    refused_at: BTreeMap<u64, usize>,
    /// Done in each second.
    done_at: BTreeMap<u64, usize>,
    failed: usize,
    most_in_flight: usize,
    /// In flight at the end of each second.
    in_flight_at: BTreeMap<u64, usize>,
    overloaded: usize,
}

impl Told {
    /// The share of attempts that were refused.
    fn refused_share(&self) -> f64 {
        self.refused as f64 / self.attempts as f64
    }

    /// The share of what was done and refused after a second that was refused.
    fn refused_share_after(&self, second: u64) -> f64 {
        let sum = |of: &BTreeMap<u64, usize>| of.range(second..).map(|(_, n)| n).sum::<usize>();
        let refused = sum(&self.refused_at);
        refused as f64 / (refused + sum(&self.done_at)).max(1) as f64
    }

    /// What was done a second between two seconds.
    fn rate(&self, from: u64, to: u64) -> f64 {
        self.done_at.range(from..to).map(|(_, n)| n).sum::<usize>() as f64 / (to - from) as f64
    }
}

type Act = Box<dyn FnMut(&mut Run)>;

struct Due {
    at: Time,
    order: u64,
    event: Event,
}

enum Event {
    /// A request reaches the server.
    Arrive(Box<Flight>),
    /// Its answer reaches the client.
    Return(Box<Flight>, Result<Answer, TransportError>),
}

struct Flight {
    pending: Box<Pending<usize>>,
    permit: Permit,
    began: Time,
    work: Work,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

fn unused(_: &Exchange<'_>) -> Result<Answer, TransportError> {
    unreachable!("nothing is exchanged here")
}

impl Run {
    fn new(server: Server, limits: impl FnOnce(&mut Limits)) -> Run {
        fastrand::seed(7);
        let clock = ManualClock::new();
        let mut allowed = Limits::default();
        limits(&mut allowed);
        let gate = Gate::new(allowed);
        let dispatcher = Dispatcher {
            transport: Arc::new(unused),
            clock: Arc::new(clock.clone()),
            gate: gate.clone(),
            rules: retry::Rules::default(),
            patience: Default::default(),
            timeout: seconds(600.0),
            deadline: seconds(86_400.0),
            hedge: 0.0,
            headers: Vec::new(),
            prices: Arc::new(Prices::none()),
            purse: None,
            cache: Cache::none(),
            observer: None,
        };
        Run {
            gate,
            server,
            clock,
            dispatcher,
            feed: Feed::new(1.0),
            events: BinaryHeap::new(),
            order: 0,
            script: Vec::new(),
            outcomes: Vec::new(),
            told: Told::default(),
        }
    }

    /// Does something at a time.
    fn then(mut self, time: f64, act: impl FnMut(&mut Run) + 'static) -> Run {
        self.script.push((at(time), Box::new(act)));
        self.script.sort_by_key(|(at, _)| Reverse(*at));
        self
    }

    /// Sends calls of such a weight until all are done.
    fn send(self, count: usize, input: u64, ceiling: u64) -> Told {
        self.send_each(count, move |_| ("m", Weight { input, ceiling }))
    }

    /// Sends `count` calls, each to the group and of the weight that `of` says.
    fn send_each(mut self, count: usize, of: impl Fn(usize) -> (&'static str, Weight)) -> Told {
        self.outcomes = vec![0; count];
        let mut pushed = 0;
        loop {
            let now = self.clock.now();
            while pushed < count && self.feed.ready() < AHEAD {
                self.feed.push(job(pushed, of(pushed)));
                pushed += 1;
            }
            self.feed.is_closed = pushed == count;
            let Some(wake) = self.take_all(now) else { break };
            let scripted = self.script.last().map(|(at, _)| *at);
            let next = self.events.peek().map(|Reverse(due)| due.at);
            let to = [wake, scripted, next].into_iter().flatten().min();
            let to = to.expect("every wait ends");
            assert!(to > now || wake.is_none_or(|wake| wake > now) || next == Some(to), "it spins");
            self.clock.advance(to.since(now));
            self.act();
        }
        self.told.took = self.clock.now().since_origin().as_secs_f64();
        assert_eq!(self.gate.in_flight(), 0, "no permit is left");
        assert!(self.outcomes.iter().all(|&n| n == 1), "each call has one outcome");
        self.told
    }

    /// Sends whatever may be sent now; gives when to look again, and `None` when all is done.
    fn take_all(&mut self, now: Time) -> Option<Option<Time>> {
        loop {
            let (outcomes, told) = (&mut self.outcomes, &mut self.told);
            let mut fail = |pending: Box<Pending<usize>>, _: Error| {
                outcomes[pending.tag] += 1;
                told.failed += 1;
            };
            match self.feed.take(&self.dispatcher, now, false, &mut fail) {
                Take::Go(pending, permit) => self.depart(now, pending, permit),
                Take::Wait { until, .. } => return Some(until),
                Take::Done => return None,
            }
            self.told.most_in_flight = self.told.most_in_flight.max(self.feed.in_flight);
            assert_eq!(self.gate.in_flight(), self.feed.in_flight, "a permit for each call");
        }
    }

    fn depart(&mut self, now: Time, mut pending: Box<Pending<usize>>, permit: Permit) {
        let history = pending.history.as_mut().expect("an admitted call has asked");
        let began = attempt::begin(&self.dispatcher, &pending.call, history);
        self.told.attempts += 1;
        let work = Work { weight: pending.call.weight };
        let way = self.server.way();
        let flight = Box::new(Flight { pending, permit, began, work });
        self.due(now + way, Event::Arrive(flight));
    }

    fn due(&mut self, at: Time, event: Event) {
        self.order += 1;
        self.events.push(Reverse(Due { at, order: self.order, event }));
    }

    /// Does what is due now.
    fn act(&mut self) {
        let now = self.clock.now();
        while self.script.last().is_some_and(|(at, _)| *at <= now) {
            let (_, mut act) = self.script.pop().expect("it was just seen");
            act(self);
        }
        while self.events.peek().is_some_and(|Reverse(due)| due.at <= now) {
            let Reverse(due) = self.events.pop().expect("it was just seen");
            match due.event {
                Event::Arrive(flight) => {
                    let (answer, after) = self.server.serve(now, &flight.work);
                    let way = self.server.way();
                    self.due(now + after + way, Event::Return(flight, answer));
                }
                Event::Return(flight, answer) => self.arrive(now, *flight, answer),
            }
        }
    }

    fn arrive(&mut self, now: Time, flight: Flight, answer: Result<Answer, TransportError>) {
        let Flight { mut pending, permit, began, work } = flight;
        let second = now.since_origin().as_secs();
        self.told.in_flight_at.insert(second, self.feed.in_flight);
        match answer.as_ref().map(|answer| answer.status) {
            Ok(200) => self.server.done(now, &work),
            Ok(429) => {
                self.told.refused += 1;
                *self.told.refused_at.entry(second).or_default() += 1;
            }
            Ok(503) => self.told.overloaded += 1,
            _ => {}
        }
        let history = pending.history.as_mut().expect("an admitted call has asked");
        let timeout = seconds(600.0);
        let step = attempt::finish(
            &self.dispatcher,
            &pending.call,
            history,
            permit,
            (began, timeout),
            answer,
        );
        self.feed.in_flight -= 1;
        match step {
            Step::Again { after } => self.feed.retry(pending, now + after),
            Step::Done(result) => {
                self.outcomes[pending.tag] += 1;
                self.told.failed += usize::from(result.is_err());
                *self.told.done_at.entry(second).or_default() += 1;
            }
        }
    }
}

fn job(tag: usize, (group, weight): (&'static str, Weight)) -> Job<usize> {
    let call = Call::new(Method::Post, "http://model".into(), Box::<[u8]>::default(), group.into());
    let call = Call { weight, ..call };
    Job { call, tag }
}
