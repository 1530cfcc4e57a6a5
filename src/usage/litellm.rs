//! Price files in the format of LiteLLM, `model_prices_and_context_window.json`.
//!
//! It is an object of models. Prices are dollars for one token, under names of three parts: what is
//! counted (`input_cost_per_token`), where there is one a threshold (`_above_272k_tokens`), and the
//! tier (`_batches`, `_flex`, `_priority`).

use super::price_file::{Problem, a_million};
use super::prices::{Layer, Long, ModelPrice, Rates, Tier, Tiers};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// An entry that explains the others.
const SAMPLE: &str = "sample_spec";

/// What is counted, by the beginning of a field's name, in the order of [`rates`].
const COUNTED: [&str; 6] = [
    "input_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_token",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
];

/// Reads a price file; `name` is what it is called.
pub(super) fn read(name: &str, text: &str) -> Result<Layer, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let all: BTreeMap<Box<str>, &RawValue> =
        serde_json::from_str(text).map_err(|e| format!("not a price file: {e}"))?;
    let mut layer = Layer { as_of: None, source: name.into(), ..Layer::default() };
    let mut is_known = false;
    for (model, raw) in all {
        let Ok(fields) = serde_json::from_str::<Fields<'_>>(raw.get()) else { continue };
        is_known |= fields.contains_key("litellm_provider")
            || COUNTED.iter().any(|counted| fields.contains_key(*counted));
        if &*model == SAMPLE {
            continue;
        }
        if let Some(read) =
            self::model(&model, &fields).map_err(|e| format!("model {model}: {e}"))?
        {
            layer.models.insert(model, read);
        }
    }
    if is_known {
        return Ok(layer);
    }
    let message = "neither a price file of this program (with `format` and `models`) nor one of \
                   LiteLLM (models with `input_cost_per_token`)";
    Err(message.to_string().into())
}

/// The price of a model; `None` if it is not priced by the token.
fn model(name: &str, fields: &Fields<'_>) -> Result<Option<ModelPrice>, String> {
    let mut prices: BTreeMap<(u64, usize, usize), super::Money> = BTreeMap::new();
    for (field, raw) in fields {
        let Some((counted, above, tier)) = place(field) else { continue };
        if raw.get() == "null" {
            continue;
        }
        let price = a_million(raw.get().trim_matches('"'), 6)
            .map_err(|problem| format!("{field} is {}: {problem}", raw.get()))?;
        prices.insert((above, tier as usize, counted), price);
    }
    let text = |field: &str| fields.get(field).map_or("", |raw| raw.get().trim_matches('"'));
    let (mode, provider) = (text("mode"), text("litellm_provider"));
    let writes = !matches!(mode, "embedding" | "moderation" | "rerank");
    let rates = |above: u64, tier: Tier| {
        let of = |counted: usize| prices.get(&(above, tier as usize, counted)).copied();
        let output = of(3).or((!writes).then_some(super::Money::ZERO))?;
        Some(Rates {
            input: of(0)?,
            cached_input: of(1),
            cache_write: of(2),
            output,
            audio_input: of(4),
            audio_output: of(5),
        })
    };
    let tiers: Tiers = Tier::ALL.map(|tier| rates(0, tier));
    if tiers.iter().all(Option::is_none) {
        return Ok(None);
    }
    // Models of OpenAI have one threshold; of several, the lowest counts.
    let above = prices.keys().map(|(above, ..)| *above).find(|above| *above > 0);
    let long = above.map(|above| Long { above, tiers: Tier::ALL.map(|tier| rates(above, tier)) });
    let count =
        |field: &str| fields.get(field).and_then(|raw| raw.get().trim_matches('"').parse().ok());
    let has = |field: &str| fields.contains_key(field);
    // Models of OpenAI that can search have this price too, and pay it only if they are given that
    // tool; those named after it, and those for research, search in any case.
    let is_optional = matches!(provider, "openai" | "azure" | "text-completion-openai");
    let searches = name.contains("search") || has("search_context_cost_per_query") && !is_optional;
    let has_fees = searches || has("input_cost_per_query") || has("input_cost_per_request");
    let model = ModelPrice {
        max_input: count("max_input_tokens"),
        max_output: if writes { count("max_output_tokens") } else { Some(0) },
        has_fees,
        is_free: false,
        tiers,
        long,
        uplift: Vec::new(),
    };
    Ok(Some(model.complete()))
}

