//! Price files: the format of this crate.
//!
//! [`Prices::with_file`](super::Prices::with_file) describes it.

use super::Money;
use super::prices::{Layer, Long, ModelPrice, Rates, Tier, Tiers};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The version of the format that is read.
const FORMAT: u64 = 1;
/// The dearest token that is believed, for a million: more is most likely another unit.
const DEAREST: Money = Money::from_dollars(10_000);

/// Why a price file is not taken.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    /// Whether it does not look like this format at all.
    pub(super) is_other_format: bool,
}

impl From<String> for Problem {
    fn from(message: String) -> Problem {
        Problem { message, is_other_format: false }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File<'a> {
    format: u64,
    as_of: Option<Box<str>>,
    source: Option<Box<str>>,
    #[serde(rename = "unit")]
    _unit: Option<Box<str>>,
    #[serde(borrow)]
    models: BTreeMap<Box<str>, &'a RawValue>,
}

/// What tells this format from others.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    #[serde(borrow)]
    models: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Model<'a> {
    max_input: Option<u64>,
    max_output: Option<u64>,
    fees: bool,
    #[serde(borrow)]
    standard: Option<Tokens<'a>>,
    #[serde(borrow)]
    batch: Option<Tokens<'a>>,
    #[serde(borrow)]
    flex: Option<Tokens<'a>>,
    #[serde(borrow)]
    priority: Option<Tokens<'a>>,
    #[serde(borrow)]
    long: Option<LongModel<'a>>,
    #[serde(borrow)]
    uplift: BTreeMap<Box<str>, &'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongModel<'a> {
    above: u64,
    #[serde(borrow)]
    standard: Option<Tokens<'a>>,
    #[serde(borrow)]
    batch: Option<Tokens<'a>>,
    #[serde(borrow)]
    flex: Option<Tokens<'a>>,
    #[serde(borrow)]
    priority: Option<Tokens<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(borrow)]
    output: &'a RawValue,
    #[serde(borrow)]
    cached_input: Option<&'a RawValue>,
    #[serde(borrow)]
    cache_write: Option<&'a RawValue>,
    #[serde(borrow)]
    audio_input: Option<&'a RawValue>,
    #[serde(borrow)]
    audio_output: Option<&'a RawValue>,
}

/// Reads a price file; `name` is what it is called where it names no source.
pub(super) fn read(name: &str, text: &str) -> Result<Layer, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let head: Head<'_> =
        serde_json::from_str(text).map_err(|e| format!("not a price file: {e}"))?;
    if head.models.is_none() && head.format.is_none() {
        let message = "not a price file: it has no `models`".into();
        return Err(Problem { message, is_other_format: true });
    }
    let file: File<'_> =
        serde_json::from_str(text).map_err(|e| format!("not a price file: {e}"))?;
    if file.format != FORMAT {
        return Err(
            format!("its format is {}, and this program reads {FORMAT}", file.format).into()
        );
    }
    let mut models = std::collections::HashMap::new();
    for (model, raw) in file.models {
        let read = self::model(raw).map_err(|problem| format!("model {model}: {problem}"))?;
        models.insert(model, read);
    }
    let source = file.source.unwrap_or_else(|| name.into());
    Ok(Layer { as_of: file.as_of, source, models })
}

fn model(raw: &RawValue) -> Result<ModelPrice, String> {
    let Model { max_input, max_output, fees, standard, batch, flex, priority, long, uplift } =
        serde_json::from_str(raw.get()).map_err(|e| e.to_string())?;
    let mut factors = Vec::new();
    for (region, factor) in uplift {
        let thousandths = match Money::from_decimal(factor.get(), -9) {
            Some((factor, true)) => u64::try_from(factor.picodollars()).ok(),
            _ => None,
        };
        match thousandths.filter(|factor| (1_000..=10_000).contains(factor)) {
            Some(factor) => factors.push((region, factor)),
            None => {
                return Err(format!("`uplift` for {region} is {}: from 1 to 10", factor.get()));
            }
        }
    }
    let long = match long {
        None => None,
        Some(long) => Some(Long {
            above: long.above,
            tiers: tiers([long.standard, long.batch, long.flex, long.priority])
                .map_err(|e| format!("long: {e}"))?,
        }),
    };
    let tiers = tiers([standard, batch, flex, priority])?;
    if tiers.iter().all(Option::is_none) {
        return Err("it has no price".into());
    }
    let model = ModelPrice { max_input, max_output, has_fees: fees, tiers, long, uplift: factors };
    Ok(model.complete())
}

