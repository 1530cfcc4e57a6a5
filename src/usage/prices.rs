//! What a token of each model costs.

use super::{Money, litellm, price_file};
use crate::error::Error;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// The prices that this crate knows by itself.
const BUILTIN: &str = include_str!("prices.json");

/// How a request is served, which decides what a token costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// At once, at the ordinary price.
    Standard,
    /// In a batch.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
}

impl Tier {
    /// Every tier.
    pub const ALL: [Tier; 4] = [Tier::Standard, Tier::Batch, Tier::Flex, Tier::Priority];

    /// A stable name, as in summaries and price files.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Batch => "batch",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
        }
    }

    /// The tier that the `service_tier` of an answer names; an answer without one is standard.
    /// `None` for one that has no price by the token, such as `scale`, which is paid in advance.
    pub fn of_answer(service_tier: Option<&str>) -> Option<Tier> {
        match service_tier {
            None | Some("" | "default" | "standard" | "auto") => Some(Tier::Standard),
            Some("batch") => Some(Tier::Batch),
            Some("flex") => Some(Tier::Flex),
            Some("priority") => Some(Tier::Priority),
            Some(_) => None,
        }
    }
}

/// What a token costs in one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rates {
    /// A token that is read.
    pub input: Money,
    /// A token that is read from the server's cache; where it is not known, it costs what others do.
    pub cached_input: Option<Money>,
    /// A token that is read and kept in the server's cache; where it is not known, it costs what
    /// others do.
    pub cache_write: Option<Money>,
    /// A token that is written, reasoning included.
    pub output: Money,
    /// A token of sound that is heard.
    pub audio_input: Option<Money>,
    /// A token of sound that is spoken.
    pub audio_output: Option<Money>,
}

/// The rates of one model, by tier.
pub(super) type Tiers = [Option<Rates>; Tier::ALL.len()];

/// What is known of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelPrice {
    /// Tokens that it can read at most.
    pub max_input: Option<u64>,
    /// Tokens that it can write at most, in one answer.
    pub max_output: Option<u64>,
    /// Whether calls cost fees that do not depend on tokens, such as those for searches: then the
    /// price by tokens is less than what is paid.
    pub has_fees: bool,
    pub(super) tiers: Tiers,
    pub(super) long: Option<Long>,
    /// The factor, in thousandths, by which a token costs more in a region.
    pub(super) uplift: Vec<(Box<str>, u64)>,
}

/// Rates for long requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Long {
    /// A request is long if it has more tokens to read than this.
    pub(super) above: u64,
    pub(super) tiers: Tiers,
}

impl ModelPrice {
    /// The rates of a request with `input` tokens in `tier`, if they are known. A long request pays
    /// its higher rates for every token, not only for those above the threshold.
    pub fn rates(&self, tier: Tier, input: u64) -> Option<&Rates> {
        let tiers = match &self.long {
            Some(long) if input > long.above => &long.tiers,
            _ => &self.tiers,
        };
        tiers[tier as usize].as_ref()
    }

    /// The number of input tokens above which a request pays the rates for long ones.
    pub fn long_above(&self) -> Option<u64> {
        self.long.as_ref().map(|long| long.above)
    }

    /// Whether nothing that it does costs anything.
    pub fn is_free(&self) -> bool {
        let all = self.tiers.iter().chain(self.long.iter().flat_map(|long| &long.tiers));
        let is_zero = |money: Option<Money>| money.is_none_or(|money| money == Money::ZERO);
        let is_free = |rates: &Rates| {
            [Some(rates.input), Some(rates.output)].into_iter().all(is_zero)
                && [rates.cache_write, rates.audio_input, rates.audio_output]
                    .into_iter()
                    .all(is_zero)
        };
        !self.has_fees && self.tiers.iter().any(Option::is_some) && all.flatten().all(is_free)
    }

