//! Finding a limit that nobody told.

use super::chance::{Chance, octave};
use crate::clock::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// What a limit that was measured is used to, so that one refusal does not bring the next.
const MARGIN: f64 = 0.98;
/// The cut where nothing could be measured yet.
const CUT: f64 = 0.5;
/// The cut where refusals follow one another although the rate was measured.
const RECUT: f64 = 0.75;
/// The share of the rate below which what was measured is too little to be believed: the bucket was
/// full for a while, and more could have passed. The truth lies between the two.
const DOUBTFUL: f64 = 0.75;
/// The shortest time between two refusals that tells a rate, and how old the first may be.
const SPAN: (f64, f64) = (1.0, 30.0);
/// Calls that must pass between two refusals to tell a rate, and to tell it well.
const ENOUGH: (f64, f64) = (10.0, 40.0);
/// A measured rate is held for this many steps of time, and then grows by [`CREEP`] in one step,
/// twice as fast in the next one, and so on.
const HOLD: f64 = 3.0;
const CREEP: f64 = 0.01;
/// The fastest growth, in one step.
const GALLOP: f64 = 0.7;
/// A step takes as long as this many units, and between 1 s and 10 s.
const STEP_UNITS: f64 = 40.0;
/// How much shorter a step is until the limit was met from below.
const HURRY: f64 = 0.4;
/// The rate grows only if it held somebody back within this time.
const BINDING: Duration = Duration::from_millis(500);
/// How many seconds' worth may be saved up.
const DEPTH: f64 = 0.25;
/// How many refusals are remembered to measure from.
const MARKS: usize = 24;

/// Looks for the rate that a server allows by what it refuses.
///
/// It says nothing until something is refused. At a refusal the server's bucket is empty, whatever
/// its depth; so between two refusals exactly as much has passed as the limit refilled, which
/// measures it. The rate is then held a little below, and grows again, first slowly and then faster,
/// as long as it is what holds the calls back. All refusals of calls that were sent before a cut
/// belong to that cut.
#[derive(Debug)]
pub struct Search {
    mode: Mode,
    /// Units a second.
    rate: f64,
    level: f64,
    at: Time,
    /// Units sent since the beginning.
    sent: f64,
    marks: VecDeque<Mark>,
    cut_at: Option<Time>,
    bound_at: Option<Time>,
    /// The units and seconds that the rate was measured from.
    measured: Option<(f64, f64)>,
    /// The time for which the rate was bound and free to grow since the cut, in seconds.
    grown: f64,
    speed: Speed,
    /// Whether the rate was met from below, and so is about right.
    is_settled: bool,
    chance: Chance,
    /// A refusal that did not yet start a search, where a limit is known otherwise.
    stray: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// No opinion.
    Off,
    /// A limit was met.
    Found,
}

/// A refusal: the bucket was empty.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Time,
    sent: f64,
    /// Units refused of what was sent since.
    refused: f64,
}

/// The rate at which units are sent, over the last half second or more.
#[derive(Clone, Copy, Debug, Default)]
struct Speed {
    since: Time,
    sent: f64,
    before: f64,
}

/// What a call took, to be told when it is refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace {
    cost: f64,
    sent: f64,
    octave: usize,
}

impl Search {
    /// A search that begins with the first refusal.
    pub fn new(now: Time) -> Search {
        Search {
            mode: Mode::Off,
            rate: f64::INFINITY,
            level: 0.0,
            at: now,
            sent: 0.0,
            marks: VecDeque::new(),
            cut_at: None,
            bound_at: None,
            measured: None,
            grown: 0.0,
            speed: Speed { since: now, ..Speed::default() },
            is_settled: false,
            chance: Chance::new(now),
            stray: None,
        }
    }

    /// The limit that was found, a minute.
    pub fn found(&self) -> Option<f64> {
        (self.mode == Mode::Found).then_some(self.rate * 60.0)
    }

    /// How long a call of `cost` has to wait; zero when it may go now.
    pub fn wait(&mut self, now: Time, cost: f64) -> Duration {
        self.advance(now);
        if self.mode == Mode::Off {
            return Duration::ZERO;
        }
        let missing = cost.min(self.depth()) - self.level;
        if missing <= 1e-6 * cost.max(1.0) {
            return Duration::ZERO;
        }
        self.bound_at = Some(now);
        Duration::from_secs_f64((missing / self.rate).min(1e6)).max(Duration::from_micros(50))
    }

    /// Counts a call of `cost` as sent; call it only after [`Search::wait`] gave zero.
    pub fn charge(&mut self, now: Time, cost: f64) -> Trace {
        if now.since(self.speed.since) >= BINDING {
            self.speed = Speed { since: now, sent: self.sent, before: self.speed_at(now) };
        }
        self.level -= cost;
        self.sent += cost;
        let octave = self.octave(now, cost);
        self.chance.sent(octave);
        Trace { cost, sent: self.sent, octave }
    }

    /// The call of `trace` was never sent.
    pub fn refund(&mut self, trace: Trace) {
        self.level += trace.cost;
        self.sent -= trace.cost;
        self.chance.taken_back(trace.octave);
    }

    /// Whether refusals come by chance, whatever the rate, so that nobody needs to hold back for them.
    pub fn is_bearing(&self, now: Time) -> bool {
        self.chance.is_bearing(now)
    }

    /// The octave of the rate at which calls of `cost` are sent.
    fn octave(&self, now: Time, cost: f64) -> usize {
        let rate = if self.mode == Mode::Off { self.speed_at(now) } else { self.rate };
        octave(rate / cost.max(1.0))
    }

