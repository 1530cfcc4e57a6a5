//! How much each model reads and writes at most.

use super::{Prices, base_model};

/// How much a model reads and writes at most, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelLimits {
    /// The most that one request may hold, if it is known: the context window, or, where a smaller
    /// limit of the input is published, that. For embeddings, the most of each input.
    pub input: Option<u64>,
    /// The most that one answer may have, if it is known.
    pub output: Option<u64>,
    /// The context window: the most that input and answer may have together, if it is known.
    pub window: Option<u64>,
}

/// Windows of models of which the list has the limit of the input, which is what the longest answer
/// leaves of the window. For all others it has the window. Source: OpenAI's pages of models.
const WINDOWS: [u64; 2] = [400_000, 1_050_000];

/// The limits of a model, as far as they are known.
///
/// They come with the [prices](Prices) of the model, from the same source and of the same day.
/// Dated snapshots that are not listed have those of their model, fine-tuned models those of their
/// base.
pub fn model_limits(prices: &Prices, model: &str) -> ModelLimits {
    let base = base_model(model);
    let found = prices.model(model).or_else(|| prices.model(base));
    found.map_or_else(ModelLimits::default, |known| {
        let (input, output) = (known.max_input, known.max_output);
        let both = input.zip(output).and_then(|(input, output)| input.checked_add(output));
        let window = both.filter(|both| WINDOWS.contains(both)).or(input);
        ModelLimits { input, output, window }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tokens::tests::shared;

    fn limits(model: &str) -> (Option<u64>, Option<u64>) {
        let limits = model_limits(&Prices::builtin(), model);
        (limits.input, limits.output)
    }

    #[test]
    fn snapshots_and_fine_tuned_models_have_the_limits_of_their_model() {
        assert_eq!(limits("gpt-4o-2024-11-20"), (Some(128_000), Some(16_384)));
        assert_eq!(limits("gpt-4o-2024-05-13"), (Some(128_000), Some(4_096)));
        assert_eq!(limits("ft:gpt-4.1-2099-01-01:acme::x"), (Some(1_047_576), Some(32_768)));
        assert_eq!(limits("text-embedding-3-small").0, Some(8_191));
        assert_eq!(limits("o3-2099-01-01"), (Some(200_000), Some(100_000)));
        for unknown in ["", "llama", "o3-2099-01-0x", "ft:", "2024-05-13"] {
            assert_eq!(limits(unknown), (None, None), "{unknown}");
        }
    }

    #[test]
    fn a_window_holds_input_and_answer() {
        let window = |model| model_limits(&Prices::builtin(), model).window;
        for (model, expected) in [
            ("gpt-4", Some(8_192)),
            ("gpt-4o", Some(128_000)),
            ("o3", Some(200_000)),
            // The list has 272,000 and 922,000, which is the input alone.
            ("gpt-5", Some(400_000)),
            ("gpt-5.4-pro", Some(1_050_000)),
            ("gpt-9", None),
        ] {
            assert_eq!(window(model), expected, "{model}");
        }
    }

    #[test]
    fn every_listed_model_has_the_limits_of_the_list() {
        let Some(data) = shared("prices_openai.json") else { return };
        let mut seen = 0;
        for (model, row) in data["models"].as_object().unwrap() {
            // The list leaves out the output of models that write nothing.
            let output = row["max_output_tokens"].as_u64().or(Some(0));
            let listed = (row["max_input_tokens"].as_u64(), output);
            if row["usd_per_1m"].as_object().is_some_and(|prices| !prices.is_empty())
                && listed.0.is_some()
            {
                assert_eq!(limits(model), listed, "{model}");
                seen += 1;
            }
        }
        assert!(seen > 100, "{seen}");
    }
}
