//! What a request may cost at most, before it is sent.

use super::prices::{ModelPrice, Prices, Rates, Tier};
use super::{Capped, Money, Most};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The most tokens of one image. Source: the largest image at high detail, eight tiles, by the
/// published rule of the model that counts images dearest (gpt-4o-mini: 2,833 + 8 × 5,667 = 48,169).
const IMAGE: u64 = 50_000;
/// Tokens that a server may put around what was sent. Source: own choice, many times the three to
/// four for each message that were published, which the JSON around a message outweighs.
const FRAME: u64 = 256;
/// Tokens that `/v1/completions` writes at most where the request sets no ceiling. Source: the API's
/// documentation of `max_tokens`.
const COMPLETION: u64 = 16;

/// What a request may use at most, as far as its bytes tell. Tokens are never more than the bytes of
/// their text, and the bytes of the whole JSON text are more than those.
///
/// It is a bound for money; for the weight against rate limits, see [`weigh`](super::weigh).
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
        let mut reading = Reading::default();
        let mut json = serde_json::Deserializer::from_slice(body);
        if (&mut json).deserialize_map(Top(&mut reading)).is_err() {
            reading = Reading::default();
            reading.reach.is_open = true;
            let mut json = serde_json::Deserializer::from_slice(body);
            // What it has read until an error is as much as there is to know.
            let _ = (&mut json).deserialize_map(Apart(&mut reading));
            reading.data = 0;
        }
        let Reading { mut reach, data, answers, prompts, is_endless } = reading;
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
    fn input_of(&self, model: Option<&ModelPrice>) -> Option<u64> {
        let longest = model.and_then(|model| model.max_input);
        if self.is_open {
            return longest;
        }
        let images = self.images.saturating_mul(IMAGE);
        let images = longest.map_or(images, |longest| images.min(longest));
        Some(self.input.saturating_add(images))
    }

    /// Tokens that may be written, over all answers.
    fn output_of(&self, model: Option<&ModelPrice>) -> Option<u64> {
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

#[derive(Default)]
struct Reading {
    reach: Reach,
    /// Bytes of images inside of the body.
    data: u64,
    answers: u64,
    prompts: u64,
    /// Whether a ceiling is given that is none: servers take -1 for no end.
    is_endless: bool,
}

/// Reads every field of a request by itself, so that one that cannot be read hides no other.
struct Apart<'a>(&'a mut Reading);

impl<'de> Visitor<'de> for Apart<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<Cow<'de, str>>()? {
            let raw: &RawValue = map.next_value()?;
            let alone = format!("{{{}:{}}}", serde_json::Value::from(&*field), raw.get());
            let mut json = serde_json::Deserializer::from_str(&alone);
            if (&mut json).deserialize_map(Top(&mut *self.0)).is_ok() {
                continue;
            }
            match &*field {
                "n" | "best_of" => self.0.answers = u64::MAX,
                // A list has fewer prompts than commas and one.
                "prompt" => {
                    let commas = raw.get().bytes().filter(|byte| *byte == b',').count();
                    self.0.prompts = self.0.prompts.max(commas as u64 + 1);
                }
                "prediction" => self.0.reach.predicted = raw.get().len() as u64,
                "tools" | "web_search_options" => self.0.reach.has_tools = true,
                _ => {}
            }
        }
        Ok(())
    }
}

