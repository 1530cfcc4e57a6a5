//! The first pass over the input, before anything is sent.

use std::fmt;

use super::duplicates;
use super::each::each_row;
use super::source::Source;
use crate::error::{Error, Result};
use crate::wire::row::{Format, Row, RowError};

/// How many problems are shown.
pub(in crate::bulk) const SHOWN: usize = 20;

/// What the first pass found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// How many rows can be sent.
    pub rows: u64,
    /// How many lines are not valid.
    pub invalid: u64,
    /// How many rows have the id of an earlier one.
    pub duplicates: u64,
    /// The first problems, by line.
    pub problems: Vec<Problem>,
}

/// A line of the input that cannot be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The input's name.
    pub file: String,
    /// What is wrong with which line.
    pub error: RowError,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.error.line, self.error.message)
    }
}

impl Checked {
    /// How many problems there are, shown or not.
    pub fn total(&self) -> u64 {
        self.invalid + self.duplicates
    }

    pub(in crate::bulk) fn error(&self, name: &str) -> Error {
        let mut message = match self.total() {
            1 => "1 line cannot be sent; nothing was sent".to_owned(),
            n => format!("{n} lines cannot be sent; nothing was sent"),
        };
        for problem in &self.problems {
            message.push_str(&format!("\n  {problem}"));
        }
        if self.total() > self.problems.len() as u64 {
            message
                .push_str(&format!("\n  and {} more", self.total() - self.problems.len() as u64));
        }
        Error::invalid(name, message)
    }
}

/// Reads all rows of a source that can be read twice, and gives `each` of them in order.
///
/// With `skip_invalid`, lines that are not valid, and rows with the id of an earlier one, are only
/// counted.
///
/// # Errors
/// When the source cannot be read, or has problems; the error shows the first 20 of them.
pub fn check(
    source: &Source,
    format: &Format,
    skip_invalid: bool,
    mut each: impl FnMut(&Row),
) -> Result<Checked> {
    let mut hashes = Vec::new();
    let mut invalid = Vec::new();
    let mut checked = Checked::default();
    each_row(
        source.lines()?,
        format,
        |row| row,
        |row| match row {
            Ok(row) => {
                hashes.push(row.id_hash);
                each(&row);
            }
            Err(e) => {
                checked.invalid += 1;
                if invalid.len() < SHOWN {
                    invalid.push(e);
                }
            }
        },
    )?;
    checked.rows = hashes.len() as u64;
    let duplicates = duplicates::find(source, format, hashes, SHOWN)?;
    checked.rows -= duplicates.total;
    checked.duplicates = duplicates.total;
    invalid.extend(duplicates.shown);
    invalid.sort_by_key(|e| e.line);
    invalid.truncate(SHOWN);
    let file = source.name();
    checked.problems =
        invalid.into_iter().map(|error| Problem { file: file.clone(), error }).collect();
    if checked.total() > 0 && !skip_invalid {
        return Err(checked.error(&file));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, skip_invalid: bool) -> Result<(Checked, Vec<u64>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.jsonl");
        std::fs::write(&path, text).unwrap();
        let source = Source::open(&path)?.with_line_limit(100);
        let format = Format { model: "m".into(), ..Format::default() };
        let mut lines = Vec::new();
        let checked = check(&source, &format, skip_invalid, |row| lines.push(row.line))?;
        Ok((checked, lines))
    }

    /// The error's text, with the folder cut off.
    fn told(text: &str) -> Vec<String> {
        let text = checked(text, false).unwrap_err().to_string();
        let short = |line: &str| line.rsplit('/').next().unwrap_or(line).trim().to_owned();
        text.lines().map(short).collect()
    }

    #[test]
    fn all_rows_are_given_in_their_order() {
        let text: String = (0..20_000).map(|n| format!("{{\"prompt\":\"p{n}\"}}\n\n")).collect();
        let (checked, lines) = checked(&text, false).unwrap();
        assert_eq!((checked.rows, checked.total()), (20_000, 0));
        assert!(lines.into_iter().eq((0..20_000).map(|n| 2 * n + 1)));
    }

    #[test]
    fn problems_are_told_by_file_and_line() {
        let long = "x".repeat(101);
        let text = format!(
            "{{\"prompt\":\"a\",\"id\":\"x\"}}\nnope\n{{\"prompt\":\"b\",\"id\":\"x\"}}\n{long}\n{{\"prompt\":\"b\",\"id\":\"x\"}}"
        );
        let wanted = [
            "in.jsonl: 4 lines cannot be sent; nothing was sent",
            "in.jsonl:2: not valid JSON: expected ident (column 2)",
            "in.jsonl:3: `x` is the id of line 1 too",
            "in.jsonl:4: the line is longer than the limit of 100 bytes",
            "in.jsonl:5: `x` is the id of line 1 too",
        ];
        assert_eq!(told(&text), wanted);
        let (skipped, _) = checked(&text, true).unwrap();
        assert_eq!((skipped.rows, skipped.invalid, skipped.duplicates), (1, 2, 2));
    }

    #[test]
    fn lines_that_are_not_valid_can_be_skipped() {
        let (checked, lines) = checked("nope\n{\"prompt\":\"a\"}\n", true).unwrap();
        assert_eq!((checked.rows, checked.invalid, checked.problems.len()), (1, 1, 1));
        assert_eq!(lines, [2]);
    }

    #[test]
    fn only_the_first_problems_are_shown() {
        let told = told(&"nope\n".repeat(1000));
        assert_eq!(told.len(), 22);
        assert_eq!(told[21], "and 980 more");
    }
}
