use super::journal::{Adjustment, Journal, Quantity};
use super::pause::Pause;
use super::permit::{Charge, Permit, Refused, Settlement};
use super::seat::Turn;
use super::{Cause, Limits, Refusal};
use crate::clock::Time;
use crate::error::CircuitOpen;
use crate::logs as key;
use crate::policy::account::Account;
use crate::policy::breaker::{Admission, Breaker, Change, Verdict};
use crate::policy::budget::{Budget, Cost};
use crate::policy::concurrency::{Concurrency, Reason};
use crate::policy::quota::Quota;
use crate::policy::search::Search;
use crate::policy::slots::{Room, Slots};
use crate::usage::{Outputs, Weight};
use crate::wire::fault::Scope;
use crate::wire::headers::{Level, RateReport};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) const REQUESTS: usize = 0;
pub(super) const TOKENS: usize = 1;
const PROJECT_TOKENS: usize = 2;
const DAY_REQUESTS: usize = 3;
const DAY_TOKENS: usize = 4;
/// The accounts of a lane.
pub(super) const ACCOUNTS: usize = 5;

/// A rate has changed if it differs by this share from what the journal says.
const NOTED: f64 = 0.05;
/// The state of one limit group.
#[derive(Debug)]
pub(super) struct Lane {
    group: Arc<str>,
    accounts: [Option<Account>; ACCOUNTS],
    /// For requests and for tokens.
    searches: [Search; 2],
    pub(super) concurrency: Concurrency,
    slots: Slots,
    pub(super) quota: Quota,
    breaker: Breaker,
    pause: Pause,
    outputs: Outputs,
    in_flight: usize,
    pub(super) queue: BTreeSet<Turn>,
    last_failure: String,
    /// The rates that the journal tells last.
    noted: [Option<f64>; 2],
}

impl Lane {
    pub(super) fn new(group: Arc<str>, limits: &Limits, now: Time) -> Lane {
        let stated = |rate: f64| move || Budget::stated(rate, limits.burst, now);
        let daily = |rate: f64| move || Budget::daily(rate, now);
        let accounts = [
            limits.requests_per_minute.map(|rate| account(REQUESTS, stated(rate))),
            limits.tokens_per_minute.map(|rate| account(TOKENS, stated(rate))),
            None,
            limits.requests_per_day.map(|rate| account(DAY_REQUESTS, daily(rate))),
            limits.tokens_per_day.map(|rate| account(DAY_TOKENS, daily(rate))),
        ];
        let is_known = accounts[REQUESTS].is_some() || accounts[TOKENS].is_some();
        Lane {
            group,
            noted: [limits.requests_per_minute, limits.tokens_per_minute],
            accounts,
            searches: [Search::new(now), Search::new(now)],
            concurrency: Concurrency::new(limits.min_concurrency, limits.max_concurrency, is_known),
            slots: Slots::default(),
            quota: Quota::new(now),
            breaker: Breaker::new(limits.breaker),
            pause: Pause::default(),
            outputs: Outputs::default(),
            in_flight: 0,
            queue: BTreeSet::new(),
            last_failure: String::new(),
        }
    }

    /// Takes other limits from the user.
    pub(super) fn restate(&mut self, limits: &Limits, now: Time, journal: &mut Journal) {
        let Limits { burst, .. } = *limits;
        let rates = [
            (REQUESTS, limits.requests_per_minute),
            (TOKENS, limits.tokens_per_minute),
            (DAY_REQUESTS, limits.requests_per_day),
            (DAY_TOKENS, limits.tokens_per_day),
        ];
        for (which, rate) in rates {
            let is_daily = which >= DAY_REQUESTS;
            match (&mut self.accounts[which], rate) {
                (Some(account), rate) => {
                    let per_minute = rate.map(|rate| if is_daily { rate / 1_440.0 } else { rate });
                    account.change(|budget| budget.restate(per_minute, now));
                }
                (slot @ None, Some(rate)) => {
                    *slot = Some(account(which, || match is_daily {
                        true => Budget::daily(rate, now),
                        false => Budget::stated(rate, burst, now),
                    }));
                }
                (None, None) => {}
            }
        }
        let changed = self.concurrency.restate(limits.min_concurrency, limits.max_concurrency, now);
        self.note_concurrency(changed, now, journal);
        self.note_rates("stated", now, journal);
    }

