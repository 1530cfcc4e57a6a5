//! The calls of a pool that wait: in line for the gate, or to be tried again.

use super::agenda::Agenda;
use super::attempt::History;
use super::gate::{Permit, Refusal, Seat};
use super::meter::Held;
use super::pool::Job;
use super::{Call, Dispatcher};
use crate::clock::Time;
use crate::error::{CircuitOpen, Error};
use crate::usage::Purse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A call inside a pool.
#[derive(Debug)]
pub(super) struct Pending<T> {
    pub(super) call: Arc<Call>,
    pub(super) tag: T,
    /// Set when the call first asks to be admitted.
    pub(super) history: Option<History>,
}

/// What waits, by limit group, and what is in flight.
#[derive(Debug)]
pub(super) struct Feed<T> {
    share: f64,
    /// What may be spent, if that is capped.
    pub(super) purse: Option<Arc<Purse>>,
    lines: Vec<Line<T>>,
    groups: HashMap<Arc<str>, usize>,
    retries: Agenda<Box<Pending<T>>>,
    next_line: usize,
    /// Calls that were given out and have not come back.
    pub(super) in_flight: usize,
    /// No more jobs will come.
    pub(super) is_closed: bool,
    /// Until when the pacer sleeps if nobody wakes it.
    pub(super) pacer_until: Option<Time>,
    /// What the pacer waits for, if it does.
    pub(super) pacer_held: Option<Held>,
}

/// The calls of one limit group, in order.
#[derive(Debug)]
struct Line<T> {
    ready: VecDeque<Box<Pending<T>>>,
    /// Its place among those who wait at the gate.
    seat: Option<Seat>,
    /// Set when its circuit was open for longer than is waited.
    given_up: Option<CircuitOpen>,
}

/// What there is to do.
#[derive(Debug)]
pub(super) enum Take<T> {
    /// Send this.
    Go(Box<Pending<T>>, Permit),
    /// Nothing before `until`, or before something changes.
    Wait { until: Option<Time>, held: Held },
    /// Nothing any more.
    Done,
}

impl<T> Feed<T> {
    /// An empty one, whose calls have `share` beside those of others.
    pub(super) fn new(share: f64) -> Feed<T> {
        Feed {
            share,
            purse: None,
            lines: Vec::new(),
            groups: HashMap::new(),
            retries: Agenda::new(),
            next_line: 0,
            in_flight: 0,
            is_closed: false,
            pacer_until: None,
            pacer_held: None,
        }
    }

    /// Calls that wait for the gate.
    pub(super) fn ready(&self) -> usize {
        self.lines.iter().map(|line| line.ready.len()).sum()
    }

    /// Calls that wait to be tried again.
    pub(super) fn retries(&self) -> usize {
        self.retries.len()
    }

    pub(super) fn push(&mut self, job: Job<T>) {
        let line = self.line(&job.call.group);
        let pending = Box::new(Pending { call: Arc::new(job.call), tag: job.tag, history: None });
        self.lines[line].ready.push_back(pending);
    }

    /// Puts a call aside until `due`.
    pub(super) fn retry(&mut self, pending: Box<Pending<T>>, due: Time) {
        self.retries.put(due, pending);
    }

    /// Everything that waits; nothing of it will be sent.
    pub(super) fn clear(&mut self) -> Vec<Box<Pending<T>>> {
        let mut all: Vec<_> = self.lines.iter_mut().flat_map(|line| line.ready.drain(..)).collect();
        all.extend(self.retries.drain());
        for line in &mut self.lines {
            line.seat = None;
        }
        all
    }

    /// The next call that the gate admits. Those whose time is up are handed to `fail`.
    pub(super) fn take(
        &mut self,
        dispatcher: &Dispatcher,
        now: Time,
        is_full: bool,
        fail: &mut impl FnMut(Box<Pending<T>>, Error),
    ) -> Take<T> {
        self.wake(now);
        let mut refused: Option<Refusal> = None;
        let mut over: Option<(usize, Box<Error>)> = None;
        for step in 0..self.lines.len() {
            let at = (self.next_line + step) % self.lines.len();
            let purse = self.purse.as_ref();
            match self.lines[at].admit(dispatcher, purse, self.share, now, fail) {
                None => {}
                Some(Ok((pending, permit))) => {
                    self.next_line = at + 1;
                    self.in_flight += 1;
                    return Take::Go(pending, permit);
                }
                Some(Err(Refusal { unpaid: Some(error), .. })) => over = over.or(Some((at, error))),
                Some(Err(refusal)) => refused = Some(sooner(refused, refusal)),
            }
        }
        if let Some((at, error)) = over {
            return self.end_by_cap(at, *error, refused, fail);
        }
        self.wait(refused, is_full)
    }

