//! Which vocabulary a model reads by.

/// How text becomes tokens: one of OpenAI's vocabularies.
///
/// Text is always ordinary text: `<|endoftext|>` in it is the tokens of its letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Encoding {
    /// `gpt-4o`, `gpt-4.1`, `gpt-5`, `o1`, `o3`, `o4-mini`.
    O200kBase,
    /// `gpt-oss`; ordinary text has the tokens of `o200k_base`.
    O200kHarmony,
    /// `gpt-4`, `gpt-3.5-turbo`, the embeddings.
    Cl100kBase,
    /// `text-davinci-003`, `text-davinci-002`, the old code models.
    P50kBase,
    /// The old edit models; ordinary text has the tokens of `p50k_base`.
    P50kEdit,
    /// The first GPT-3 models and GPT-2.
    R50kBase,
}

use Encoding::{Cl100kBase, O200kBase, O200kHarmony, P50kBase, P50kEdit, R50kBase};

/// Models by their whole name. Source: tiktoken 0.14.0.
const NAMES: &[(&str, Encoding)] = &[
    ("o1", O200kBase),
    ("o3", O200kBase),
    ("o4-mini", O200kBase),
    ("gpt-5", O200kBase),
    ("gpt-4.1", O200kBase),
    ("gpt-4o", O200kBase),
    ("gpt-4", Cl100kBase),
    ("gpt-3.5-turbo", Cl100kBase),
    ("gpt-3.5", Cl100kBase),
    ("gpt-35-turbo", Cl100kBase),
    ("davinci-002", Cl100kBase),
    ("babbage-002", Cl100kBase),
    ("text-embedding-ada-002", Cl100kBase),
    ("text-embedding-3-small", Cl100kBase),
    ("text-embedding-3-large", Cl100kBase),
    ("text-davinci-003", P50kBase),
    ("text-davinci-002", P50kBase),
    ("text-davinci-001", R50kBase),
    ("text-curie-001", R50kBase),
    ("text-babbage-001", R50kBase),
    ("text-ada-001", R50kBase),
    ("davinci", R50kBase),
    ("curie", R50kBase),
    ("babbage", R50kBase),
    ("ada", R50kBase),
    ("code-davinci-002", P50kBase),
    ("code-davinci-001", P50kBase),
    ("code-cushman-002", P50kBase),
    ("code-cushman-001", P50kBase),
    ("davinci-codex", P50kBase),
    ("cushman-codex", P50kBase),
    ("text-davinci-edit-001", P50kEdit),
    ("code-davinci-edit-001", P50kEdit),
    ("text-similarity-davinci-001", R50kBase),
    ("text-similarity-curie-001", R50kBase),
    ("text-similarity-babbage-001", R50kBase),
    ("text-similarity-ada-001", R50kBase),
    ("text-search-davinci-doc-001", R50kBase),
    ("text-search-curie-doc-001", R50kBase),
    ("text-search-babbage-doc-001", R50kBase),
    ("text-search-ada-doc-001", R50kBase),
    ("code-search-babbage-code-001", R50kBase),
    ("code-search-ada-code-001", R50kBase),
    ("gpt2", R50kBase),
    ("gpt-2", R50kBase),
];

/// Models by the beginning of their name, the first that fits. Source: tiktoken 0.14.0.
const PREFIXES: &[(&str, Encoding)] = &[
    ("o1-", O200kBase),
    ("o3-", O200kBase),
    ("o4-mini-", O200kBase),
    ("gpt-5", O200kBase),
    ("gpt-4.5-", O200kBase),
    ("gpt-4.1-", O200kBase),
    ("chatgpt-4o-", O200kBase),
    ("gpt-4o-", O200kBase),
    ("gpt-4-", Cl100kBase),
    ("gpt-3.5-turbo-", Cl100kBase),
    ("gpt-35-turbo-", Cl100kBase),
    ("gpt-oss-", O200kHarmony),
];

impl Encoding {
    /// All of them.
    pub const ALL: [Encoding; 6] =
        [O200kBase, O200kHarmony, Cl100kBase, P50kBase, P50kEdit, R50kBase];

    /// The one that is taken for models that no rule knows: `o200k_base`, that of all models since
    /// 2024. Counts by it are estimates.
    pub const FALLBACK: Encoding = O200kBase;

    /// Its name, such as `o200k_base`.
    pub fn name(self) -> &'static str {
        match self {
            O200kBase => "o200k_base",
            O200kHarmony => "o200k_harmony",
            Cl100kBase => "cl100k_base",
            P50kBase => "p50k_base",
            P50kEdit => "p50k_edit",
            R50kBase => "r50k_base",
        }
    }

    /// The one with this name, such as `cl100k_base`; `gpt2` is `r50k_base`.
    pub fn named(name: &str) -> Option<Encoding> {
        if name == "gpt2" {
            return Some(R50kBase);
        }
        Encoding::ALL.into_iter().find(|each| each.name() == name)
    }

    /// The one that a model reads by, or `None` for a model that no published rule knows; see
    /// [`FALLBACK`](Encoding::FALLBACK).
    ///
    /// Dated snapshots are those of their model. A fine-tuned model, `ft:BASE:...`, reads by that
    /// of its base, also where tiktoken's list of names, which is older than some of them, takes
    /// `ft:gpt-4.1` for a kind of `gpt-4`.
    pub fn of_model(model: &str) -> Option<Encoding> {
        let base = base_model(model);
        let named = NAMES.iter().find(|(name, _)| *name == base);
        let found = named.or_else(|| PREFIXES.iter().find(|(start, _)| base.starts_with(start)));
        found.map(|(_, encoding)| *encoding)
    }
}

/// The model that a fine-tuned one was made of, or the model itself.
pub(in crate::usage) fn base_model(model: &str) -> &str {
    match model.strip_prefix("ft:") {
        Some(rest) => rest.split(':').next().unwrap_or(rest),
        None => model,
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
