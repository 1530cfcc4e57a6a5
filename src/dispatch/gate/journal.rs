use crate::clock::Time;
use crate::logs as key;
use std::collections::VecDeque;
use std::sync::Arc;

/// Changes that are kept.
const KEPT: usize = 1_000;

/// What a limit is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// Requests a minute.
    RequestsPerMinute,
    /// Tokens a minute.
    TokensPerMinute,
    /// Requests in flight.
    Concurrency,
}

impl Quantity {
    /// A stable name, as in summaries.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::RequestsPerMinute => "requests_per_minute",
            Quantity::TokensPerMinute => "tokens_per_minute",
            Quantity::Concurrency => "concurrency",
        }
    }
}

/// A change of a limit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Adjustment {
    /// When, by the clock of the client.
    pub at: Time,
    /// The limit group.
    pub group: Arc<str>,
    /// What was changed.
    pub quantity: Quantity,
    /// Its value from then on.
    pub to: f64,
    /// Why, in a few words.
    pub reason: &'static str,
}

/// The latest changes of limits.
#[derive(Debug, Default)]
pub(super) struct Journal {
    kept: VecDeque<Adjustment>,
    dropped: u64,
}

impl Journal {
    /// Writes a change down, and tells the log.
    pub(super) fn write(&mut self, change: Adjustment) {
        log::info!(
            target: "openai_bulk::limits",
            {key::GROUP} = &*change.group, {key::LIMIT} = change.quantity.name(), {key::LIMIT_TO} = change.to.round(), {key::REASON} = change.reason;
            "{}: {} is now {:.0} ({})", change.group, change.quantity.name().replace('_', " "), change.to, change.reason
        );
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.dropped += 1;
        }
        self.kept.push_back(change);
    }

    pub(super) fn all(&self) -> (Vec<Adjustment>, u64) {
        (self.kept.iter().cloned().collect(), self.dropped)
    }
}
