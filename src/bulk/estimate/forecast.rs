//! What one row may cost, and what is too large of it.

use serde::Serialize;

use super::sums::Range;
use crate::usage::{ModelLimits, Money, Prices, RequestTokens, Tier, cost};
use crate::wire::answer::RawUsage;

/// The tokens that an answer is expected to have where nothing else is known: about 200 words. Own
/// choice; an expected output that is given or learned goes before it.
pub const ASSUMED_OUTPUT: u64 = 256;

/// The most inputs of a request of embeddings, and the most tokens of all of them. Source: the API
/// reference.
const EMBEDDED: (u64, u64) = (2_048, 300_000);

/// The ways to send a row.
pub(super) const WAYS: usize = 3;

/// What one row may come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forecast {
    /// Tokens that are written.
    pub(super) output: Range<u64>,
    /// What it costs live, with the flex tier, and in a batch; `None` where the price is not known.
    pub(super) costs: [Option<Range<Money>>; WAYS],
}

/// What a row may come to: low with one token for each answer, expected with `expected` of them,
/// high with the most that the request or the model allows; none of them beyond that.
///
/// What no request can do without is paid in all of them: all that is read, at the rates for
/// tokens that are not in the server's cache.
pub(super) fn forecast(
    prices: &Prices,
    model: &str,
    limits: ModelLimits,
    tokens: &RequestTokens,
    expected: u64,
) -> Forecast {
    let most = tokens.most_each.or(limits.output);
    let all = |each: u64| most.map_or(each, |most| each.min(most)).saturating_mul(tokens.answers);
    let output = Range {
        low: all(1),
        expected: all(expected),
        high: most.map(|most| most.saturating_mul(tokens.answers)),
    };
    let price = |tier: Option<&str>, is_batch: bool, written: u64| {
        let usage = RawUsage { input: tokens.input, output: written, ..RawUsage::default() };
        Some(cost(prices, Some(&usage), model, tier, is_batch)?.total)
    };
    let range = |tier: Option<&str>, is_batch: bool| {
        Some(Range {
            low: price(tier, is_batch, output.low)?,
            expected: price(tier, is_batch, output.expected)?,
            high: output.high.and_then(|high| price(tier, is_batch, high)),
        })
    };
    // Live is the tier that the request itself asks for.
    let live = tokens.tier.and_then(|tier| range(Some(tier.name()), false));
    let flex = range(Some(Tier::Flex.name()), false);
    Forecast { output, costs: [live, flex, range(None, true)] }
}

/// A row of which the server would not take all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TooLarge {
    /// The number of its line, from 1.
    pub line: u64,
    /// What is too large: `context`, the input for the model; `output`, the ceiling for the model;
    /// `window`, both together for the model; `minute`, input and ceiling for the limit of tokens a
    /// minute; `inputs` and `request`, the number and the tokens of the texts to embed.
    pub reason: &'static str,
    /// How much there is, in tokens; texts for `inputs`.
    pub found: u64,
    /// How much is allowed.
    pub limit: u64,
}

/// What is too large of a row, if anything is.
pub(super) fn too_large(
    line: u64,
    url: &str,
    limits: ModelLimits,
    tokens: &RequestTokens,
    tokens_per_minute: Option<u64>,
) -> Option<TooLarge> {
    let (inputs, all) = if url.ends_with("/embeddings") {
        (Some(EMBEDDED.0), Some(EMBEDDED.1))
    } else {
        (None, None)
    };
    let charged = tokens.input.saturating_add(tokens.ceiling().unwrap_or(0));
    [
        ("context", tokens.longest, limits.input),
        ("output", tokens.most_each.unwrap_or(0), limits.output.filter(|most| *most > 0)),
        ("window", tokens.longest.saturating_add(tokens.most_each.unwrap_or(0)), limits.window),
        ("inputs", tokens.inputs, inputs),
        ("request", tokens.input, all),
        ("minute", charged, tokens_per_minute),
    ]
    .into_iter()
    .find_map(|(reason, found, limit)| {
        let limit = limit.filter(|limit| found > *limit)?;
        Some(TooLarge { line, reason, found, limit })
    })
}
