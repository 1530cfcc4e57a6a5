//! A ledger that many share.

use super::Money;
use super::ledger::{Amount, Caps, Ledger, Most, Short, Standing};
use parking_lot::Mutex;
use std::sync::Arc;

/// What a client or a run may spend, shared by all that spend from it.
///
/// A purse may lie within another one, as that of a run lies within its client's: then both are
/// asked, and both count.
#[derive(Debug)]
pub struct Purse {
    state: Mutex<State>,
    within: Option<Arc<Purse>>,
}

/// A purse in which there is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lack {
    /// Why it is not enough.
    pub short: Short,
    /// Where the purse stands; it may be one around the one that was asked.
    pub standing: Standing,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// Somebody was refused, and wants to hear when something is given back.
    is_awaited: bool,
    mark: Option<Mark>,
}

/// Writes down the most that may have been spent, before it may have been.
struct Mark {
    written: Amount,
    write: Box<dyn FnMut(Amount) + Send>,
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mark").field("written", &self.written).finish_non_exhaustive()
    }
}

/// The parts of a cap in which a mark rises: so often it is written at the most.
const MARKS: u64 = 256;
/// The least by which a mark rises of what has no cap: then a part of what is taken is the step.
/// Source: own choice, so that a mark is written a few thousand times in the largest run.
const MONEY_STEP: Money = Money::from_picodollars(10_000_000_000);
const TOKENS_STEP: u64 = 10_000;

impl State {
    /// Writes a higher mark if more may be spent from now on than the last one says.
    fn write_mark(&mut self) {
        let Some(mark) = &mut self.mark else { return };
        let Standing { caps, .. } = self.ledger.standing();
        let taken = self.ledger.standing().taken();
        if taken.money <= mark.written.money && taken.tokens <= mark.written.tokens {
            return;
        }
        let money = match caps.money {
            Some(cap) => cap.min(taken.money + cap.share(1, MARKS)).max(taken.money),
            None => taken.money + taken.money.share(1, MARKS).max(MONEY_STEP),
        };
        let tokens = match caps.tokens {
            Some(cap) => cap.min(taken.tokens.saturating_add(cap / MARKS)).max(taken.tokens),
            None => taken.tokens.saturating_add((taken.tokens / MARKS).max(TOKENS_STEP)),
        };
        mark.written = Amount { money, tokens };
        (mark.write)(mark.written);
    }
}

impl Purse {
    /// A purse with caps, within another one if there is one.
    pub fn new(caps: Caps, within: Option<Arc<Purse>>) -> Arc<Purse> {
        let state = Mutex::new(State { ledger: Ledger::new(caps), is_awaited: false, mark: None });
        Arc::new(Purse { state, within })
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.state.lock().ledger.standing()
    }

    /// Counts what was spent before, against this purse alone.
    pub fn count_earlier(&self, amount: Amount) {
        self.state.lock().ledger.count_earlier(amount);
    }

    /// Calls `write` with the most that may have been spent, earlier amounts included, each time
    /// before more than that may be: a few hundred times until the cap, and of what has no cap a few
    /// thousand times at the most, because the next run may cap it.
    pub fn mark(&self, write: impl FnMut(Amount) + Send + 'static) {
        let mut state = self.state.lock();
        let written = state.ledger.standing().taken();
        state.mark = Some(Mark { written, write: Box::new(write) });
    }

    /// Whether something that uses at most `most` may be sent now.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, most: Most) -> Result<(), Box<Lack>> {
        self.ask(|state| state.ledger.check(most).map(drop))?;
        match &self.within {
            Some(outer) => outer.check(most),
            None => Ok(()),
        }
    }

    /// Reserves for something that uses at most `most`. What is reserved is given back when the
    /// reservation is dropped, unless it was settled.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn reserve(self: &Arc<Self>, most: Most) -> Result<Reservation, Box<Lack>> {
        let held = self.ask(|state| {
            let held = state.ledger.reserve(most)?;
            state.write_mark();
            Ok(held)
        })?;
        let mut reservation = Reservation { purse: Some(self.clone()), held, outer: None };
        if let Some(outer) = &self.within {
            reservation.outer = Some(Box::new(outer.reserve(most)?));
        }
        Ok(reservation)
    }

    fn ask<T>(&self, of: impl FnOnce(&mut State) -> Result<T, Short>) -> Result<T, Box<Lack>> {
        let mut state = self.state.lock();
        let answer = of(&mut state);
        answer.map_err(|short| {
            state.is_awaited |= matches!(short, Short::Full { in_flight: true, .. });
            Box::new(Lack { short, standing: state.ledger.standing() })
        })
    }

    fn tell(&self, of: impl FnOnce(&mut Ledger)) -> bool {
        let mut state = self.state.lock();
        of(&mut state.ledger);
        std::mem::take(&mut state.is_awaited)
    }

    /// The same where nobody can be told: whoever waits is told the next time.
    fn tell_later(&self, of: impl FnOnce(&mut Ledger)) {
        of(&mut self.state.lock().ledger);
    }
}

