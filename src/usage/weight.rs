//! What a request weighs against the rate limits, from its bytes alone.

use super::walk::{Value, Walk};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Tokens that an image or a file counts for; its base64 text says nothing of its cost.
/// Source: a 1024 x 1024 image at high detail costs 765 tokens by the published rule.
const ATTACHMENT: u64 = 765;

/// What a request weighs against the limits of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Tokens that the model reads.
    pub input: u64,
    /// The most that it may write, over all answers; 0 where the request sets no ceiling.
    pub ceiling: u64,
}

impl Weight {
    /// What a server may charge: what is read, and all that may be written.
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.ceiling)
    }
}

/// The tokens that a server may charge for a request: an estimate for limits, not for money.
///
/// It is what the rate limit guide describes: characters / 4 of what the model reads, and the
/// most that it may write, for each of `n` answers. A request that sets no ceiling is counted
/// without its output. Text that is not a JSON object counts a quarter of its bytes.
pub fn weigh(body: &[u8]) -> Weight {
    let mut sum = Sum::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    if sum.deserialize_top(&mut json).is_err() {
        return Weight { input: (body.len() as u64).div_ceil(4), ceiling: 0 };
    }
    Weight {
        input: sum.characters.div_ceil(4) + sum.tokens,
        ceiling: sum.ceiling.saturating_mul(sum.answers.max(1)),
    }
}

#[derive(Debug, Default)]
struct Sum {
    characters: u64,
    tokens: u64,
    ceiling: u64,
    answers: u64,
}

impl Sum {
    fn deserialize_top<'de, D: Deserializer<'de>>(&mut self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(Top(self))
    }
}

struct Top<'a>(&'a mut Sum);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*field {
                "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                    let most = map.next_value::<Number>()?.0;
                    self.0.ceiling = self.0.ceiling.max(most);
                }
                "n" => self.0.answers = map.next_value::<Number>()?.0.min(1_000),
                "messages" | "input" | "prompt" | "instructions" | "tools" | "functions"
                | "response_format" => map.next_value_seed(Value(&mut *self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// A number, or anything else as zero.
struct Number(u64);

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Number, D::Error> {
        let value = serde_json::Value::deserialize(json)?;
        Ok(Number(
            value.as_u64().or_else(|| value.as_f64().map(|f| f.max(0.0) as u64)).unwrap_or(0),
        ))
    }
}

/// Counts the characters of every text in a value.
impl Walk for Sum {
    fn text(&mut self, text: &str) {
        if text.starts_with("data:") {
            self.tokens += ATTACHMENT;
        } else {
            self.characters += text.chars().count() as u64;
        }
    }

    /// A number in an input is a token that was counted before.
    fn count(&mut self) {
        self.tokens += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::weigh;

    #[test]
    fn requests_weigh_their_text_and_what_they_may_write() {
        let cases: &[(&str, u64)] = &[
            (r#"{"model":"m","messages":[{"role":"user","content":"12345678"}]}"#, 3),
            (r#"{"messages":[{"content":"12345678"}],"max_tokens":100,"n":3}"#, 302),
            (r#"{"input":"12345678","max_output_tokens":50}"#, 52),
            (r#"{"input":["1234","1234"]}"#, 2),
            (r#"{"input":[[1,2,3],[4]]}"#, 4),
            (r#"{"prompt":"ééééé","max_tokens":null}"#, 2),
            (r#"{"input":[{"image_url":"data:image/png;base64,AAAAAAAAAAAAAAAA"}]}"#, 765),
            ("{}", 0),
            ("not json", 2),
        ];
        for (body, expected) in cases {
            assert_eq!(weigh(body.as_bytes()).total(), *expected, "{body}");
        }
    }
}
