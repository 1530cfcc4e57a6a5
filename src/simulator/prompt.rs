//! The text within messages and inputs.

use serde_json::Value;
use std::borrow::Cow;

/// The text of a `content`: a string, or the text parts of an array.
pub(super) fn content(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.as_str().into(),
        Value::Array(parts) => {
            let mut texts = parts.iter().filter_map(|part| part["text"].as_str());
            match (texts.next(), texts.next()) {
                (None, _) => "".into(),
                (Some(one), None) => one.into(),
                (Some(one), Some(two)) => {
                    let all: Vec<_> = [one, two].into_iter().chain(texts).collect();
                    all.join("\n").into()
                }
            }
        }
        _ => "".into(),
    }
}

/// The text of the last message that the user said, or else of the last message.
pub(super) fn last_said(messages: &[Value]) -> Cow<'_, str> {
    let by_user = messages.iter().rev().find(|message| message["role"] == "user");
    by_user.or(messages.last()).map_or("".into(), |message| content(&message["content"]))
}

/// The number of characters in all messages.
pub(super) fn characters(messages: &[Value]) -> u64 {
    messages.iter().map(|message| content(&message["content"]).chars().count() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_users_last_words_are_found_in_strings_and_parts() {
        let messages = [
            json!({"role": "system", "content": "be brief"}),
            json!({"role": "user", "content": [
                {"type": "text", "text": "é"}, {"type": "image_url"}, {"type": "text", "text": "b"},
            ]}),
            json!({"role": "assistant", "content": "so far"}),
        ];
        assert_eq!(last_said(&messages), "é\nb");
        assert_eq!(characters(&messages), 8 + 3 + 6);
        assert_eq!(last_said(&[]), "");
    }
}