/// What a field is the price of: what is counted, above how many tokens, and in which tier.
fn place(field: &str) -> Option<(usize, u64, Tier)> {
    let counted = COUNTED.iter().position(|counted| field.starts_with(counted))?;
    let mut rest = &field[COUNTED[counted].len()..];
    let (mut above, mut tier) = (0, Tier::Standard);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("_above_") {
            let (thousands, after) = after.split_once("k_tokens")?;
            above = thousands.parse::<u64>().ok().filter(|k| *k > 0)?.checked_mul(1_000)?;
            rest = after;
            continue;
        }
        let (named, after) =
            [("_batches", Tier::Batch), ("_flex", Tier::Flex), ("_priority", Tier::Priority)]
                .into_iter()
                .find_map(|(suffix, tier)| Some((tier, rest.strip_prefix(suffix)?)))?;
        (tier, rest) = (named, after);
    }
    Some((counted, above, tier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Money, Prices};

    const FILE: &str = r#"{
      "sample_spec": {"input_cost_per_token": 0.0, "max_tokens": "LEGACY", "mode": "one of chat"},
      "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128000,
        "max_output_tokens": 16384, "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-06, "input_cost_per_token_batches": 1.25e-06,
        "output_cost_per_token_batches": 5e-06, "input_cost_per_token_priority": 4.25e-06,
        "output_cost_per_token_priority": 1.7e-05},
      "gpt-5.4": {"mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1.5e-05,
        "input_cost_per_token_above_272k_tokens": 5e-06,
        "output_cost_per_token_above_272k_tokens": 2.25e-05,
        "input_cost_per_token_above_272k_tokens_batches": 2.5e-06,
        "output_cost_per_token_batches_above_272k_tokens": 1.125e-05},
      "text-embedding-3-small": {"mode": "embedding", "input_cost_per_token": 2e-08},
      "dall-e-3": {"litellm_provider": "openai", "input_cost_per_pixel": 4e-08},
      "gpt-search": {"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": "2e-06",
        "search_context_cost_per_query": {"search_context_size_low": 0.03}},
      "gpt-5": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06, "search_context_cost_per_query": {"search_context_size_low": 0.01}},
      "o3-deep-research": {"litellm_provider": "openai", "input_cost_per_token": 1e-05, "output_cost_per_token": 4e-05},
      "sonar": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06, "search_context_cost_per_query": {"search_context_size_low": 0.005}},
      "half-known": {"mode": "chat", "input_cost_per_token": 1e-06}
    }"#;

    fn pico(amount: i128) -> Money {
        Money::from_picodollars(amount)
    }

    #[test]
    fn models_tiers_caches_and_thresholds_are_read() {
        let prices = Prices::none().with_text("f.json", FILE).unwrap();
        let gpt = prices.model("gpt-4o-2024-08-06").unwrap();
        let standard = gpt.rates(Tier::Standard, 0).unwrap();
        assert_eq!((standard.input, standard.output), (pico(2_500_000), pico(10_000_000)));
        assert_eq!(standard.cached_input, Some(pico(1_250_000)));
        assert_eq!(gpt.rates(Tier::Batch, 0).unwrap().output, pico(5_000_000));
        assert_eq!(gpt.rates(Tier::Priority, 0).unwrap().input, pico(4_250_000));
        assert_eq!(gpt.rates(Tier::Flex, 0), None);
        assert_eq!((gpt.max_input, gpt.max_output), (Some(128_000), Some(16_384)));
        let long = prices.model("gpt-5.4").unwrap();
        assert_eq!(long.long_above(), Some(272_000));
        assert_eq!(long.rates(Tier::Standard, 300_000).unwrap().output, pico(22_500_000));
        assert_eq!(long.rates(Tier::Batch, 300_000).unwrap().output, pico(11_250_000));
        let embedding = prices.model("text-embedding-3-small").unwrap();
        assert_eq!(embedding.rates(Tier::Standard, 0).unwrap().output, Money::ZERO);
        assert_eq!(embedding.max_output, Some(0));
        let has_fees = |model: &str| prices.model(model).unwrap().has_fees;
        assert!(["gpt-search", "o3-deep-research", "sonar"].into_iter().all(has_fees));
        // It is able to search, and does only with that tool, which is seen in the request.
        assert!(!has_fees("gpt-5") && !has_fees("gpt-4o"));
        for unknown in ["sample_spec", "dall-e-3", "half-known"] {
            assert!(prices.model(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn a_price_that_cannot_be_meant_names_file_model_and_field() {
        for (price, told) in [
            ("-1e-06", "not below zero"),
            ("2.5", "another unit"),
            ("true", "a number of dollars"),
            (r#""cheap""#, "a number of dollars"),
            ("[1]", "a number of dollars"),
            ("1e-20", "less than a picodollar"),
        ] {
            let text = format!(
                r#"{{"m": {{"input_cost_per_token": {price}, "output_cost_per_token": 1e-06}}}}"#
            );
            let error = Prices::none().with_text("f.json", &text).unwrap_err().to_string();
            let begins = format!("f.json: model m: input_cost_per_token is {price}: ");
            assert!(error.starts_with(&begins) && error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_is_no_price_file_says_what_one_is() {
        for text in ["{}", r#"{"gpt-4o": 5}"#, r#"{"gpt-4o": {"price": 5}}"#] {
            let error = Prices::none().with_text("f.json", text).unwrap_err().to_string();
            assert!(error.contains("neither a price file"), "{text}: {error}");
        }
    }
}
