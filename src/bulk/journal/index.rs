//! Which rows are done, in 16 bytes a row.

use crate::wire::row::{OutputRef, Row};

/// What the journal says of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    New,
    /// This request was answered.
    Done,
    /// It failed; it may be sent again, changed or not.
    Failed,
    /// Another request with the same id was answered.
    Changed,
}

/// What was in the file when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// How many rows are answered.
    pub succeeded: u64,
    /// How many rows failed and have no answer.
    pub failed: u64,
    /// How many lines could not be read, the torn last one included; their rows are sent again.
    pub broken: u64,
}

/// The rows of a journal by the hashes of their ids.
#[derive(Debug, Default)]
pub struct Index {
    /// Hash of the id, and fingerprint or [`ANY`].
    done: Vec<(u64, u64)>,
    failed: Vec<u64>,
}

/// Stands for a fingerprint that is not known; no row has it.
const ANY: u64 = 0;

impl Index {
    pub(super) fn add(&mut self, line: &OutputRef<'_>) {
        let id = line.id_hash();
        if line.ok {
            self.done.push((id, line.fingerprint.unwrap_or(ANY)));
        } else {
            self.failed.push(id);
        }
    }

    /// Makes it ready to be asked: of the answers to one row, the last one counts.
    pub(super) fn seal(&mut self) {
        self.done.sort_by_key(|(id, _)| *id);
        self.done.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        self.done.shrink_to_fit();
        self.failed.sort_unstable();
        self.failed.dedup();
        let done = &self.done;
        self.failed.retain(|id| done.binary_search_by_key(id, |(id, _)| *id).is_err());
        self.failed.shrink_to_fit();
    }

    /// What the journal says of a row.
    pub fn state_of(&self, row: &Row) -> Known {
        self.find(row.id_hash, row.fingerprint)
    }

    /// What the journal says of a row with that hash of its id and that fingerprint.
    pub(crate) fn find(&self, id: u64, fingerprint: u64) -> Known {
        match self.done.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(i) if [ANY, fingerprint].contains(&self.done[i].1) => Known::Done,
            Ok(_) => Known::Changed,
            Err(_) if self.failed.binary_search(&id).is_ok() => Known::Failed,
            Err(_) => Known::New,
        }
    }

    pub(super) fn succeeded(&self) -> u64 {
        self.done.len() as u64
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.len() as u64
    }
}
