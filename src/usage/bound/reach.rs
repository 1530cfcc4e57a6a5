//! What a request may use, and what that may cost.

use super::read::{Reading, read};
use crate::usage::prices::{ModelPrice, Prices, Rates, Tier};
use crate::usage::{Capped, Money, Most};

/// The most tokens of one image. Source: the largest image at high detail, eight tiles, by the
/// published rule of the model that counts images dearest (gpt-4o-mini: 2,833 + 8 × 5,667 = 48,169).
pub(super) const IMAGE: u64 = 50_000;
/// Tokens that a server may put around what was sent. Source: own choice, many times the three to
/// four for each message that were published, which the JSON around a message outweighs.
pub(super) const FRAME: u64 = 256;
/// Tokens that `/v1/completions` writes at most where the request sets no ceiling. Source: the API's
/// documentation of `max_tokens`.
const COMPLETION: u64 = 16;

/// What a request may use at most, as far as its bytes tell. Tokens are never more than the bytes of
/// their text, and the bytes of the whole JSON text are more than those.
///
/// It is a bound for money; for the weight against rate limits, see [`weigh`](crate::usage::weigh).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Tokens of what is sent, images apart.
    pub input: u64,
    /// Images that are sent or named.
    pub images: u64,
    /// Whether something is read that is not sent: files, stored prompts, earlier answers. Then the
    /// model's longest input is the bound.
    pub is_open: bool,
    /// The most tokens of one answer, if the request sets it; else the model's longest answer is the
    /// bound.
    pub ceiling: Option<u64>,
    /// Whether it asks for an answer without an end, as some servers take -1.
    pub is_endless: bool,
    /// How many answers are asked for.
    pub answers: u64,
    /// Tokens of a predicted output, which are paid as output where they do not fit.
    pub predicted: u64,
    /// Whether tools of the server may be called, whose fees and tokens have no bound.
    pub has_tools: bool,
    /// The service tier that is asked for.
    pub service_tier: Option<String>,
}

impl Reach {
    /// Reads a request's body. What is not a JSON object is bounded by its bytes, and where a field
    /// has a value that this crate cannot read and a server may, the others count all the same.
    pub fn read(body: &[u8]) -> Reach {
        let Reading { mut reach, data, answers, prompts, is_endless } = read(body);
        reach.input = (body.len() as u64).saturating_sub(data).saturating_add(FRAME);
        reach.answers = answers.max(1).saturating_mul(prompts.max(1));
        reach.ceiling = reach.ceiling.filter(|_| !is_endless);
        reach.is_endless = is_endless;
        reach
    }

    /// The same request, sent to `url`: to some, such as `/v1/embeddings`, nothing is written, and
    /// `/v1/completions` writes 16 tokens if nothing is asked.
    pub fn sent_to(mut self, url: &str) -> Reach {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if path.ends_with("/embeddings") || path.ends_with("/moderations") {
            self.ceiling = Some(0);
        }
        let is_legacy = path.ends_with("/completions") && !path.ends_with("/chat/completions");
        if is_legacy && !self.is_endless && !self.is_open {
            self.ceiling = self.ceiling.or(Some(COMPLETION));
        }
        self
    }

    /// Tokens that may be read, by a model of which so much is known.
    pub(super) fn input_of(&self, model: Option<&ModelPrice>) -> Option<u64> {
        let longest = model.and_then(|model| model.max_input);
        if self.is_open {
            return longest;
        }
        let images = self.images.saturating_mul(IMAGE);
        let images = longest.map_or(images, |longest| images.min(longest));
        Some(self.input.saturating_add(images))
    }

    /// Tokens that may be written, over all answers.
    pub(super) fn output_of(&self, model: Option<&ModelPrice>) -> Option<u64> {
        let each = self.ceiling.or_else(|| model.and_then(|model| model.max_output))?;
        Some(each.saturating_mul(self.answers).saturating_add(self.predicted))
    }

