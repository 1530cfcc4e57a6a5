//! The file that answers are kept in, and the only place here that names SQLite.

use super::{Entry, Key, make_folder};
use crate::error::{Error, Result};
use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long a write waits for another process that writes. Source: own choice; a write takes less
/// than a millisecond, and an answer that is not kept is no loss.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far back the time of an entry's last use may lie behind. Source: own choice; a hit is then a
/// read, which takes a third of the time.
const USE_STEP: i64 = 3_600_000;

/// Uses that are written down together.
const USES: usize = 512;

/// Entries that are too old and go with each one that comes.
const EXPIRED: usize = 2;

/// Entries that go at once where there is no room.
const CROWDED: usize = 8;

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
    writer: Mutex<Connection>,
    used: Mutex<Vec<i64>>,
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
        let used = Mutex::new(Vec::new());
        Ok(Disk { path: path.into(), reader: Mutex::new(reader), writer: Mutex::new(writer), used })
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
            statement.query_row(params![key.bytes(), millis(oldest)], read).optional()?
        };
        let Some((id, used, checksum, entry)) = found else { return Ok(None) };
        if checksum != entry.checksum(key) {
            return Ok(None);
        }
        if used + USE_STEP <= millis(now) {
            self.use_later(id, now)?;
        }
        Ok(Some(entry))
    }

    /// Remembers that an answer was used, and writes it down with others.
    fn use_later(&self, id: i64, now: SystemTime) -> std::result::Result<(), Trouble> {
        let mut used = self.used.lock();
        used.push(id);
        if used.len() < USES {
            return Ok(());
        }
        let used = std::mem::take(&mut *used);
        self.write_uses(&used, now)
    }

    fn write_uses(&self, used: &[i64], now: SystemTime) -> std::result::Result<(), Trouble> {
        let mut db = self.writer.lock();
        if db.is_readonly("main")? {
            return Ok(());
        }
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut update = change.prepare_cached("UPDATE answers SET used = ?2 WHERE id = ?1")?;
            for id in used {
                update.execute(params![id, millis(now)])?;
            }
        }
        Ok(change.commit()?)
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
        let uses = std::mem::take(&mut *self.used.lock());
        if !uses.is_empty() {
            self.write_uses(&uses, now)?;
        }
        let mut db = self.writer.lock();
        let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change
            .prepare_cached(
                "INSERT INTO answers (key, stored, used, status, request_id, checksum, body) \
                 VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO UPDATE SET \
                 stored = excluded.stored, used = excluded.used, status = excluded.status, \
                 request_id = excluded.request_id, checksum = excluded.checksum, \
                 body = excluded.body",
            )?
            .execute(params![
                key.bytes(),
                millis(now),
                entry.status,
                entry.request_id.as_deref(),
                entry.checksum(key).as_slice(),
                entry.body,
            ])?;
        change
            .prepare_cached(
                "DELETE FROM answers WHERE id IN \
                 (SELECT id FROM answers WHERE stored < ?1 ORDER BY stored LIMIT ?2)",
            )?
            .execute(params![millis(oldest), EXPIRED])?;
        while taken(&change)? > most {
            let gone = change
                .prepare_cached(
                    "DELETE FROM answers WHERE id IN \
                     (SELECT id FROM answers ORDER BY used, id LIMIT ?1)",
                )?
                .execute(params![CROWDED])?;
            if gone == 0 {
                break;
            }
        }
        Ok(change.commit()?)
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

    /// Removes the answers that were stored before `before`, all without it, and gives their room
    /// back to the disk. It tells how many there were.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clear(&self, before: Option<SystemTime>) -> Result<u64> {
        let db = self.writer.lock();
        let before = before.map_or(i64::MAX, millis);
        let clear = || {
            let gone = db.execute("DELETE FROM answers WHERE stored < ?1", [before])?;
            db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
            Ok::<_, rusqlite::Error>(gone as u64)
        };
        clear().map_err(|e| self.failed(&e))
    }

    fn failed(&self, e: &rusqlite::Error) -> Error {
        Error::invalid("OPENAI_CACHE_FILE", format!("{}: {e}", self.path.display()))
    }
}

/// Readies a connection, and makes the tables of a file that is new.
fn prepare(db: &mut Connection, is_read_only: bool) -> rusqlite::Result<()> {
    db.busy_timeout(PATIENCE)?;
    if is_read_only {
        return Ok(());
    }
    // A commit is not forced to the disk: after a power failure the last ones may be gone.
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    let change = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let tables: i64 =
        change.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        change.execute_batch(TABLES)?;
        change.pragma_update(None, "application_id", APPLICATION)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    change.commit()
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
}

/// Bytes of the file that hold something.
fn taken(db: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(db, "page_count")? - pragma(db, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(db, "page_size")?).unwrap_or_default())
}

