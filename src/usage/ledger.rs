//! What was spent against a cap, and what may still be spent by what is in flight.

use super::Money;

/// An amount of what may be capped: money, and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Money.
    pub money: Money,
    /// Tokens, read and written together.
    pub tokens: u64,
}

/// The most that a request may use, as far as it is known; see [`Reach`](super::Reach).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Money; `None` if its price is not known or has no bound.
    pub money: Option<Money>,
    /// Tokens; `None` if they have no bound.
    pub tokens: Option<u64>,
}

/// The most that may be spent. Default: anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// In money.
    pub money: Option<Money>,
    /// In tokens.
    pub tokens: Option<u64>,
}

impl Caps {
    /// Whether anything is capped.
    pub fn is_some(&self) -> bool {
        self.money.is_some() || self.tokens.is_some()
    }
}

/// What is capped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capped {
    /// Money.
    Money,
    /// Tokens.
    Tokens,
}

/// Why a request may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Short {
    /// What it may use at most is not known, so that it cannot be held below the cap.
    Unknown(Capped),
    /// It may pass the cap. If something is `in_flight`, what that does not use may be enough.
    Full {
        /// Which cap.
        capped: Capped,
        /// Whether something is in flight.
        in_flight: bool,
    },
}

/// Where a ledger stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// The most that may be spent.
    pub caps: Caps,
    /// Spent before it began.
    pub earlier: Amount,
    /// Spent since, as far as it is known: what answers cost. An answer whose cost is not known
    /// counts as what was reserved for it.
    pub spent: Amount,
    /// What attempts may have cost that were sent and brought no answer: what was reserved for them.
    pub doubtful: Amount,
    /// Reserved for what is in flight.
    pub held: Amount,
    /// What had been reserved for what was answered.
    pub reserved: Amount,
}

impl Standing {
    /// The most that may have been spent: what counts against the cap, and what is in flight.
    pub fn taken(&self) -> Amount {
        self.counted().plus(self.held)
    }

    /// What counts against the cap, without what is in flight.
    pub fn counted(&self) -> Amount {
        self.earlier.plus(self.spent).plus(self.doubtful)
    }
}

/// Counts against a cap so that what is spent and what is in flight together never pass it.
///
/// Everything is reserved at the most that it may cost before it is sent, and settled at what it
/// did cost. It knows nothing of requests: a whole batch can be reserved at once and settled in
/// parts.
#[derive(Debug, Default)]
pub struct Ledger {
    standing: Standing,
    /// Reservations that are not settled.
    holds: u64,
}

impl Ledger {
    /// A ledger with caps and nothing spent.
    pub fn new(caps: Caps) -> Ledger {
        Ledger { standing: Standing { caps, ..Standing::default() }, holds: 0 }
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Counts what was spent before.
    pub fn count_earlier(&mut self, amount: Amount) {
        self.standing.earlier = self.standing.earlier.plus(amount);
    }

    /// The amount to reserve for something that uses at most `most`, if it fits.
    pub fn check(&self, most: Most) -> Result<Amount, Short> {
        let (caps, taken) = (self.standing.caps, self.standing.taken());
        let money = match (caps.money, most.money) {
            (Some(_), None) => return Err(Short::Unknown(Capped::Money)),
            (_, most) => most.unwrap_or(Money::ZERO),
        };
        let tokens = match (caps.tokens, most.tokens) {
            (Some(_), None) => return Err(Short::Unknown(Capped::Tokens)),
            (_, most) => most.unwrap_or(0),
        };
        let in_flight = self.holds > 0;
        if caps.money.is_some_and(|cap| taken.money + money > cap) {
            return Err(Short::Full { capped: Capped::Money, in_flight });
        }
        if caps.tokens.is_some_and(|cap| taken.tokens.saturating_add(tokens) > cap) {
            return Err(Short::Full { capped: Capped::Tokens, in_flight });
        }
        Ok(Amount { money, tokens })
    }

    /// Reserves for something that uses at most `most`, if it fits; gives what is held for it.
    pub fn reserve(&mut self, most: Most) -> Result<Amount, Short> {
        let amount = self.check(most)?;
        self.standing.held = self.standing.held.plus(amount);
        self.holds += 1;
        Ok(amount)
    }

    /// A part of a reservation was used: `held` of it is given back, and `used` is spent.
    pub fn settle_part(&mut self, held: Amount, used: Amount) {
        self.standing.held = self.standing.held.less(held);
        self.standing.spent = self.standing.spent.plus(used);
        self.standing.reserved = self.standing.reserved.plus(held);
    }

    /// The rest of a reservation comes to its end, `used` of it.
    pub fn settle(&mut self, held: Amount, used: Amount) {
        self.settle_part(held, used);
        self.close();
    }

    /// What was reserved may have been spent, and nobody will tell.
    pub fn doubt(&mut self, held: Amount) {
        self.standing.held = self.standing.held.less(held);
        self.standing.doubtful = self.standing.doubtful.plus(held);
        self.close();
    }

    /// What was reserved was not spent.
    pub fn release(&mut self, held: Amount) {
        self.standing.held = self.standing.held.less(held);
        self.close();
    }

    fn close(&mut self) {
        debug_assert!(self.holds > 0, "a reservation ends once");
        self.holds = self.holds.saturating_sub(1);
    }
}

impl Amount {
    /// Both together.
    pub fn plus(self, other: Amount) -> Amount {
        Amount { money: self.money + other.money, tokens: self.tokens.saturating_add(other.tokens) }
    }