    /// The requests and tokens a minute that are in force, where known.
    pub(super) fn rates(&self) -> (Option<f64>, Option<f64>) {
        (self.rate(REQUESTS), self.rate(TOKENS))
    }

    fn rate(&self, which: usize) -> Option<f64> {
        let known = self.accounts[which].as_ref().map(Account::per_minute);
        match (known, self.searches[which].found()) {
            (Some(known), Some(found)) => Some(known.min(found)),
            (known, found) => known.or(found),
        }
    }

    /// Whether a call may go, as far as the budgets and the pause are concerned.
    pub(super) fn may_send(
        &mut self,
        now: Time,
        weight: Weight,
        limits: &Limits,
        journal: &mut Journal,
    ) -> Result<(), Refusal> {
        if self.pause.until > now {
            return Err(Refusal::new(Cause::Pause, Some(self.pause.until)));
        }
        let grown = self.concurrency.look(now);
        self.note_concurrency(grown, now, journal);
        if self.in_flight >= self.concurrency.limit().min(limits.max_concurrency.max(1)) {
            let until = self.concurrency.bind(now);
            return Err(Refusal::new(Cause::Concurrency, until));
        }
        if self.slots.look(now) {
            self.note_slots("one more is tried", now, journal);
        }
        if self.slots.limit().is_some_and(|slots| self.in_flight >= slots) {
            self.slots.bind(now);
            return Err(Refusal::new(Cause::Concurrency, None));
        }
        let costs = self.costs(weight);
        for (which, account) in self.accounts.iter_mut().enumerate() {
            let Some(account) = account else { continue };
            let wait = account.wait(now, costs[which]);
            if wait > Duration::ZERO {
                let is_requests = matches!(which, REQUESTS | DAY_REQUESTS);
                let cause = if is_requests { Cause::Requests } else { Cause::Tokens };
                return Err(Refusal::new(cause, Some(now + wait)));
            }
        }
        let expected = self.expected(weight);
        for (search, cost, cause) in
            [(REQUESTS, 1.0, Cause::Requests), (TOKENS, expected, Cause::Tokens)]
        {
            let wait = self.searches[search].wait(now, cost);
            if wait > Duration::ZERO {
                return Err(Refusal::new(cause, Some(now + wait)));
            }
        }
        Ok(())
    }

    /// Whether the circuit lets a call pass, and as a probe. A yes must be followed by the sending.
    pub(super) fn pass_breaker(&mut self, now: Time) -> Result<bool, Refusal> {
        match self.breaker.admit(now) {
            Admission::Yes => Ok(false),
            Admission::Probe => Ok(true),
            Admission::Until(until) => {
                let given_up = self.breaker.given_up(now).map(|open_for| CircuitOpen {
                    was_reached: self.breaker.was_reached(),
                    ..CircuitOpen::new(open_for, until.since(now), self.last_failure.clone())
                });
                let refusal = Refusal::new(Cause::Circuit, Some(until));
                Err(Refusal { given_up, ..refusal })
            }
        }
    }

    pub(super) fn send(
        &mut self,
        now: Time,
        lane: usize,
        weight: Weight,
        is_probe: bool,
    ) -> Permit {
        let costs = self.costs(weight);
        let mut charge = Box::<Charge>::default();
        for (which, account) in self.accounts.iter_mut().enumerate() {
            charge.receipts[which] = account.as_mut().map(|each| each.charge(now, costs[which]));
        }
        let expected = self.expected(weight);
        charge.traces =
            [self.searches[REQUESTS].charge(now, 1.0), self.searches[TOKENS].charge(now, expected)];
        self.in_flight += 1;
        self.slots.sent(now);
        let number = self.breaker.admitted();
        Permit { gate: None, lane, sent_at: now, weight, charge, is_probe, number, payment: None }
    }

