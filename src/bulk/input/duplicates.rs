//! Ids that occur twice.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::source::Source;
use crate::error::Result;
use crate::wire::row::{Format, Row, RowError};

/// Finds ids that came before, where the input can be read only once.
///
/// It remembers 64 bits of each id: of ten million different ids, it takes two for the same with
/// a chance of 3 in a million.
#[derive(Clone, Debug, Default)]
pub struct DuplicateGuard {
    seen: HashSet<u64, BuildHasherDefault<Taken>>,
}

impl DuplicateGuard {
    /// One that has seen nothing.
    pub fn new() -> DuplicateGuard {
        DuplicateGuard::default()
    }

    /// Remembers the row's id.
    ///
    /// # Errors
    /// When a row with this id came before.
    pub fn admit(&mut self, row: &Row) -> Result<(), RowError> {
        self.admit_id(row.line, &row.custom_id, row.id_hash)
    }

    /// Remembers the id of the row of a line; `id_hash` is [that](crate::wire::row::id_hash) of the
    /// id.
    ///
    /// # Errors
    /// When a row with this id came before.
    pub fn admit_id(&mut self, line: u64, custom_id: &str, id_hash: u64) -> Result<(), RowError> {
        if self.seen.insert(id_hash) {
            return Ok(());
        }
        let message = format!("{} came before: ids must differ", name(custom_id));
        Err(RowError { line, message })
    }
}

/// A hasher for what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::bulk) struct Taken(u64);

impl Hasher for Taken {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// More repeated ids than this are not looked at: what is shown of them is much less.
const LOOKED_AT: usize = 100_000;

/// The rows whose id came before, found among the hashes of all ids.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// How many there are.
    pub(super) total: u64,
    /// The first of them.
    pub(super) shown: Vec<RowError>,
}

/// Looks for equal hashes; only if there are any, the source is read again to compare the ids.
pub(super) fn find(
    source: &Source,
    format: &Format,
    hashes: Vec<u64>,
    show: usize,
) -> Result<Duplicates> {
    let (suspects, beyond) = suspects(hashes);
    let mut found = Duplicates { total: beyond, shown: Vec::new() };
    if suspects.is_empty() {
        return Ok(found);
    }
    let mut first_lines: HashMap<Box<str>, u64> = HashMap::new();
    for row in source.rows(format)? {
        let Ok(row) = row? else { continue };
        if suspects.binary_search(&row.id_hash).is_err() {
            continue;
        }
        let Some(first) = first_lines.get(&row.custom_id) else {
            first_lines.insert(row.custom_id, row.line);
            continue;
        };
        found.total += 1;
        if found.shown.len() < show {
            let message = format!("{} is the id of line {first} too", name(&row.custom_id));
            found.shown.push(RowError { line: row.line, message });
        }
    }
    Ok(found)
}

/// The hashes that occur more than once, in order, and how many repetitions lie beyond them.
fn suspects(mut hashes: Vec<u64>) -> (Vec<u64>, u64) {
    hashes.sort_unstable();
    let mut suspects: Vec<u64> = Vec::new();
    let mut beyond = 0;
    for pair in hashes.windows(2).filter(|pair| pair[0] == pair[1]) {
        if suspects.last() == Some(&pair[0]) {
            continue;
        }
        match suspects.len() < LOOKED_AT {
            true => suspects.push(pair[0]),
            false => beyond += 1,
        }
    }
    (suspects, beyond)
}

fn name(custom_id: &str) -> String {
    const LONGEST: usize = 60;
    match custom_id.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}...`", custom_id[..end].escape_debug()),
        None => format!("`{}`", custom_id.escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format() -> Format {
        Format { model: "m".into(), ..Format::default() }
    }

    #[test]
    fn a_shared_hash_of_different_ids_is_no_duplicate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.jsonl");
        std::fs::write(&path, "{\"prompt\":\"a\",\"id\":1}\n{\"prompt\":\"a\",\"id\":2}\n")
            .unwrap();
        let source = Source::open(&path).unwrap();
        let one = crate::wire::row::id_hash("1");
        let found = find(&source, &format(), vec![one, one], 5).unwrap();
        assert_eq!(found.total, 0);
    }

    #[test]
    fn the_guard_finds_an_id_that_came_before() {
        let mut guard = DuplicateGuard::new();
        let row =
            |line, id| format().parse(line, format!("{{\"prompt\":\"a\",\"id\":{id}}}").as_bytes());
        assert!(guard.admit(&row(1, 5).unwrap()).is_ok());
        assert!(guard.admit(&row(2, 6).unwrap()).is_ok());
        let e = guard.admit(&row(3, 5).unwrap()).unwrap_err();
        assert_eq!(e.to_string(), "line 3: `5` came before: ids must differ");
    }
}