    /// Tokens that may be used, read and written together; `None` if there is no bound.
    pub fn tokens(&self, prices: &Prices, model: &str) -> Option<u64> {
        if self.has_tools {
            return None;
        }
        let known = prices.model(model);
        Some(self.input_of(known)?.saturating_add(self.output_of(known)?))
    }

    /// Why there is no bound, and what to do about it.
    pub fn why_unknown(&self, prices: &Prices, model: &str, capped: Capped) -> String {
        let known = prices.model(model);
        if capped == Capped::Money && known.is_none() {
            return format!(
                "the price of `{model}` is not known: give it with --prices FILE \
                 (OPENAI_PRICES_FILE)"
            );
        }
        if self.has_tools || known.is_some_and(|known| known.has_fees) {
            return "what tools of the server may use and cost has no bound".into();
        }
        if self.input_of(known).is_none() {
            return format!(
                "how much `{model}` can read is not known (`max_input` in --prices FILE)"
            );
        }
        if self.output_of(known).is_none() {
            return format!(
                "how much `{model}` can write is not known: set max_tokens (or `max_output` in \
                 --prices FILE)"
            );
        }
        let tier = self.service_tier.as_deref().unwrap_or("default");
        format!(
            "the price of `{model}` for this length and the service tier `{tier}` is not known: \
             give it with --prices FILE (OPENAI_PRICES_FILE)"
        )
    }

    /// Money and tokens together: what a cap has to have room for.
    pub fn most(&self, prices: &Prices, model: &str) -> Most {
        Most { money: self.cost(prices, model, false), tokens: self.tokens(prices, model) }
    }

    /// The same in a batch.
    pub fn most_in_batch(&self, prices: &Prices, model: &str) -> Most {
        Most { money: self.cost(prices, model, true), tokens: self.tokens(prices, model) }
    }

    /// What the request may cost at most when `model` is asked: the dearest rates of every tier in
    /// which it may be served, for the most tokens that it may use. `None` if the price is not known
    /// or there is no bound.
    ///
    /// A request that names no tier, or `auto`, may be served in any that the project is set to; one
    /// that names flex or priority may be served at once at the ordinary price instead.
    pub fn cost(&self, prices: &Prices, model: &str, is_batch: bool) -> Option<Money> {
        let known = prices.model(model)?;
        if known.is_free() {
            return Some(Money::ZERO);
        }
        if known.has_fees || self.has_tools {
            return None;
        }
        let input = self.input_of(Some(known))?;
        let output = match self.output_of(Some(known)) {
            None if known.writes_nothing() => 0,
            output => output?,
        };
        let tiers: &[Tier] = match (is_batch, self.service_tier.as_deref()) {
            (true, _) => &[Tier::Batch],
            (_, Some("default" | "standard")) => &[Tier::Standard],
            (_, Some("flex")) => &[Tier::Flex, Tier::Standard],
            (_, Some("priority")) => &[Tier::Priority, Tier::Standard],
            (_, None | Some("auto" | "")) => &[Tier::Standard],
            _ => return None,
        };
        let is_any = !is_batch && matches!(self.service_tier.as_deref(), None | Some("auto" | ""));
        let mut most = None;
        // The real input may be below a threshold that the bound lies above.
        for length in [0, input] {
            for &tier in tiers {
                most = most.max(Some(dearest(known.rates(tier, length)?, input, output)));
            }
            if is_any {
                let others = [Tier::Flex, Tier::Priority];
                let rates = others.iter().filter_map(|&tier| known.rates(tier, length));
                most = most.max(rates.map(|rates| dearest(rates, input, output)).max());
            }
        }
        most.map(|amount| prices.charged(known, amount))
    }
}

fn dearest(rates: &Rates, input: u64, output: u64) -> Money {
    let read = [rates.cached_input, rates.cache_write, rates.audio_input].into_iter().flatten();
    let read = read.fold(rates.input, Money::max);
    let written = rates.audio_output.map_or(rates.output, |spoken| spoken.max(rates.output));
    read.times(input) + written.times(output)
}