/// What is held in a purse for something that is about to be sent, or was sent.
///
/// Dropped, it is given back: nothing was sent. Dropped by a panic, it counts as spent, because
/// nobody knows how far it came.
#[derive(Debug)]
#[must_use = "dropped, it is given back"]
pub struct Reservation {
    purse: Option<Arc<Purse>>,
    held: Amount,
    outer: Option<Box<Reservation>>,
}

impl Reservation {
    /// What is held.
    pub fn held(&self) -> Amount {
        self.held
    }

    /// A part of it came to its end: `held` is given back, and `used` is spent. The same as of a
    /// whole one, it says whether somebody waits for what was given back.
    pub fn settle_part(&mut self, held: Amount, used: Amount) -> bool {
        self.held = self.held.less(held);
        let awaited = self.outer.as_mut().is_some_and(|outer| outer.settle_part(held, used));
        let purse = self.purse.as_ref();
        purse.is_some_and(|purse| purse.tell(|ledger| ledger.settle_part(held, used))) | awaited
    }

    /// It was used so far. Says whether somebody waits for what was given back.
    pub fn settle(mut self, used: Amount) -> bool {
        let held = self.held;
        let awaited = self.outer.take().is_some_and(|outer| outer.settle(used));
        self.end(|ledger| ledger.settle(held, used)) | awaited
    }

    /// It may have been used, and nobody will tell: it counts as spent.
    /// Says whether somebody waits: for them, nothing may be in flight any more.
    pub fn doubt(mut self) -> bool {
        let held = self.held;
        let awaited = self.outer.take().is_some_and(|outer| outer.doubt());
        self.end(|ledger| ledger.doubt(held)) | awaited
    }

    /// It was not used. Says whether somebody waits for what was given back.
    pub fn release(mut self) -> bool {
        let held = self.held;
        let awaited = self.outer.take().is_some_and(|outer| outer.release());
        self.end(|ledger| ledger.release(held)) | awaited
    }

