//! The members of a JSON object as they are spelled.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member of an object.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    /// Its key, decoded.
    pub(crate) key: Cow<'a, str>,
    /// Its key as it is spelled, quotes included.
    pub(crate) raw_key: &'a str,
    /// Its value as it is spelled.
    pub(crate) value: &'a RawValue,
}

/// The members of an object in their order, repeated ones too.
#[derive(Debug)]
pub(crate) struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    /// Those of the object that `text` holds, or what is wrong with it.
    pub(crate) fn parse(text: &'a str) -> Result<Members<'a>, String> {
        let kind = noun(text);
        // A list that does not end on its line is most often a file that is one list.
        let other = |kind| Err(format!("not a JSON object but {kind}: each line is one object"));
        match kind {
            "an object" => {}
            "a list" => return other(kind),
            _ => match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => return other(kind),
                Err(e) => return Err(explain(&e)),
            },
        }
        serde_json::from_str(text).map_err(|e| explain(&e))
    }

    /// The value under `key`; of repeated ones the last, as most readers take it.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|member| member.key == key).map(|member| member.value)
    }

    /// Whether there is a member under `key`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Member<'a>> {
        self.0.iter()
    }

    /// The object's text without the members under `keys`.
    pub(crate) fn without(&self, keys: &[&str]) -> String {
        let mut text = String::from("{");
        for member in self.iter().filter(|member| !keys.contains(&&*member.key)) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(member.raw_key);
            text.push(':');
            text.push_str(member.value.get());
        }
        text.push('}');
        text
    }

    /// The first few keys, for a message.
    pub(crate) fn names(&self) -> String {
        const SHOWN: usize = 12;
        let names = self.0.iter().take(SHOWN).map(|member| clip(&member.key));
        let mut text = names.collect::<Vec<_>>().join(", ");
        match self.0.len() {
            0 => text.push_str("no fields"),
            n if n > SHOWN => text.push_str(&format!(" and {} more", n - SHOWN)),
            _ => {}
        }
        text
    }
}

/// A name for a message: quoted, and cut if it is long.
pub(super) fn clip(name: &str) -> String {
    const LONGEST: usize = 40;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}...`", name[..end].escape_debug()),
        None => format!("`{}`", name.escape_debug()),
    }
}

/// What a valid JSON text is, for a message.
pub(crate) fn noun(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        Some(_) => "a number",
        None => "nothing",
    }
}

/// The text of a JSON string, if it is one.
pub(crate) fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    decode(value.get())
}

fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// What the parser says, without any text of the line.
fn explain(e: &serde_json::Error) -> String {
    if e.is_data() {
        return "not valid JSON: a key is not valid text".into();
    }
    let message = e.to_string();
    let what = message.split(" at line ").next().unwrap_or("syntax error");
    format!("not valid JSON: {what} (column {})", e.column())
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<Member<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(raw_key) = map.next_key::<&RawValue>()? {
                    let raw_key = raw_key.get();
                    let key = decode(raw_key)
                        .ok_or_else(|| serde::de::Error::custom("a key is not valid text"))?;
                    members.push(Member { key, raw_key, value: map.next_value()? });
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Members)
    }
}