struct Top<'a>(&'a mut Reading);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reading = self.0;
        while let Some(field) = map.next_key::<Cow<'de, str>>()? {
            match &*field {
                "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                    let most = map.next_value::<Option<Number>>()?;
                    reading.is_endless |= most.is_some_and(|most| most.0.is_none());
                    reading.reach.ceiling = reading.reach.ceiling.max(most.and_then(|most| most.0));
                }
                "n" | "best_of" => {
                    let count = map.next_value::<Number>()?.0;
                    reading.answers = reading.answers.max(count.unwrap_or(0));
                }
                "prompt" => {
                    let mut prompts = Shape::default();
                    map.next_value_seed(&mut prompts)?;
                    reading.prompts = reading.prompts.max(prompts.lists);
                    // A stored prompt is more than its name.
                    reading.reach.is_open |= prompts.is_object;
                }
                "prediction" => {
                    let mut shape = Shape::default();
                    map.next_value_seed(&mut shape)?;
                    reading.reach.predicted = shape.bytes;
                }
                "service_tier" => {
                    let tier = map.next_value::<serde_json::Value>()?;
                    reading.reach.service_tier = tier.as_str().map(str::to_owned);
                }
                "previous_response_id" | "conversation" => {
                    let given = map.next_value::<Option<IgnoredAny>>()?;
                    reading.reach.is_open |= given.is_some();
                }
                "web_search_options" => {
                    let given = map.next_value::<Option<IgnoredAny>>()?;
                    reading.reach.has_tools |= given.is_some();
                }
                "tools" => {
                    let tools = map.next_value::<serde_json::Value>()?;
                    let of_ours = |tool: &serde_json::Value| {
                        matches!(tool["type"].as_str(), Some("function" | "custom"))
                    };
                    let others = tools.as_array().is_some_and(|all| !all.iter().all(of_ours));
                    reading.reach.has_tools |= others;
                }
                "messages" | "input" | "instructions" => {
                    map.next_value_seed(Parts(reading))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A number that is not below zero, also as a text, which some servers take for one; or nothing.
#[derive(Clone, Copy)]
struct Number(Option<u64>);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Number, D::Error> {
        let value = serde_json::Value::deserialize(json)?;
        let float = || value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let ceil = || float().filter(|number| *number >= 0.0).map(|number| number.ceil() as u64);
        Ok(Number(value.as_u64().or_else(ceil)))
    }
}

