//! One attempt: exchange, judge, settle, decide.

use super::gate::{Permit, Settlement};
use super::judge::{self, Bad, Finding, Judged, What};
use super::{Call, Dispatcher, Event, secret};
use crate::clock::{Stop, Time};
use crate::error::{Error, Timeout, TimeoutStage, TransportError};
use crate::policy::breaker::Verdict;
use crate::policy::retry::{self, Decision, Tally, Why};
use crate::transport::{Answer, Exchange};
use crate::wire::answer::Peek;
use crate::wire::fault::Class;
use crate::wire::headers::RateReport;
use std::time::Duration;

/// What the server answered, with what it took to get it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Reply {
    /// HTTP status; always a success.
    pub status: u16,
    /// The body: valid JSON, byte for byte as it came.
    pub body: Vec<u8>,
    /// The server's id for the request.
    pub request_id: Option<Box<str>>,
    /// What the body says of its model, its tokens and its end.
    pub peek: Peek,
    /// What the headers say of the limits.
    pub report: RateReport,
    /// What it took.
    pub facts: Facts,
}

/// What a call took, whatever became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// How many times it was sent.
    pub attempts: u32,
    /// How many of them the server refused for a rate limit.
    pub refusals: u32,
    /// How many of them may have been billed without an answer.
    pub maybe_billed: u32,
    /// How many of them were second requests beside one that took long.
    pub hedges: u32,
    /// The last exchange, from the first byte sent to the last byte received.
    pub latency: Duration,
    /// From when it first asked to be admitted to its end, less the time in exchanges.
    pub waited: Duration,
}

/// What a call has been through so far.
#[derive(Debug)]
pub(crate) struct History {
    asked: Time,
    allowed: Duration,
    tally: Tally,
    attempts: u32,
    maybe_billed: u32,
    hedges: u32,
    exchanging: Duration,
    latency: Duration,
    last: Option<Box<Error>>,
}

/// What comes after an attempt.
pub(crate) enum Step {
    /// Nothing: the call has its answer, or has failed.
    Done(Box<Result<Reply, Error>>),
    /// Another attempt, not before `after` has passed.
    Again { after: Duration },
}

impl History {
    /// The history of a call that asks to be admitted for the first time.
    pub(crate) fn begin(dispatcher: &Dispatcher, call: &Call, now: Time) -> History {
        History {
            asked: now,
            allowed: call.deadline.unwrap_or(dispatcher.deadline),
            tally: Tally::default(),
            attempts: 0,
            maybe_billed: 0,
            hedges: 0,
            exchanging: Duration::ZERO,
            latency: Duration::ZERO,
            last: None,
        }
    }

    /// When the call's time is up.
    pub(crate) fn deadline(&self) -> Time {
        self.asked + self.allowed
    }

    /// The time that the call was given.
    pub(crate) fn allowed(&self) -> Duration {
        self.allowed
    }

    /// What it took until `now`.
    pub(crate) fn facts(&self, now: Time) -> Facts {
        Facts {
            attempts: self.attempts,
            refusals: self.tally.refusals,
            maybe_billed: self.maybe_billed,
            hedges: self.hedges,
            latency: self.latency,
            waited: now.since(self.asked).saturating_sub(self.exchanging),
        }
    }

    /// A second request is sent beside the first.
    pub(super) fn hedged(&mut self) {
        self.hedges += 1;
    }

    /// One of two requests in flight failed, and the other decides.
    pub(super) fn set_aside(&mut self, outcome: &Outcome) {
        if let Finding::Bad(bad) = &outcome.judged.finding {
            self.maybe_billed += u32::from(bad.is_maybe_billed());
            self.tally.refusals += u32::from(bad.is_refusal());
        }
    }

    /// One of two requests in flight is given up, because the other was answered.
    pub(super) fn abandoned(&mut self) {
        self.maybe_billed += 1;
    }

    /// The error of a call that ended while it waited: what its last attempt met says more than
    /// that time ran out.
    pub(crate) fn overtaken(&mut self, error: Error) -> Error {
        match (error, self.last.take()) {
            (Error::Timeout(_), Some(last)) => *last,
            (error, _) => error,
        }
    }

