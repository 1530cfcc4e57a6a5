//! How many requests may be in flight.

use crate::clock::Time;
use std::ops::Add;
use std::time::Duration;

/// Requests in flight at first, where no limit is known that would hold them back.
const START: f64 = 32.0;
/// Before the first answer it doubles with each second, up to this.
const BLIND: f64 = 256.0;
const BLIND_STEP: Duration = Duration::from_secs(1);
/// The share of what was in flight before an outage that is in flight after it, before it doubles
/// with each second.
const RESTART: f64 = 0.25;
/// The share of overload answers from which fewer are sent at once; less is taken for chance.
const OVERLOAD: f64 = 0.15;
/// Overload answers in a window before their share means anything.
const OVERLOADS: u32 = 5;
/// The cut on overload.
const CUT: f64 = 0.7;
/// Cuts without effect after which overload is taken to have nothing to do with our load.
const FUTILE: u32 = 3;
/// For how long it is then borne.
const BORNE: Duration = Duration::from_secs(60);
/// The size of a trial, up or down.
const TRIAL: f64 = 1.33;
/// The size of a trial upwards after an overload.
const CAREFUL: f64 = 1.1;
/// How long to wait for the next trial, at first and at most; it doubles while trials change nothing.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));
/// Standard errors that a trial's result must be away from the line between yes and no.
const SURE: f64 = 2.0;
/// Answers after which a trial that is still unsure ends.
const PATIENCE: u32 = 4_000;
/// The limit is binding if it held somebody back within this time.
const BINDING: Duration = Duration::from_secs(1);

/// The number of requests in flight that a server does well with, found while it works.
///
/// Without a known rate limit it starts low and doubles with each round of answers until answers
/// take longer for it. Later it tries a little more or less where it is what holds the calls back:
/// inside a server that queues, latency follows the number in flight and throughput does not, so
/// the smaller number is kept; elsewhere latency stays, and the larger one is. Overload answers cut
/// it once per episode; answers to calls from before a cut are no news.
#[derive(Debug)]
pub struct Concurrency {
    floor: f64,
    ceiling: f64,
    limit: f64,
    phase: Phase,
    /// Only answers to calls that were sent since count.
    since: Time,
    /// Answers to be passed over, because they met the load from before.
    skip: u32,
    window: Window,
    /// The window before the last change.
    before: Window,
    overloads: u32,
    results: u32,
    futile: Futile,
    bound_at: Option<Time>,
    blind_since: Option<Time>,
    trial_at: Time,
    interval: Duration,
    overloaded_at: Option<Time>,
    /// What it was before the latest overload.
    peak: f64,
    /// The size of the next trial downwards.
    stride: f64,
    goes_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Doubling with each round of answers, up to `until`.
    Start { until: f64 },
    /// Growing by a tenth with each round, up to `until`.
    Recover { until: f64 },
    /// Staying, until the next trial.
    Steady,
    /// Trying another number; `from` is the one before.
    Trial { from: f64 },
}

/// Cuts that have not brought the share of overload answers down.
#[derive(Clone, Copy, Debug, Default)]
struct Futile {
    cuts: u32,
    share: f64,
    limit: f64,
    borne_until: Time,
}

/// Answers of one kind: how many, and the mean and spread of the logarithm of their latency.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    count: u32,
    mean: f64,
    spread: f64,
}

impl Window {
    fn add(&mut self, latency: Duration) {
        let log = latency.as_secs_f64().max(1e-6).ln();
        self.count += 1;
        let off = log - self.mean;
        self.mean += off / f64::from(self.count);
        self.spread += off * (log - self.mean);
    }

    /// The square of the standard error of the mean.
    fn error(&self) -> f64 {
        let count = f64::from(self.count.max(2));
        self.spread / (count - 1.0) / count
    }
}

/// Why the number was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Answers come as fast as before, so that more may be in flight.
    Room,
    /// More in flight only waited inside the server.
    Queueing,
    /// The server said that it is overloaded.
    Overload,
    /// Overload answers come as often with fewer in flight.
    Futile,
    /// The server was down, and comes back.
    Restart,
    /// A rate limit is known, which needs no other.
    RateKnown,
    /// The user changed it.
    Stated,
}

impl Concurrency {
    /// Between `floor` and `ceiling`, both at least 1; equal ones fix the number.
    /// `is_rate_known` is whether a rate limit holds the calls back, so that all may go at once.
    pub fn new(floor: usize, ceiling: usize, is_rate_known: bool) -> Concurrency {
        let ceiling = ceiling.max(1) as f64;
        let floor = (floor.max(1) as f64).min(ceiling);
        let (limit, phase) = if is_rate_known {
            (ceiling, Phase::Steady)
        } else {
            (START.clamp(floor, ceiling), Phase::Start { until: f64::INFINITY })
        };
        Concurrency {
            floor,
            ceiling,
            limit,
            phase,
            since: Time::ZERO,
            skip: 0,
            window: Window::default(),
            before: Window::default(),
            overloads: 0,
            results: 0,
            futile: Futile::default(),
            bound_at: None,
            blind_since: None,
            trial_at: Time::ZERO,
            interval: INTERVAL.0,
            overloaded_at: None,
            peak: 0.0,
            stride: 1.0 / TRIAL,
            goes_up: false,
        }
    }