    fn end(&mut self, of: impl FnOnce(&mut Ledger)) -> bool {
        self.purse.take().is_some_and(|purse| purse.tell(of))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // The outer one is dropped by itself.
        let (Some(purse), held) = (self.purse.take(), self.held) else { return };
        if std::thread::panicking() {
            purse.tell_later(|ledger| ledger.doubt(held));
        } else {
            purse.tell_later(|ledger| ledger.release(held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(dollars: i64) -> Most {
        Most { money: Some(Money::from_dollars(dollars)), tokens: Some(1) }
    }

    fn amount(dollars: i64) -> Amount {
        Amount { money: Money::from_dollars(dollars), tokens: 1 }
    }

    fn purse(dollars: i64, within: Option<Arc<Purse>>) -> Arc<Purse> {
        Purse::new(Caps { money: most(dollars).money, tokens: None }, within)
    }

    #[test]
    fn a_run_spends_from_its_own_purse_and_from_its_clients() {
        let client = purse(10, None);
        let runs = [purse(8, Some(client.clone())), purse(8, Some(client.clone()))];
        let first = runs[0].reserve(most(7)).unwrap();
        let Lack { short, standing } = *runs[1].reserve(most(7)).unwrap_err();
        assert!(matches!(short, Short::Full { in_flight: true, .. }));
        assert_eq!(standing.caps.money, Some(Money::from_dollars(10)), "the client's is short");
        assert_eq!(runs[1].standing().held, Amount::default(), "nothing is left behind");
        assert!(first.settle(amount(2)), "somebody waits");
        assert_eq!(client.standing().spent.money, Money::from_dollars(2));
        assert_eq!(runs[0].standing().spent.money, Money::from_dollars(2));
        let second = runs[1].reserve(most(7)).unwrap();
        assert!(!second.doubt(), "nobody waits");
        assert_eq!(client.standing().doubtful.money, Money::from_dollars(7));
        assert!(runs[0].check(most(2)).is_err());
        assert!(runs[0].check(most(1)).is_ok());
    }

    #[test]
    fn what_is_dropped_is_given_back_and_what_panics_is_not() {
        let purse = purse(10, None);
        drop(purse.reserve(most(7)).unwrap());
        assert_eq!(purse.standing().held, Amount::default());
        let reservation = purse.reserve(most(7)).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _reservation = reservation;
            panic!("in the middle of an exchange");
        }));
        assert!(panicked.is_err());
        assert_eq!(purse.standing().doubtful.money, Money::from_dollars(7));
        assert_eq!(purse.standing().held, Amount::default());
    }

    #[test]
    fn what_may_have_been_spent_is_written_down_before_it_may_be() {
        let purse = purse(256, None);
        purse.count_earlier(amount(10));
        let written = Arc::new(Mutex::new(Vec::new()));
        let to = written.clone();
        purse.mark(move |amount| to.lock().push(amount.money.as_dollars()));
        let first = purse.reserve(most(5)).unwrap();
        first.settle(amount(1));
        purse.reserve(most(5)).unwrap().doubt();
        drop(purse.reserve(most(1)).unwrap());
        let all = purse.reserve(most(240)).unwrap();
        // The mark rises by a dollar more than is needed, never above the cap, and never falls.
        assert_eq!(*written.lock(), [16.0, 18.0, 256.0]);
        assert!(all.held().money > Money::ZERO);
    }

    #[test]
    fn what_has_no_cap_is_written_down_too() {
        let purse = purse(256, None);
        let written = Arc::new(Mutex::new(Vec::new()));
        let to = written.clone();
        purse.mark(move |amount| to.lock().push(amount));
        let tokens =
            |tokens| Most { money: Some(Money::from_picodollars(1)), tokens: Some(tokens) };
        let mut most = 0;
        for _ in 0..1_000 {
            let _ = purse.reserve(tokens(1_000)).unwrap().doubt();
            most += 1_000;
            assert!(written.lock().last().unwrap().tokens >= most, "{most}");
        }
        assert!(written.lock().len() < 100, "{}", written.lock().len());
    }

    #[test]
    fn a_reservation_is_settled_in_parts() {
        let purse = purse(10, None);
        let mut batch = purse.reserve(Most { tokens: Some(3), ..most(9) }).unwrap();
        batch.settle_part(amount(3), amount(1));
        assert_eq!(batch.held().money, Money::from_dollars(6));
        assert_eq!(purse.standing().spent.money, Money::from_dollars(1));
        batch.settle(amount(2));
        assert_eq!(purse.standing().spent.money, Money::from_dollars(3));
        assert_eq!(purse.standing().held, Amount::default());
    }

    #[test]
    fn many_threads_never_pass_the_cap() {
        let client = purse(100, None);
        let run = purse(90, Some(client.clone()));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (client, run) = (&client, &run);
                scope.spawn(move || {
                    for step in 0..2_000 {
                        let from = if thread % 2 == 0 { run } else { client };
                        let Ok(held) = from.reserve(most(1 + step % 7)) else { continue };
                        let all = client.standing();
                        assert!(all.counted().plus(all.held).money <= Money::from_dollars(100));
                        match step % 3 {
                            0 => drop(held),
                            1 => drop(held.settle(Amount::default())),
                            _ => drop(held.settle(Amount {
                                money: Money::from_picodollars(1_000_000_000),
                                tokens: 0,
                            })),
                        }
                    }
                });
            }
        });
        let (client, run) = (client.standing(), run.standing());
        assert_eq!(client.held, Amount::default());
        assert!(client.spent.money > run.spent.money && run.spent.money > Money::ZERO);
    }
}
