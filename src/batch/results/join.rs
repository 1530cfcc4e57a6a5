//! What a batch brought, joined to its rows: each row ends in exactly one outcome.
//!
//! The server's files are read twice. First each line is judged, and the best one of each row is
//! noted by its place; then those are read again and given out. So nothing but a few numbers for
//! each row is in memory, whatever the size of the answers.

use super::super::part::Part;
use super::super::part_files::{Notes, PartFiles, RowNote, each_line};
use super::line::{Line, Outcome, Rank};
use crate::error::Result;
use crate::usage::Prices;
use crate::wire::row::id_hash;

/// What was seen besides the outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::batch) struct Oddities {
    /// Lines that are no lines of results.
    pub(in crate::batch) unreadable: u64,
    /// Lines of rows that are not in the batch.
    pub(in crate::batch) unknown: u64,
    /// Lines of rows that have a better or an earlier one.
    pub(in crate::batch) repeated: u64,
    /// Rows without a line.
    pub(in crate::batch) missing: u64,
}

impl Oddities {
    pub(in crate::batch) fn any(&self) -> bool {
        *self != Oddities::default()
    }
}

/// The best line of a row so far.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    rank: Rank,
    file: u8,
    at: u64,
}

/// Joins the lines of results to the rows of a part.
#[derive(Debug)]
pub(in crate::batch) struct Joined {
    /// The rows by the hash of their id.
    index: Vec<(u64, u32)>,
    best: Vec<Best>,
    pub(in crate::batch) oddities: Oddities,
}

impl Joined {
    /// Rows without any line yet, by the hashes of their ids.
    pub(super) fn new(ids: impl IntoIterator<Item = u64>) -> Joined {
        let mut index: Vec<_> = ids.into_iter().zip(0..).collect();
        index.sort_unstable();
        let best = vec![Best::default(); index.len()];
        Joined { index, best, oddities: Oddities::default() }
    }

    fn row(&self, custom_id: &str) -> Option<usize> {
        let hash = id_hash(custom_id);
        let at = self.index.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some(self.index[at].1 as usize)
    }

    /// Judges a line that lies at a place of a file.
    pub(in crate::batch) fn look(&mut self, file: u8, at: u64, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Some(line) = Line::read(line) else {
            self.oddities.unreadable += 1;
            return;
        };
        let Some(row) = self.row(&line.custom_id) else {
            self.oddities.unknown += 1;
            return;
        };
        let rank = line.rank();
        let best = &mut self.best[row];
        self.oddities.repeated += u64::from(best.rank != Rank::Missing);
        if rank > best.rank {
            *best = Best { rank, file, at };
        }
    }

    /// Which row the line at this place is the outcome of.
    pub(in crate::batch) fn outcome_of(&self, file: u8, at: u64, line: &[u8]) -> Option<usize> {
        let row = self.row(&Line::read(line)?.custom_id)?;
        let best = &self.best[row];
        (best.rank != Rank::Missing && (best.file, best.at) == (file, at)).then_some(row)
    }

    /// How good the best line of a row is.
    pub(in crate::batch) fn rank(&self, row: usize) -> Rank {
        self.best[row].rank
    }

    /// Counts the rows without a line.
    pub(in crate::batch) fn close(&mut self) {
        self.oddities.missing =
            self.best.iter().filter(|best| best.rank == Rank::Missing).count() as u64;
    }
}

/// Reads the rows of a part and the files that its batch brought, and gives each row's outcome, if
/// it has a line; then the rows without one.
pub(in crate::batch) fn join(
    files: &PartFiles,
    prices: &Prices,
    part: &Part,
    mut each: impl FnMut(&RowNote, usize, Rank, Option<Outcome>) -> Result<()>,
) -> Result<Oddities> {
    let mut ids = Vec::new();
    let mut notes = Notes::open(files, |note| ids.push(id_hash(&note.custom_id)))?;
    let mut joined = Joined::new(ids);
    let sources = [files.output(), files.errors()];
    let present = || (0u8..).zip(&sources).filter(|(_, path)| path.exists());
    for (file, path) in present() {
        each_line(path, |at, line| {
            joined.look(file, at, line);
            Ok(())
        })?;
    }
    joined.close();
    for (file, path) in present() {
        each_line(path, |at, line| {
            let Some(row) = joined.outcome_of(file, at, line) else { return Ok(()) };
            let outcome = Line::read(line).map(|line| line.outcome(prices, &part.model));
            each(&notes.get(row)?, row, joined.rank(row), outcome)
        })?;
    }
    for row in 0..joined.best.len() {
        if joined.rank(row) == Rank::Missing {
            each(&notes.get(row)?, row, Rank::Missing, None)?;
        }
    }
    Ok(joined.oddities)
}