    /// The error of a call whose time was up before it was admitted again.
    pub(crate) fn out_of_time(&mut self) -> Error {
        let timeout = Timeout::new(TimeoutStage::Admission, self.allowed, self.attempts);
        self.overtaken(Error::Timeout(Box::new(timeout)))
    }
}

/// What came of an attempt: judged and settled, and not yet acted on.
pub(super) struct Outcome {
    judged: Judged,
    ended: Time,
    latency: Duration,
    /// How long the call was in an exchange: longer than the latency if another one began earlier.
    exchanging: Duration,
    timeout: Duration,
}

impl Outcome {
    /// Another exchange of the same call began earlier.
    pub(super) fn since(&mut self, began: Time) {
        self.exchanging = self.ended.since(began);
    }

    /// Whether the call has its answer.
    pub(super) fn is_good(&self) -> bool {
        matches!(self.judged.finding, Finding::Good { .. })
    }

    /// How long the exchange took.
    pub(super) fn latency(&self) -> Duration {
        self.latency
    }
}

/// Makes one attempt with the permit, and says what comes next.
pub(crate) fn attempt(
    dispatcher: &Dispatcher,
    call: &Call,
    history: &mut History,
    permit: Permit,
    stop: &Stop,
) -> Step {
    let began = begin(dispatcher, call, history);
    let timeout = dispatcher.timeout.min(history.deadline().since(began));
    let result = dispatcher.transport.exchange(&Exchange {
        method: call.method,
        url: &call.url,
        headers: &dispatcher.headers,
        body: &call.body,
        timeout,
        stop,
    });
    finish(dispatcher, call, history, permit, (began, timeout), result)
}

/// Counts an attempt that is about to be made, and tells when it began.
pub(super) fn begin(dispatcher: &Dispatcher, call: &Call, history: &mut History) -> Time {
    history.attempts += 1;
    dispatcher.tell(&Event::Sent { group: &call.group, attempt: history.attempts });
    dispatcher.clock.now()
}

/// Judges and settles an attempt that began at a time and with a timeout, and says what comes next.
#[inline(never)] // What it needs is not on the stack while an answer is awaited.
pub(super) fn finish(
    dispatcher: &Dispatcher,
    call: &Call,
    history: &mut History,
    permit: Permit,
    times: (Time, Duration),
    result: Result<Answer, TransportError>,
) -> Step {
    conclude(dispatcher, call, history, weigh(dispatcher, permit, times, result))
}

/// Judges and settles an attempt that began at a time and with a timeout.
pub(super) fn weigh(
    dispatcher: &Dispatcher,
    permit: Permit,
    (began, timeout): (Time, Duration),
    result: Result<Answer, TransportError>,
) -> Outcome {
    let clock = &*dispatcher.clock;
    let result = secret::hide(result, &dispatcher.headers);
    let ended = clock.now();
    let latency = ended.since(began);
    let mut judged = judge::judge(result, clock.date());
    judged.request_id =
        judged.request_id.map(|id| secret::hide_text(id.into(), &dispatcher.headers).into());
    // An error in the body of a 200 may repeat the key too.
    if let Finding::Bad(Bad { what: What::Undecodable { message, .. }, .. }) = &mut judged.finding {
        *message = secret::hide_text(std::mem::take(message), &dispatcher.headers);
    }
    settle(permit, &judged, ended, latency);
    Outcome { judged, ended, latency, exchanging: latency, timeout }
}

/// Says what follows from an attempt.
pub(super) fn conclude(
    dispatcher: &Dispatcher,
    call: &Call,
    history: &mut History,
    outcome: Outcome,
) -> Step {
    let Outcome { judged, ended, latency, exchanging, timeout } = outcome;
    history.latency = latency;
    history.exchanging += exchanging;
    let Judged { report, request_id, finding } = judged;
    match finding {
        Finding::Good { status, body, peek } => {
            dispatcher.tell(&Event::Answered { group: &call.group, latency });
            let facts = history.facts(ended);
            Step::Done(Box::new(Ok(Reply { status, body, request_id, peek, report, facts })))
        }
        Finding::Bad(bad) => next(dispatcher, call, history, bad, request_id, timeout),
    }
}

