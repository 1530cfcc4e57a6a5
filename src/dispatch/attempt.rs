//! One attempt: exchange, judge, settle, decide.

use super::gate::{Permit, Settlement, Spent};
use super::judge::{self, Bad, Finding, Judged, What};
use super::{Call, Dispatcher, Event, receive, secret};
use crate::clock::{Stop, Time};
use crate::error::{Error, Timeout, TimeoutStage, TransportError};
use crate::logs as key;
use crate::policy::breaker::Verdict;
use crate::policy::retry::{self, Decision, Tally, Why};
use crate::transport::{Answer, Exchange};
use crate::usage::{Amount, Cost, Money, cost_of_answer};
use crate::wire::answer::Peek;
use crate::wire::fault::Class;
use crate::wire::headers::RateReport;
use std::sync::Arc;
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
    /// What it cost, if its price is known.
    pub cost: Option<Cost>,
    /// The model that was asked, if the answer names none.
    pub asked: Option<Arc<str>>,
    /// What it was counted for against a cap, if what it cost or its tokens are not known.
    pub counted: Option<Box<Amount>>,
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
    /// What those may have cost at most, as far as their prices are known.
    pub maybe_cost: Money,
    /// Tokens that those may have used at most, as far as they have a bound.
    pub maybe_tokens: u64,
    /// How many of those have no known price.
    pub maybe_unpriced: u32,
    /// How many of them were second requests beside one that took long.
    pub hedges: u32,
    /// The last exchange, from the first byte sent to the last byte received.
    pub latency: Duration,
    /// From when it first asked to be admitted to its end, less the time in exchanges.
    pub waited: Duration,
    /// Who answered it, if somebody did.
    pub answered_by: AnsweredBy,
    /// What the answer would have cost, if it was not paid for, as far as its price is known.
    pub saved: Money,
}

impl Facts {
    /// The facts of a call and of an earlier one together; what is told of one exchange is that of
    /// this one.
    #[cfg(feature = "schema")]
    pub(crate) fn after(self, earlier: &Facts) -> Facts {
        Facts {
            attempts: self.attempts + earlier.attempts,
            refusals: self.refusals + earlier.refusals,
            maybe_billed: self.maybe_billed + earlier.maybe_billed,
            maybe_cost: self.maybe_cost + earlier.maybe_cost,
            maybe_tokens: self.maybe_tokens.saturating_add(earlier.maybe_tokens),
            maybe_unpriced: self.maybe_unpriced + earlier.maybe_unpriced,
            hedges: self.hedges + earlier.hedges,
            latency: self.latency,
            waited: self.waited + earlier.waited,
            answered_by: self.answered_by,
            saved: self.saved + earlier.saved,
        }
    }
}

/// Who answered a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnsweredBy {
    /// The server, which was asked for it.
    #[default]
    Server,
    /// The cache of answers: nothing was sent, and nothing is paid.
    Cache,
    /// The server, which was asked once for several calls that were the same. This is one of those
    /// for which nothing was sent, and nothing is paid.
    Twin,
}

/// What a call has been through so far.
#[derive(Debug)]
pub(crate) struct History {
    asked: Time,
    allowed: Duration,
    tally: Tally,
    attempts: u32,
    doubt: Doubt,
    hedges: u32,
    exchanging: Duration,
    latency: Duration,
    last: Option<Box<Error>>,
}

/// Attempts that may have been billed without an answer.
#[derive(Clone, Copy, Debug, Default)]
struct Doubt {
    attempts: u32,
    at_most: Amount,
    unpriced: u32,
}

