//! Answers that need no sending: those that are kept, and those of twins.

use super::{AnsweredBy, Call, Dispatcher, Facts, Reply};
use crate::cache::{Entry, Key};
use crate::usage::{Cost, Money, cost_of_answer};
use crate::wire::answer::{Peek, check_answer};
use crate::wire::headers::RateReport;

impl Dispatcher {
    /// The answer to a call, if it is kept.
    pub(crate) fn recall(&self, call: &Call) -> Option<Reply> {
        if !self.cache.is_on() {
            return None;
        }
        let entry = self.cache.get(&call.key(&self.cache)?, self.clock.date())?;
        let peek = check_answer(&entry.body).ok()?;
        let cost = cost_of_answer(&self.prices, &peek, &call.model, false);
        let asked = peek.model.is_none().then(|| call.model.clone());
        let Entry { status, body, request_id, .. } = entry;
        let (report, facts) = (RateReport::default(), Facts::default());
        let reply =
            Reply { status, body, request_id, peek, report, cost, asked, counted: None, facts };
        Some(reply.unpaid(AnsweredBy::Cache))
    }

    /// Keeps an answer, if it may be kept.
    pub(super) fn keep(&self, call: &Call, status: u16, request_id: Option<&str>, body: &[u8]) {
        if !self.cache.is_on() {
            return;
        }
        if let Some(key) = call.key(&self.cache) {
            self.keep_under(&key, status, request_id, body);
        }
    }

    /// Keeps an answer under a key, if it may be kept.
    pub(crate) fn keep_under(&self, key: &Key, status: u16, request_id: Option<&str>, body: &[u8]) {
        if let Some(entry) = Entry::new(status, request_id, body) {
            self.cache.put(key, &entry, self.clock.date());
        }
    }

    /// What a call has in common with those whose answer it can share, where that was asked for.
    pub(super) fn twin_key(&self, call: &Call) -> Option<Key> {
        if self.cache.is_coalescing() { call.key(&self.cache) } else { None }
    }
}

impl Reply {
    /// The same answer, for which nothing is paid.
    pub(super) fn unpaid(self, answered_by: AnsweredBy) -> Reply {
        let saved = self.cost.map_or(Money::ZERO, |cost| cost.total);
        let nothing = |cost: Cost| Cost {
            total: Money::ZERO,
            saved_by_cache: Money::ZERO,
            saved_by_batch: Money::ZERO,
            ..cost
        };
        let facts = Facts { answered_by, saved, ..Facts::default() };
        let (cost, report) = (self.cost.map(nothing), RateReport::default());
        Reply { cost, facts, report, counted: None, ..self }
    }

    /// The tokens that were used for it.
    pub(crate) fn used(&self) -> Option<&crate::wire::answer::RawUsage> {
        let Peek { usage, .. } = &self.peek;
        usage.as_ref().filter(|_| self.facts.answered_by == AnsweredBy::Server)
    }
}
