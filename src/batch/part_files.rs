//! The files of a part on this machine.

use super::part::Part;
use super::store::Store;
use crate::error::{Error, Result};
use crate::usage::Money;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What a part needs to know of a row when its answer comes: a line of the file `N.rows`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RowNote {
    pub(super) custom_id: Box<str>,
    pub(super) line: u64,
    pub(super) fingerprint: u64,
    /// Input tokens, estimated.
    pub(super) tokens: u64,
    #[serde(default)]
    pub(super) inputs: u64,
    /// The most that it may cost.
    pub(super) money: Option<Money>,
    /// The most tokens that it may use.
    pub(super) most: Option<u64>,
    /// What its answer is kept under in the cache, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kept_as: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Box<RawValue>>,
}

/// The files of a part.
#[derive(Clone, Debug)]
pub(super) struct PartFiles {
    folder: PathBuf,
    number: u32,
}

impl PartFiles {
    pub(super) fn of(store: &Store, part: &Part) -> PartFiles {
        PartFiles { folder: store.folder(part.job), number: part.number }
    }

    /// What is sent.
    pub(super) fn requests(&self) -> PathBuf {
        self.path("jsonl")
    }

    /// What its rows were.
    pub(super) fn rows(&self) -> PathBuf {
        self.path("rows")
    }

    /// What the server answered.
    pub(super) fn output(&self) -> PathBuf {
        self.path("output")
    }

    /// What the server said of those that it did not answer.
    pub(super) fn errors(&self) -> PathBuf {
        self.path("errors")
    }

    fn path(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", self.number))
    }

    /// Removes them from this machine.
    pub(super) fn remove(&self) -> Result<()> {
        for path in [self.requests(), self.rows(), self.output(), self.errors()] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives each row's note in their order.
    pub(super) fn each_note(&self, mut each: impl FnMut(RowNote)) -> Result<()> {
        let path = self.rows();
        each_line(&path, |_, line| {
            each(read_note(&path, line)?);
            Ok(())
        })
    }
}

/// The notes of a part's rows, each read when it is asked for: rows may carry much metadata.
pub(super) struct Notes {
    path: PathBuf,
    file: BufReader<File>,
    places: Vec<u64>,
    line: Vec<u8>,
}

impl Notes {
    /// Looks through all notes once; `each` is given them in their order.
    pub(super) fn open(files: &PartFiles, mut each: impl FnMut(&RowNote)) -> Result<Notes> {
        let (path, mut places) = (files.rows(), Vec::new());
        each_line(&path, |at, line| {
            places.push(at);
            read_note(&path, line).map(|note| each(&note))
        })?;
        let file = File::open(&path).map_err(|e| Error::file("read", &path, e))?;
        Ok(Notes { path, file: BufReader::with_capacity(4 << 10, file), places, line: Vec::new() })
    }

    /// The note of a row, by its place in the part.
    pub(super) fn get(&mut self, row: usize) -> Result<RowNote> {
        self.line.clear();
        let read = self
            .file
            .seek(SeekFrom::Start(self.places[row]))
            .and_then(|_| self.file.read_until(b'\n', &mut self.line));
        read.map_err(|e| Error::file("read", &self.path, e))?;
        read_note(&self.path, &self.line)
    }
}

fn read_note(path: &Path, line: &[u8]) -> Result<RowNote> {
    serde_json::from_slice(line)
        .map_err(|e| Error::invalid("store", format!("{} cannot be read: {e}", path.display())))
}

/// Gives every line of a file with the place where it begins, without its line end.
pub(super) fn each_line(path: &Path, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let failed = |e| Error::file("read", path, e);
    let mut reader = BufReader::with_capacity(256 << 10, File::open(path).map_err(failed)?);
    let (mut line, mut at) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)? as u64;
        if read == 0 {
            return Ok(());
        }
        each(at, line.strip_suffix(b"\n").unwrap_or(&line))?;
        at += read;
    }
}
