//! The results of an evaluation, read from its output.

use super::answer::SampleResult;
use crate::bulk::input::{Line, Lines, Source};
use crate::error::{Error, Result};
use std::path::Path;

/// The results of an output, one after the other.
pub(super) struct Results(Lines, String);

impl Results {
    pub(super) fn open(path: &Path) -> Result<Results> {
        let source = Source::open(path)?;
        Ok(Results(source.lines()?, source.name()))
    }
}

impl Iterator for Results {
    type Item = Result<SampleResult>;

    fn next(&mut self) -> Option<Result<SampleResult>> {
        let Results(lines, name) = self;
        let (number, result) = match lines.next_line().transpose()? {
            Err(error) => return Some(Err(error)),
            Ok(Line::Text(number, text)) => (number, serde_json::from_slice(text).ok()),
            Ok(Line::TooLong(number)) => (number, None),
        };
        let result = result.filter(|result: &SampleResult| result.epoch > 0);
        let wrong = || {
            let message = "not a result of an evaluation; give the file of `eval -o`";
            Error::invalid(format!("{name}:{number}"), message)
        };
        Some(result.ok_or_else(wrong))
    }
}