fn tiers(of: [Option<Tokens<'_>>; 4]) -> Result<Tiers, String> {
    let mut tiers = Tiers::default();
    for (tier, tokens) in Tier::ALL.into_iter().zip(of) {
        let Some(tokens) = tokens else { continue };
        let price = |field: &str, raw: &RawValue| {
            let read = a_million(raw.get(), 0);
            read.map_err(|problem| format!("{}.{field} is {}: {problem}", tier.name(), raw.get()))
        };
        let some =
            |field: &str, raw: Option<&RawValue>| raw.map(|raw| price(field, raw)).transpose();
        tiers[tier as usize] = Some(Rates {
            input: price("input", tokens.input)?,
            cached_input: some("cached_input", tokens.cached_input)?,
            cache_write: some("cache_write", tokens.cache_write)?,
            output: price("output", tokens.output)?,
            audio_input: some("audio_input", tokens.audio_input)?,
            audio_output: some("audio_output", tokens.audio_output)?,
        });
    }
    Ok(tiers)
}

/// The price of one token, from a price in dollars for a million of them times ten to the power of
/// `shift`; rounded to the nearest picodollar.
pub(super) fn a_million(text: &str, shift: i32) -> Result<Money, String> {
    let read = Money::from_decimal(text, shift - 6);
    let Some((price, _)) = read else { return Err("a price is a number of dollars".into()) };
    if price < Money::ZERO || text.starts_with('-') {
        return Err("a price is not below zero".into());
    }
    if price.times(1_000_000) > DEAREST {
        return Err(format!("more than {DEAREST} for a million tokens; is it in another unit?"));
    }
    if price == Money::ZERO
        && text.bytes().take_while(|b| !matches!(b, b'e' | b'E')).any(|b| matches!(b, b'1'..=b'9'))
    {
        return Err("less than a picodollar for a token; is it in another unit?".into());
    }
    Ok(price)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(models: &str) -> String {
        let text = format!(r#"{{"format": 1, "models": {{{models}}}}}"#);
        read("x", &text).unwrap_err().message
    }

    #[test]
    fn the_list_of_this_crate_is_read_and_plausible() {
        let text = include_str!("prices.json");
        let layer = read("x", text).unwrap();
        assert!(layer.models.len() > 130);
        assert_eq!(layer.as_of.as_deref(), Some("2026-11-23"));
        for (name, model) in &layer.models {
            let standard = model.rates(Tier::Standard, 0).unwrap();
            assert!(standard.cached_input.is_none_or(|cached| cached <= standard.input), "{name}");
            assert!(standard.cache_write.is_none_or(|write| write >= standard.input), "{name}");
            for tier in [Tier::Batch, Tier::Flex] {
                let Some(rates) = model.rates(tier, 0) else { continue };
                assert!(rates.input <= standard.input && rates.output <= standard.output, "{name}");
            }
            if let Some(rates) = model.rates(Tier::Priority, 0) {
                assert!(rates.input >= standard.input && rates.output >= standard.output, "{name}");
            }
            if let Some(long) = model.rates(Tier::Standard, u64::MAX) {
                assert!(long.input >= standard.input && long.output >= standard.output, "{name}");
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_meant_names_model_and_field() {
        for (models, told) in [
            (
                r#""m": {"standard": {"input": -1, "output": 1}}"#,
                "model m: standard.input is -1: a price is not below zero",
            ),
            (
                r#""m": {"standard": {"input": "1", "output": 1}}"#,
                r#"model m: standard.input is "1": a price is a number"#,
            ),
            (
                r#""m": {"standard": {"input": null, "output": 1}}"#,
                "model m: standard.input is null",
            ),
            (r#""m": {"standard": {"input": 20000, "output": 1}}"#, "is it in another unit?"),
            (
                r#""m": {"standard": {"input": 1, "output": 2.5e-07}}"#,
                "model m: standard.output is 2.5e-07: less than a picodollar",
            ),
            (r#""m": {"standard": {"output": 1}}"#, "model m: missing field `input`"),
            (
                r#""m": {"standard": {"input": 1, "output": 1, "cached": 1}}"#,
                "unknown field `cached`",
            ),
            (r#""m": {"batches": {"input": 1, "output": 1}}"#, "model m: unknown field `batches`"),
            (r#""m": {}"#, "model m: it has no price"),
            (
                r#""m": {"standard": {"input": 1, "output": 1}, "long": {"above": 1, "flex": {"input": 1, "output": -2}}}"#,
                "model m: long: flex.output is -2",
            ),
            (
                r#""m": {"standard": {"input": 1, "output": 1}, "uplift": {"eu": 0.5}}"#,
                "model m: `uplift` for eu is 0.5",
            ),
            (r#""m": 5"#, "model m: invalid type"),
        ] {
            let problem = problem(models);
            assert!(problem.contains(told), "{problem}");
        }
    }

    #[test]
    fn a_file_of_another_version_or_kind_is_refused() {
        for (text, told) in [
            (r#"{"format": 2, "models": {}}"#, "its format is 2"),
            (r#"{"models": {}}"#, "missing field `format`"),
            (r#"{"format": 1, "models": {}, "extra": 1}"#, "unknown field `extra`"),
            ("[1]", "not a price file"),
            ("", "not a price file"),
            ("{", "not a price file"),
        ] {
            let problem = read("x", text).unwrap_err();
            assert!(problem.message.contains(told), "{text}: {}", problem.message);
            assert!(!problem.is_other_format);
        }
        assert!(read("x", r#"{"gpt-4o": {}}"#).unwrap_err().is_other_format);
    }

    #[test]
    fn prices_are_exact() {
        for (text, picodollars) in
            [("0.138", 138_000), ("10", 10_000_000), ("0.000001", 1), ("1.5e-1", 150_000), ("0", 0)]
        {
            assert_eq!(a_million(text, 0), Ok(Money::from_picodollars(picodollars)), "{text}");
        }
    }

    #[test]
    fn the_list_of_this_crate_says_what_its_source_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/prices_openai.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is not there");
            return;
        };
        let source: serde_json::Value = serde_json::from_str(&text).unwrap();
        let layer = read("x", include_str!("prices.json")).unwrap();
        let mut compared = 0;
        for (name, model) in source["models"].as_object().unwrap() {
            let prices = &model["usd_per_1m"];
            if prices["input"].is_null() {
                assert!(!layer.models.contains_key(&**name), "{name} has no price by the token");
                continue;
            }
            let own = &layer.models[&**name];
            let exact = |number: &serde_json::Value| {
                number.is_number().then(|| a_million(&number.to_string(), 0).unwrap())
            };
            for tier in Tier::ALL {
                let of = |field: &str| match tier {
                    Tier::Standard => exact(&prices[field]),
                    _ => exact(&prices[&format!("{}_{field}", tier.name())]),
                };
                let rates = own.rates(tier, 0);
                assert_eq!(rates.map(|rates| rates.input), of("input"), "{name}");
                assert_eq!(rates.map(|rates| rates.output), of("output"), "{name}");
                assert_eq!(
                    rates.and_then(|rates| rates.cached_input),
                    of("cached_input"),
                    "{name}"
                );
                compared += usize::from(rates.is_some());
            }
            let long = own.long.as_ref().map(|long| long.tiers[0].unwrap());
            let told = &prices["long_context_over_272k"];
            assert_eq!(long.map(|rates| rates.input), exact(&told["input"]), "{name}");
            assert_eq!(long.map(|rates| rates.output), exact(&told["output"]), "{name}");
        }
        assert!(compared > 290, "{compared}");
    }
}
