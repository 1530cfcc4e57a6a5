//! The handle of a run's output.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::compact::{self, Summary};
use super::file::{Disk, Seam, open_locked, same_file, sync_folder};
use super::index::{Found, Index};
use super::scan;
use super::write::{Target, Writer};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::wire::row::Row;

/// When what is written is also forced onto the disk.
///
/// What was flushed survives the death of the process in any case; this is about the death of
/// the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Only when the run ends with a compacted copy.
    #[default]
    Never,
    /// With the first flush after this time since the oldest line that is not safe.
    Interval(Duration),
    /// With every flush.
    Always,
}

/// How a journal is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether what is in the file is thrown away. Default: no.
    pub fresh: bool,
    /// When lines are forced onto the disk. Default: never.
    pub fsync: Fsync,
    /// The input, which must not be the same file. Default: none.
    pub input: Option<PathBuf>,
}

/// The output of a run, open for this process alone.
///
/// Lines are buffered by [`append`](Journal::append) and written by [`flush`](Journal::flush); a
/// caller flushes whenever it has no more lines at hand. After an error, every further call ends
/// with the same error, the file ends with a whole line, and the lines that are not in it wait
/// for [`retry_flush`](Journal::retry_flush).
pub struct Journal {
    path: PathBuf,
    /// The file itself, at the end of all links.
    real: PathBuf,
    writer: Writer,
    index: Arc<Index>,
    found: Found,
}

impl Journal {
    /// Opens the output at `path`, creates it if it is not there, and reads what is done.
    ///
    /// What is not a regular file (`-`, a pipe, `/dev/null`) is only written to.
    ///
    /// # Errors
    /// When the file is the input, or its name ends in `.gz`, or it is not an output and `fresh` is
    /// not set, or another process has it open, or it cannot be read or written.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Journal> {
        Journal::open_with(path.as_ref(), options, Seam::default())
    }

    pub(super) fn open_with(path: &Path, options: Options, seam: Seam) -> Result<Journal> {
        if options.input.as_deref().is_some_and(|input| same_file(input, path)) {
            let message = format!("{} is the input; choose another output", path.display());
            return Err(Error::invalid("output", message));
        }
        if let Some(sink) = open_sink(path)? {
            let writer = Writer::new(path.to_owned(), Target::Sink(sink), 0, Fsync::Never);
            return Ok(Journal {
                path: path.to_owned(),
                real: path.to_owned(),
                writer,
                index: Arc::default(),
                found: Found::default(),
            });
        }
        if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz")) {
            let plain = path.with_extension("");
            let message = format!(
                "{} would have to be compressed, and a run cannot be resumed from that; write to \
                 {} and compress it afterwards",
                path.display(),
                plain.display()
            );
            return Err(Error::invalid("output", message));
        }
        let created = !path.exists();
        let file = open_locked(path)?;
        let failed = |e| Error::file("read", path, e);
        if !options.fresh && !scan::is_output(&file).map_err(failed)? {
            let message = format!(
                "{} exists and is not the output of a run; choose another one, or overwrite it \
                 with --fresh",
                path.display()
            );
            return Err(Error::invalid("output", message));
        }
        let real = fs::canonicalize(path).map_err(failed)?;
        let mut disk = Disk::new(file, seam);
        if options.fresh {
            disk.truncate(0).map_err(|e| Error::file("write", path, e))?;
        }
        if created && options.fsync != Fsync::Never {
            sync_folder(&real, disk.seam()).map_err(|e| Error::file("sync", path, e))?;
        }
        let scanned =
            scan::scan_and_mend(&mut disk).map_err(|e| Error::file("read and mend", path, e))?;
        let found = Found {
            succeeded: scanned.index.succeeded(),
            failed: scanned.index.failed(),
            broken: scanned.broken,
        };
        let writer = Writer::new(path.to_owned(), Target::File(disk), scanned.end, options.fsync);
        Ok(Journal { path: path.to_owned(), real, writer, index: Arc::new(scanned.index), found })
    }

    /// What was in the file when it was opened.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Whether lines are only passed on, so that there is nothing to resume from.
    pub fn is_sink(&self) -> bool {
        self.writer.disk().is_none()
    }

    /// What the file said of its rows when it was opened.
    pub fn known(&self) -> Arc<Index> {
        self.index.clone()
    }

    /// Fails now if the file cannot take another line, before anything is paid for.
    pub fn probe(&mut self) -> Result<()> {
        self.writer.probe()
    }

    /// The error for a row that is [`Known::Changed`](super::Known).
    pub fn changed(&self, row: &Row) -> Error {
        let id: String = row.custom_id.chars().take(60).collect();
        let message = format!(
            "the request `{}` is not the one that {} has the answer to; give changed requests \
             other ids, choose another output, or start over with --fresh",
            id.escape_debug(),
            self.path.display()
        );
        Error::invalid(format!("line {}", row.line), message)
    }

    /// Adds one line of output, with or without its line end, to what the next flush writes.
    ///
    /// # Errors
    /// After a failure, with the same error; the line is kept for a second try.
    pub fn append(&mut self, line: &[u8]) -> Result<()> {
        self.writer.append(line)
    }

    /// Gives the lines to the operating system: from then on they survive the process.
    ///
    /// Forces them onto the disk too if that is due at `now`.
    pub fn flush(&mut self, now: Time) -> Result<()> {
        self.writer.flush(now)
    }

    /// Tries once more to write the lines that a failed flush left over.
    ///
    /// # Errors
    /// As before; always if it was forcing lines onto the disk that failed, since then nobody
    /// knows what the disk holds.
    pub fn retry_flush(&mut self) -> Result<()> {
        self.writer.retry()
    }

    /// How many bytes wait to be written.
    pub fn unwritten(&self) -> usize {
        self.writer.unwritten()
    }

    /// Ends the run: writes what is left, and brings the file to one line for each row, in the
    /// order of the input if `ordered`.
    ///
    /// Of several lines of a row the last answer stays, or the last line if there is no answer.
    /// That is done in a copy, `OUTPUT.partial`, which then takes the file's place; if nothing
    /// has to change, there is no copy.
    ///
    /// # Errors
    /// After a failed write, with the same error; or when there is no room for the copy. The file
    /// stays complete in both cases.
    pub fn finish(mut self, ordered: bool) -> Result<Summary> {
        self.index = Arc::default();
        self.writer.finish()?;
        match self.writer.disk() {
            None => Ok(Summary::default()),
            Some(disk) => compact::compact(&self.real, disk, ordered),
        }
    }
}

/// Gives every line of the output at `path`.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn each_line(path: &Path, mut each: impl FnMut(&[u8])) -> Result<()> {
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    let read = scan::lines(&file, |line| {
        each(line.text);
        ControlFlow::Continue(())
    });
    read.map_err(|e| Error::file("read", path, e))
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.path).field("found", &self.found).finish()
    }
}

/// What is not a regular file, open for writing.
fn open_sink(path: &Path) -> Result<Option<Box<dyn Write + Send>>> {
    if ["-", "/dev/stdout"].iter().any(|name| path.as_os_str() == *name) {
        return Ok(Some(Box::new(io::stdout())));
    }
    let failed = |e| Error::file("write", path, e);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return has_folder(path).map(|()| None),
        Err(e) => return Err(failed(e)),
    };
    if metadata.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if metadata.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    Ok(Some(Box::new(file)))
}

/// Refuses a path whose folder is not there, by the folder's name.
fn has_folder(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            let message = format!("the folder {} does not exist", folder.display());
            Err(Error::invalid("output", message))
        }
        _ => Ok(()),
    }
}