    /// What a call costs in each account.
    fn costs(&self, weight: Weight) -> [Cost; ACCOUNTS] {
        let request = Cost::exact(1.0);
        let tokens = Cost { most: weight.total() as f64, likely: self.expected(weight) };
        [request, tokens, tokens, request, tokens]
    }

    fn expected(&self, weight: Weight) -> f64 {
        weight.input.saturating_add(self.outputs.expect(weight.input, weight.ceiling)) as f64
    }

    /// The call of the permit was never sent.
    pub(super) fn take_back(&mut self, permit: &Permit, now: Time) {
        for (account, receipt) in self.accounts.iter_mut().zip(&permit.charge.receipts) {
            if let (Some(account), Some(receipt)) = (account, receipt) {
                account.cancel(now, receipt);
            }
        }
        for (search, trace) in self.searches.iter_mut().zip(permit.charge.traces) {
            search.refund(trace);
        }
    }

    /// The permit was dropped without a word of what became of its call.
    pub(super) fn forget(&mut self, permit: &Permit) {
        self.in_flight -= 1;
        self.take_back(permit, permit.sent_at);
        let heard = permit.heard(Verdict::Ignored, false, false);
        self.breaker.record(permit.sent_at, &heard, 0.0);
    }

    /// Takes in what became of a call, and says whether more may be in flight than before.
    pub(super) fn settle(
        &mut self,
        permit: &Permit,
        now: Time,
        settlement: &Settlement<'_>,
        limits: &Limits,
        journal: &mut Journal,
    ) -> bool {
        let in_flight = self.in_flight;
        self.in_flight -= 1;
        let before = self.concurrency.limit();
        if settlement.is_sent {
            self.learn(permit, now, settlement, limits);
        } else {
            self.take_back(permit, now);
        }
        let mut reason = "told by the server";
        let is_full = self.is_full(permit, now, settlement, journal);
        if let Some(refused) = settlement.refused.as_ref().filter(|_| !is_full) {
            self.refuse(permit, now, refused, settlement.report, limits);
            reason = "refused by the server";
        }
        if self.rate(REQUESTS).or(self.rate(TOKENS)).is_some() {
            let changed = self.concurrency.rate_known(now);
            self.note_concurrency(changed, now, journal);
        }
        if settlement.verdict == Verdict::Ok {
            self.quota.earn(now);
            if self.pause.began.is_none_or(|began| permit.sent_at > began) {
                self.pause.strikes = 0;
            }
            let latency = settlement.latency;
            self.slots.passed(now, permit.sent_at, in_flight);
            let changed = self.concurrency.answered(now, permit.sent_at, latency, in_flight);
            self.note_concurrency(changed, now, journal);
        } else if settlement.is_overload && !is_full {
            let changed = self.concurrency.overloaded(now, permit.sent_at);
            self.note_concurrency(changed, now, journal);
        }
        if self.searches.iter().any(|search| search.found().is_some())
            && settlement.refused.is_none()
        {
            reason = "not refused of late";
        }
        self.note_rates(reason, now, journal);
        let verdict = if is_full { Verdict::Ignored } else { settlement.verdict };
        self.hear(permit, now, settlement, verdict, journal);
        self.concurrency.limit() > before
    }

