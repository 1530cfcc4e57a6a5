//! The rows of the file: written, and removed where they are too old or too many.

use crate::cache::{Entry, Key};
use rusqlite::{Connection, Transaction, params};
use std::time::SystemTime;

/// Entries that are too old and go with each one that comes.
const EXPIRED: usize = 2;

/// Entries that go at most with each one that comes, because there is no room.
const CROWDED: usize = 1_000;

pub(super) fn write_uses(change: &Transaction<'_>, used: &[(i64, i64)]) -> rusqlite::Result<()> {
    let mut update = change.prepare_cached("UPDATE answers SET used = ?2 WHERE id = ?1")?;
    used.iter().try_for_each(|(id, when)| update.execute(params![id, when]).map(drop))
}

pub(super) fn insert(
    change: &Transaction<'_>,
    key: &Key,
    entry: &Entry,
    now: SystemTime,
) -> rusqlite::Result<()> {
    let mut insert = change.prepare_cached(
        "INSERT INTO answers (key, stored, used, status, request_id, checksum, body) \
         VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (key) DO UPDATE SET \
         stored = excluded.stored, used = excluded.used, status = excluded.status, \
         request_id = excluded.request_id, checksum = excluded.checksum, body = excluded.body",
    )?;
    let (id, checksum) = (entry.request_id.as_deref(), entry.checksum(key));
    let values =
        params![key.bytes(), millis(now), entry.status, id, checksum.as_slice(), entry.body];
    insert.execute(values).map(drop)
}

/// Removes some of what is too old, and as much as has no room.
pub(super) fn make_room(
    change: &Transaction<'_>,
    oldest: SystemTime,
    most: u64,
) -> rusqlite::Result<()> {
    change
        .prepare_cached(
            "DELETE FROM answers WHERE id IN \
             (SELECT id FROM answers WHERE stored < ?1 ORDER BY stored LIMIT ?2)",
        )?
        .execute(params![millis(oldest), EXPIRED])?;
    let mut crowded = change.prepare_cached(
        "DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY used, id LIMIT 1)",
    )?;
    // Where the bound was far higher before, one write does not hold up the others for long.
    for _ in 0..CROWDED {
        if taken(change)? <= most || crowded.execute([])? == 0 {
            break;
        }
    }
    Ok(())
}

pub(super) fn tables(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

pub(super) fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
}

/// Bytes of the file that hold something.
pub(super) fn taken(db: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(db, "page_count")? - pragma(db, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(db, "page_size")?).unwrap_or_default())
}

pub(super) fn millis(date: SystemTime) -> i64 {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