impl Doubt {
    /// Counts one more attempt of a call.
    fn add(&mut self, dispatcher: &Dispatcher, call: &Call) {
        let most = call.most(&dispatcher.prices);
        self.attempts += 1;
        self.unpriced += u32::from(most.money.is_none());
        let money = most.money.unwrap_or(Money::ZERO);
        let tokens = most.tokens.unwrap_or(0);
        self.at_most = self.at_most.plus(Amount { money, tokens });
    }
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
            doubt: Doubt::default(),
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
            maybe_billed: self.doubt.attempts,
            maybe_cost: self.doubt.at_most.money,
            maybe_tokens: self.doubt.at_most.tokens,
            maybe_unpriced: self.doubt.unpriced,
            hedges: self.hedges,
            latency: self.latency,
            waited: now.since(self.asked).saturating_sub(self.exchanging),
            ..Facts::default()
        }
    }

    /// A second request is sent beside the first.
    pub(super) fn hedged(&mut self) {
        self.hedges += 1;
    }

    /// One of two requests in flight failed, and the other decides.
    pub(super) fn set_aside(&mut self, dispatcher: &Dispatcher, call: &Call, outcome: &Outcome) {
        if let Finding::Bad(bad) = &outcome.judged.finding {
            if bad.is_maybe_billed() {
                self.doubt.add(dispatcher, call);
            }
            self.tally.refusals += u32::from(bad.is_refusal());
        }
    }

    /// One of two requests in flight is given up, because the other was answered.
    pub(super) fn abandoned(&mut self, dispatcher: &Dispatcher, call: &Call) {
        self.doubt.add(dispatcher, call);
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
    let timeout = time(dispatcher, call, history.deadline().since(began));
    let (result, limit) = exchange(dispatcher, call, timeout, stop);
    finish(dispatcher, call, history, permit, (began, limit), result)
}

/// The time that an attempt has, of what is `left` for the call. A stream takes as long as it is
/// alive.
pub(super) fn time(dispatcher: &Dispatcher, call: &Call, left: Duration) -> Duration {
    if call.is_streamed { left } else { dispatcher.timeout.min(left) }
}

/// What is sent in an attempt.
pub(super) fn request<'a>(
    dispatcher: &'a Dispatcher,
    call: &'a Call,
    timeout: Duration,
    stop: &'a Stop,
) -> Exchange<'a> {
    let headers = &dispatcher.headers;
    Exchange { method: call.method, url: &call.url, headers, body: &call.body, timeout, stop }
}

/// Does the exchange of an attempt, and tells the time that it was allowed to take.
pub(super) fn exchange(
    dispatcher: &Dispatcher,
    call: &Call,
    timeout: Duration,
    stop: &Stop,
) -> (Result<Answer, TransportError>, Duration) {
    let exchange = request(dispatcher, call, timeout, stop);
    if call.is_streamed {
        let result = receive::gather(dispatcher, &exchange);
        let limit = receive::allowed(&result, dispatcher.patience, timeout);
        return (result, limit);
    }
    let result = match &call.transfer {
        None => dispatcher.transport.exchange(&exchange),
        Some(transfer) => dispatcher.transport.transfer(&exchange, transfer),
    };
    (result, timeout)
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
    settle(dispatcher, permit, &judged, ended, latency);
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
    log_attempt(call, history.attempts, &judged, latency);
    let Judged { report, request_id, finding } = judged;
    match finding {
        Finding::Good { status, body, peek } => {
            dispatcher.tell(&Event::Answered { group: &call.group, latency });
            let facts = history.facts(ended);
            dispatcher.keep(call, status, request_id.as_deref(), &body);
            let cost = cost_of_answer(&dispatcher.prices, &peek, &call.model, false);
            let asked = peek.model.is_none().then(|| call.model.clone());
            let counted = counted(call, &peek, cost.as_ref());
            Step::Done(Box::new(Ok(Reply {
                status,
                body,
                request_id,
                peek,
                report,
                cost,
                asked,
                counted,
                facts,
            })))
        }
        Finding::Bad(bad) => next(dispatcher, call, history, bad, request_id, timeout),
    }
}

