//! What an answer cost.

use super::Money;
use super::prices::{Prices, Rates, Tier};
use crate::wire::answer::{Peek, RawUsage};

/// What an answer cost, and what it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// What is paid.
    pub total: Money,
    /// What more it would have been without the server's cache.
    pub saved_by_cache: Money,
    /// What more it would have been outside of a batch.
    pub saved_by_batch: Money,
    /// The tier that was paid.
    pub tier: Tier,
}

impl Cost {
    /// What this answer and another one cost together, under the tier of this one.
    pub fn plus(&self, other: &Cost) -> Cost {
        Cost {
            total: self.total + other.total,
            saved_by_cache: self.saved_by_cache + other.saved_by_cache,
            saved_by_batch: self.saved_by_batch + other.saved_by_batch,
            tier: self.tier,
        }
    }
}

/// What an answer cost, from its own usage, the model that answered and the service tier that its
/// answer names; `None` if any of that has no known price.
///
/// Tokens from the cache are a part of the input, and tokens of reasoning a part of the output:
/// neither is paid twice. A request of more input tokens than a model's threshold pays the rates for
/// long ones for all its tokens. `is_batch` goes before the tier that is named. Fees for calls of
/// tools are not in it. An answer without usage costs nothing if its model is free, and has no known
/// price otherwise.
pub fn cost(
    prices: &Prices,
    usage: Option<&RawUsage>,
    model: &str,
    service_tier: Option<&str>,
    is_batch: bool,
) -> Option<Cost> {
    let known = prices.model(model)?;
    let tier = if is_batch { Tier::Batch } else { Tier::of_answer(service_tier)? };
    if known.is_free() {
        let nothing = Money::ZERO;
        return Some(Cost {
            total: nothing,
            saved_by_cache: nothing,
            saved_by_batch: nothing,
            tier,
        });
    }
    let usage = usage?;
    let rates = known.rates(tier, usage.input)?;
    let total = paid(usage, rates);
    let uncached = match usage.cached {
        0 => total,
        _ => paid(&RawUsage { cached: 0, cache_write: 0, ..*usage }, rates),
    };
    let at_once = match tier {
        Tier::Batch => known.rates(Tier::Standard, usage.input).map(|rates| paid(usage, rates)),
        _ => None,
    };
    let charged = |amount| prices.charged(known, amount);
    let total = charged(total);
    Some(Cost {
        total,
        saved_by_cache: charged(uncached).less(total),
        saved_by_batch: at_once.map_or(Money::ZERO, |amount| charged(amount).less(total)),
        tier,
    })
}

/// What the answer of a request for the model `asked` cost; see [`cost`]. The model that answered
/// counts; only an answer that names none is taken for one of the model that was asked.
pub fn cost_of_answer(prices: &Prices, peek: &Peek, asked: &str, is_batch: bool) -> Option<Cost> {
    let model = peek.model.as_deref().filter(|model| !model.is_empty()).unwrap_or(asked);
    cost(prices, peek.usage.as_ref(), model, peek.service_tier.as_deref(), is_batch)
}

