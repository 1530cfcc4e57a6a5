use super::Gate;
use super::lane::ACCOUNTS;
use super::pay::Payment;
use crate::clock::Time;
use crate::policy::account::Receipt;
use crate::policy::breaker::{Heard, Verdict};
use crate::policy::search::Trace;
use crate::usage::{Amount, Weight};
use crate::wire::fault::Scope;
use crate::wire::headers::RateReport;
use std::sync::Arc;
use std::time::Duration;

/// The right to send one request. Settle it with what became of the request; dropped unsettled, it
/// is as if the request had never been sent.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) lane: usize,
    pub(crate) sent_at: Time,
    pub(super) weight: Weight,
    pub(super) charge: Box<Charge>,
    pub(super) is_probe: bool,
    /// The number that the breaker admitted it under.
    pub(super) number: u64,
    /// What is held for the request where something is capped.
    pub(crate) payment: Option<Box<Payment>>,
}

/// What a call was charged in each budget and search.
#[derive(Debug, Default)]
pub(super) struct Charge {
    pub(super) receipts: [Option<Receipt>; ACCOUNTS],
    pub(super) traces: [Trace; 2],
}

/// What became of the money that was held for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// Nothing was spent.
    Nothing,
    /// It may have been spent: the request was sent and brought no answer.
    Doubtful,
    /// So much was spent; `None` if nothing was held.
    Used(Option<Amount>),
}

/// The server refused for a rate limit.
#[derive(Debug)]
pub(crate) struct Refused {
    /// For which one.
    pub(crate) scope: Scope,
    /// How long everybody should hold back at most.
    pub(crate) pause: Duration,
    /// The limit that the refusal names.
    pub(crate) limit: Option<u64>,
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
    /// How long after its admission it was handed to the network.
    pub(crate) sent_after: Duration,
    /// How long the exchange took.
    pub(crate) latency: Duration,
    /// Whether the server has more to do than it can.
    pub(crate) is_overload: bool,
    /// Set when the server refused for a limit.
    pub(crate) refused: Option<Refused>,
    /// What the server's headers said.
    pub(crate) report: &'a RateReport,
    /// Tokens that the request used.
    pub(crate) used: Option<u64>,
    /// What was spent.
    pub(crate) spent: Spent,
}

impl Permit {
    /// What the breaker hears of the call.
    pub(super) fn heard(&self, verdict: Verdict, is_connect_failure: bool, is_sent: bool) -> Heard {
        let (is_probe, number, sent_at) = (self.is_probe, self.number, self.sent_at);
        Heard { is_probe, number, sent_at, verdict, is_connect_failure, is_sent }
    }

    /// Hands back the slot and corrects the budgets.
    ///
    /// It wakes nobody for the slot: the thread that settles may take the next call itself, and
    /// otherwise raises the gate's signal.
    pub(crate) fn settle(mut self, now: Time, settlement: &Settlement<'_>) {
        let Some(gate) = self.gate.take() else { return };
        let is_awaited = self.pay(settlement.spent);
        let has_grown = {
            let mut state = gate.state.lock();
            let state = &mut *state;
            state.in_flight -= 1;
            let lane = &mut state.lanes[self.lane];
            lane.settle(&self, now, settlement, &state.limits, &mut state.journal)
        };
        if has_grown || is_awaited {
            gate.signal.raise();
        }
    }

    /// Settles what was held, and says whether somebody waits for that.
    fn pay(&mut self, spent: Spent) -> bool {
        let Some(payment) = self.payment.take() else { return false };
        let reservation = payment.reservation;
        match spent {
            Spent::Nothing => reservation.release(),
            Spent::Doubtful | Spent::Used(None) => reservation.doubt(),
            Spent::Used(Some(amount)) => reservation.settle(amount),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        // Given back, or in doubt after a panic.
        self.payment = None;
        {
            let mut state = gate.state.lock();
            state.in_flight -= 1;
            state.lanes[self.lane].forget(self);
        }
        gate.signal.raise();
    }
}