/// Looks for images and for what is only named.
struct Parts<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Parts<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Parts<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut has_id, mut has_more) = (false, false);
        while let Some(field) = map.next_key::<Cow<'de, str>>()? {
            has_more |= !matches!(&*field, "id" | "type");
            match &*field {
                "id" => {
                    has_id = true;
                    map.next_value::<IgnoredAny>()?;
                }
                "image_url" => {
                    let mut image = Shape::default();
                    map.next_value_seed(&mut image)?;
                    self.0.reach.images += 1;
                    self.0.data += image.data;
                }
                // Sound is sent as `input_audio`; this is the name of what was spoken before.
                "file_id" | "file_url" | "file_data" | "file_ids" | "audio" => {
                    let given = map.next_value::<Option<IgnoredAny>>()?;
                    self.0.reach.is_open |= given.is_some();
                }
                "type" => {
                    let kind = map.next_value::<serde_json::Value>()?;
                    has_more |= kind.as_str().is_some_and(|kind| kind != "item_reference");
                }
                _ => map.next_value_seed(Parts(&mut *self.0))?,
            }
        }
        // An item of which there is only the name: its type may be left out.
        self.0.reach.is_open |= has_id && !has_more;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Parts(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// What kind of a value something is, and how long its texts are.
#[derive(Default)]
struct Shape {
    bytes: u64,
    /// Bytes of texts that are data: they are spelled as they are, and no token of their own.
    data: u64,
    /// Texts and lists in the outermost list.
    lists: u64,
    is_object: bool,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for &mut Shape {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.bytes += text.len() as u64;
        self.lists += u64::from(self.depth == 1);
        if text.starts_with("data:") {
            self.data += text.len() as u64;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.lists += u64::from(self.depth == 1);
        self.depth += 1;
        while list.next_element_seed(&mut *self)?.is_some() {}
        self.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.is_object = true;
        self.depth += 1;
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(&mut *self)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::cost;
    use crate::wire::answer::RawUsage;
    use proptest::prelude::*;

    fn bound(body: &str, model: &str) -> Option<String> {
        let cost = Reach::read(body.as_bytes()).cost(&Prices::builtin(), model, false)?;
        Some(cost.to_decimal())
    }

    #[test]
    fn every_byte_may_be_a_token_and_every_answer_as_long_as_it_may() {
        let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"max_tokens":100,"n":3,"service_tier":"default"}"#;
        let reach = Reach::read(body.as_bytes());
        assert_eq!(reach.input, body.len() as u64 + FRAME);
        assert_eq!((reach.ceiling, reach.answers), (Some(100), 3));
        let expected = Money::from_picodollars(2_500_000).times(reach.input)
            + Money::from_picodollars(10_000_000).times(300);
        assert_eq!(reach.cost(&Prices::builtin(), "gpt-4o", false), Some(expected));
        let half = reach.cost(&Prices::builtin(), "gpt-4o", true).unwrap();
        assert_eq!(half.times(2), expected);
        assert_eq!(reach.tokens(&Prices::none(), "gpt-9"), Some(reach.input + 300));
    }

    #[test]
    fn a_request_without_a_ceiling_may_write_as_much_as_its_model_can() {
        let body = r#"{"messages":[],"service_tier":"default"}"#;
        let input = Money::from_picodollars(2_500_000).times(body.len() as u64 + FRAME);
        let output = Money::from_picodollars(10_000_000).times(16_384);
        assert_eq!(bound(body, "gpt-4o"), Some((input + output).to_decimal()));
        assert_eq!(Reach::read(body.as_bytes()).tokens(&Prices::none(), "gpt-4o"), None);
    }

    #[test]
    fn the_dearest_tier_in_which_it_may_be_served_counts() {
        let with = |tier: &str| {
            let body = format!(r#"{{"input":"x","max_output_tokens":10,"service_tier":{tier}}}"#);
            let reach = Reach { input: 1_000, ..Reach::read(body.as_bytes()) };
            reach.cost(&Prices::builtin(), "gpt-5-mini", false).map(Money::picodollars)
        };
        let standard = 1_000 * 250_000 + 10 * 2_000_000;
        let priority = 1_000 * 450_000 + 10 * 3_600_000;
        assert_eq!(with(r#""default""#), Some(standard));
        // The server may fall back to the ordinary tier.
        assert_eq!(with(r#""flex""#), Some(standard));
        assert_eq!(with(r#""priority""#), Some(priority));
        // The project may be set to any tier.
        assert_eq!(with(r#""auto""#), Some(priority));
        assert_eq!(with("null"), Some(priority));
        assert_eq!(with(r#""scale""#), None);
    }

    #[test]
    fn images_count_by_rule_and_not_by_their_bytes() {
        let data = "A".repeat(1_000_000);
        for image in [
            format!(
                r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#
            ),
            format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#),
            r#"{"type":"input_image","image_url":"https://example.com/cat.png"}"#.into(),
        ] {
            let body = format!(r#"{{"input":[{{"role":"user","content":[{image},{image}]}}]}}"#);
            let reach = Reach::read(body.as_bytes());
            assert_eq!(reach.images, 2);
            assert!(reach.input < 1_000, "{}", reach.input);
            assert_eq!(reach.input_of(None), Some(reach.input + 2 * IMAGE));
        }
        // A text that looks like data is a text.
        let text = format!(r#"{{"input":"data:{data}"}}"#);
        assert!(Reach::read(text.as_bytes()).input > 1_000_000);
        // Many images are bounded by what the model can read.
        let many = Reach { images: 100, answers: 1, ceiling: Some(0), ..Reach::default() };
        assert_eq!(many.tokens(&Prices::builtin(), "gpt-4o"), Some(128_000));
    }

    #[test]
    fn what_is_only_named_is_as_long_as_the_model_can_read() {
        for body in [
            r#"{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}"#,
            r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:x"}}]}]}"#,
            r#"{"input":"more","previous_response_id":"resp_1"}"#,
            r#"{"input":"more","conversation":{"id":"conv_1"}}"#,
            r#"{"prompt":{"id":"pmpt_1"}}"#,
            r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
            "not json",
        ] {
            let reach = Reach::read(body.as_bytes());
            assert!(reach.is_open, "{body}");
            let tokens = Reach { ceiling: Some(5), ..reach.clone() };
            assert_eq!(tokens.tokens(&Prices::builtin(), "gpt-4o"), Some(128_005), "{body}");
            assert_eq!(tokens.tokens(&Prices::none(), "gpt-4o"), None, "{body}");
        }
        let plain = r#"{"input":"more","previous_response_id":null,"conversation":null}"#;
        assert!(!Reach::read(plain.as_bytes()).is_open);
    }

    #[test]
    fn what_has_no_bound_or_no_price_is_not_given_one() {
        for body in [
            r#"{"input":"x","tools":[{"type":"web_search"}]}"#,
            r#"{"input":"x","tools":[{"type":"function"},{"type":"mcp"}]}"#,
            r#"{"messages":[],"web_search_options":{}}"#,
        ] {
            assert!(Reach::read(body.as_bytes()).has_tools, "{body}");
            assert_eq!(bound(body, "gpt-4o"), None, "{body}");
        }
        let plain = r#"{"messages":[],"tools":[{"type":"function"},{"type":"custom"}]}"#;
        assert!(bound(plain, "gpt-4o").is_some());
        assert_eq!(bound(plain, "gpt-9"), None, "unknown is not zero");
        assert_eq!(bound(plain, "gpt-4o-search-preview"), None, "each call has a fee");
        assert_eq!(bound(r#"{"input":"x"}"#, "omni-moderation-latest"), Some("0".into()));
        // Without a longest answer, but with answers that cost nothing.
        let own = r#"{"format":1,"models":{"e":{"standard":{"input":1,"output":0}}}}"#;
        let prices = Prices::none().with_text("own", own).unwrap();
        let reach = Reach { input: 5, answers: 1, ..Reach::default() };
        assert_eq!(reach.cost(&prices, "e", false), Some(Money::from_picodollars(5_000_000)));
    }

    #[test]
    fn prompts_and_predictions_are_counted() {
        let answers = |body: &str| Reach::read(body.as_bytes()).answers;
        assert_eq!(answers(r#"{"prompt":"a","n":2}"#), 2);
        assert_eq!(answers(r#"{"prompt":["a","b","c"],"n":2,"best_of":5}"#), 15);
        assert_eq!(answers(r#"{"prompt":[[1,2],[3]]}"#), 2);
        assert_eq!(answers(r#"{"prompt":[1,2,3],"n":null}"#), 1);
        let body = r#"{"messages":[],"max_tokens":7,"prediction":{"type":"content","content":"0123456789"}}"#;
        let reach = Reach::read(body.as_bytes());
        assert_eq!(reach.output_of(None), Some(7 + "content0123456789".len() as u64));
    }

    #[test]
    fn published_counts_of_the_server_lie_below_the_bound() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/data/openai/tokens/chat_count_cases.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: {path} is not there");
            return;
        };
        let data: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut checked = 0;
        for case in data["cases"].as_array().unwrap() {
            let reach = Reach::read(case.to_string().as_bytes());
            for (model, count) in case["expected"].as_object().unwrap() {
                assert!(count.as_u64().unwrap() <= reach.input, "{model}");
                checked += 1;
            }
        }
        assert!(checked >= 4);
    }

    proptest! {
        #[test]
        fn no_answer_within_the_tokens_costs_more(
            text in ".{0,200}", ceiling in 0u64..100_000, n in 1u64..5, share in 0.0f64..=1.0,
            cached in any::<u64>(), write in any::<u64>(), audio in any::<u64>(),
            tier in 0usize..5, long in any::<bool>(),
        ) {
            let tiers = [None, Some("auto"), Some("default"), Some("flex"), Some("priority")];
            let body = serde_json::json!({
                "messages": [{"role": "user", "content": text}],
                "max_completion_tokens": ceiling, "n": n, "service_tier": tiers[tier],
            });
            let mut reach = Reach::read(body.to_string().as_bytes());
            prop_assert!(text.len() as u64 <= reach.input);
            reach.input += if long { 300_000 } else { 0 };
            let input = (reach.input as f64 * share) as u64;
            let usage = RawUsage {
                input, cached, cache_write: write, audio_input: audio,
                output: ceiling * n, audio_output: audio, ..RawUsage::default()
            };
            let prices = Prices::builtin();
            for model in ["gpt-4o-mini", "gpt-5", "gpt-6-sol", "gpt-audio", "gpt-5.4", "o4-mini"] {
                let Some(most) = reach.cost(&prices, model, false) else { continue };
                for paid in [None, Some("default"), Some("flex"), Some("priority")] {
                    let is_possible = match tiers[tier] {
                        None | Some("auto") => true,
                        Some(asked) => paid.unwrap_or("default") == asked || paid == Some("default"),
                    };
                    if let Some(cost) = cost(&prices, Some(&usage), model, paid, false)
                        && is_possible
                    {
                        prop_assert!(cost.total <= most, "{model} {paid:?}: {:?} > {most:?}", cost);
                    }
                }
            }
        }

        #[test]
        fn no_body_panics(body in ".*") {
            let _ = Reach::read(body.as_bytes()).cost(&Prices::builtin(), "gpt-4o", false);
        }
    }

    #[test]
    fn what_a_lenient_server_takes_for_a_number_is_one() {
        let found = |fields: &str| {
            let reach = Reach::read(format!(r#"{{{fields},"messages":[]}}"#).as_bytes());
            (reach.ceiling, reach.answers)
        };
        for (fields, expected) in [
            (r#""n":"50","max_tokens":"100""#, (Some(100), 50)),
            (r#""n":2.5,"max_tokens":99.5"#, (Some(100), 3)),
            // Servers take -1 for no end, and what is not a number may be none of their ceilings.
            (r#""max_tokens":-1"#, (None, 1)),
            (r#""max_tokens":100,"max_completion_tokens":-1"#, (None, 1)),
            (r#""max_tokens":"many""#, (None, 1)),
            (r#""max_tokens":null,"n":null"#, (None, 1)),
            (r#""max_tokens":0"#, (Some(0), 1)),
        ] {
            assert_eq!(found(fields), expected, "{fields}");
        }
    }

    #[test]
    fn a_field_that_cannot_be_read_hides_no_other() {
        // A half of a pair of surrogates, and a number beyond the range of floats.
        for odd in [r#""messages":[{"content":"\ud83d"}]"#, r#""temperature":1e999"#] {
            for fields in [format!(r#""n":50,{odd}"#), format!(r#"{odd},"n":50"#)] {
                let body = format!(r#"{{{fields},"max_tokens":10,"service_tier":"flex"}}"#);
                let reach = Reach::read(body.as_bytes());
                assert!(reach.is_open || !odd.contains("ud83d"), "{body}");
                assert_eq!((reach.ceiling, reach.answers), (Some(10), 50), "{body}");
                assert_eq!(reach.input, body.len() as u64 + FRAME, "{body}");
                assert_eq!(reach.service_tier.as_deref(), Some("flex"), "{body}");
            }
        }
        let reach = Reach::read(br#"{"n":1e999,"max_tokens":10}"#);
        assert_eq!(reach.answers, u64::MAX, "nobody knows how many");
        let reach = Reach::read(br#"{"prompt":["\ud83d","b","c"]}"#);
        assert_eq!(reach.answers, 3);
        assert!(Reach::read(br#"{"tools":[{"type":"\ud83d"}]}"#).has_tools);
    }

    #[test]
    fn what_is_only_named_has_the_models_longest_input() {
        for body in [
            r#"{"input":[{"id":"rs_1"}]}"#,
            r#"{"input":[{"type":null,"id":"rs_1"}]}"#,
            r#"{"input":[{"type":"item_reference","id":"rs_1"}]}"#,
            r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
        ] {
            assert!(Reach::read(body.as_bytes()).is_open, "{body}");
        }
        let whole = r#"{"input":[{"id":"msg_1","type":"message","role":"user","content":"x"}]}"#;
        assert!(!Reach::read(whole.as_bytes()).is_open);
    }

    #[test]
    fn legacy_completions_write_sixteen_tokens_if_nothing_is_asked() {
        let of = |url: &str, body: &str| Reach::read(body.as_bytes()).sent_to(url).ceiling;
        let legacy = "/v1/completions";
        assert_eq!(of(legacy, r#"{"prompt":"a"}"#), Some(16));
        assert_eq!(of("https://x/v1/completions?a=b", r#"{"prompt":"a"}"#), Some(16));
        assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":null}"#), Some(16));
        assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":900}"#), Some(900));
        assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":-1}"#), None, "it has no end");
        assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":"\ud83d"}"#), None, "nobody knows");
        assert_eq!(of("/v1/chat/completions", r#"{"messages":[]}"#), None);
        let two = Reach::read(br#"{"prompt":["a","b"],"n":3}"#).sent_to(legacy);
        assert_eq!(two.output_of(None), Some(96));
    }

    #[test]
    fn embeddings_and_moderations_write_nothing() {
        let of = |url: &str| {
            let reach = Reach::read(br#"{"input":"hello"}"#).sent_to(url);
            reach.tokens(&Prices::none(), "bge-m3")
        };
        for url in [
            "/v1/embeddings",
            "/v1/moderations",
            "https://x.azure.com/openai/deployments/d/embeddings?api-version=1",
        ] {
            assert_eq!(of(url), Some(17 + FRAME), "{url}");
        }
        assert_eq!(of("/v1/responses"), None);
    }
}