    /// The call of `trace`, sent at `sent_at`, was refused. `is_known` is whether a limit is known
    /// otherwise, which one refusal alone does not put in doubt. Tells whether the rate was cut.
    pub fn refused(&mut self, now: Time, sent_at: Time, trace: Trace, is_known: bool) -> bool {
        self.advance(now);
        let octave = self.octave(now, trace.cost);
        if self.chance.refused(now, trace.octave, octave) {
            self.mode = Mode::Off;
            self.rate = f64::INFINITY;
            return false;
        }
        for mark in self.marks.iter_mut().filter(|mark| mark.at <= sent_at) {
            mark.refused += trace.cost;
        }
        if self.cut_at.is_some_and(|cut| sent_at <= cut) {
            self.correct(sent_at, trace);
            return false;
        }
        // Where nothing at all passes, it is not for the rate; those who pause ask more and more
        // seldom.
        let is_shut = self.mode == Mode::Found
            && self
                .marks
                .back()
                .is_some_and(|mark| trace.sent - mark.sent - mark.refused <= 1.5 * trace.cost);
        if is_shut {
            self.mark(sent_at, trace);
            self.level = self.level.min(0.0);
            self.cut_at = Some(now);
            return false;
        }
        if is_known && self.mode == Mode::Off && !self.is_second(now) {
            self.mark(sent_at, trace);
            self.cut_at = Some(now);
            return false;
        }
        let is_recurring = self.mode == Mode::Found && self.grown < self.step();
        self.measured = self.measure(sent_at, trace);
        let before = if self.mode == Mode::Off { self.speed_at(now) } else { self.rate };
        self.rate = match self.measured {
            Some((units, seconds)) => {
                let most = if is_recurring { RECUT } else { 1.0 };
                let measured = MARGIN * units / seconds;
                let is_doubtful = !is_recurring && measured < DOUBTFUL * before;
                let between = (measured * before).sqrt();
                if is_doubtful { between } else { measured.min(most * before) }
            }
            None => CUT * before,
        };
        // Never so slow that it could not find its way back.
        self.rate = self.rate.max(0.01);
        self.is_settled |= self.mode == Mode::Found && !is_recurring;
        self.mode = Mode::Found;
        self.mark(sent_at, trace);
        self.level = self.level.min(0.0);
        self.cut_at = Some(now);
        self.grown = 0.0;
        true
    }

    /// Whether this is not the first refusal of late.
    fn is_second(&mut self, now: Time) -> bool {
        let earlier = self.stray.replace(now);
        earlier.is_some_and(|at| now.since(at) <= Duration::from_secs(10))
    }

    fn mark(&mut self, at: Time, trace: Trace) {
        if self.marks.len() == MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { at, sent: trace.sent, refused: 0.0 });
    }

    /// The units that passed, and the seconds that it took them, between an earlier refusal and
    /// this one: the latest that is far enough back, because limits change.
    fn measure(&self, at: Time, trace: Trace) -> Option<(f64, f64)> {
        let mut best = None;
        for mark in self.marks.iter().rev() {
            let seconds = at.since(mark.at).as_secs_f64();
            let passed = trace.sent - mark.sent - mark.refused;
            if !(SPAN.0..=SPAN.1).contains(&seconds) || passed < ENOUGH.0 * trace.cost {
                continue;
            }
            best = Some((passed, seconds));
            if passed >= ENOUGH.1 * trace.cost {
                break;
            }
        }
        best
    }

    /// A refusal that comes after the cut of its episode: what was measured was too much.
    fn correct(&mut self, sent_at: Time, trace: Trace) {
        let Some((units, seconds)) = &mut self.measured else { return };
        if self.marks.back().is_some_and(|mark| sent_at <= mark.at) && self.grown == 0.0 {
            *units -= trace.cost;
            let rate = MARGIN * *units / *seconds;
            self.rate = self.rate.min(rate).max(0.01);
        }
    }

    fn speed_at(&self, now: Time) -> f64 {
        let passed = now.since(self.speed.since).as_secs_f64();
        // Calls may be sent in waves, of which a moment and a pause both say little.
        ((self.sent - self.speed.sent) / passed.max(0.05)).max(self.speed.before)
    }

    fn depth(&self) -> f64 {
        (DEPTH * self.rate).max(1.0)
    }

    /// The unit of time for growth, in seconds: slower where fewer units tell anything.
    fn step(&self) -> f64 {
        let hurry = if self.is_settled { 1.0 } else { HURRY };
        (STEP_UNITS / self.rate).clamp(1.0, 10.0) * hurry
    }

    fn advance(&mut self, now: Time) {
        let passed = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        if self.mode == Mode::Off || passed <= 0.0 {
            return;
        }
        self.level += self.rate * passed;
        // Where calls are far apart, nobody asks more often.
        let recent = BINDING.as_secs_f64().max(2.0 / self.rate);
        if self.bound_at.is_some_and(|at| now.since(at).as_secs_f64() <= recent) {
            self.grow(passed.min(recent));
        }
        self.level = self.level.min(self.depth());
    }

    fn grow(&mut self, seconds: f64) {
        let step = self.step();
        self.grown += seconds;
        let beyond = self.grown / step - HOLD;
        if beyond > 0.0 {
            let speed = (CREEP * beyond.min(30.0).exp2()).min(GALLOP);
            self.rate = (self.rate * (speed * seconds / step).exp()).min(1e9);
        }
    }
}
