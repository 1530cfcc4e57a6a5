//! What the rows of an input come to, all of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::forecast::TooLarge;
use super::sums::Sums;
use super::tally::Tally;
use super::time::Time;

/// The version of the estimate's shape; it rises when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// What the rows of an input come to, before they are sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Version of this shape.
    pub schema: u32,
    /// Rows by what becomes of them.
    pub rows: Rows,
    /// Tokens of the rows that are to be sent, as far as the requests tell.
    pub tokens: Tally,
    /// What these rows write and cost.
    pub sums: Sums,
    /// What those would write and cost that the cache answers: it is saved, and in no other sum.
    pub from_cache: Sums,
    /// The same for each model.
    pub models: BTreeMap<String, ModelEstimate>,
    /// The same for each model and endpoint, in the order of their names.
    pub groups: Vec<GroupEstimate>,
    /// How long they take.
    pub time: Time,
    /// Limits of requests a minute for each group of models, if one is given.
    pub requests_per_minute: Option<u64>,
    /// Limits of tokens a minute for each group of models, if one is given.
    pub tokens_per_minute: Option<u64>,
    /// Limits of requests a day for each group of models, if one is given.
    pub requests_per_day: Option<u64>,
    /// Limits of tokens a day for each group of models, if one is given.
    pub tokens_per_day: Option<u64>,
    /// How many rows are too large for their model or a limit.
    pub rows_too_large: u64,
    /// The first thousand of them, by line.
    pub too_large: Vec<TooLarge>,
    /// Where the prices come from.
    pub prices: PriceSource,
}

/// Rows by what becomes of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rows {
    /// All lines that are not blank.
    pub total: u64,
    /// Those that the output has the answer to.
    pub answered: u64,
    /// Those whose id the output has the answer to, but to another request: a run refuses them.
    pub changed: u64,
    /// Lines that are not valid, and rows with the id of an earlier one.
    pub invalid: u64,
    /// Those that are under way already, and not to be sent.
    pub under_way: u64,
    /// Those that the cache of answers would answer, where it was looked at.
    pub from_cache: u64,
    /// Those that are to be sent.
    pub to_send: u64,
}

/// What the rows of one model for one endpoint come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupEstimate {
    /// The model.
    pub model: String,
    /// The endpoint, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// How many rows are to be sent.
    pub rows: u64,
    /// Tokens that they read.
    pub input_tokens: u64,
    /// The length of their bodies.
    pub bytes: u64,
    /// What they write and cost.
    #[serde(flatten)]
    pub sums: Sums,
}

/// What the rows of one model come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelEstimate {
    /// How many rows are to be sent.
    pub rows: u64,
    /// Tokens that it reads.
    pub input_tokens: u64,
    /// The tokens that each answer is expected to have, if the request allows it.
    pub expected_output: u64,
    /// Where that number comes from.
    pub expected_from: ExpectedOutput,
    /// Whether its calls cost fees besides, which are in no sum.
    pub has_fees: bool,
    /// What it writes and costs.
    #[serde(flatten)]
    pub sums: Sums,
}

/// Where the expected length of answers comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExpectedOutput {
    /// It was given.
    Given,
    /// The mean of the answers that the output has.
    Learned,
    /// Nothing is known: [`ASSUMED_OUTPUT`](super::ASSUMED_OUTPUT).
    #[default]
    Assumed,
}

/// Where prices come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PriceSource {
    /// The day of the newest list, such as `2026-11-23`.
    pub as_of: Option<String>,
    /// The lists, the newest first.
    pub sources: Vec<String>,
}
