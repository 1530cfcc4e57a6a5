//! The files of an evaluation, all beside its output.

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The files of an evaluation.
#[derive(Clone, Debug)]
pub(super) struct Files {
    /// A line for each sample and epoch, in the order of the data set.
    pub(super) results: PathBuf,
    /// The requests, as `run` takes them.
    pub(super) requests: PathBuf,
    /// The answers, as `run` writes them.
    pub(super) answers: PathBuf,
    /// The requests to the grader.
    pub(super) grading_requests: PathBuf,
    /// The verdicts of the grader.
    pub(super) grading: PathBuf,
}

impl Files {
    pub(super) fn beside(output: &Path) -> Files {
        Files {
            results: output.to_owned(),
            requests: named(output, ".requests.jsonl"),
            answers: named(output, ".answers.jsonl"),
            grading_requests: named(output, ".grading-requests.jsonl"),
            grading: named(output, ".grading.jsonl"),
        }
    }
}

/// The files that an evaluation keeps beside its output: requests and answers, also those of a
/// grader.
pub fn files_beside(output: &Path) -> [PathBuf; 4] {
    let Files { requests, answers, grading_requests, grading, .. } = Files::beside(output);
    [requests, answers, grading_requests, grading]
}

/// `output` with something behind its name.
pub(super) fn named(output: &Path, behind: &str) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(behind);
    name.into()
}

/// A file that is put in place whole, or not at all.
pub(super) struct Whole {
    out: BufWriter<File>,
    path: PathBuf,
    aside: PathBuf,
}

impl Whole {
    pub(super) fn create(path: &Path) -> Result<Whole> {
        let aside = named(path, &format!(".new-{}", std::process::id()));
        let file = File::create(&aside).map_err(|e| Error::file("write", path, e))?;
        Ok(Whole { out: BufWriter::new(file), path: path.to_owned(), aside })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| Error::file("write", &self.path, e))
    }

    /// Adds a value and a line end.
    pub(super) fn line(&mut self, value: &impl serde::Serialize) -> Result<()> {
        let written = serde_json::to_writer(&mut self.out, value).map_err(std::io::Error::from);
        written.map_err(|e| Error::file("write", &self.path, e))?;
        self.write(b"\n")
    }

    /// Puts the file in the place of the one that was there.
    pub(super) fn finish(mut self) -> Result<()> {
        let done = self.out.flush().and_then(|()| self.out.get_ref().sync_data());
        done.and_then(|()| fs::rename(&self.aside, &self.path))
            .map_err(|e| Error::file("write", &self.path, e))
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.aside);
    }
}
