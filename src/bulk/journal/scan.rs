//! What an existing file says, and the mending of its end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use serde::de::IgnoredAny;

use super::file::Disk;
use super::index::Index;
use crate::wire::row::{OutputRef, read_output};

const READ: usize = 256 * 1024;
/// A longer line is not one of ours.
const LONGEST: u64 = 1 << 30;
/// How many lines are looked at before a file is taken for somebody else's.
const HEAD: usize = 20;

/// A line as it lies in the file.
#[derive(Debug)]
pub(super) struct Lying<'a> {
    /// Where it begins.
    pub(super) start: u64,
    /// How long it is, with its line end.
    pub(super) len: u64,
    /// Whether it has a line end.
    pub(super) ended: bool,
    pub(super) text: &'a [u8],
}

impl Lying<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.text.trim_ascii().is_empty()
    }

    pub(super) fn output(&self) -> Option<OutputRef<'_>> {
        read_output(self.text)
    }
}

/// Goes through all lines from the beginning, until `each` breaks.
pub(super) fn lines(
    mut file: &File,
    mut each: impl FnMut(Lying<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(READ, file);
    let mut text = Vec::new();
    let mut start = 0;
    loop {
        text.clear();
        let mut len = (&mut reader).take(LONGEST).read_until(b'\n', &mut text)? as u64;
        if len == 0 {
            return Ok(());
        }
        let mut ended = text.ends_with(b"\n");
        if !ended && len == LONGEST {
            len += reader.skip_until(b'\n')? as u64;
            // Whether it has an end does not matter: it cannot be read, and goes at the end.
            ended = len > LONGEST;
            text.truncate(1);
        }
        if each(Lying { start, len, ended, text: &text }).is_break() {
            return Ok(());
        }
        start += len;
    }
}

/// Whether a run may go on with this file: it is empty, or begins with lines of an output.
pub(super) fn is_output(file: &File) -> io::Result<bool> {
    let mut seen = 0;
    let mut ours = false;
    let mut torn = false;
    lines(file, |line| {
        if line.is_blank() {
            return ControlFlow::Continue(());
        }
        ours = line.output().is_some();
        torn = seen == 0 && !line.ended && is_torn(line.text);
        seen += 1;
        if ours || seen == HEAD { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(seen == 0 || ours || torn)
}

/// Whether this is the beginning of a line that a killed run could not complete.
fn is_torn(text: &[u8]) -> bool {
    const BEGINNING: &[u8] = br#"{"id":""#;
    let begins = text.starts_with(BEGINNING) || BEGINNING.starts_with(text);
    begins && serde_json::from_slice::<IgnoredAny>(text).is_err()
}

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) index: Index,
    pub(super) broken: u64,
    /// Where the last whole line ends.
    pub(super) end: u64,
}

/// Reads the whole file and mends its end: a torn last line is cut off, one that lacks only its
/// line end gets it.
pub(super) fn scan_and_mend(disk: &mut Disk) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    let mut size = 0;
    let mut lacks_end = false;
    lines(disk.file(), |line| {
        size = line.start + line.len;
        lacks_end = false;
        match line.output() {
            Some(output) => {
                scanned.index.add(&output);
                lacks_end = !line.ended;
                scanned.end = size;
            }
            None if line.is_blank() && line.ended => scanned.end = size,
            None => {
                scanned.broken += u64::from(!line.is_blank());
                // A line that is JSON was not torn, whoever wrote it.
                if line.ended && serde_json::from_slice::<IgnoredAny>(line.text).is_ok() {
                    scanned.end = size;
                } else {
                    scanned.end = line.start;
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    if scanned.end < size {
        disk.truncate(scanned.end)?;
    }
    if lacks_end {
        disk.write_at(scanned.end, b"\n").map_err(|(_, e)| e)?;
        scanned.end += 1;
    }
    scanned.index.seal();
    Ok(scanned)
}