fn millis(date: SystemTime) -> i64 {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Request, Sample};
    use std::fs;

    const NEVER: SystemTime = SystemTime::UNIX_EPOCH;
    const ALL: u64 = 1 << 40;

    fn key(number: u32) -> Key {
        let request = Request::new("account", "http://a/v1/chat/completions", b"{}").unwrap();
        request.sample(Sample { epoch: number, repeat: 0 })
    }

    fn entry(body: &str) -> Entry {
        Entry::new(200, Some("req_1"), body.as_bytes()).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn disk() -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path().join("deep/er/answers.db")).unwrap();
        (folder, disk)
    }

    #[test]
    fn what_is_put_in_comes_out_also_from_another_handle() {
        let (_folder, disk) = disk();
        let (first, second) = (entry(r#"{"a":1}"#), entry(r#"{"a":2}"#));
        disk.put(&key(1), &first, at(0), NEVER, ALL).unwrap();
        assert_eq!(disk.get(&key(1), at(0), NEVER).unwrap(), Some(first));
        assert_eq!(disk.get(&key(2), at(0), NEVER).unwrap(), None);
        disk.put(&key(1), &second, at(1), NEVER, ALL).unwrap();
        for other in [Disk::open(disk.path()), Disk::open_read_only(disk.path())] {
            let other = other.unwrap();
            assert_eq!(other.get(&key(1), at(9_000), NEVER).unwrap(), Some(second.clone()));
            assert_eq!(other.stats().unwrap().answers, 1);
        }
    }

    #[test]
    fn what_is_too_old_is_not_there_and_goes_with_what_comes() {
        let (_folder, disk) = disk();
        for number in 0..4 {
            disk.put(&key(number), &entry("{}"), at(u64::from(number)), NEVER, ALL).unwrap();
        }
        assert_eq!(disk.get(&key(1), at(9), at(2)).unwrap(), None);
        assert!(disk.get(&key(2), at(9), at(2)).unwrap().is_some());
        assert_eq!(disk.stats().unwrap().answers, 4, "a look removes nothing");
        disk.put(&key(9), &entry("{}"), at(9), at(2), ALL).unwrap();
        let stats = disk.stats().unwrap();
        assert_eq!((stats.answers, stats.oldest), (3, Some(1_800_000_002)));
    }

    #[test]
    fn where_there_is_no_room_what_was_not_used_for_the_longest_time_goes() {
        let (_folder, disk) = disk();
        let most = 1 << 20;
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000));
        let hours = |number: u32| at(u64::from(number) * 3_600);
        for number in 0..300 {
            disk.put(&key(number), &entry(&body), hours(number), NEVER, most).unwrap();
            assert!(disk.stats().unwrap().bytes <= most);
            // The first one is used again and again.
            assert!(disk.get(&key(0), hours(number + 1), NEVER).unwrap().is_some(), "{number}");
        }
        let kept: Vec<u32> = (0..300)
            .filter(|number| disk.get(&key(*number), hours(300), NEVER).unwrap().is_some())
            .collect();
        assert!(kept.len() > 60, "{kept:?}");
        assert_eq!(kept[0], 0);
        assert!(kept[1..].is_sorted_by(|a, b| a + 1 == *b) && kept.contains(&299), "{kept:?}");
        assert!(fs::metadata(disk.path()).unwrap().len() <= most + (1 << 16));
    }

    #[test]
    fn clearing_gives_the_room_back() {
        let (_folder, disk) = disk();
        for number in 0..50 {
            let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(10_000));
            disk.put(&key(number), &entry(&body), at(u64::from(number)), NEVER, ALL).unwrap();
        }
        let full = disk.stats().unwrap().bytes;
        assert_eq!(disk.clear(Some(at(20))).unwrap(), 20);
        assert_eq!(disk.clear(None).unwrap(), 30);
        let stats = disk.stats().unwrap();
        assert_eq!((stats.answers, stats.oldest), (0, None));
        assert!(stats.bytes * 5 < full && fs::metadata(disk.path()).unwrap().len() * 5 < full);
    }

    #[test]
    fn a_torn_entry_is_a_miss() {
        let (_folder, disk) = disk();
        disk.put(&key(1), &entry(r#"{"text":"whole"}"#), at(0), NEVER, ALL).unwrap();
        disk.writer
            .lock()
            .execute("UPDATE answers SET body = CAST('{\"text\":\"whol' AS BLOB)", [])
            .unwrap();
        assert_eq!(disk.get(&key(1), at(0), NEVER).unwrap(), None);
        disk.put(&key(1), &entry(r#"{"text":"whole"}"#), at(0), NEVER, ALL).unwrap();
        assert!(disk.get(&key(1), at(0), NEVER).unwrap().is_some());
    }

    #[test]
    fn what_is_no_cache_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "a text that nobody wants to lose, and that is no database".repeat(50))
            .unwrap();
        let before = fs::read(&path).unwrap();
        let error = Disk::open(&path).unwrap_err().to_string();
        assert!(error.contains("name another file"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(Disk::open(&other).unwrap_err().to_string().contains("is no cache"));
        assert!(Disk::open_read_only(folder.path().join("none.db")).is_err());
    }
}
