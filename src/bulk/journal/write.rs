//! Lines into the file, and what holds after a failure.

use std::io::{self, Write};
use std::path::PathBuf;

use super::file::Disk;
use super::handle::Fsync;
use crate::clock::Time;
use crate::error::{Error, Result};

/// The buffer keeps no more than this when it is empty.
const KEPT: usize = 1 << 20;

/// How much room there has to be at the start, in bytes.
const PROBE: usize = 16 << 10;

/// Where lines go.
pub(super) enum Target {
    /// A regular file.
    File(Disk),
    /// Anything else.
    Sink(Box<dyn Write + Send>),
}

/// Writes whole lines, and keeps those that it could not write.
pub(super) struct Writer {
    path: PathBuf,
    target: Target,
    /// Whole lines that are not in the file.
    buffer: Vec<u8>,
    /// Where the last whole line in the file ends.
    end: u64,
    /// Whether a part of a line may lie behind `end`.
    torn: bool,
    fsync: Fsync,
    /// Since when there are lines that are not safe on the disk.
    unsafe_since: Option<Time>,
    failure: Option<Failure>,
}

/// Why nothing more is written.
struct Failure {
    doing: &'static str,
    kind: io::ErrorKind,
    code: Option<i32>,
    text: String,
    /// Whether a second try makes no sense.
    last: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf, target: Target, end: u64, fsync: Fsync) -> Writer {
        Writer {
            path,
            target,
            buffer: Vec::new(),
            end,
            torn: false,
            fsync,
            unsafe_since: None,
            failure: None,
        }
    }

    pub(super) fn disk(&self) -> Option<&Disk> {
        match &self.target {
            Target::File(disk) => Some(disk),
            Target::Sink(_) => None,
        }
    }

    pub(super) fn unwritten(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn append(&mut self, line: &[u8]) -> Result<()> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        debug_assert!(!line.contains(&b'\n'), "one line at a time");
        self.buffer.extend_from_slice(line);
        self.buffer.push(b'\n');
        self.check()
    }

    pub(super) fn flush(&mut self, now: Time) -> Result<()> {
        self.check()?;
        let more = !self.buffer.is_empty();
        self.write()?;
        if more {
            self.unsafe_since.get_or_insert(now);
        }
        let Some(since) = self.unsafe_since else { return Ok(()) };
        match self.fsync {
            Fsync::Never => Ok(()),
            Fsync::Interval(length) if now.since(since) < length => Ok(()),
            Fsync::Interval(_) | Fsync::Always => self.sync(),
        }
    }

    /// Fails now if there is no room for another line, before anything is paid for.
    pub(super) fn probe(&mut self) -> Result<()> {
        self.check()?;
        let Target::File(disk) = &mut self.target else { return Ok(()) };
        // Blank lines do no harm should the process die before they are gone again.
        let written = disk.write_at(self.end, &[b'\n'; PROBE]);
        if let Err((_, e)) = &written {
            self.fail("write", e, false);
        }
        self.cut();
        self.check()
    }

    pub(super) fn retry(&mut self) -> Result<()> {
        if self.failure.as_ref().is_some_and(|failure| failure.last) {
            return self.check();
        }
        self.failure = None;
        self.finish()
    }

    /// Writes what is left, and forces it onto the disk unless that is never done.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.check()?;
        let more = !self.buffer.is_empty() || self.unsafe_since.is_some();
        self.write()?;
        if more && self.fsync != Fsync::Never { self.sync() } else { Ok(()) }
    }

    fn check(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(Error::file(failure.doing, &self.path, failure.error())),
        }
    }

    fn write(&mut self) -> Result<()> {
        if self.torn {
            self.cut();
        }
        let written = match &mut self.target {
            _ if self.torn => return self.check(),
            Target::File(disk) => disk.write_at(self.end, &self.buffer),
            Target::Sink(sink) => pour(sink, &self.buffer),
        };
        match written {
            Ok(()) => {
                self.end += self.buffer.len() as u64;
                self.buffer.clear();
                self.buffer.shrink_to(KEPT);
                Ok(())
            }
            Err((bytes, e)) => {
                self.fail("write", &e, false);
                self.keep_whole_lines(bytes);
                self.check()
            }
        }
    }

    /// After `bytes` of the buffer went out: ends the file with a whole line, if it can.
    fn keep_whole_lines(&mut self, bytes: usize) {
        if let Target::Sink(_) = self.target {
            // What went down a pipe cannot be taken back.
            self.buffer.drain(..bytes);
            return;
        }
        let whole = self.buffer[..bytes].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        self.end += whole as u64;
        self.buffer.drain(..whole);
        self.torn = true;
        self.cut();
    }

    /// Cuts off what lies behind the last whole line.
    fn cut(&mut self) {
        let Target::File(disk) = &mut self.target else { return };
        match disk.truncate(self.end) {
            Ok(()) => self.torn = false,
            Err(e) => {
                if self.failure.is_none() {
                    self.fail("write", &e, false);
                }
            }
        }
    }

    fn sync(&mut self) -> Result<()> {
        let Target::File(disk) = &mut self.target else { return Ok(()) };
        match disk.sync() {
            Ok(()) => self.unsafe_since = None,
            Err(e) => self.fail("sync", &e, true),
        }
        self.check()
    }

    fn fail(&mut self, doing: &'static str, e: &io::Error, last: bool) {
        let (kind, code) = (e.kind(), e.raw_os_error());
        self.failure = Some(Failure { doing, kind, code, text: e.to_string(), last });
    }
}

impl Failure {
    fn error(&self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, self.text.clone()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.failure.is_none() {
            // The answers are paid for; a caller that unwinds did not mean to lose them.
            let _ = self.write();
        }
    }
}

/// Writes all of `bytes`, or tells how many were written before the error.
fn pour(sink: &mut dyn Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        match sink.write(&bytes[done..]) {
            Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err((done, e)),
        }
    }
    sink.flush().map_err(|e| (done, e))
}
