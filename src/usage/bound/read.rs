//! What the bytes of a request tell of what it may use.

use super::Reach;
use crate::usage::walk::{Value, Walk, each, each_member};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What was found in a request.
#[derive(Default)]
pub(super) struct Reading {
    pub reach: Reach,
    /// Bytes of images inside of the body.
    pub data: u64,
    pub answers: u64,
    pub prompts: u64,
    /// Whether a ceiling is given that is none: servers take -1 for no end.
    pub is_endless: bool,
}

/// Reads a request as far as it can be read.
pub(super) fn read(body: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    if (&mut json).deserialize_map(Top(&mut reading)).is_ok() {
        return reading;
    }
    reading = Reading::default();
    reading.reach.is_open = true;
    let mut json = serde_json::Deserializer::from_slice(body);
    // What it has read until an error is as much as there is to know.
    let _ = (&mut json).deserialize_map(Apart(&mut reading));
    reading.data = 0;
    reading
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
                    map.next_value_seed(Value(&mut prompts))?;
                    reading.prompts = reading.prompts.max(prompts.lists);
                    // A stored prompt is more than its name.
                    reading.reach.is_open |= prompts.is_object;
                }
                "prediction" => {
                    let mut shape = Shape::default();
                    map.next_value_seed(Value(&mut shape))?;
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
                    map.next_value_seed(Value(&mut Parts(&mut *reading)))?;
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

impl Walk for Parts<'_> {
    fn object<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
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
                    map.next_value_seed(Value(&mut image))?;
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
                _ => map.next_value_seed(Value(self))?,
            }
        }
        // An item of which there is only the name: its type may be left out.
        self.0.reach.is_open |= has_id && !has_more;
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

impl Walk for Shape {
    fn text(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        self.lists += u64::from(self.depth == 1);
        if text.starts_with("data:") {
            self.data += text.len() as u64;
        }
    }

    fn list<'de, A: SeqAccess<'de>>(&mut self, list: A) -> Result<(), A::Error> {
        self.lists += u64::from(self.depth == 1);
        self.depth += 1;
        each(self, list)?;
        self.depth -= 1;
        Ok(())
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        self.is_object = true;
        self.depth += 1;
        each_member(self, map)?;
        self.depth -= 1;
        Ok(())
    }
}