    /// What is left of it without `other`; nothing of what that has more of.
    pub fn less(self, other: Amount) -> Amount {
        Amount {
            money: self.money.less(other.money),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn most(cents: i128) -> Most {
        let money = Money::from_picodollars(cents * 10i128.pow(10));
        Most { money: Some(money), tokens: Some(cents as u64) }
    }

    fn amount(cents: i128) -> Amount {
        Amount { money: most(cents).money.unwrap(), tokens: cents as u64 }
    }

    fn capped(cents: i128) -> Ledger {
        Ledger::new(Caps { money: most(cents).money, tokens: None })
    }

    #[test]
    fn what_is_in_flight_counts_until_it_is_settled() {
        let mut ledger = capped(100);
        let first = ledger.reserve(most(60)).unwrap();
        let full = Short::Full { capped: Capped::Money, in_flight: true };
        assert_eq!(ledger.reserve(most(50)), Err(full), "it may fit when the first one is settled");
        ledger.settle(first, amount(10));
        let second = ledger.reserve(most(50)).unwrap();
        ledger.doubt(second);
        let third = ledger.reserve(most(40)).unwrap();
        ledger.release(third);
        let full = Short::Full { capped: Capped::Money, in_flight: false };
        assert_eq!(ledger.reserve(most(41)), Err(full), "nothing is left to wait for");
        let standing = ledger.standing();
        assert_eq!((standing.spent, standing.doubtful), (amount(10), amount(50)));
        assert_eq!((standing.held, standing.reserved), (amount(0), amount(60)));
        assert!(ledger.reserve(most(40)).is_ok(), "the cap itself may be spent");
    }

    #[test]
    fn what_was_spent_before_counts() {
        let mut ledger = capped(100);
        ledger.count_earlier(amount(95));
        assert!(ledger.check(most(5)).is_ok());
        assert!(ledger.check(most(6)).is_err());
        assert_eq!(ledger.standing().counted(), amount(95));
    }

    #[test]
    fn the_unknown_is_refused_only_where_it_is_capped() {
        let unknown = Most::default();
        assert_eq!(capped(1).check(unknown), Err(Short::Unknown(Capped::Money)));
        let mut tokens = Ledger::new(Caps { money: None, tokens: Some(10) });
        assert_eq!(tokens.check(unknown), Err(Short::Unknown(Capped::Tokens)));
        let unpriced = Most { money: None, tokens: Some(10) };
        assert_eq!(tokens.reserve(unpriced), Ok(Amount { money: Money::ZERO, tokens: 10 }));
        let full = Short::Full { capped: Capped::Tokens, in_flight: true };
        assert_eq!(tokens.check(Most { money: None, tokens: Some(1) }), Err(full));
        assert!(Ledger::default().check(unknown).is_ok());
    }

    #[test]
    fn a_batch_is_reserved_at_once_and_settled_in_parts() {
        let mut ledger = capped(100);
        let batch = ledger.reserve(most(90)).unwrap();
        ledger.settle_part(amount(30), amount(12));
        ledger.settle_part(amount(30), amount(13));
        assert!(ledger.check(most(45)).is_ok());
        assert!(ledger.check(most(46)).is_err());
        ledger.settle(batch.less(amount(60)), amount(5));
        assert_eq!(ledger.standing().spent, amount(30));
        assert!(matches!(ledger.check(most(71)), Err(Short::Full { in_flight: false, .. })));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Reserve(i128),
        Settle(usize, i128),
        Doubt(usize),
        Release(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0i128..50).prop_map(Step::Reserve),
            (any::<usize>(), 0i128..=100).prop_map(|(at, share)| Step::Settle(at, share)),
            any::<usize>().prop_map(Step::Doubt),
            any::<usize>().prop_map(Step::Release),
        ]
    }

    proptest! {
        #[test]
        fn spent_and_in_flight_never_pass_the_cap(
            cap in 0i128..500, earlier in 0i128..500, steps in prop::collection::vec(step(), 0..300),
        ) {
            let caps = Caps { money: most(cap).money, tokens: Some(cap as u64) };
            let mut ledger = Ledger::new(caps);
            let earlier = amount(earlier.min(cap));
            ledger.count_earlier(earlier);
            let mut open: Vec<Amount> = Vec::new();
            for step in steps {
                match step {
                    Step::Reserve(cents) => match ledger.reserve(most(cents)) {
                        Ok(held) => open.push(held),
                        Err(Short::Full { in_flight, .. }) => {
                            prop_assert_eq!(in_flight, !open.is_empty());
                        }
                        Err(short) => prop_assert!(false, "{short:?}"),
                    },
                    _ if open.is_empty() => {}
                    Step::Settle(at, share) => {
                        let held = open.swap_remove(at % open.len());
                        let used = amount(held.tokens as i128 * share / 100);
                        ledger.settle(held, used);
                    }
                    Step::Doubt(at) => ledger.doubt(open.swap_remove(at % open.len())),
                    Step::Release(at) => ledger.release(open.swap_remove(at % open.len())),
                }
                let standing = ledger.standing();
                let in_flight = open.iter().fold(Amount::default(), |sum, each| sum.plus(*each));
                prop_assert_eq!(standing.held, in_flight);
                let taken = standing.counted().plus(in_flight);
                prop_assert!(taken.money <= caps.money.unwrap() && taken.tokens <= cap as u64);
            }
        }
    }
}
