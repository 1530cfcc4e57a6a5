//! What was judged, kept on the disk until it is put in order.

use super::answer::{Answered, SampleResult};
use super::sample::Task;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where a result lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    len: u32,
    is_ok: bool,
    /// What tells whether the task is still the one by which it was judged.
    task: u64,
}

/// Results by the hashes of their requests' ids, in some 40 bytes of memory for each.
///
/// The file has no name once it is open, where the system allows it.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    path: PathBuf,
    end: u64,
    pending: Vec<u8>,
    places: HashMap<u64, Place>,
}

/// How much is written at once.
const WRITE: usize = 256 * 1024;

impl Spool {
    /// An empty one beside `output`.
    pub(super) fn beside(output: &Path) -> Result<Spool> {
        let path = super::files::named(output, &format!(".scored-{}", std::process::id()));
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = open.map_err(|e| Error::file("write", &path, e))?;
        let _ = fs::remove_file(&path);
        Ok(Spool { file, path, end: 0, pending: Vec::new(), places: HashMap::new() })
    }

    /// Whether there is a result of an answer, and not only of a failure.
    pub(super) fn has(&self, id_hash: u64) -> bool {
        self.places.get(&id_hash).is_some_and(|place| place.is_ok)
    }

    /// Keeps a result; that of an answer stays before that of a failure. Says whether it is kept.
    pub(super) fn put(&mut self, one: &Answered) -> Result<bool> {
        let Answered { id_hash, is_ok, task, result } = one;
        if self.has(*id_hash) {
            return Ok(false);
        }
        let before = self.pending.len();
        serde_json::to_writer(&mut self.pending, result).expect("a result is plain data");
        let len = (self.pending.len() - before) as u32;
        let start = self.end + before as u64;
        self.places.insert(*id_hash, Place { start, len, is_ok: *is_ok, task: task.hash() });
        if self.pending.len() >= WRITE {
            self.flush()?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<()> {
        let end = self.end;
        let write = |file: &mut File, pending: &[u8]| -> io::Result<()> {
            file.seek(SeekFrom::Start(end))?;
            file.write_all(pending)
        };
        write(&mut self.file, &self.pending).map_err(|e| Error::file("write", &self.path, e))?;
        self.end += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Whether a result was judged by this task, and not by what the data set said earlier.
    pub(super) fn is_of(&self, id_hash: u64, task: &Task) -> bool {
        self.places.get(&id_hash).is_some_and(|place| place.task == task.hash())
    }

    /// The result of a request, if there is one.
    pub(super) fn get(&mut self, id_hash: u64) -> Result<Option<SampleResult>> {
        let Some(place) = self.places.get(&id_hash).copied() else { return Ok(None) };
        self.flush()?;
        let mut text = vec![0; place.len as usize];
        let read = |file: &mut File, text: &mut [u8]| -> io::Result<()> {
            file.seek(SeekFrom::Start(place.start))?;
            file.read_exact(text)
        };
        read(&mut self.file, &mut text).map_err(|e| Error::file("read", &self.path, e))?;
        Ok(Some(serde_json::from_slice(&text).expect("it was written as such")))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stays_and_a_failure_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::beside(&folder.path().join("out.jsonl")).unwrap();
        let named = |id_hash: u64, is_ok: bool, id: &str| Answered {
            id_hash,
            is_ok,
            task: Task { epoch: 1, ..Task::default() },
            result: SampleResult { id: id.into(), ..SampleResult::default() },
        };
        assert!(spool.put(&named(1, false, "failed")).unwrap());
        assert!(!spool.has(1));
        assert!(spool.put(&named(1, true, "answered")).unwrap());
        assert!(!spool.put(&named(1, false, "failed again")).unwrap());
        assert!(spool.is_of(1, &Task { epoch: 1, ..Task::default() }));
        assert!(!spool.is_of(1, &Task { epoch: 2, ..Task::default() }));
        assert_eq!(spool.get(1).unwrap().unwrap().id, "answered");
        spool.put(&named(2, true, "later")).unwrap();
        assert_eq!(spool.get(2).unwrap().unwrap().id, "later");
        assert!(spool.get(3).unwrap().is_none());
        drop(spool);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