    /// How many may be in flight.
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Changes the floor and the ceiling.
    pub fn restate(&mut self, floor: usize, ceiling: usize, now: Time) -> Option<Reason> {
        self.ceiling = ceiling.max(1) as f64;
        self.floor = (floor.max(1) as f64).min(self.ceiling);
        let to = self.limit.clamp(self.floor, self.ceiling);
        // A ceiling that is raised is meant to be used.
        let to = if self.phase == Phase::Steady && self.overloaded_at.is_none() {
            self.ceiling
        } else {
            to
        };
        self.change(to, now, Reason::Stated)
    }

    /// A call was held back because of this. Tells when the number grows by itself.
    pub fn bind(&mut self, now: Time) -> Option<Time> {
        self.bound_at = Some(now);
        self.blind_end().map(|_| self.blind_since.get_or_insert(now).add(BLIND_STEP))
    }

    /// Up to where it grows without answers: at first, and after an outage, when failures would
    /// come sooner than answers.
    fn blind_end(&self) -> Option<f64> {
        let Phase::Start { until } = self.phase else { return None };
        let end = match until.is_finite() {
            true => until,
            false if self.before.count + self.window.count == 0 => BLIND.min(self.ceiling),
            false => return None,
        };
        (self.limit < end).then_some(end)
    }

    /// Grows by itself where no answer has come yet.
    pub fn look(&mut self, now: Time) -> Option<Reason> {
        let due = self.blind_since.is_some_and(|since| now >= since + BLIND_STEP);
        if !due {
            return None;
        }
        self.blind_since = None;
        let end = self.blind_end()?;
        self.blind_since = Some(now);
        let since = self.since;
        let reason = self.change((2.0 * self.limit).min(end), now, Reason::Room);
        // Nothing was learned from the calls from before, and so nothing is outdated.
        self.since = since;
        reason
    }

    /// A rate limit has become known.
    pub fn rate_known(&mut self, now: Time) -> Option<Reason> {
        let Phase::Start { until } = self.phase else { return None };
        if until.is_finite() {
            return None;
        }
        self.settle(now);
        self.change(self.ceiling, now, Reason::RateKnown)
    }

    /// The server is back after it was down: begin low again.
    pub fn restart(&mut self, now: Time) -> Option<Reason> {
        if self.floor >= self.ceiling {
            return None;
        }
        // Overload answers of the outage itself were no word on how many are too many.
        let until = self.limit.max(self.peak).min(self.ceiling);
        self.phase = Phase::Start { until };
        self.blind_since = Some(now);
        let to = (RESTART * until).max(8.0).clamp(self.floor, until);
        self.change(to, now, Reason::Restart)
    }

    /// An answer to a call that was sent at `sent_at`.
    ///
    /// `in_flight` is how many were with it; if it was as many as may be, the limit is binding.
    pub fn answered(
        &mut self,
        now: Time,
        sent_at: Time,
        latency: Duration,
        in_flight: usize,
    ) -> Option<Reason> {
        if in_flight >= self.limit() {
            self.bound_at = Some(now);
        }
        if self.floor >= self.ceiling || sent_at < self.since {
            return None;
        }
        self.results += 1;
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.window.add(latency);
        match self.phase {
            Phase::Start { until } => self.start(now, until),
            Phase::Recover { until } => self.recover(now, until),
            Phase::Steady => self.steady(now),
            Phase::Trial { from } => self.trial(now, from),
        }
    }

    /// A call that was sent at `sent_at` met an overloaded server.
    pub fn overloaded(&mut self, now: Time, sent_at: Time) -> Option<Reason> {
        if self.floor >= self.ceiling || sent_at < self.since || now < self.futile.borne_until {
            return None;
        }
        self.results += 1;
        self.overloads += 1;
        let share = f64::from(self.overloads) / f64::from(self.results);
        if self.overloads < OVERLOADS || share < OVERLOAD {
            return None;
        }
        let is_in_vain = self.futile.cuts > 0 && share > 0.5 * self.futile.share;
        if !is_in_vain {
            self.futile = Futile { cuts: 0, share, limit: self.limit, ..self.futile };
        }
        self.futile.cuts += 1;
        if self.futile.cuts > FUTILE && share < 0.5 {
            let limit = self.futile.limit.max(self.peak);
            self.futile = Futile { borne_until: now + BORNE, ..Futile::default() };
            self.settle(now);
            return self.change(limit.max(self.limit), now, Reason::Futile);
        }
        if self.overloaded_at.is_none_or(|at| now.since(at) > BORNE) {
            self.peak = self.limit;
        }
        self.overloaded_at = Some(now);
        let from = match self.phase {
            Phase::Trial { from } => from.min(self.limit),
            _ => self.limit,
        };
        self.phase = Phase::Recover { until: 0.9 * from };
        let cut = if share > 0.5 { 0.5 } else { CUT };
        self.change(cut * self.limit, now, Reason::Overload)
    }

