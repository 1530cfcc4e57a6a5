//! What a run cost: counted while it goes on, told at its end.

use super::estimate::ASSUMED_OUTPUT;
use crate::dispatch::{AnsweredBy, Facts, Reply};
use crate::usage::{Amount, Cost, Money, Prices, Standing, Tier, Weight, cost};
use crate::wire::answer::{Peek, RawUsage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Models that are told apart; what others cost is told together.
const MODELS: usize = 1_000;
const OTHERS: &str = "(others)";

/// What a run cost, in US dollars. In JSON an amount is a text with every digit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Costs {
    /// What the answers of this run cost, as far as their prices are known.
    pub total: Money,
    /// Answers whose price is not known; with any, `total` is a lower bound.
    pub unpriced: u64,
    /// What more they would have cost without the server's cache.
    pub saved_by_cache: Money,
    /// What the answers would have cost that came from the cache of answers, or with those of
    /// other rows: as far as their prices are known.
    pub saved_by_answers: Money,
    /// What more they would have cost outside of batches.
    pub saved_by_batch: Money,
    /// What attempts may have cost at most that were sent and brought no answer; not in `total`.
    pub maybe_billed: Money,
    /// Attempts of that kind whose price is not known.
    pub maybe_billed_unpriced: u64,
    /// By the model that answered, and the service tier.
    pub by_model: BTreeMap<String, BTreeMap<String, ModelCost>>,
    /// What counts against the cap, if there is one.
    pub cap: Option<CapUse>,
    /// What the rows that are not done would cost, at the average of those that are done; with a
    /// cap, those of earlier runs among them.
    pub left: Option<Money>,
    /// The most that the rows may cost that are not answered, failed ones among them; only with a
    /// cap, and not known of a stream.
    pub left_at_most: Option<Money>,
    /// Tokens that the rows that are not done would use, at the average of those that are done.
    pub left_tokens: Option<u64>,
    /// What was expected of the answers, against what they cost.
    pub estimate: Compared,
    /// The day of the newest price list.
    pub prices_as_of: Option<String>,
}

/// What answers were expected to cost before they were sent, and what they did cost: those of them
/// for which both is known. Expected are a token for four characters that are sent, and
/// [`ASSUMED_OUTPUT`] that are written, or the ceiling of the request if that is lower; at the tier
/// that was billed, and without a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Compared {
    /// What they were expected to cost.
    pub expected: Money,
    /// What they did cost.
    pub actual: Money,
}

/// What answers of one model in one service tier cost.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelCost {
    /// Answers.
    pub answers: u64,
    /// Those of them whose price is not known.
    pub unpriced: u64,
    /// Tokens of the requests.
    pub input: u64,
    /// Of those, served from the server's cache.
    pub cached_input: u64,
    /// Tokens of the answers.
    pub output: u64,
    /// What they cost, as far as it is known.
    pub total: Money,
}

/// What counts against a cap.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CapUse {
    /// The cap, if money is capped.
    pub money: Option<Money>,
    /// The cap, if tokens are capped.
    pub tokens: Option<u64>,
    /// Money that counts: what is told here, what earlier runs spent, what was maybe billed.
    pub counted_money: Money,
    /// Tokens that count.
    pub counted_tokens: u64,
    /// Money that earlier runs spent, by the output.
    pub earlier_money: Money,
    /// Tokens that earlier runs used, by the output.
    pub earlier_tokens: u64,
    /// Money that was reserved for the requests that were answered by this run: the most that they
    /// might have cost.
    pub reserved_money: Money,
    /// Money that those did cost.
    pub settled_money: Money,
    /// Money that counts beyond the cap, because answers used more than their requests allowed, or
    /// other models or tiers answered.
    pub over_money: Money,
    /// Tokens that count beyond the cap.
    pub over_tokens: u64,
}

impl CapUse {
    pub(crate) fn new(at: &Standing) -> CapUse {
        let (caps, counted) = (at.caps, at.counted());
        let over = counted.less(Amount {
            money: caps.money.unwrap_or(Money::MAX),
            tokens: caps.tokens.unwrap_or(u64::MAX),
        });
        CapUse {
            over_money: over.money,
            over_tokens: over.tokens,
            money: at.caps.money,
            tokens: at.caps.tokens,
            counted_money: at.counted().money,
            counted_tokens: at.counted().tokens,
            earlier_money: at.earlier.money,
            earlier_tokens: at.earlier.tokens,
            reserved_money: at.reserved.money,
            settled_money: at.spent.money,
        }
    }
}