    /// The first call of a line cannot be paid for. As long as another call may be, that waits for
    /// something else, nothing is lost; then the cap is what the call fails for.
    fn end_by_cap(
        &mut self,
        at: usize,
        error: Error,
        refused: Option<Refusal>,
        fail: &mut impl FnMut(Box<Pending<T>>, Error),
    ) -> Take<T> {
        let due = self.retries.first().map(|(due, _)| due);
        if refused.is_none() && due.is_none() {
            fail(self.lines[at].ready.pop_front().expect("it was refused"), error);
        }
        let until = [refused.and_then(|r| r.until), due].into_iter().flatten().min();
        Take::Wait { until, held: Held::Cap }
    }

    /// Whether no line is left whose server answers.
    pub(super) fn is_hopeless(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.given_up.is_some())
    }

    /// Moves the calls whose time has come to the front of their lines.
    fn wake(&mut self, now: Time) {
        while let Some(due) = self.retries.take(now) {
            let line = self.line(&due.what.call.group);
            self.lines[line].ready.push_front(due.what);
        }
    }

    fn wait(&self, refused: Option<Refusal>, is_full: bool) -> Take<T> {
        let due = self.retries.first().map(|(due, _)| due);
        let until = [refused.as_ref().and_then(|r| r.until), due].into_iter().flatten().min();
        let held = match refused {
            Some(refusal) => refusal.cause.into(),
            None if self.is_closed && self.in_flight == 0 && due.is_none() => return Take::Done,
            None if !self.is_closed => {
                if is_full {
                    Held::Output
                } else {
                    Held::Input
                }
            }
            None if self.in_flight > 0 => Held::Server,
            None => Held::BackOff,
        };
        Take::Wait { until, held }
    }

    fn line(&mut self, group: &Arc<str>) -> usize {
        if let Some(&line) = self.groups.get(group) {
            return line;
        }
        self.lines.push(Line { ready: VecDeque::new(), seat: None, given_up: None });
        self.groups.insert(group.clone(), self.lines.len() - 1);
        self.lines.len() - 1
    }
}

/// Of two refusals the one that ends sooner.
fn sooner(one: Option<Refusal>, other: Refusal) -> Refusal {
    match one {
        Some(one) if one.until.unwrap_or(Time::NEVER) <= other.until.unwrap_or(Time::NEVER) => one,
        _ => other,
    }
}

impl<T> Line<T> {
    /// Asks the gate for the first call of the line; `None` if the line is empty.
    #[allow(clippy::type_complexity)] // What a line gives is what `Take` is made of.
    fn admit(
        &mut self,
        dispatcher: &Dispatcher,
        purse: Option<&Arc<Purse>>,
        share: f64,
        now: Time,
        fail: &mut impl FnMut(Box<Pending<T>>, Error),
    ) -> Option<Result<(Box<Pending<T>>, Permit), Refusal>> {
        loop {
            if let Some(open) = &self.given_up {
                for pending in self.ready.drain(..) {
                    fail(pending, Error::CircuitOpen(Box::new(open.clone())));
                }
            }
            let has_more = self.ready.len() > 1;
            let Some(first) = self.ready.front_mut() else {
                if let Some(seat) = &mut self.seat {
                    seat.leave();
                }
                return None;
            };
            let history = first.history(dispatcher, now);
            let deadline = history.deadline();
            if deadline <= now {
                let error = history.out_of_time();
                fail(self.ready.pop_front().expect("it is there"), error);
                continue;
            }
            let (gate, call) = (&dispatcher.gate, &first.call);
            let seat = self.seat.get_or_insert_with(|| gate.seat(&call.group, share));
            match gate.try_pay(now, call, purse, &dispatcher.prices, seat, has_more) {
                Ok(permit) => {
                    let pending = self.ready.pop_front().expect("it is there");
                    return Some(Ok((pending, permit)));
                }
                // A price that is not known concerns this call alone.
                Err(Refusal { unpaid: Some(error), .. }) if !error.is_fatal_for_run() => {
                    fail(self.ready.pop_front().expect("it is there"), *error);
                }
                Err(refusal @ Refusal { unpaid: Some(_), .. }) => return Some(Err(refusal)),
                // The others of this line would only wait for the same.
                Err(Refusal { given_up: Some(open), .. }) => self.given_up = Some(open),
                Err(mut refusal) => {
                    refusal.until =
                        Some(refusal.until.map_or(deadline, |until| until.min(deadline)));
                    return Some(Err(refusal));
                }
            }
        }
    }
}
