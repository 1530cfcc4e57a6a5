//! Which request an answer belongs to.

use crate::wire::row::{canonical, digest};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What is asked, of whom: a hash, which tells nothing of the key or the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request([u8; 32]);

/// Which answer to a request is wanted, where the same request is to have several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sample {
    /// The caller's own number, such as that of an epoch; the first is 0.
    pub epoch: u32,
    /// How often the same request came before in the same run.
    pub repeat: u32,
}

/// What an answer is kept under: a request, and which sample of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 40]);

/// The members of a request that keep it out of the cache.
#[derive(Deserialize)]
struct Effects {
    stream: Option<serde_json::Value>,
    background: Option<serde_json::Value>,
    conversation: Option<IgnoredAny>,
}

impl Request {
    /// The request of an account that posts `body` to `url`; `None` if its answer is not to be kept,
    /// because it comes in pieces or later, or asking changes something at the server.
    ///
    /// Neither the order of members nor space matters in a body.
    pub fn new(account: &str, url: &str, body: &[u8]) -> Option<Request> {
        let text = std::str::from_utf8(body).ok()?;
        // What is no object of JSON is not kept.
        let effects: Effects = serde_json::from_str(text).ok()?;
        let is_true = |value: Option<serde_json::Value>| value.is_some_and(|value| value == true);
        if is_true(effects.stream) || is_true(effects.background) || effects.conversation.is_some()
        {
            return None;
        }
        let parts = [account.as_bytes(), b"POST", url.as_bytes(), &canonical(text)];
        Some(Request(digest(&parts)))
    }

    /// 64 bits of it.
    pub fn number(&self) -> u64 {
        self.0[..8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// The key of one sample of it.
    pub fn sample(&self, sample: Sample) -> Key {
        let mut key = [0; 40];
        key[..32].copy_from_slice(&self.0);
        key[32..36].copy_from_slice(&sample.epoch.to_be_bytes());
        key[36..].copy_from_slice(&sample.repeat.to_be_bytes());
        Key(key)
    }
}

impl Key {
    /// Its bytes as hexadecimal digits, for a file.
    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The key of these digits.
    pub(crate) fn from_hex(digits: &str) -> Option<Key> {
        let mut key = [0; 40];
        if digits.len() != 2 * key.len() || !digits.is_ascii() {
            return None;
        }
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Key(key))
    }

    /// Its bytes, as they are stored.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://a/v1/chat/completions";
    const BODY: &str =
        r#"{"model":"m","messages":[{"role":"user","content":"é"}],"temperature":0.5}"#;

    fn request(account: &str, url: &str, body: &str) -> Request {
        Request::new(account, url, body.as_bytes()).unwrap()
    }

    #[test]
    fn the_spelling_of_a_request_does_not_matter() {
        let own = request("acc", URL, BODY);
        for same in [
            r#" { "temperature" : 5e-1, "model":"m", "messages":[ {"content":"\u00e9","role":"user"} ] } "#,
            r#"{"messages":[{"role":"user","content":"é"}],"model":"m","temperature":0.50}"#,
        ] {
            assert_eq!(request("acc", URL, same), own, "{same}");
        }
    }

    #[test]
    fn whatever_can_change_the_answer_changes_the_key() {
        let mut seen = std::collections::HashSet::new();
        for (account, url, body) in [
            ("acc", URL, BODY.to_string()),
            ("acd", URL, BODY.to_string()),
            ("acc", "https://b/v1/chat/completions", BODY.to_string()),
            ("acc", "https://a/v1/completions", BODY.to_string()),
            ("acch", "ttps://a/v1/chat/completions", BODY.to_string()),
            ("acc", URL, BODY.replace('é', "e")),
            ("acc", URL, BODY.replace("0.5", "0.6")),
            ("acc", URL, BODY.replace("\"m\"", "\"n\"")),
            ("acc", URL, BODY.replace('}', r#","seed":1}"#)),
            ("acc", URL, BODY.replace("user", "system")),
        ] {
            for (epoch, repeat) in [(0, 0), (0, 1), (1, 0), (u32::MAX, 1)] {
                let key = request(account, url, &body).sample(Sample { epoch, repeat });
                assert!(seen.insert(key), "{account} {url} {body} {epoch} {repeat}");
            }
        }
    }

    #[test]
    fn a_key_is_written_to_a_file_and_read_again() {
        let key = request("acc", URL, BODY).sample(Sample { epoch: 7, repeat: u32::MAX });
        assert_eq!(Key::from_hex(&key.to_hex()), Some(key));
        for wrong in ["", "00", &"zz".repeat(40), &"é".repeat(40)] {
            assert_eq!(Key::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_has_no_whole_answer_of_its_own_has_no_key() {
        for (body, is_kept) in [
            (r#"{"stream":false,"background":false,"conversation":null}"#, true),
            (r#"{"stream":true}"#, false),
            (r#"{"background":true}"#, false),
            (r#"{"conversation":"conv_1"}"#, false),
            (r#"{"stream":"#, false),
            ("", false),
            ("--boundary", false),
            ("[1]", false),
            ("7", false),
        ] {
            assert_eq!(Request::new("a", URL, body.as_bytes()).is_some(), is_kept, "{body}");
        }
        assert_eq!(Request::new("a", URL, b"{\"a\":\"\xff\"}"), None);
    }
}
