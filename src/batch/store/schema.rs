//! The tables of a store, and how older ones become today's.

use super::trouble::failed;
use crate::error::{Error, Result};
use rusqlite::Connection;

/// The steps from an empty store to today's, one for each version. A step is never changed.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        output TEXT NOT NULL,
        is_over INTEGER NOT NULL,
        data TEXT NOT NULL
    );
    CREATE INDEX jobs_by_output ON jobs (output) WHERE is_over = 0;
    CREATE TABLE parts (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        state TEXT NOT NULL,
        model TEXT NOT NULL,
        mark TEXT NOT NULL UNIQUE,
        batch_id TEXT UNIQUE,
        data TEXT NOT NULL,
        UNIQUE (job, number)
    );
    CREATE TABLE limits (
        account TEXT NOT NULL,
        model TEXT NOT NULL,
        enqueued_tokens INTEGER NOT NULL,
        learned INTEGER NOT NULL,
        PRIMARY KEY (account, model)
    ) WITHOUT ROWID;
"];

/// Brings the tables of a store to today's version.
pub(super) fn migrate(db: &mut Connection) -> Result<()> {
    let behavior = rusqlite::TransactionBehavior::Immediate;
    let transaction = db.transaction_with_behavior(behavior).map_err(failed)?;
    let version: i64 =
        transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if version > known {
        let message = format!(
            "it was made by a newer version of this program (format {version}, known is {known}); \
             use that version, or another store"
        );
        return Err(Error::invalid("store", message));
    }
    for step in &MIGRATIONS[version as usize..] {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {known}")).map_err(failed)?;
    transaction.commit().map_err(failed)
}
