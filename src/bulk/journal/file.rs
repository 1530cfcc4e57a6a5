//! The file system: locks, and whether two names are one file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// A step that changes the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Write,
    Truncate,
    Sync,
    Rename,
    SyncFolder,
    Remove,
}

/// Where tests let steps fail.
#[derive(Clone, Default)]
pub(super) struct Seam {
    #[cfg(test)]
    pub(super) fault: Option<std::sync::Arc<parking_lot::Mutex<Fault>>>,
}

#[cfg(test)]
pub(super) type Fault = dyn FnMut(Op, usize) -> io::Result<usize> + Send;

impl Seam {
    /// How many of `len` bytes this step may move.
    #[cfg(test)]
    pub(super) fn allow(&self, op: Op, len: usize) -> io::Result<usize> {
        self.fault.as_ref().map_or(Ok(len), |fault| fault.lock()(op, len))
    }

    #[cfg(not(test))]
    pub(super) fn allow(&self, _op: Op, len: usize) -> io::Result<usize> {
        Ok(len)
    }
}

/// A file that is written at given places.
pub(super) struct Disk {
    file: File,
    seam: Seam,
}

impl Disk {
    pub(super) fn new(file: File, seam: Seam) -> Disk {
        Disk { file, seam }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn seam(&self) -> &Seam {
        &self.seam
    }

    /// Writes all of `bytes` from `at` on, or tells how many were written before the error.
    pub(super) fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut done = 0;
        self.file.seek(SeekFrom::Start(at)).map_err(|e| (0, e))?;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let step = self
                .seam
                .allow(Op::Write, rest.len())
                .and_then(|most| self.file.write(&rest[..most.min(rest.len())]));
            match step {
                Ok(0) => return Err((done, io::ErrorKind::WriteZero.into())),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err((done, e)),
            }
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.seam.allow(Op::Truncate, 0)?;
        self.file.set_len(len)
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.seam.allow(Op::Sync, 0)?;
        self.file.sync_data()
    }
}

/// Fills `bytes` from the place `at`.
pub(super) fn read_at(mut file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// Opens the file for reading and writing, alone; creates it if it is not there.
pub(super) fn open_locked(path: &Path) -> Result<File> {
    // A run that ends just now puts a new file under this name; then the lock is on the old one.
    for _ in 0..16 {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| Error::file("write", path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy(path)),
            Err(TryLockError::Error(e)) if knows_no_locks(&e) => {}
            Err(TryLockError::Error(e)) => return Err(Error::file("lock", path, e)),
        }
        if still_named(&file, path) {
            return Ok(file);
        }
    }
    Err(busy(path))
}

fn busy(path: &Path) -> Error {
    Error::invalid("output", format!("another process is writing {}", path.display()))
}

/// Some network file systems have no locks; a run there is better than none.
fn knows_no_locks(e: &io::Error) -> bool {
    const ENOLCK: i32 = 37;
    e.kind() == io::ErrorKind::Unsupported
        || (cfg!(target_os = "linux") && e.raw_os_error() == Some(ENOLCK))
}

/// Whether the path names the open file.
fn still_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => same_inode(&open, &named).unwrap_or(true),
        _ => false,
    }
}

/// Whether both paths name one regular file, through whatever links.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let (Ok(first), Ok(second)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    if !first.is_file() || !second.is_file() {
        return false;
    }
    same_inode(&first, &second).unwrap_or_else(
        || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b),
    )
}

#[cfg(unix)]
fn same_inode(a: &fs::Metadata, b: &fs::Metadata) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    Some(a.dev() == b.dev() && a.ino() == b.ino())
}

#[cfg(not(unix))]
fn same_inode(_a: &fs::Metadata, _b: &fs::Metadata) -> Option<bool> {
    None
}

/// Gives `copy` the rights and, if this user may, the owner of `file`.
pub(super) fn copy_rights(file: &File, copy: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = copy.metadata()?;
        if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
            // Only the superuser may give files away; the content matters more.
            let _ = fchown(copy, Some(metadata.uid()), Some(metadata.gid()));
        }
    }
    copy.set_permissions(metadata.permissions())
}

/// Makes names in the folder of `path` last.
pub(super) fn sync_folder(path: &Path, seam: &Seam) -> io::Result<()> {
    seam.allow(Op::SyncFolder, 0)?;
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