    /// Takes in what the answer says of the limits and of what it used.
    fn learn(&mut self, permit: &Permit, now: Time, settlement: &Settlement<'_>, limits: &Limits) {
        let report = settlement.report;
        let sent_at = permit.sent_at + settlement.sent_after;
        for (which, level) in [
            (REQUESTS, &report.requests),
            (TOKENS, &report.tokens),
            (PROJECT_TOKENS, &report.project_tokens),
        ] {
            self.read(
                permit,
                (which, level),
                (now, sent_at),
                settlement.refused.is_some(),
                limits.burst,
            );
        }
        let Some(used) = settlement.used else { return };
        let output = used.saturating_sub(permit.weight.input);
        self.outputs.learn(permit.weight.input, permit.weight.ceiling, output);
        for which in [TOKENS, PROJECT_TOKENS, DAY_TOKENS] {
            if let (Some(account), Some(receipt)) =
                (&mut self.accounts[which], &permit.charge.receipts[which])
            {
                account.settle(receipt, used as f64);
            }
        }
    }

    /// The bucket that a report speaks of; one that was unknown until now begins with it.
    fn read(
        &mut self,
        permit: &Permit,
        (which, level): (usize, &Level),
        (now, sent_at): (Time, Time),
        is_refusal: bool,
        burst: Duration,
    ) {
        let slot = &mut self.accounts[which];
        if slot.is_none() {
            let Some(limit) = level.limit.filter(|&limit| limit > 0) else { return };
            // Those that are in flight may be served after this one.
            let each = if which == REQUESTS { 1.0 } else { permit.weight.total() as f64 };
            let open = self.in_flight as f64 * each;
            *slot = Some(account(which, || {
                let mut budget = Budget::told(limit as f64, burst, now);
                if let Some(left) = level.remaining {
                    budget.begin_at(left.min(limit) as f64, open);
                }
                budget
            }));
            return;
        }
        // A call from before the limit was known tells nothing that is not known by now.
        if let (Some(account), Some(receipt)) = (slot, &permit.charge.receipts[which]) {
            account.learn(now, level, receipt, sent_at, is_refusal);
        }
    }

    /// A refusal holds everybody back once: those that were sent before it are no news.
    fn refuse(
        &mut self,
        permit: &Permit,
        now: Time,
        refused: &Refused,
        report: &RateReport,
        limits: &Limits,
    ) {
        let is_silent = report.is_empty();
        let which = if refused.scope == Scope::Tokens { TOKENS } else { REQUESTS };
        if self.searches[which].is_bearing(now) {
            let trace = permit.charge.traces[which];
            self.searches[which].refused(now, permit.sent_at, trace, false);
            return;
        }
        let is_new = self.pause.begin(permit.sent_at, now, refused);
        if refused.scope == Scope::Day {
            return;
        }
        if let Some(limit) = refused.limit.filter(|_| is_silent) {
            match &mut self.accounts[which] {
                Some(account) => account.change(|budget| budget.name_limit(limit as f64, now)),
                slot => {
                    let burst = limits.burst;
                    *slot = Some(account(which, || Budget::told(limit as f64, burst, now)));
                }
            }
        }
        if is_new {
            log::debug!(target: "openai_bulk::gate", {key::GROUP} = &*self.group, {key::SCOPE}:? = refused.scope; "refused");
            if let Some(account) = &mut self.accounts[which] {
                account.change(|budget| {
                    budget.refused(now);
                    if is_silent {
                        budget.empty(now);
                    }
                });
            }
        }
        // Where the headers say that too little is left, they tell all that there is to know.
        let level = if which == TOKENS { &report.tokens } else { &report.requests };
        let cost = if which == TOKENS { permit.weight.total() } else { 1 };
        if level.remaining.is_some_and(|left| left < cost) {
            return;
        }
        let is_known = self.accounts[which].is_some() && refused.scope != Scope::Unknown;
        let trace = permit.charge.traces[which];
        self.searches[which].refused(now, permit.sent_at, trace, is_known);
    }

