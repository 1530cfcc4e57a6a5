//! A question of a data set, and what rides beside its request.

use crate::wire::row::id_hash;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a model is asked, before a prompt is made of it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A text.
    Text(String),
    /// Chat messages, sent as they are.
    Messages(Vec<Value>),
}

/// A question of a data set with what its answer is scored by.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// Its id; the number of its row where the data set has none.
    pub id: String,
    /// The number of its row, from 1: the line of JSON Lines, else the row without a header.
    pub row: u64,
    /// What is asked.
    pub input: Input,
    /// The answers that are right; any of them will do.
    pub target: Vec<String>,
    /// The choices of a multiple-choice question, in order; else empty.
    pub choices: Vec<String>,
    /// What it is counted under besides the whole, such as a subject.
    pub group: Option<String>,
    /// The whole answer as an example shows it, such as a worked solution.
    pub solution: String,
    /// What else its scorer needs, such as the tests of a program.
    pub metadata: Map<String, Value>,
    /// The row itself, for templates.
    pub fields: Map<String, Value>,
}

/// The letters of the right choices, as targets name them: `B`, or with several `AC`, `A, C` or one
/// after the other.
pub(super) fn right_choices(target: &[String], choices: &[String]) -> BTreeSet<String> {
    if choices.is_empty() {
        return BTreeSet::new();
    }
    let all = || (0..choices.len()).map(letter);
    let words = target.iter().flat_map(|text| text.split([',', ' ']));
    let named = words.flat_map(|word| match all().any(|known| known == word) {
        true => vec![word.to_owned()],
        false => word.chars().map(|c| c.to_ascii_uppercase().to_string()).collect(),
    });
    named.collect()
}

/// What rides beside a request and comes back with its answer, so that the answer alone can be
/// scored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Task {
    /// Id of the sample.
    pub id: String,
    /// Which of its repeats, from 1.
    pub epoch: u32,
    /// The answers that are right.
    #[serde(default)]
    pub target: Vec<String>,
    /// The choices of a multiple-choice question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// What it is counted under besides the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What else the scorer needs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl Task {
    /// A number that differs where the task does.
    pub(super) fn hash(&self) -> u64 {
        id_hash(&serde_json::to_string(self).expect("a task is plain data"))
    }

    /// A repeat of a sample.
    pub fn new(sample: &Sample, epoch: u32) -> Task {
        Task {
            id: sample.id.clone(),
            epoch,
            target: sample.target.clone(),
            choices: sample.choices.clone(),
            group: sample.group.clone(),
            metadata: sample.metadata.clone(),
        }
    }

    /// The id of its request. The first repeat has that of the sample, so that more of them can be
    /// asked later.
    pub fn custom_id(&self) -> String {
        match self.epoch {
            0 | 1 => self.id.clone(),
            epoch => format!("{}/{epoch}", self.id),
        }
    }
}

/// The letter of a choice; after `Z`, its number from 1.
pub fn letter(at: usize) -> String {
    match u8::try_from(at) {
        Ok(at @ 0..26) => char::from(b'A' + at).to_string(),
        _ => (at + 1).to_string(),
    }
}