    /// Gives rates that the source leaves out where a rule does: keeping a token in the cache is
    /// dearer by the same factor in every tier.
    pub(super) fn complete(mut self) -> ModelPrice {
        let standard = self.tiers[Tier::Standard as usize];
        let Some(Rates { input, cache_write: Some(write), .. }) = standard else { return self };
        let long = self.long.iter_mut().flat_map(|long| &mut long.tiers);
        for rates in self.tiers.iter_mut().chain(long).flatten() {
            if rates.cache_write.is_none() && input > Money::ZERO {
                let whole = rates.input.picodollars().saturating_mul(write.picodollars());
                let parts = input.picodollars();
                let rounded_up = (whole + parts - 1) / parts;
                rates.cache_write = Some(Money::from_picodollars(rounded_up));
            }
        }
        self
    }

    fn uplift(&self, region: Option<&str>) -> u64 {
        let found = self.uplift.iter().find(|(name, _)| Some(&**name) == region);
        found.map_or(1_000, |(_, factor)| *factor)
    }
}

/// Prices by model: those that come with this crate, and those of the user's own file before them.
#[derive(Clone, Debug)]
pub struct Prices {
    /// The later one goes first.
    layers: Vec<Arc<Layer>>,
    region: Option<Box<str>>,
}

/// Prices from one source.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) as_of: Option<Box<str>>,
    pub(super) source: Box<str>,
    pub(super) models: HashMap<Box<str>, ModelPrice>,
}

impl Default for Prices {
    fn default() -> Prices {
        Prices::builtin()
    }
}

impl Prices {
    /// Prices that come with this crate: a list that others compiled, as of the day that
    /// [`Prices::as_of`] tells.
    pub fn builtin() -> Prices {
        let layer = price_file::read("the prices of this crate", BUILTIN);
        Prices { layers: vec![Arc::new(layer.expect("tests read them"))], region: None }
    }

    /// No price at all.
    pub fn none() -> Prices {
        Prices { layers: Vec::new(), region: None }
    }

    /// The same prices with those of a file before them, model by model.
    ///
    /// The file has LiteLLM's format (`model_prices_and_context_window.json`) or this crate's own;
    /// which one, its content tells. A model of the file is meant with all its dated snapshots,
    /// unless the file has prices of their own for them, and of an older entry nothing is left.
    ///
    /// The own format, in US dollars for a million tokens:
    ///
    /// ```json
    /// {
    ///   "format": 1,
    ///   "as_of": "2026-11-23",
    ///   "source": "my contract",
    ///   "models": {
    ///     "gpt-4o": {
    ///       "max_input": 128000,
    ///       "max_output": 16384,
    ///       "standard": {"input": 2.5, "cached_input": 1.25, "output": 10},
    ///       "batch": {"input": 1.25, "output": 5}
    ///     }
    ///   }
    /// }
    /// ```
    ///
    /// The tiers are `standard`, `batch`, `flex` and `priority`; one that is left out has no known
    /// price. A tier has `input` and `output`, and where known `cached_input`, `cache_write`,
    /// `audio_input` and `audio_output`: what is left out costs what other tokens do, except that
    /// `cache_write` follows the factor of the standard tier. `long` has the tiers of requests with
    /// more than `above` input tokens, `uplift` a factor for each region (`{"eu": 1.1}`), and
    /// `fees: true` says that calls cost more than their tokens. `max_input` and `max_output` are
    /// tokens. `as_of`, `source` and `unit` are told. No other field is allowed.
    ///
    /// # Errors
    /// When the file cannot be read, has neither format, or has a price that cannot be meant:
    /// file, model and field are named.
    pub fn with_file(self, path: &Path) -> Result<Prices, Error> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, e))?;
        self.with_text(&path.display().to_string(), &text)
    }

    /// The same prices with those of a text before them; `name` is what errors call it. See
    /// [`Prices::with_file`].
    ///
    /// # Errors
    /// When the text has neither format, or a price that cannot be meant.
    pub fn with_text(mut self, name: &str, text: &str) -> Result<Prices, Error> {
        let read = match price_file::read(name, text) {
            Err(problem) if problem.is_other_format => litellm::read(name, text),
            result => result,
        };
        let layer = read.map_err(|problem| Error::invalid(name, problem.message))?;
        self.layers.push(Arc::new(layer));
        Ok(self)
    }

    /// The same prices as they are charged in a region, such as `eu`, where a model has a factor
    /// for it.
    pub fn in_region(mut self, region: Option<&str>) -> Prices {
        self.region = region.map(Into::into);
        self
    }

    /// The day of the newest list, such as `2026-11-23`, if it tells one.
    pub fn as_of(&self) -> Option<&str> {
        self.layers.iter().rev().find_map(|layer| layer.as_of.as_deref())
    }

    /// Where the prices come from, the newest list first.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().rev().map(|layer| &*layer.source)
    }

    /// The names of all models that have a price, in no order.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|layer| layer.models.keys().map(|name| &**name))
    }

    /// What is known of a model: under its own name, without the prefix `openai/`, for a dated
    /// snapshot under its name without the date, and for a fine-tuned model
    /// (`ft:BASE:ORGANISATION:…`) under `ft:BASE`, never under its base.
    ///
    /// No other part of a name is taken for a model: of what is not on the list, the price is not
    /// known.
    pub fn model(&self, name: &str) -> Option<&ModelPrice> {
        let plain = name.strip_prefix("openai/").filter(|plain| !plain.is_empty());
        self.layers
            .iter()
            .rev()
            .find_map(|layer| layer.models.get(name).or_else(|| layer.find(plain.unwrap_or(name))))
    }

    /// What an amount for a model becomes in the region of these prices.
    pub(super) fn charged(&self, model: &ModelPrice, amount: Money) -> Money {
        match model.uplift(self.region.as_deref()) {
            1_000 => amount,
            factor => amount.share(factor, 1_000),
        }
    }
}