    /// Whether the server only had no room for the call, and how much it has is known.
    fn is_full(
        &mut self,
        permit: &Permit,
        now: Time,
        settlement: &Settlement<'_>,
        journal: &mut Journal,
    ) -> bool {
        let may_be = settlement.refused.as_ref().map_or(settlement.is_overload, |refused| {
            let is_for_rate = settlement.is_overload || refused.limit.is_some();
            // Headers would tell that it is for the rate.
            let is_silent = settlement.report.is_empty();
            matches!(refused.scope, Scope::Unknown | Scope::Requests) && is_silent && !is_for_rate
        });
        if !may_be || self.searches[REQUESTS].is_bearing(now) {
            return false;
        }
        let is_overload = settlement.refused.is_none();
        let in_flight = self.in_flight + 1;
        let room = self.slots.refused(now, permit.sent_at, in_flight, is_overload);
        if room == Room::Found {
            // What was taken for a limit of the rate was none.
            self.searches[REQUESTS] = Search::new(now);
            self.pause = Pause::default();
            let changed = self.concurrency.rate_known(now);
            self.note_concurrency(changed, now, journal);
            self.note_slots("the server has no room for more", now, journal);
        }
        room != Room::Unknown
    }

    /// Tells the breaker.
    fn hear(
        &mut self,
        permit: &Permit,
        now: Time,
        settlement: &Settlement<'_>,
        verdict: Verdict,
        journal: &mut Journal,
    ) {
        if let Some(failure) = settlement.failure {
            failure.clone_into(&mut self.last_failure);
        }
        let heard = permit.heard(verdict, settlement.is_connect_failure, settlement.is_sent);
        match self.breaker.record(now, &heard, fastrand::f64()) {
            Some(Change::Opened(length)) => {
                log::info!(target: "openai_bulk::breaker", {key::GROUP} = &*self.group, {key::OPEN} = length.as_secs_f64(), {key::ERROR_MESSAGE} = self.last_failure.as_str(); "the circuit is open: the server is in trouble");
            }
            Some(Change::Closed) => {
                log::info!(target: "openai_bulk::breaker", {key::GROUP} = &*self.group; "the circuit is closed: the server answers again");
                let changed = self.concurrency.restart(now);
                self.note_concurrency(changed, now, journal);
            }
            None => {}
        }
    }

    fn note_concurrency(&self, changed: Option<Reason>, now: Time, journal: &mut Journal) {
        let Some(reason) = changed else { return };
        let reason = match reason {
            Reason::Room => "answers come no slower",
            Reason::Queueing => "more only waited in the server",
            Reason::Overload => "the server is overloaded",
            Reason::Futile => "fewer were overloaded as often",
            Reason::Restart => "the server is back",
            Reason::RateKnown => "the rate limit is known",
            Reason::Stated => "stated",
        };
        let to = self.concurrency.limit() as f64;
        let group = self.group.clone();
        journal.write(Adjustment { at: now, group, quantity: Quantity::Concurrency, to, reason });
    }

    fn note_slots(&self, reason: &'static str, now: Time, journal: &mut Journal) {
        let Some(to) = self.slots.limit() else { return };
        let (group, to) = (self.group.clone(), to as f64);
        journal.write(Adjustment { at: now, group, quantity: Quantity::Concurrency, to, reason });
    }

    fn note_rates(&mut self, reason: &'static str, now: Time, journal: &mut Journal) {
        for (which, quantity) in
            [(REQUESTS, Quantity::RequestsPerMinute), (TOKENS, Quantity::TokensPerMinute)]
        {
            let Some(to) = self.rate(which) else { continue };
            if self.noted[which].is_some_and(|noted| (to / noted - 1.0).abs() < NOTED) {
                continue;
            }
            self.noted[which] = Some(to);
            journal.write(Adjustment { at: now, group: self.group.clone(), quantity, to, reason });
        }
    }
}

/// An account of requests or of tokens.
fn account(which: usize, budget: impl Fn() -> Budget) -> Account {
    match which {
        REQUESTS | DAY_REQUESTS => Account::of_requests(budget()),
        _ => Account::of_tokens(budget),
    }
}
