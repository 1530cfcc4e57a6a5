//! Keeps the key out of what others say: a server or a proxy may send back what it was sent.

use crate::error::TransportError;
use crate::transport::Answer;

/// What stands in the place of the key.
const SHOWN: &str = "[key]";

/// A shorter word is no secret, and may stand anywhere: local servers get `EMPTY` or `none`.
const SHORTEST: usize = 12;

/// What came of an exchange, without the key that a server or a proxy may have sent back. An answer
/// to the question is left as it is.
pub(super) fn hide(
    result: Result<Answer, TransportError>,
    headers: &[(String, String)],
) -> Result<Answer, TransportError> {
    match result {
        Ok(mut answer) if !(200..300).contains(&answer.status) => {
            answer.body = Secret(headers).hide_in_body(answer.body);
            Ok(answer)
        }
        Ok(answer) => Ok(answer),
        Err(mut error) => {
            error.message = Secret(headers).hide(error.message);
            Err(error)
        }
    }
}

/// A text without the key.
pub(super) fn hide_text(text: String, headers: &[(String, String)]) -> String {
    Secret(headers).hide(text)
}

/// The headers of a request, whose key is to be hidden.
#[derive(Clone, Copy, Debug)]
struct Secret<'a>(&'a [(String, String)]);

impl<'a> Secret<'a> {
    /// The text without the key.
    fn hide(self, text: String) -> String {
        self.keys().fold(text, |text, key| match text.contains(key) {
            true => text.replace(key, SHOWN),
            false => text,
        })
    }

    /// The body without the key; a body that is not text is left as it is.
    fn hide_in_body(self, body: Vec<u8>) -> Vec<u8> {
        match String::from_utf8(body) {
            Ok(text) => self.hide(text).into_bytes(),
            Err(e) => self.hide(String::from_utf8_lossy(e.as_bytes()).into_owned()).into_bytes(),
        }
    }

    /// The keys in the headers, without the scheme that stands before them.
    fn keys(self) -> impl Iterator<Item = &'a str> {
        let is_key = |name: &str| {
            ["authorization", "api-key"].iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        let held = self.0.iter().filter(move |(name, _)| is_key(name));
        held.map(|(_, value)| value.rsplit(' ').next().unwrap_or_default())
            .filter(|key| key.len() >= SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_hidden_wherever_it_stands_and_nothing_else_is() {
        for (name, value) in
            [("Authorization", "Bearer sk-0123456789"), ("api-key", "sk-0123456789")]
        {
            let headers = [
                ("x-other".into(), "a-header-of-another-kind".into()),
                (name.into(), value.into()),
            ];
            let said = "sk-0123456789, a-header-of-another-kind, Bearer sk-0123456789!";
            let shown = "[key], a-header-of-another-kind, Bearer [key]!";
            assert_eq!(Secret(&headers).hide(said.into()), shown);
            let body = Secret(&headers).hide_in_body(b"\xffsk-0123456789".to_vec());
            assert_eq!(body, "\u{fffd}[key]".as_bytes());
        }
    }

    #[test]
    fn a_word_that_is_no_secret_may_stand_in_an_error() {
        let headers = [("authorization".to_string(), "Bearer error".to_string())];
        assert_eq!(Secret(&headers).hide("an error".into()), "an error");
    }
}