impl Layer {
    fn find(&self, name: &str) -> Option<&ModelPrice> {
        if let Some(tuned) = name.strip_prefix("ft:") {
            let base = tuned.split(':').next().unwrap_or_default();
            return self.models.get(name).or_else(|| self.models.get(&*format!("ft:{base}")));
        }
        self.models.get(name).or_else(|| self.models.get(without_date(name)?))
    }
}

/// The name of a model before its date, `-YYYY-MM-DD`.
fn without_date(name: &str) -> Option<&str> {
    let (model, date) = name.split_at_checked(name.len().checked_sub(11)?)?;
    let is_date = date.bytes().zip("-0000-00-00".bytes()).all(|(byte, form)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    (is_date && !model.is_empty()).then_some(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(prices: &Prices, model: &str) -> Option<i128> {
        prices.model(model)?.rates(Tier::Standard, 0).map(|rates| rates.input.picodollars())
    }

    #[test]
    fn a_model_is_found_under_its_name_its_snapshot_and_its_prefix() {
        let prices = Prices::builtin();
        for (name, dollars_a_million) in [
            ("gpt-4o", 2.5),
            ("gpt-4o-2024-08-06", 2.5),
            // A snapshot with a price of its own.
            ("gpt-4o-2024-05-13", 5.0),
            // One that the list does not know is priced as its model.
            ("gpt-4o-mini-2031-01-31", 0.15),
            ("openai/gpt-4o-mini", 0.15),
            ("openai/gpt-4o-mini-2024-07-18", 0.15),
            ("ft:gpt-4o-mini-2024-07-18", 0.3),
            ("ft:gpt-4o-mini-2024-07-18:my-org:name:a1b2c3", 0.3),
            ("ft:gpt-4o-mini-2024-07-18:my-org::a1b2c3:ckpt-step-90", 0.3),
            ("openai/ft:gpt-3.5-turbo:my-org::x", 3.0),
        ] {
            let expected = (dollars_a_million * 1e6) as i128;
            assert_eq!(input(&prices, name), Some(expected), "{name}");
        }
    }

    #[test]
    fn no_part_of_a_name_is_taken_for_a_model() {
        let prices = Prices::builtin();
        for name in [
            "",
            "gpt",
            "gpt-9",
            "gpt-9-2027-01-01",
            "gpt-4o-ultra",
            "gpt-4o-2024-08",
            "gpt-4o-2024-08-06-preview",
            "gpt-4o-",
            "GPT-4o",
            "my-gpt-4o",
            "azure/gpt-4o",
            "openai/",
            "openai/openai/gpt-4o",
            "gpt-4-0314",
            "-2024-08-06",
            "ft:",
            "ft:gpt-9:org::x",
            // The price of a fine-tuned model is its own, not that of its base.
            "ft:gpt-4o",
            "ft:gpt-5-2025-08-07:org::x",
        ] {
            assert!(prices.model(name).is_none(), "{name}");
        }
        assert!(Prices::none().model("gpt-4o").is_none());
    }

    #[test]
    fn a_file_goes_before_the_list_for_its_models_and_their_snapshots() {
        let own = r#"{"format": 1, "models": {"gpt-4o": {"standard": {"input": 2, "output": 8}}}}"#;
        let prices = Prices::builtin().with_text("own", own).unwrap();
        for (name, price) in [
            ("gpt-4o", 2_000_000),
            ("gpt-4o-2024-08-06", 2_000_000),
            ("gpt-4o-mini", 150_000),
            ("ft:gpt-4o-2024-08-06:org::x", 3_750_000),
        ] {
            assert_eq!(input(&prices, name), Some(price), "{name}");
        }
        let all = prices.model("gpt-4o").unwrap();
        assert!(all.rates(Tier::Batch, 0).is_none(), "of the older entry nothing is left");
        assert_eq!(prices.as_of(), Some("2026-11-23"));
    }

    #[test]
    fn what_the_list_lacks_is_not_made_up() {
        let prices = Prices::builtin();
        let batch = |name: &str| {
            let rates = prices.model(name).unwrap().rates(Tier::Batch, 0)?;
            Some((rates.input.picodollars(), rates.output.picodollars()))
        };
        // A batch costs half only where the list says so.
        assert_eq!(batch("gpt-4o"), Some((1_250_000, 5_000_000)));
        assert_eq!(batch("gpt-3.5-turbo-1106"), Some((1_000_000, 2_000_000)));
        assert_eq!(batch("gpt-5-chat"), None);
        assert_eq!(batch("gpt-audio"), None);
        let nano = prices.model("gpt-5-nano").unwrap();
        assert!(nano.rates(Tier::Flex, 0).is_some() && nano.rates(Tier::Priority, 0).is_none());
        let long = prices.model("gpt-5.4").unwrap();
        assert_eq!(long.rates(Tier::Standard, 272_000).unwrap().input.picodollars(), 2_500_000);
        assert_eq!(long.rates(Tier::Standard, 272_001).unwrap().input.picodollars(), 5_000_000);
        assert!(long.rates(Tier::Priority, 272_001).is_none());
    }

    #[test]
    fn keeping_in_the_cache_is_dearer_by_the_same_factor_in_every_tier() {
        let prices = Prices::builtin();
        let sol = prices.model("gpt-6-sol").unwrap();
        let write = |tier, input| sol.rates(tier, input).unwrap().cache_write.unwrap();
        assert_eq!(write(Tier::Standard, 0).picodollars(), 2_500_000);
        assert_eq!(write(Tier::Batch, 0).picodollars(), 1_250_000);
        assert_eq!(write(Tier::Standard, 300_000).picodollars(), 5_000_000);
    }

    #[test]
    fn only_what_costs_nothing_is_free() {
        let prices = Prices::builtin();
        assert!(prices.model("omni-moderation-latest").unwrap().is_free());
        assert!(!prices.model("text-embedding-3-small").unwrap().is_free());
        assert!(!ModelPrice::default().is_free(), "without rates it is not known");
    }
}