fn settle(permit: Permit, judged: &Judged, now: Time, latency: Duration) {
    let good = Settlement {
        verdict: Verdict::Ok,
        is_connect_failure: false,
        failure: None,
        is_sent: true,
        sent_after: Duration::ZERO,
        latency,
        is_overload: false,
        refused: None,
        report: &judged.report,
        used: None,
    };
    match &judged.finding {
        Finding::Good { peek, .. } => {
            let used = peek.usage.as_ref().map(|usage| usage.total);
            permit.settle(now, &Settlement { used, ..good });
        }
        Finding::Bad(bad) => {
            let verdict = bad.verdict();
            let cause = (verdict == Verdict::Ill).then(|| bad.cause());
            let settlement = Settlement {
                verdict,
                is_connect_failure: bad.is_connect_failure(),
                failure: cause.as_deref(),
                is_sent: bad.is_sent(),
                is_overload: bad.is_overload(),
                refused: bad.refused(),
                ..good
            };
            permit.settle(now, &settlement);
        }
    }
}

/// Decides what follows an attempt that brought no answer.
fn next(
    dispatcher: &Dispatcher,
    call: &Call,
    history: &mut History,
    bad: Bad,
    request_id: Option<Box<str>>,
    timeout: Duration,
) -> Step {
    history.maybe_billed += u32::from(bad.is_maybe_billed());
    if bad.is_exhausted() {
        return relieve(dispatcher, history);
    }
    if bad.is_refusal() {
        history.tally.refusals += 1;
    } else {
        history.tally.failures += 1;
    }
    let left = history.deadline().since(dispatcher.clock.now());
    let decision = if bad.is_interrupted() {
        Decision::GiveUp(Why::NotRetryable)
    } else {
        let roll = fastrand::f64();
        let rules = &dispatcher.rules;
        match retry::decide(rules, history.tally, &bad.class, bad.hint, Some(left), roll) {
            // A row is not to be lost because others fail too: what is left is half of it at least.
            Decision::Retry { after } if matches!(bad.class, Class::Ill) => {
                let now = dispatcher.clock.now();
                let put_off = dispatcher.gate.put_off(&call.group, now);
                Decision::Retry { after: after.max(put_off.min(left / 2)) }
            }
            other => other,
        }
    };
    let (group, cause, attempts) = (&*call.group, bad.cause(), history.attempts);
    match decision {
        Decision::Retry { after } => {
            let is_refusal = bad.is_refusal();
            log::debug!(target: "openai_bulk::retry", attempt = attempts, wait_ms = after.as_millis() as u64, cause = cause.as_str(); "retrying");
            dispatcher.tell(&Event::Retrying {
                group,
                attempt: attempts,
                after,
                cause: &cause,
                is_refusal,
            });
            let error = bad.into_error(Why::OutOfTime, attempts, timeout, request_id);
            history.last = Some(Box::new(error));
            Step::Again { after }
        }
        Decision::GiveUp(why) => {
            dispatcher.tell(&Event::Failed { group, attempts, cause: &cause });
            Step::Done(Box::new(Err(bad.into_error(why, attempts, timeout, request_id))))
        }
    }
}

/// The machine has no room for another connection: fewer at once, and the attempt does not count.
fn relieve(dispatcher: &Dispatcher, history: &mut History) -> Step {
    let gate = &dispatcher.gate;
    let ceiling = gate.in_flight().max(1).min(gate.ceiling());
    if ceiling < gate.ceiling() {
        log::warn!(target: "openai_bulk::gate", max_concurrency = ceiling; "the machine has no room for more connections: fewer requests at once from here on");
        gate.set_ceiling(ceiling);
    }
    history.attempts -= 1;
    Step::Again { after: Duration::from_millis(100) }
}