    fn start(&mut self, now: Time, until: f64) -> Option<Reason> {
        if !self.is_full(1.0) {
            return None;
        }
        let is_slower =
            self.before.count > 0 && self.window.mean - self.before.mean > 0.5 * 2f64.ln();
        if is_slower && until.is_infinite() {
            // The last doubling brought nothing but waiting, and perhaps the one before did too.
            self.settle(now);
            self.stride = 0.5;
            self.trial_at = now;
            return self.change(self.limit / 2.0, now, Reason::Queueing);
        }
        if !self.is_binding(now) {
            self.renew();
            return None;
        }
        if self.limit >= until {
            self.phase = Phase::Recover { until: f64::INFINITY };
            return None;
        }
        if self.limit >= self.ceiling {
            self.settle(now);
            return None;
        }
        self.change((2.0 * self.limit).min(until), now, Reason::Room)
    }

    fn recover(&mut self, now: Time, until: f64) -> Option<Reason> {
        if !self.is_full(1.0) || !self.is_binding(now) {
            return None;
        }
        if self.limit >= until.min(self.ceiling) {
            self.settle(now);
            self.goes_up = true;
            return None;
        }
        self.change(self.limit + (0.1 * self.limit).max(1.0), now, Reason::Room)
    }

    fn steady(&mut self, now: Time) -> Option<Reason> {
        // Five rounds and some seconds tell what is usual before anything else is tried.
        if now < self.trial_at || !self.is_full(2.0) || !self.is_binding(now) {
            // Answers of long ago are no measure; neither is a window that never ends.
            if self.window.count > PATIENCE {
                self.renew();
            }
            return None;
        }
        let from = self.limit;
        let up = if self.overloaded_at.is_some_and(|at| now.since(at) < BORNE) {
            CAREFUL
        } else {
            TRIAL
        };
        let to = if self.goes_up && from < self.ceiling { from * up } else { from * self.stride };
        let to = to.clamp(self.floor, self.ceiling).floor();
        if to as usize == from as usize {
            self.settle(now);
            return None;
        }
        self.phase = Phase::Trial { from };
        let reason = if to > from { Reason::Room } else { Reason::Queueing };
        self.change(to, now, reason)
    }

    /// Whether latency followed the number in flight, which it does where calls queue.
    fn trial(&mut self, now: Time, from: f64) -> Option<Reason> {
        if !self.is_full(1.0) {
            return None;
        }
        let line = 0.5 * (self.limit / from).ln();
        let off = self.window.mean - self.before.mean - line;
        let error = (self.window.error() + self.before.error()).sqrt();
        if off.abs() < SURE * error && self.window.count < PATIENCE {
            return None;
        }
        let is_up = self.limit > from;
        let is_queueing = if is_up { off > 0.0 } else { off < 0.0 };
        let is_kept = is_up != is_queueing;
        self.phase = Phase::Steady;
        if is_kept {
            // It may go on in this direction.
            self.interval = INTERVAL.0;
            self.trial_at = now;
            self.renew();
            return None;
        }
        self.stride = 1.0 / TRIAL;
        self.goes_up = !is_up;
        self.trial_at = now + self.interval;
        self.interval = (2 * self.interval).min(INTERVAL.1);
        self.change(from, now, if is_up { Reason::Queueing } else { Reason::Room })
    }

    /// Goes over to staying, with a trial after a while.
    fn settle(&mut self, now: Time) {
        self.phase = Phase::Steady;
        self.interval = INTERVAL.0;
        self.trial_at = now + self.interval;
    }

    /// Whether a round of answers, times `rounds`, has come.
    fn is_full(&self, rounds: f64) -> bool {
        f64::from(self.window.count) >= (rounds * self.limit).max(8.0)
    }

    fn is_binding(&self, now: Time) -> bool {
        self.bound_at.is_some_and(|at| now.since(at) <= BINDING)
    }

    fn renew(&mut self) {
        self.before = self.window;
        self.window = Window::default();
    }

    fn change(&mut self, to: f64, now: Time, reason: Reason) -> Option<Reason> {
        let to = to.clamp(self.floor, self.ceiling);
        let is_change = to as usize != self.limit as usize;
        self.renew();
        self.since = now;
        // The first round after a change still meets what the one before left behind.
        self.skip = match self.phase {
            Phase::Trial { .. } => self.limit.max(to) as u32,
            _ => 0,
        };
        (self.overloads, self.results) = (0, 0);
        self.limit = to;
        is_change.then_some(reason)
    }
}
