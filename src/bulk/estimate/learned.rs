//! How much the answers that are there have written.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::answer::check_answer;

/// The tokens that answers wrote, by the model that answered.
#[derive(Debug, Default)]
pub(super) struct Learned {
    models: HashMap<String, Mean>,
    all: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    answers: u64,
    tokens: u64,
}

impl Mean {
    fn add(&mut self, tokens: u64) {
        self.answers += 1;
        self.tokens = self.tokens.saturating_add(tokens);
    }

    /// Rounded up, so that little is not nothing.
    fn get(self) -> Option<u64> {
        (self.answers > 0).then(|| self.tokens.div_ceil(self.answers))
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Learned {
    /// Takes in a line of the output.
    pub(super) fn add(&mut self, line: &[u8]) {
        let Some(line) = std::str::from_utf8(line).ok() else { return };
        let Ok(line) = serde_json::from_str::<Line<'_>>(line) else { return };
        let Ok(answer) = check_answer(line.response.body.get().as_bytes()) else { return };
        let Some(usage) = answer.usage else { return };
        self.all.add(usage.output);
        let model = answer.model.unwrap_or_default();
        match self.models.get_mut(&model) {
            Some(mean) => mean.add(usage.output),
            None => {
                let mut mean = Mean::default();
                mean.add(usage.output);
                self.models.insert(model, mean);
            }
        }
    }

    /// What a row for a model writes in the mean: as its own answers, where there are any, or as
    /// all do.
    ///
    /// Answers name the dated snapshot of the model that was asked for.
    pub(super) fn mean(&self, model: &str) -> Option<u64> {
        let snapshot = |name: &str| {
            let dated = name.strip_prefix(model).and_then(|rest| rest.strip_prefix('-'));
            dated.is_some_and(|date| date.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
        };
        let mut own = Mean::default();
        for (name, mean) in &self.models {
            if name == model || snapshot(name) {
                own.answers += mean.answers;
                own.tokens = own.tokens.saturating_add(mean.tokens);
            }
        }
        own.get().or_else(|| self.all.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_expected_to_write_what_its_models_answers_did() {
        let mut learned = Learned::default();
        assert_eq!(learned.mean("gpt-4o"), None);
        let line = |model: &str, tokens: u64| {
            format!(
                r#"{{"custom_id":"a","response":{{"status_code":200,"body":{{"model":"{model}","choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":{tokens}}}}}}},"error":null}}"#
            )
        };
        learned.add(line("gpt-4o-2024-08-06", 10).as_bytes());
        learned.add(line("gpt-4o", 21).as_bytes());
        learned.add(line("gpt-4o-mini-2024-07-18", 100).as_bytes());
        learned.add(b"{\"custom_id\":\"b\",\"response\":null}");
        learned.add(b"\xff");
        assert_eq!(learned.mean("gpt-4o"), Some(16), "a half token more is a token");
        assert_eq!(learned.mean("gpt-4o-mini"), Some(100));
        assert_eq!(learned.mean("gpt-5"), Some(44), "those of all");
    }
}
