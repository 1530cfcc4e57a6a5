//! Rows on all processors, given in their order.

use rayon::prelude::*;

use super::source::{Line, Lines, too_long};
use crate::error::Result;
use crate::wire::row::{Format, Row, RowError};

/// How much text the processors share at a time.
const PORTION: usize = 2 << 20;

/// Reads all rows, does `work` with each on rayon's threads, and gives what came of it in the order
/// of the lines, or what is wrong with a line.
///
/// It holds some megabytes of the input at a time.
///
/// # Errors
/// When the input cannot be read further.
pub fn each_row<T: Send>(
    mut lines: Lines,
    format: &Format,
    work: impl Fn(Row) -> T + Sync,
    mut each: impl FnMut(Result<T, RowError>),
) -> Result<()> {
    let limit = lines.limit();
    let mut portion = Portion::default();
    while portion.fill(&mut lines)? {
        portion.parse(format, limit, &work).into_iter().for_each(&mut each);
    }
    Ok(())
}

/// Lines that are parsed together.
#[derive(Debug, Default)]
struct Portion {
    text: Vec<u8>,
    /// Number and end of each line; no end if it was too long.
    lines: Vec<(u64, usize, bool)>,
}

impl Portion {
    /// Takes the next lines; false at the end of the input.
    fn fill(&mut self, lines: &mut Lines) -> Result<bool> {
        self.text.clear();
        self.lines.clear();
        while self.text.len() < PORTION {
            match lines.next_line()? {
                None => break,
                Some(Line::Text(number, text)) => {
                    self.text.extend_from_slice(text);
                    self.lines.push((number, self.text.len(), true));
                }
                Some(Line::TooLong(number)) => self.lines.push((number, self.text.len(), false)),
            }
        }
        Ok(!self.lines.is_empty())
    }

    fn parse<T: Send>(
        &self,
        format: &Format,
        limit: usize,
        work: &(impl Fn(Row) -> T + Sync),
    ) -> Vec<Result<T, RowError>> {
        let one = |i: usize| {
            let (number, end, whole) = self.lines[i];
            let start = if i > 0 { self.lines[i - 1].1 } else { 0 };
            if whole {
                format.parse(number, &self.text[start..end]).map(work)
            } else {
                Err(too_long(number, limit))
            }
        };
        (0..self.lines.len()).into_par_iter().with_min_len(64).map(one).collect()
    }
}
