//! The file that answers are kept in, and the only place here that names SQLite.

use self::rows::{insert, make_room, millis, pragma, tables, taken, write_uses};
use super::{Entry, Key, make_folder};
use crate::error::{Error, Result};
use parking_lot::Mutex;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a write waits for another process that writes. Source: own choice; a write takes less
/// than a millisecond, and an answer that is not kept is no loss.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing is written after a write has waited in vain, in milliseconds: else each worker
/// would wait in its turn. Source: own choice.
const PAUSE: i64 = 10_000;

/// How far back the time of an entry's last use may lie behind. Source: own choice; a hit is then a
/// read, which takes a third of the time.
const USE_STEP: i64 = 3_600_000;

/// Uses that are written down together.
const USES: usize = 512;

/// Marks the file as one of these: "obac".
const APPLICATION: i64 = 0x6f62_6163;
const VERSION: i64 = 1;

/// The body stands last, so that the rest of a row is read without it.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS answers (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        stored INTEGER NOT NULL,
        used INTEGER NOT NULL,
        status INTEGER NOT NULL,
        request_id TEXT,
        checksum BLOB NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS answers_by_use ON answers (used);
    CREATE INDEX IF NOT EXISTS answers_by_age ON answers (stored);
";

/// Why the file did not do what it was asked.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another process kept it busy: the next time may be better.
    Busy,
    /// It cannot be used.
    Broken(String),
}

/// The file that answers are kept in.
///
/// Several processes may use one file. One that is killed leaves it whole; what it was writing is
/// not there.
pub struct Disk {
    path: PathBuf,
    /// Reads are never held up by a write.
    reader: Mutex<Connection>,
    writer: Mutex<Writer>,
    /// Answers that were used and when, as far as that is not written down.
    used: Mutex<Vec<(i64, i64)>>,
}

struct Writer {
    db: Connection,
    /// Nothing is written before, in milliseconds since 1970.
    paused_until: i64,
}

/// What a file of answers holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheStats {
    /// Answers.
    pub answers: u64,
    /// Bytes that they take on the disk.
    pub bytes: u64,
    /// When the oldest was stored, in seconds since 1970.
    pub oldest: Option<u64>,
    /// When the newest was stored, in seconds since 1970.
    pub newest: Option<u64>,
}