/// One record for each attempt; nothing of it is made where nobody listens.
#[inline(never)] // What it needs is not on the stack of those that are not told.
fn log_attempt(call: &Call, attempt: u32, judged: &Judged, latency: Duration) {
    const TARGET: &str = "openai_bulk::attempt";
    if !log::log_enabled!(target: TARGET, log::Level::Debug) {
        return;
    }
    let (operation, server) = (key::operation(&call.url), key::host(&call.url));
    let (model, id) = (&*call.model, judged.request_id.as_deref());
    let seconds = latency.as_secs_f64();
    match &judged.finding {
        Finding::Good { status, peek, .. } => {
            let usage = peek.usage.as_ref();
            log::debug!(
                target: TARGET,
                {key::OPERATION} = operation, {key::REQUEST_MODEL} = model,
                {key::RESPONSE_MODEL} = peek.model.as_deref(), {key::SERVER} = server,
                {key::STATUS} = status, {key::ATTEMPT} = attempt, {key::DURATION} = seconds,
                {key::INPUT_TOKENS} = usage.map(|usage| usage.input),
                {key::OUTPUT_TOKENS} = usage.map(|usage| usage.output),
                {key::REQUEST_ID} = id;
                "answered"
            );
        }
        Finding::Bad(bad) => {
            let (kind, cause) = (bad.kind(), bad.cause());
            log::debug!(
                target: TARGET,
                {key::OPERATION} = operation, {key::REQUEST_MODEL} = model, {key::SERVER} = server,
                {key::STATUS} = bad.status(), {key::ATTEMPT} = attempt, {key::DURATION} = seconds,
                {key::ERROR_TYPE} = &*kind, {key::ERROR_MESSAGE} = cause.as_str(),
                {key::REQUEST_ID} = id;
                "failed"
            );
        }
    }
}

/// What an answer was counted for, where something is capped and the answer does not tell all.
fn counted(call: &Call, peek: &Peek, cost: Option<&Cost>) -> Option<Box<Amount>> {
    if cost.is_some() && peek.usage.is_some() {
        return None;
    }
    let most = call.most.get()?;
    let money = cost.map(|cost| cost.total).or(most.money).unwrap_or(Money::ZERO);
    let tokens = peek.usage.as_ref().map(|usage| usage.total).or(most.tokens).unwrap_or(0);
    Some(Box::new(Amount { money, tokens }))
}

/// What an answer used, if something was held for it; as far as that is not known, it is what was
/// held.
fn used(dispatcher: &Dispatcher, permit: &Permit, peek: &Peek) -> Option<Amount> {
    let payment = permit.payment.as_ref()?;
    let held = payment.reservation.held();
    let cost = cost_of_answer(&dispatcher.prices, peek, &payment.model, false);
    Some(Amount {
        money: cost.map_or(held.money, |cost| cost.total),
        tokens: peek.usage.as_ref().map_or(held.tokens, |usage| usage.total),
    })
}

fn settle(dispatcher: &Dispatcher, permit: Permit, judged: &Judged, now: Time, latency: Duration) {
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
        spent: Spent::Nothing,
    };
    match &judged.finding {
        Finding::Good { peek, .. } => {
            let total = peek.usage.as_ref().map(|usage| usage.total);
            let spent = Spent::Used(used(dispatcher, &permit, peek));
            permit.settle(now, &Settlement { used: total, spent, ..good });
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
                spent: if bad.is_maybe_billed() { Spent::Doubtful } else { Spent::Nothing },
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
    if bad.is_maybe_billed() {
        history.doubt.add(dispatcher, call);
    }
    if bad.is_exhausted() {
        return relieve(dispatcher, history);
    }
    if bad.is_refusal() {
        history.tally.refusals += 1;
    } else {
        history.tally.failures += 1;
    }
    let left = history.deadline().since(dispatcher.clock.now());
    let is_doubtful = call.is_once && bad.is_maybe_done();
    let decision = if bad.is_interrupted() || is_doubtful {
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
            log::debug!(target: "openai_bulk::retry", {key::GROUP} = group, {key::ATTEMPT} = attempts, {key::WAIT} = after.as_secs_f64(), {key::ERROR_TYPE} = &*bad.kind(), {key::ERROR_MESSAGE} = cause.as_str(); "retrying");
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
        log::warn!(target: "openai_bulk::gate", {key::MAX_CONCURRENCY} = ceiling; "the machine has no room for more connections: fewer requests at once from here on");
        gate.set_ceiling(ceiling);
    }
    history.attempts -= 1;
    Step::Again { after: Duration::from_millis(100) }
}