impl Costs {
    /// Counts an answer.
    pub(super) fn answer(&mut self, reply: &Reply) {
        if reply.facts.answered_by != AnsweredBy::Server {
            self.saved_by_answers += reply.facts.saved;
            return;
        }
        let asked = reply.asked.as_deref().unwrap_or_default();
        self.pay(&reply.peek, asked, reply.cost.as_ref());
    }

    /// Counts an answer of the server to a request to the model `asked`, at its cost, if that is
    /// known.
    pub(crate) fn pay(&mut self, peek: &Peek, asked: &str, cost: Option<&Cost>) {
        let model = peek.model.as_deref().unwrap_or(asked);
        let named = peek.service_tier.as_deref();
        let tier = cost.map(|cost| cost.tier).or(Tier::of_answer(named));
        let tier: &str = match tier {
            Some(tier) => tier.name(),
            None => named.unwrap_or_default(),
        };
        let total = cost.map_or(Money::ZERO, |cost| cost.total);
        let unpriced = u64::from(cost.is_none());
        self.total += total;
        self.unpriced += unpriced;
        if let Some(cost) = cost {
            self.saved_by_cache += cost.saved_by_cache;
            self.saved_by_batch += cost.saved_by_batch;
        }
        let row = self.row(model, tier);
        row.answers += 1;
        row.unpriced += unpriced;
        row.total += total;
        if let Some(usage) = &peek.usage {
            row.input = row.input.saturating_add(usage.input);
            row.cached_input = row.cached_input.saturating_add(usage.cached);
            row.output = row.output.saturating_add(usage.output);
        }
    }

    /// Compares an answer with what was expected of its request, to the model `asked`.
    pub(super) fn compare(&mut self, reply: &Reply, prices: &Prices, asked: &str, weight: Weight) {
        let is_paid = reply.facts.answered_by == AnsweredBy::Server;
        let Some(actual) = reply.cost.filter(|_| is_paid) else { return };
        let output = match weight.ceiling {
            0 => ASSUMED_OUTPUT,
            ceiling => ceiling.min(ASSUMED_OUTPUT),
        };
        let usage = RawUsage { input: weight.input, output, ..RawUsage::default() };
        let is_batch = actual.tier == Tier::Batch;
        let expected = cost(prices, Some(&usage), asked, Some(actual.tier.name()), is_batch);
        if let Some(expected) = expected {
            self.estimate.expected += expected.total;
            self.estimate.actual += actual.total;
        }
    }

    /// Adds what a further step of the same run cost; what is left and the cap are those of the
    /// later one.
    pub(crate) fn add(&mut self, more: Costs) {
        self.total += more.total;
        self.unpriced += more.unpriced;
        self.saved_by_cache += more.saved_by_cache;
        self.saved_by_batch += more.saved_by_batch;
        self.saved_by_answers += more.saved_by_answers;
        self.maybe_billed += more.maybe_billed;
        self.maybe_billed_unpriced += more.maybe_billed_unpriced;
        for (model, tiers) in more.by_model {
            for (tier, cost) in tiers {
                let row = self.row(&model, &tier);
                row.answers += cost.answers;
                row.unpriced += cost.unpriced;
                row.input = row.input.saturating_add(cost.input);
                row.cached_input = row.cached_input.saturating_add(cost.cached_input);
                row.output = row.output.saturating_add(cost.output);
                row.total += cost.total;
            }
        }
        self.estimate.expected += more.estimate.expected;
        self.estimate.actual += more.estimate.actual;
        (self.cap, self.left) = (more.cap, more.left);
        (self.left_at_most, self.left_tokens) = (more.left_at_most, more.left_tokens);
        self.prices_as_of = more.prices_as_of.or(self.prices_as_of.take());
    }

    /// Counts the attempts of a row that may have been billed without an answer.
    pub(super) fn doubt(&mut self, facts: &Facts) {
        self.maybe_billed += facts.maybe_cost;
        self.maybe_billed_unpriced += u64::from(facts.maybe_unpriced);
    }

    fn row(&mut self, model: &str, tier: &str) -> &mut ModelCost {
        let is_new = !self.by_model.contains_key(model);
        let model = if is_new && self.by_model.len() >= MODELS { OTHERS } else { model };
        if !self.by_model.contains_key(model) {
            self.by_model.insert(model.to_owned(), BTreeMap::new());
        }
        let tiers = self.by_model.get_mut(model).expect("it was just put there");
        if !tiers.contains_key(tier) {
            tiers.insert(tier.to_owned(), ModelCost::default());
        }
        tiers.get_mut(tier).expect("it was just put there")
    }
}

/// `money` for `rows` rows is how much for `more`.
pub(crate) fn share(money: Money, more: u64, rows: u64) -> Money {
    let whole = money.picodollars().saturating_mul(i128::from(more));
    Money::from_picodollars(whole / i128::from(rows.max(1)))
}