impl Disk {
    /// The file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened or made, or is something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Disk> {
        let path = path.as_ref();
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make_folder(parent)?;
        }
        Disk::with(path, OpenFlags::default())
    }

    /// The file at `path`, which is only read.
    ///
    /// # Errors
    /// When it is not there, cannot be opened, or is something else.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Disk> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Disk::with(path.as_ref(), flags)
    }

    fn with(path: &Path, flags: OpenFlags) -> Result<Disk> {
        let is_read_only = flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY);
        let open = || {
            let mut db = Connection::open_with_flags(path, flags)?;
            prepare(&mut db, is_read_only)?;
            Ok::<_, rusqlite::Error>(db)
        };
        let failed = |e: rusqlite::Error| {
            let message = format!("{} cannot be used: {e}; name another file", path.display());
            Error::invalid("OPENAI_CACHE_FILE", message)
        };
        let writer = open().map_err(failed)?;
        let is_ours = pragma(&writer, "application_id").map_err(failed)? == APPLICATION
            && pragma(&writer, "user_version").map_err(failed)? == VERSION;
        if !is_ours {
            let message = format!(
                "{} is no cache, or one of a newer version; name another file",
                path.display()
            );
            return Err(Error::invalid("OPENAI_CACHE_FILE", message));
        }
        let reader = open().map_err(failed)?;
        let writer = Mutex::new(Writer { db: writer, paused_until: 0 });
        let (reader, used) = (Mutex::new(reader), Mutex::default());
        Ok(Disk { path: path.into(), reader, writer, used })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The answer under `key`, if it was stored at `oldest` or later and is whole.
    pub(super) fn get(
        &self,
        key: &Key,
        now: SystemTime,
        oldest: SystemTime,
    ) -> std::result::Result<Option<Entry>, Trouble> {
        let found = {
            let db = self.reader.lock();
            let mut statement = db.prepare_cached(
                "SELECT id, used, checksum, status, request_id, body FROM answers \
                 WHERE key = ?1 AND stored >= ?2",
            )?;
            let read = |row: &rusqlite::Row<'_>| {
                let id: Option<String> = row.get(4)?;
                let entry = Entry {
                    status: row.get(3)?,
                    request_id: id.map(Into::into),
                    body: row.get(5)?,
                };
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?, entry))
            };
            statement.query_row(params![key.bytes(), millis(oldest)], read).optional()
        };
        let found = match found {
            // A value that cannot be one is a torn entry, and no broken file.
            Err(
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => None,
            found => found?,
        };
        let Some((id, used, checksum, entry)) = found else { return Ok(None) };
        if checksum != entry.checksum(key) {
            return Ok(None);
        }
        if used + USE_STEP <= millis(now) {
            self.use_later(id, millis(now));
        }
        Ok(Some(entry))
    }

    /// Whether there is an answer under `key` that was stored at `oldest` or later; it is not read.
    pub(super) fn has(&self, key: &Key, oldest: SystemTime) -> std::result::Result<bool, Trouble> {
        let db = self.reader.lock();
        let mut statement =
            db.prepare_cached("SELECT 1 FROM answers WHERE key = ?1 AND stored >= ?2")?;
        Ok(statement.exists(params![key.bytes(), millis(oldest)])?)
    }

    /// Remembers that an answer was used, and writes it down with others. Where that cannot be, the
    /// answer is there all the same.
    fn use_later(&self, id: i64, now: i64) {
        let full = {
            let mut used = self.used.lock();
            used.push((id, now));
            if used.len() < USES { Vec::new() } else { std::mem::take(&mut *used) }
        };
        if !full.is_empty() {
            let _ = self.change(now, |change| write_uses(change, &full));
        }
    }

    /// Keeps an answer, and removes what is older than `oldest` or has no room within `most` bytes:
    /// what was not used for the longest time.
    pub(super) fn put(
        &self,
        key: &Key,
        entry: &Entry,
        now: SystemTime,
        oldest: SystemTime,
        most: u64,
    ) -> std::result::Result<(), Trouble> {
        let used = std::mem::take(&mut *self.used.lock());
        self.change(millis(now), |change| {
            write_uses(change, &used)?;
            insert(change, key, entry, now)?;
            make_room(change, oldest, most)
        })
    }

    fn change(
        &self,
        now: i64,
        of: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> std::result::Result<(), Trouble> {
        let mut writer = self.writer.lock();
        if now < writer.paused_until {
            return Err(Trouble::Busy);
        }
        if writer.db.is_readonly("main")? {
            return Ok(());
        }
        let change = writer.db.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = change.and_then(|change| {
            of(&change)?;
            change.commit()
        });
        let done = done.map_err(Trouble::from);
        if matches!(done, Err(Trouble::Busy)) {
            writer.paused_until = now + PAUSE;
        }
        done
    }

    /// What it holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stats(&self) -> Result<CacheStats> {
        let db = self.reader.lock();
        let read = || {
            let query = "SELECT count(*), min(stored), max(stored) FROM answers";
            let seconds = |stored: Option<i64>| {
                stored.map(|millis| u64::try_from(millis / 1_000).unwrap_or_default())
            };
            let bytes = taken(&db)?;
            db.query_row(query, [], |row| {
                Ok(CacheStats {
                    answers: row.get(0)?,
                    bytes,
                    oldest: seconds(row.get(1)?),
                    newest: seconds(row.get(2)?),
                })
            })
        };
        read().map_err(|e| self.failed(&e))
    }

    /// Removes the answers that were stored before `before`, and tells how many there were. Without
    /// it all go, and their room goes back to the disk; else it is for answers to come.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clear(&self, before: Option<SystemTime>) -> Result<u64> {
        let db = &self.writer.lock().db;
        let clear = || {
            let Some(before) = before else {
                // On a full disk, there is room only once the log is in the file.
                let _ = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
                // Without a condition, what is removed is not read.
                let gone = db.execute("DELETE FROM answers", [])?;
                db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
                return Ok::<_, rusqlite::Error>(gone as u64);
            };
            Ok(db.execute("DELETE FROM answers WHERE stored < ?1", [millis(before)])? as u64)
        };
        clear().map_err(|e| self.failed(&e))
    }

    fn failed(&self, e: &rusqlite::Error) -> Error {
        let path = self.path.display();
        let message = match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::DiskFull) => format!(
                "{path}: {e}; when no run uses it, remove it, together with {path}-wal and {path}-shm"
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                format!("{path}: {e}; another process writes to it: try again")
            }
            _ => format!("{path}: {e}"),
        };
        Error::invalid("OPENAI_CACHE_FILE", message)
    }
}

/// Readies a connection, and makes the tables of a file that is new.
fn prepare(db: &mut Connection, is_read_only: bool) -> rusqlite::Result<()> {
    db.busy_timeout(PATIENCE)?;
    // A file of another program is left as it is.
    let is_other = tables(db)? > 0 && pragma(db, "application_id")? != APPLICATION;
    if is_read_only || is_other {
        return Ok(());
    }
    // A commit is not forced to the disk: after a power failure the last ones may be gone.
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if tables(&change)? == 0 {
        change.execute_batch(TABLES)?;
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    change.commit()
}

impl Drop for Disk {
    fn drop(&mut self) {
        let used = std::mem::take(self.used.get_mut());
        if let Some((_, last)) = used.last() {
            let _ = self.change(*last, |change| write_uses(change, &used));
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Trouble {
        match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy,
            _ => Trouble::Broken(e.to_string()),
        }
    }
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("path", &self.path).finish_non_exhaustive()
    }
}

mod rows;
#[cfg(test)]
mod tests;
