use super::{Cause, Gate, Permit, Refusal, Seat};
use crate::clock::Time;
use crate::dispatch::Call;
use crate::error::{Error, OverCap};
use crate::usage::{Capped, Lack, Most, Prices, Purse, Reach, Reservation, Short, Standing};
use std::sync::Arc;

/// What is held for a request that is sent.
#[derive(Debug)]
pub(crate) struct Payment {
    pub(crate) reservation: Reservation,
    /// The model that was asked.
    pub(crate) model: Arc<str>,
}

impl Gate {
    /// Admits a call now if it can be paid for, or says when to ask again; see
    /// [`Gate::try_enter`]. A call that waits for money has no place in the queue, where it would
    /// hold up those who pay from another purse.
    pub(crate) fn try_pay(
        self: &Arc<Self>,
        now: Time,
        call: &Call,
        purse: Option<&Arc<Purse>>,
        prices: &Prices,
        seat: &mut Seat,
        has_more: bool,
    ) -> Result<Permit, Refusal> {
        let Some(purse) = purse else { return self.try_enter(now, call.weight, seat, has_more) };
        let most = call.most(prices);
        // Asked before, so that nothing is held for a call that waits for something else.
        if let Err(lack) = purse.check(most) {
            seat.leave();
            return Err(unpaid(call, prices, most, &lack));
        }
        let mut permit = self.try_enter(now, call.weight, seat, has_more)?;
        let reservation = match purse.reserve(most) {
            Ok(reservation) => reservation,
            // Another pool or another thread was faster; the permit goes back.
            Err(lack) => return Err(unpaid(call, prices, most, &lack)),
        };
        permit.payment = Some(Box::new(Payment { reservation, model: call.model.clone() }));
        Ok(permit)
    }
}

fn unpaid(call: &Call, prices: &Prices, most: Most, lack: &Lack) -> Refusal {
    let error = match lack.short {
        Short::Full { in_flight: true, .. } => None,
        Short::Full { capped, .. } => {
            Some(Error::OverCap(Box::new(over(capped, most, &lack.standing))))
        }
        Short::Unknown(capped) => {
            let reach = Reach::read(&call.body).sent_to(&call.url);
            let why = reach.why_unknown(prices, &call.model, capped);
            let name = match capped {
                Capped::Tokens => "max_tokens_total",
                _ => "max_cost",
            };
            Some(Error::invalid(name, format!("the cap cannot be kept: {why}")))
        }
    };
    let mut refusal = Refusal::new(Cause::Cap, None);
    refusal.unpaid = error.map(Box::new);
    refusal
}

fn over(capped: Capped, most: Most, at: &Standing) -> OverCap {
    let (caps, counted) = (at.caps, at.counted());
    match capped {
        Capped::Tokens => OverCap::new(
            format!("{} tokens", caps.tokens.unwrap_or_default()),
            counted.tokens.to_string(),
            most.tokens.unwrap_or_default().to_string(),
        ),
        _ => OverCap::new(
            caps.money.unwrap_or_default().to_string(),
            counted.money.to_string(),
            most.money.unwrap_or_default().to_string(),
        ),
    }
}
