//! One line for each row, into a copy that takes the file's place.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::file::{Disk, Op, copy_rights, open_locked, read_at, sync_folder};
use super::scan;
use crate::error::{Error, Result};
use crate::wire::row::read_output;

/// How much is copied at once.
const PIECE: usize = 1 << 20;

/// What the output holds at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// How many rows have a line.
    pub rows: u64,
    /// How many of them are answered.
    pub succeeded: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many lines went because their row has a later or a better one.
    pub superseded: u64,
    /// How many lines went because they could not be read.
    pub broken: u64,
    /// Whether the file was written anew.
    pub compacted: bool,
}

/// A line of the file.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u64,
    start: u64,
    /// The row's line in the input; unknown ones come last.
    line: u64,
    len: u32,
    ok: bool,
}

/// The lines that stay, in the order in which they are to stand.
#[derive(Debug)]
struct Plan {
    entries: Vec<Entry>,
    summary: Summary,
}

/// Brings the locked file behind `disk`, whose name is `path`, to one line for each row.
pub(super) fn compact(path: &Path, disk: &Disk, ordered: bool) -> Result<Summary> {
    let plan = plan(disk.file(), ordered).map_err(|e| Error::file("read", path, e))?;
    if !plan.summary.compacted {
        return Ok(plan.summary);
    }
    let partial = partial_of(path);
    let written = write_copy(&partial, disk, &plan.entries).and_then(|copy| {
        put_in_place(&partial, path, disk)?;
        Ok(copy)
    });
    let copy = written.inspect_err(|_| {
        if disk.seam().allow(Op::Remove, 0).is_ok() {
            let _ = fs::remove_file(&partial);
        }
    })?;
    // The copy stays locked until its name is safe.
    sync_folder(path, disk.seam()).map_err(|e| Error::file("sync the folder of", path, e))?;
    drop(copy);
    Ok(plan.summary)
}

fn partial_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".partial");
    PathBuf::from(name)
}

fn plan(file: &File, ordered: bool) -> io::Result<Plan> {
    let mut entries = Vec::new();
    let mut summary = Summary::default();
    let mut end = 0;
    scan::lines(file, |line| {
        end = line.start + line.len;
        match line.output().filter(|_| line.ended) {
            Some(output) => entries.push(Entry {
                id: output.id_hash(),
                start: line.start,
                line: output.line.unwrap_or(u64::MAX),
                len: line.len as u32,
                ok: output.ok,
            }),
            None => summary.broken += u64::from(!line.is_blank()),
        }
        ControlFlow::Continue(())
    })?;
    let lines = entries.len();
    entries.sort_unstable_by_key(|entry| (entry.id, entry.start));
    keep_one_each(file, &mut entries)?;
    if ordered {
        entries.sort_unstable_by_key(|entry| (entry.line, entry.start));
    } else {
        entries.sort_unstable_by_key(|entry| entry.start);
    }
    let bytes: u64 = entries.iter().map(|entry| u64::from(entry.len)).sum();
    summary.rows = entries.len() as u64;
    summary.succeeded = entries.iter().filter(|entry| entry.ok).count() as u64;
    summary.failed = summary.rows - summary.succeeded;
    summary.superseded = (lines - entries.len()) as u64;
    summary.compacted = bytes != end || !entries.is_sorted_by_key(|entry| entry.start);
    Ok(Plan { entries, summary })
}

/// Of the entries, which are sorted by id, keeps one for each row.
fn keep_one_each(file: &File, entries: &mut Vec<Entry>) -> io::Result<()> {
    let mut kept = 0;
    let mut start = 0;
    while start < entries.len() {
        let id = entries[start].id;
        let end = start + entries[start..].iter().take_while(|entry| entry.id == id).count();
        if end - start == 1 {
            entries[kept] = entries[start];
            kept += 1;
        } else {
            for entry in winners(file, &entries[start..end])? {
                entries[kept] = entry;
                kept += 1;
            }
        }
        start = end;
    }
    entries.truncate(kept);
    Ok(())
}

/// The best line of each row among lines whose ids have the same hash: nearly always one row.
fn winners(file: &File, entries: &[Entry]) -> io::Result<Vec<Entry>> {
    let mut best: BTreeMap<String, Entry> = BTreeMap::new();
    let mut text = Vec::new();
    for entry in entries {
        text.resize(entry.len as usize, 0);
        read_at(file, entry.start, &mut text)?;
        let output = read_output(&text).ok_or(io::ErrorKind::InvalidData)?;
        let kept = best.entry(output.custom_id.into_owned()).or_insert(*entry);
        if entry.ok || !kept.ok {
            *kept = *entry;
        }
    }
    Ok(best.into_values().collect())
}

/// Writes the lines into a file of that name, which stays locked, and forces it onto the disk.
fn write_copy(partial: &Path, disk: &Disk, entries: &[Entry]) -> Result<Disk> {
    const WRITE: &str = "write the compacted copy (the output stays complete as it is)";
    let failed = |e| Error::file(WRITE, partial, e);
    disk.seam().allow(Op::Create, 0).map_err(failed)?;
    let mut copy = Disk::new(open_locked(partial)?, disk.seam().clone());
    let filled = (|| {
        copy.truncate(0)?;
        copy_lines(disk.file(), entries, &mut copy)?;
        copy_rights(disk.file(), copy.file())?;
        copy.sync()
    })();
    filled.map(|()| copy).map_err(failed)
}

fn copy_lines(from: &File, entries: &[Entry], copy: &mut Disk) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(PIECE);
    let mut at = 0;
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let (lines, len) = stretch(rest);
        rest = &rest[lines..];
        let mut done = 0;
        while done < len {
            let piece = (len - done).min((PIECE - buffer.len()) as u64) as usize;
            let old = buffer.len();
            buffer.resize(old + piece, 0);
            read_at(from, first.start + done, &mut buffer[old..])?;
            done += piece as u64;
            if buffer.len() == PIECE {
                copy.write_at(at, &buffer).map_err(|(_, e)| e)?;
                at += buffer.len() as u64;
                buffer.clear();
            }
        }
    }
    copy.write_at(at, &buffer).map_err(|(_, e)| e)
}

/// How many of the next lines lie one behind the other, and how long they are together.
fn stretch(entries: &[Entry]) -> (usize, u64) {
    let start = entries[0].start;
    let mut len = 0;
    let mut lines = 0;
    for entry in entries {
        if entry.start != start + len || len >= PIECE as u64 {
            break;
        }
        len += u64::from(entry.len);
        lines += 1;
    }
    (lines, len)
}

fn put_in_place(partial: &Path, path: &Path, disk: &Disk) -> Result<()> {
    disk.seam()
        .allow(Op::Rename, 0)
        .and_then(|_| fs::rename(partial, path))
        .map_err(|e| Error::file("put the compacted copy in the place of", path, e))
}
