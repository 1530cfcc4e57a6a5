//! Rows whose cost has no known bound, where there is a cap.

use crate::api::Caller;
use crate::error::Error;
use crate::usage::{Amount, Capped, Caps, Money, Most, Reach};
use crate::wire::row::Row;

/// Rows of which it is not known what they may cost at most, where that is capped.
pub(super) struct Unpriced<'a> {
    caller: &'a Caller,
    caps: Caps,
    count: u64,
    first: Option<(u64, String)>,
    /// The most that all rows may use, as far as it is known.
    most: Amount,
}

impl<'a> Unpriced<'a> {
    pub(super) fn new(caller: &'a Caller, caps: Caps) -> Unpriced<'a> {
        Unpriced { caller, caps, count: 0, first: None, most: Amount::default() }
    }

    /// Looks at a row that is to be sent.
    pub(super) fn look(&mut self, row: &Row) {
        if !self.caps.is_some() {
            return;
        }
        let prices = &self.caller.dispatcher.prices;
        let model = row.model.as_deref().unwrap_or_default();
        let model = Caller::asked(&row.url, model);
        let reach = Reach::read(&row.body).sent_to(&row.url);
        let most = reach.most(prices, model);
        self.most = self.most.plus(Amount {
            money: most.money.unwrap_or(Money::ZERO),
            tokens: most.tokens.unwrap_or(0),
        });
        let capped = match (self.caps, most) {
            (Caps { money: Some(_), .. }, Most { money: None, .. }) => Capped::Money,
            (Caps { tokens: Some(_), .. }, Most { tokens: None, .. }) => Capped::Tokens,
            _ => return,
        };
        self.count += 1;
        let why = || (row.line, reach.why_unknown(prices, model, capped));
        self.first.get_or_insert_with(why);
    }

    /// Refuses if there is such a row: nothing was sent. Else it tells the most that all may use,
    /// if something is capped.
    pub(super) fn refuse(self, file: &str) -> Result<Option<Amount>, Error> {
        let Some((line, why)) = self.first else {
            return Ok(self.caps.is_some().then_some(self.most));
        };
        let others = match self.count {
            1 => String::new(),
            count => format!(" (and {} more rows)", count - 1),
        };
        let message = format!("the cap cannot be kept: {why}{others}");
        Err(Error::invalid(format!("{file}:{line}"), message))
    }
}