fn paid(usage: &RawUsage, rates: &Rates) -> Money {
    // Servers that report nonsense are not to be paid for more than there was.
    let cached = usage.cached.min(usage.input);
    let written = usage.cache_write.min(usage.input - cached);
    let heard = usage.audio_input.min(usage.input - cached - written);
    let read = usage.input - cached - written - heard;
    let spoken = usage.audio_output.min(usage.output);
    [
        (rates.input, read),
        (rates.cached_input.unwrap_or(rates.input), cached),
        (rates.cache_write.unwrap_or(rates.input), written),
        (rates.audio_input.unwrap_or(rates.input), heard),
        (rates.output, usage.output - spoken),
        (rates.audio_output.unwrap_or(rates.output), spoken),
    ]
    .into_iter()
    .map(|(rate, tokens)| rate.times(tokens))
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::answer::check_answer;
    use proptest::prelude::*;

    fn usage(input: u64, cached: u64, output: u64) -> RawUsage {
        let total = input + output;
        RawUsage { input, cached, output, total, ..RawUsage::default() }
    }

    fn dollars(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    fn total(usage: &RawUsage, model: &str, tier: Option<&str>, is_batch: bool) -> Option<String> {
        let cost = cost(&Prices::builtin(), Some(usage), model, tier, is_batch)?;
        Some(cost.total.to_decimal())
    }

    #[test]
    fn the_tier_of_the_answer_is_paid() {
        // LiteLLM 38341 and 39861: the tier that was asked for was taken for the one that was billed.
        let million = usage(1_000_000, 0, 0);
        for (tier, expected) in [
            (None, Some("0.25")),
            (Some("default"), Some("0.25")),
            (Some("flex"), Some("0.125")),
            (Some("priority"), Some("0.45")),
            (Some("scale"), None),
            (Some("platinum"), None),
        ] {
            let found = total(&million, "gpt-5-mini", tier, false);
            assert_eq!(found.as_deref(), expected, "{tier:?}");
        }
        // A tier without a price is unknown, not standard.
        assert_eq!(total(&million, "gpt-5-nano", Some("priority"), false), None);
    }

    #[test]
    fn cached_tokens_are_a_part_of_the_input_and_cheaper() {
        // defog 303, LiteLLM 19704: cached tokens at the full price, or paid beside the input.
        let cost =
            cost(&Prices::builtin(), Some(&usage(1_000, 800, 100)), "gpt-4o", None, false).unwrap();
        // 200 at 2.5, 800 at 1.25, 100 at 10 dollars a million.
        assert_eq!(cost.total, dollars("0.0025"));
        assert_eq!(cost.saved_by_cache, dollars("0.001"));
        assert_eq!(cost.saved_by_batch, Money::ZERO);
    }

    #[test]
    fn a_batch_costs_what_the_list_says_with_and_without_a_cache() {
        let cached = usage(1_000, 800, 100);
        let found = |model| cost(&Prices::builtin(), Some(&cached), model, Some("default"), true);
        // gpt-5 has a batch price for cached tokens: 200 at 0.625, 800 at 0.0625, 100 at 5.
        let gpt5 = found("gpt-5").unwrap();
        assert_eq!(gpt5.total, dollars("0.000675"));
        assert_eq!(gpt5.saved_by_batch, dollars("0.000675"));
        assert_eq!(gpt5.tier, Tier::Batch);
        // gpt-4o has none: cached tokens cost what others do in a batch, 1,000 at 1.25, 100 at 5.
        let gpt4o = found("gpt-4o").unwrap();
        assert_eq!(gpt4o.total, dollars("0.00175"));
        assert_eq!(gpt4o.saved_by_cache, Money::ZERO);
        // Not every batch is cheaper, and where the price is not known it is not half.
        assert_eq!(found("gpt-3.5-turbo-1106").unwrap().saved_by_batch, Money::ZERO);
        assert_eq!(found("gpt-5-chat"), None);
    }

    #[test]
    fn reasoning_is_in_the_output() {
        let plain = usage(10, 0, 1_000);
        let reasoned = RawUsage { reasoning: 900, ..plain };
        let found = |usage| total(usage, "o3", None, false);
        assert_eq!(found(&plain), Some("0.00802".into()));
        assert_eq!(found(&reasoned), found(&plain));
    }

    #[test]
    fn a_long_request_pays_more_for_every_token() {
        let at = |input| total(&usage(input, 0, 1_000), "gpt-5.4", None, false);
        assert_eq!(at(272_000), Some("0.695".into()));
        assert_eq!(at(272_001), Some("1.382505".into()));
        assert_eq!(total(&usage(300_000, 0, 0), "gpt-5.4", Some("priority"), false), None);
    }

    #[test]
    fn sound_and_what_is_kept_in_the_cache_have_their_own_prices() {
        let sound = RawUsage { audio_input: 400, audio_output: 50, ..usage(1_000, 0, 100) };
        // 600 at 2.5, 400 at 32, 50 at 10, 50 at 64.
        assert_eq!(total(&sound, "gpt-audio", None, false), Some("0.018".into()));
        let kept = RawUsage { cache_write: 500, ..usage(1_000, 300, 0) };
        // 200 at 2, 300 at 0.2, 500 at 2.5.
        assert_eq!(total(&kept, "gpt-6-sol", None, false), Some("0.00171".into()));
    }

    #[test]
    fn what_has_no_price_is_unknown_and_what_is_free_is_zero() {
        let some = usage(10, 0, 10);
        for model in ["gpt-9", "", "my-model", "ft:gpt-4o:org::x"] {
            assert_eq!(total(&some, model, None, false), None, "{model}");
        }
        let prices = Prices::builtin();
        assert_eq!(cost(&prices, None, "gpt-4o", None, false), None, "no usage is not no cost");
        let free = cost(&prices, None, "omni-moderation-latest", None, false).unwrap();
        assert_eq!(free.total, Money::ZERO);
    }

    #[test]
    fn the_model_that_answered_is_paid_and_the_one_asked_only_for_an_answer_without_one() {
        let found = |body: &str| {
            let peek = check_answer(body.as_bytes()).unwrap();
            cost_of_answer(&Prices::builtin(), &peek, "gpt-4o", false).map(|cost| cost.total)
        };
        let usage = r#""usage":{"prompt_tokens":1000000,"completion_tokens":0}"#;
        assert_eq!(
            found(&format!(r#"{{"model":"gpt-4o-mini-2024-07-18",{usage}}}"#)),
            Some(dollars("0.15"))
        );
        assert_eq!(found(&format!("{{{usage}}}")), Some(dollars("2.5")));
        assert_eq!(found(&format!(r#"{{"model":"gpt-9",{usage}}}"#)), None);
    }

    #[test]
    fn a_region_with_a_factor_costs_more() {
        let million = usage(1_000_000, 0, 0);
        let found = |model, region| {
            let prices = Prices::builtin().in_region(region);
            cost(&prices, Some(&million), model, None, false).unwrap().total
        };
        assert_eq!(found("gpt-6-luna", Some("eu")), dollars("0.22"));
        assert_eq!(found("gpt-6-luna", Some("mars")), dollars("0.2"));
        assert_eq!(found("gpt-4o", Some("eu")), dollars("2.5"));
    }

    proptest! {
        #[test]
        fn no_usage_costs_more_than_its_dearest_token_and_a_cache_never_costs(
            input in 0u64..10_000_000, cached in any::<u64>(), write in any::<u64>(),
            audio in any::<u64>(), output in 0u64..10_000_000, spoken in any::<u64>(),
        ) {
            let usage = RawUsage {
                cached, cache_write: write, audio_input: audio, audio_output: spoken,
                ..usage(input, 0, output)
            };
            for model in ["gpt-4o", "gpt-audio", "gpt-6-sol", "gpt-5.4"] {
                let found = cost(&Prices::builtin(), Some(&usage), model, None, false).unwrap();
                let dearest = Money::from_picodollars(100_000_000);
                prop_assert!(found.total <= dearest.times(input + output));
                prop_assert!(found.total >= Money::ZERO);
            }
        }
    }
}
