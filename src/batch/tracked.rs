//! A job that this process works on: its lease, what it is paid from, and how far its steps came.

use super::next::{Around, Next, Pay, next};
use super::part::{Date, Part};
use super::store::Lease;
use crate::error::{Error, Result};
use crate::usage::{Amount, Purse, Reservation, Short};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A job that this process works on.
pub(super) struct Tracked {
    pub(super) job: i64,
    money: Mutex<Money>,
    state: Mutex<Standing>,
    /// The numbers of parts that are to come to their end though the job goes on.
    recalled: Mutex<HashSet<u32>>,
    _lease: Lease,
}

/// What the batches of a job are paid from, if that is capped.
#[derive(Default)]
struct Money {
    purse: Option<Arc<Purse>>,
    /// What is held for its parts, by their numbers in the store.
    held: HashMap<i64, Reservation>,
}

#[derive(Default)]
struct Standing {
    failure: Option<Error>,
    is_stopped: bool,
    is_capped: bool,
    is_hurried: bool,
    /// How often something was done that the steps have to follow.
    asked: u64,
    /// How much of that was known when the steps had nothing more to do.
    idle: Option<u64>,
}

/// One look at all parts of a job.
pub(super) struct Pass {
    asked: u64,
    /// Whether batches are looked at before that is due.
    pub(super) is_hurried: bool,
    /// Whether there was nothing to do.
    pub(super) is_idle: bool,
    /// Whether what is left of the cap does not suffice for a part.
    pub(super) is_capped: bool,
    /// When there is something to do.
    pub(super) due: Option<Date>,
}

impl Tracked {
    /// A job that belongs to this process, and is not paid for yet.
    pub(super) fn new(job: i64, lease: Lease) -> Tracked {
        let (money, state, recalled) = Default::default();
        Tracked { job, money, state, recalled, _lease: lease }
    }

    /// Brings a part to its end: it is cancelled, or taken back if it was not sent.
    pub(super) fn recall(&self, part: u32) {
        self.recalled.lock().insert(part);
        self.ask(false);
    }

    pub(super) fn is_recalled(&self, part: u32) -> bool {
        self.recalled.lock().contains(&part)
    }

    /// Pays from `purse` from now on. What was held for parts that may be at work is held again, or
    /// counts as spent if there is no room for it: it cannot be taken back.
    pub(super) fn pay_from(&self, purse: Option<Arc<Purse>>, parts: &[Part]) {
        let mut money = self.money.lock();
        *money = Money { purse, held: HashMap::new() };
        let Some(purse) = money.purse.clone() else { return };
        for part in parts.iter().filter(|part| part.state.is_sent()) {
            match purse.reserve(part.most()) {
                Ok(held) => drop(money.held.insert(part.id, held)),
                Err(_) => purse.count_earlier(part.most_amount()),
            }
        }
    }

    /// What is to be done with a part, and what that rests on. One that is about to be sent is paid
    /// for first.
    pub(super) fn pay(&self, part: &Part, mut around: Around) -> Result<(Around, Next)> {
        let step = next(part, &around);
        let mut money = self.money.lock();
        let Some(purse) = money.purse.clone() else { return Ok((around, step)) };
        let is_held = money.held.contains_key(&part.id);
        if is_held || !matches!(step, Next::Upload | Next::Create) {
            return Ok((around, step));
        }
        match purse.reserve(part.most()) {
            Ok(held) => drop(money.held.insert(part.id, held)),
            Err(lack) => match lack.short {
                Short::Full { in_flight: true, .. } => around.pay = Pay::Later,
                Short::Full { .. } => around.pay = Pay::Never,
                Short::Unknown(_) => {
                    let message = format!(
                        "the cap cannot be kept: what a batch of `{}` may cost at most is not known",
                        part.model
                    );
                    return Err(Error::invalid("max_cost", message));
                }
            },
        }
        Ok((around, next(part, &around)))
    }

    /// A part has come to its end: of what was held for it, `used` was spent, `doubtful` may have
    /// been, and the rest is free again.
    pub(super) fn settle(&self, part: &Part, used: Amount, doubtful: Amount) {
        if let Some(mut held) = self.money.lock().held.remove(&part.id) {
            held.settle_part(held.held().less(doubtful), used);
            held.doubt();
        }
        self.ask(false);
    }

    /// A part was not sent: what was held for it is free again.
    pub(super) fn give_back(&self, part: &Part) {
        self.money.lock().held.remove(&part.id);
    }

    /// Why the job cannot go on, told once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state.lock().failure.take()
    }

    /// Whether what is left of the cap does not suffice for what is left of the job.
    pub(super) fn is_capped(&self) -> bool {
        self.state.lock().is_capped
    }

    /// Whether no more steps are taken, after a failure.
    pub(super) fn is_stopped(&self) -> bool {
        self.state.lock().is_stopped
    }

    /// Whether there is nothing to do before a date, or before something else has happened.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.idle == Some(state.asked)
    }

    /// Something was done that the steps have to follow. With `is_hurried`, they look at all batches
    /// once before that is due.
    pub(super) fn ask(&self, is_hurried: bool) {
        let mut state = self.state.lock();
        state.asked += 1;
        state.is_hurried |= is_hurried;
    }

    pub(super) fn begin_pass(&self) -> Pass {
        let mut state = self.state.lock();
        let is_hurried = std::mem::take(&mut state.is_hurried);
        Pass { asked: state.asked, is_hurried, is_idle: true, is_capped: false, due: None }
    }

    pub(super) fn end_pass(&self, pass: &Pass) {
        let mut state = self.state.lock();
        state.is_capped = pass.is_capped;
        state.idle = pass.is_idle.then_some(pass.asked);
    }

    pub(super) fn fail(&self, error: Error) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        if !matches!(error, Error::Cancelled) {
            state.failure.get_or_insert(error);
        }
    }
}
