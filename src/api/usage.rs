use super::open::{Extra, count, lenient};
use serde::{Deserialize, Serialize};

/// Tokens of a reply, under the names of its endpoint; the methods speak for both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the request, as chat, completions and embeddings call them.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, as chat and completions call them.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Tokens of the request, as responses call them.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, as responses call them.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// All tokens.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// Parts of the request's tokens.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<TokenDetails>,
    /// Parts of the answer's tokens.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<TokenDetails>,
    /// Parts of the request's tokens.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub input_tokens_details: Option<TokenDetails>,
    /// Parts of the answer's tokens.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub output_tokens_details: Option<TokenDetails>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Parts of a number of tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TokenDetails {
    /// Served from the server's cache.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Spent on reasoning.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Usage {
    /// Tokens of the request.
    pub fn input(&self) -> u64 {
        self.prompt_tokens.or(self.input_tokens).unwrap_or(0)
    }

    /// Tokens of the answer, reasoning included.
    pub fn output(&self) -> u64 {
        self.completion_tokens.or(self.output_tokens).unwrap_or(0)
    }

    /// Tokens of the request that the server had in its cache; a part of [`Usage::input`].
    pub fn cached_input(&self) -> u64 {
        let details = self.prompt_tokens_details.as_ref().or(self.input_tokens_details.as_ref());
        details.and_then(|details| details.cached_tokens).unwrap_or(0)
    }

    /// Tokens of the answer that were spent on reasoning; a part of [`Usage::output`].
    pub fn reasoning(&self) -> u64 {
        let details =
            self.completion_tokens_details.as_ref().or(self.output_tokens_details.as_ref());
        details.and_then(|details| details.reasoning_tokens).unwrap_or(0)
    }

    /// The tokens of both together; of what this crate has no name for, none.
    pub(super) fn plus(self, other: Option<&Usage>) -> Usage {
        let Some(other) = other else { return self };
        let both = |mine: Option<u64>, theirs: Option<u64>| match (mine, theirs) {
            (Some(mine), Some(theirs)) => Some(mine.saturating_add(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        let parts = |mine: Option<TokenDetails>, theirs: &Option<TokenDetails>| {
            let Some(theirs) = theirs else { return mine };
            let mine = mine.unwrap_or_default();
            Some(TokenDetails {
                cached_tokens: both(mine.cached_tokens, theirs.cached_tokens),
                reasoning_tokens: both(mine.reasoning_tokens, theirs.reasoning_tokens),
                extra: Extra::new(),
            })
        };
        Usage {
            prompt_tokens: both(self.prompt_tokens, other.prompt_tokens),
            completion_tokens: both(self.completion_tokens, other.completion_tokens),
            input_tokens: both(self.input_tokens, other.input_tokens),
            output_tokens: both(self.output_tokens, other.output_tokens),
            total_tokens: both(self.total_tokens, other.total_tokens),
            prompt_tokens_details: parts(self.prompt_tokens_details, &other.prompt_tokens_details),
            completion_tokens_details: parts(
                self.completion_tokens_details,
                &other.completion_tokens_details,
            ),
            input_tokens_details: parts(self.input_tokens_details, &other.input_tokens_details),
            output_tokens_details: parts(self.output_tokens_details, &other.output_tokens_details),
            extra: Extra::new(),
        }
    }

    /// All tokens.
    pub fn total(&self) -> u64 {
        self.total_tokens.unwrap_or_else(|| self.input().saturating_add(self.output()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_tokens_has_a_total() {
        let text = r#"{"prompt_tokens":18446744073709551615,"completion_tokens":7}"#;
        let usage: Usage = serde_json::from_str(text).unwrap();
        assert_eq!((usage.input(), usage.output(), usage.total()), (u64::MAX, 7, u64::MAX));
    }
}
