//! The tokens of rows, by model.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::usage::{Encoding, RequestTokens};

/// The tokens of the rows that were added.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// How many rows there are.
    pub rows: u64,
    /// Tokens that are read.
    pub input_tokens: u64,
    /// The most tokens that may be written by the rows that set a ceiling.
    pub max_output_tokens: u64,
    /// Rows that set no ceiling.
    pub rows_without_max_output: u64,
    /// Rows whose input is an estimate.
    pub estimated_rows: u64,
    /// The row with the longest input.
    pub longest: Option<Longest>,
    /// The same for each model; rows that name none are under the empty name.
    pub models: BTreeMap<String, ModelTally>,
}

/// The tokens of the rows of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelTally {
    /// What its text was counted by.
    pub encoding: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// Tokens that it reads.
    pub input_tokens: u64,
    /// The most tokens that it may write for the rows that set a ceiling.
    pub max_output_tokens: u64,
    /// Rows that set no ceiling.
    pub rows_without_max_output: u64,
    /// Rows whose input is an estimate.
    pub estimated_rows: u64,
    /// Rows for each reason why their input is an estimate; a row may have several.
    pub doubts: BTreeMap<&'static str, u64>,
}

/// A row by its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Longest {
    /// The number of its line, from 1.
    pub line: u64,
    /// Tokens that are read.
    pub tokens: u64,
}

impl Tally {
    /// Adds the row of a line.
    pub fn add(&mut self, line: u64, model: &str, tokens: &RequestTokens) {
        self.rows += 1;
        self.input_tokens += tokens.input;
        self.max_output_tokens =
            self.max_output_tokens.saturating_add(tokens.ceiling().unwrap_or(0));
        self.rows_without_max_output += u64::from(tokens.ceiling().is_none());
        self.estimated_rows += u64::from(tokens.is_estimate());
        if self.longest.is_none_or(|longest| tokens.input > longest.tokens) {
            self.longest = Some(Longest { line, tokens: tokens.input });
        }
        match self.models.get_mut(model) {
            Some(tally) => tally.add(tokens),
            None => {
                let mut tally = ModelTally::new(model);
                tally.add(tokens);
                self.models.insert(model.to_owned(), tally);
            }
        }
    }
}

impl ModelTally {
    fn new(model: &str) -> ModelTally {
        ModelTally {
            encoding: Encoding::of_model(model).unwrap_or(Encoding::FALLBACK).name(),
            rows: 0,
            input_tokens: 0,
            max_output_tokens: 0,
            rows_without_max_output: 0,
            estimated_rows: 0,
            doubts: BTreeMap::new(),
        }
    }

    fn add(&mut self, tokens: &RequestTokens) {
        self.rows += 1;
        self.input_tokens += tokens.input;
        self.max_output_tokens =
            self.max_output_tokens.saturating_add(tokens.ceiling().unwrap_or(0));
        self.rows_without_max_output += u64::from(tokens.ceiling().is_none());
        self.estimated_rows += u64::from(tokens.is_estimate());
        for doubt in tokens.doubts.iter() {
            *self.doubts.entry(doubt.name()).or_default() += 1;
        }
    }
}
