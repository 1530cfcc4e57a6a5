//! Jobs and parts on the disk, and the only place that names SQLite.

use super::job::{Date, Job, Part};
use crate::cache::make_folder;
use crate::error::{Error, Result};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a write waits for another process that writes. Source: own choice; a write takes
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// Jobs, parts and their states, in a SQLite file with a folder for their rows beside it.
///
/// Every method is one transaction. Several processes may use one store; a [`Lease`] keeps them from
/// working on the same job.
pub struct Store {
    db: Mutex<Connection>,
    folder: PathBuf,
}

impl Store {
    /// The store at `path`, which is made if it is not there. The rows of its parts lie in
    /// `path.files`.
    ///
    /// # Errors
    /// When it cannot be opened, or a newer version of this crate has made it.
    pub fn open(path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            make_folder(parent)?;
        }
        let mut folder = OsString::from(path);
        folder.push(".files");
        let db = Connection::open(path).map_err(failed)?;
        Store::with(db, folder.into())
    }

    /// A store that is gone with the value, with its files in `folder`; for tests.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn in_memory(folder: impl Into<PathBuf>) -> Result<Store> {
        Store::with(Connection::open_in_memory().map_err(failed)?, folder.into())
    }

    fn with(mut db: Connection, folder: PathBuf) -> Result<Store> {
        db.busy_timeout(PATIENCE).map_err(failed)?;
        // What is written is on the disk before a step that cannot be taken back.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(failed)?;
        migrate(&mut db)?;
        make_folder(&folder)?;
        Ok(Store { db: Mutex::new(db), folder })
    }

    fn change<T>(&self, of: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let mut db = self.db.lock();
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let transaction = db.transaction_with_behavior(behavior).map_err(failed)?;
        let result = of(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    fn ask<T>(&self, of: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        of(&self.db.lock()).map_err(failed)
    }

    /// Keeps a new job, and gives it its number.
    pub fn add_job(&self, job: &mut Job) -> Result<()> {
        job.id = self.change(|t| {
            t.execute(
                "INSERT INTO jobs (name, output, is_over, data) VALUES (?1, ?2, ?3, '')",
                params![job.name, job.output, job.is_over],
            )?;
            let id = t.last_insert_rowid();
            let data = json(&Job { id, ..job.clone() });
            t.execute("UPDATE jobs SET data = ?2 WHERE id = ?1", params![id, data])?;
            Ok(id)
        })?;
        make_folder(&self.folder(job.id))
    }

    /// Keeps what has changed of a job.
    pub fn save_job(&self, job: &Job) -> Result<()> {
        self.change(|t| {
            t.execute(
                "UPDATE jobs SET output = ?2, is_over = ?3, data = ?4 WHERE id = ?1",
                params![job.id, job.output, job.is_over, json(job)],
            )
        })?;
        Ok(())
    }

    /// All jobs, oldest first.
    pub fn jobs(&self) -> Result<Vec<Job>> {
        self.ask(|db| collect(db, "SELECT data FROM jobs ORDER BY id", []))
    }

    /// The jobs for an output that are not over, oldest first.
    pub fn jobs_for(&self, output: &str) -> Result<Vec<Job>> {
        let query = "SELECT data FROM jobs WHERE output = ?1 AND is_over = 0 ORDER BY id";
        self.ask(|db| collect(db, query, [output]))
    }

    /// The job with that number.
    pub fn job(&self, id: i64) -> Result<Option<Job>> {
        let query = "SELECT data FROM jobs WHERE id = ?1";
        Ok(self.ask(|db| collect(db, query, [id]))?.pop())
    }

    /// Forgets a job with all its parts and their files.
    pub fn remove_job(&self, id: i64) -> Result<()> {
        self.change(|t| t.execute("DELETE FROM jobs WHERE id = ?1", [id]))?;
        match fs::remove_dir_all(self.folder(id)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", self.folder(id), e))
            }
            _ => Ok(()),
        }
    }

    /// The parts of a job, in the order of their numbers.
    pub fn parts(&self, job: i64) -> Result<Vec<Part>> {
        let query = "SELECT data FROM parts WHERE job = ?1 ORDER BY number";
        self.ask(|db| collect(db, query, [job]))
    }

    /// Keeps new parts, and gives them their numbers in the store.
    pub fn add_parts(&self, parts: &mut [Part]) -> Result<()> {
        self.change(|t| insert(t, parts))
    }

    /// Keeps what has changed of a part.
    pub fn save(&self, part: &Part) -> Result<()> {
        self.change(|t| update(t, part))
    }

    /// Keeps what has changed of a part together with new parts that take rows of it.
    pub fn replace(&self, part: &Part, others: &mut [Part]) -> Result<()> {
        self.change(|t| {
            update(t, part)?;
            insert(t, others)
        })
    }

    /// The tokens of a model that the queue of an account takes, as the server said last.
    pub fn limit(&self, account: &str, model: &str) -> Result<Option<u64>> {
        let query = "SELECT enqueued_tokens FROM limits WHERE account = ?1 AND model = ?2";
        let found: Option<i64> =
            self.ask(|db| db.query_row(query, [account, model], |row| row.get(0)).optional())?;
        Ok(found.map(i64::cast_unsigned))
    }

    /// Keeps what the server said of its queue.
    pub fn learn(&self, account: &str, model: &str, limit: u64, now: Date) -> Result<()> {
        self.change(|t| {
            t.execute(
                "INSERT INTO limits VALUES (?1, ?2, ?3, ?4) ON CONFLICT (account, model) \
                 DO UPDATE SET enqueued_tokens = ?3, learned = ?4",
                params![account, model, limit.min(i64::MAX as u64) as i64, now as i64],
            )
        })?;
        Ok(())
    }

    /// The folder of a job's rows.
    pub fn folder(&self, job: i64) -> PathBuf {
        self.folder.join(job.to_string())
    }

    /// Takes a job for this handle alone; `None` if another process works on it.
    ///
    /// It is a lock of the system's on a file, so that it ends with the process, however that ends,
    /// and no clock can make it last too long or too short.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn lease(&self, job: i64) -> Result<Option<Lease>> {
        make_folder(&self.folder(job))?;
        let path = self.folder(job).join("lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|e| Error::file("write", &path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lease(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(Error::file("lock", path, e)),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// A job that belongs to this process until the value is dropped.
#[derive(Debug)]
#[must_use = "dropped, another process may work on the job"]
pub struct Lease(#[expect(dead_code, reason = "the lock ends when the file is closed")] File);

fn migrate(db: &mut Connection) -> Result<()> {
    let behavior = rusqlite::TransactionBehavior::Immediate;
    let transaction = db.transaction_with_behavior(behavior).map_err(failed)?;
    let version: i64 =
        transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if version > known {
        let message = format!(
            "it was made by a newer version of this program (format {version}, known is {known})"
        );
        return Err(Error::invalid("store", message));
    }
    for step in &MIGRATIONS[version as usize..] {
        transaction.execute_batch(step).map_err(failed)?;
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {known}")).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn insert(t: &Transaction<'_>, parts: &mut [Part]) -> rusqlite::Result<()> {
    for part in parts {
        t.execute(
            "INSERT INTO parts (job, number, state, model, mark, batch_id, data) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, '')",
            params![part.job, part.number, part.state.name(), part.model, part.mark, part.batch_id],
        )?;
        part.id = t.last_insert_rowid();
        update(t, part)?;
    }
    Ok(())
}

fn update(t: &Transaction<'_>, part: &Part) -> rusqlite::Result<()> {
    t.execute(
        "UPDATE parts SET state = ?2, batch_id = ?3, data = ?4 WHERE id = ?1",
        params![part.id, part.state.name(), part.batch_id, json(part)],
    )
    .map(drop)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("it is plain data")
}

fn collect<T: serde::de::DeserializeOwned>(
    db: &Connection,
    query: &str,
    with: impl rusqlite::Params,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare_cached(query)?;
    let rows = statement.query_map(with, |row| {
        let text: String = row.get(0)?;
        serde_json::from_str(&text).map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e.into())
        })
    })?;
    rows.collect()
}

fn failed(e: rusqlite::Error) -> Error {
    Error::invalid("store", e.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::job::State;
    use super::*;
    use tempfile::TempDir;

    fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("deep/er/store.db")).unwrap();
        (folder, store)
    }

    fn job(store: &Store, name: &str) -> Job {
        let mut job = Job { name: name.into(), output: "/out".into(), ..Job::default() };
        store.add_job(&mut job).unwrap();
        job
    }

    fn part(job: &Job, number: u32) -> Part {
        let mark = format!("{}-{number}", job.name);
        Part { job: job.id, number, mark, model: "m".into(), ..Part::default() }
    }

    #[test]
    fn what_is_kept_is_there_after_another_opening() {
        let (folder, store) = store();
        let mut one = job(&store, "a");
        let mut parts = [part(&one, 1), part(&one, 2)];
        store.add_parts(&mut parts).unwrap();
        parts[1].enter(State::Creating, 7);
        parts[1].batch_id = Some("batch_9".into());
        store.save(&parts[1]).unwrap();
        one.is_planned = true;
        store.save_job(&one).unwrap();
        drop(store);
        let store = Store::open(folder.path().join("deep/er/store.db")).unwrap();
        assert_eq!(store.jobs().unwrap(), [one.clone()]);
        assert_eq!(store.jobs_for("/out").unwrap(), [one.clone()]);
        assert!(store.jobs_for("/other").unwrap().is_empty());
        assert_eq!(store.parts(one.id).unwrap(), parts);
        assert_eq!(store.job(one.id).unwrap(), Some(one));
    }

    #[test]
    fn two_parts_cannot_have_one_batch_nor_one_mark() {
        let (_folder, store) = store();
        let one = job(&store, "a");
        let mut parts = [part(&one, 1), part(&one, 2)];
        store.add_parts(&mut parts).unwrap();
        for each in &mut parts {
            each.batch_id = Some("batch_1".into());
        }
        store.save(&parts[0]).unwrap();
        assert!(store.save(&parts[1]).is_err());
        assert_eq!(store.parts(one.id).unwrap()[1].batch_id, None);
        let mut twin = [Part { number: 3, mark: parts[0].mark.clone(), ..part(&one, 3) }];
        assert!(store.add_parts(&mut twin).is_err());
    }

    #[test]
    fn a_part_is_replaced_as_a_whole_or_not_at_all() {
        let (_folder, store) = store();
        let one = job(&store, "a");
        let mut parts = [part(&one, 1)];
        store.add_parts(&mut parts).unwrap();
        parts[0].enter(State::Split, 1);
        // The second has the number of the first.
        let mut halves = [part(&one, 2), Part { mark: "x".into(), ..part(&one, 2) }];
        assert!(store.replace(&parts[0], &mut halves).is_err());
        let kept = store.parts(one.id).unwrap();
        assert_eq!((kept.len(), kept[0].state), (1, State::Planned));
        halves[1].number = 3;
        store.replace(&parts[0], &mut halves).unwrap();
        assert_eq!(store.parts(one.id).unwrap().len(), 3);
    }

    #[test]
    fn a_job_has_one_worker_at_a_time() {
        let (folder, store) = store();
        let one = job(&store, "a");
        let lease = store.lease(one.id).unwrap();
        assert!(lease.is_some());
        let other = Store::open(folder.path().join("deep/er/store.db")).unwrap();
        assert!(other.lease(one.id).unwrap().is_none());
        drop(lease);
        assert!(other.lease(one.id).unwrap().is_some());
    }

    #[test]
    fn limits_are_kept_by_account_and_model() {
        let (_folder, store) = store();
        assert_eq!(store.limit("a", "m").unwrap(), None);
        store.learn("a", "m", 900_000, 1).unwrap();
        store.learn("a", "m", 2_000_000, 2).unwrap();
        assert_eq!(store.limit("a", "m").unwrap(), Some(2_000_000));
        assert_eq!(store.limit("b", "m").unwrap(), None);
    }

    #[test]
    fn a_store_of_a_newer_version_is_refused_and_what_is_none_too() {
        let (folder, store) = store();
        store.ask(|db| db.execute_batch("PRAGMA user_version = 99")).unwrap();
        drop(store);
        let e = Store::open(folder.path().join("deep/er/store.db")).unwrap_err();
        assert!(e.to_string().contains("newer version"), "{e}");
        let other = folder.path().join("note.txt");
        fs::write(
            &other,
            "this is not a database, and long enough to be looked at closely".repeat(9),
        )
        .unwrap();
        assert!(Store::open(&other).unwrap_err().to_string().contains("not a database"));
    }

    #[test]
    fn a_store_that_was_cut_anywhere_opens_or_says_so_and_never_makes_things_up() {
        let (folder, store) = store();
        let one = job(&store, "a");
        let mut parts: Vec<_> = (1..=20).map(|number| part(&one, number)).collect();
        store.add_parts(&mut parts).unwrap();
        drop(store);
        let bytes = fs::read(folder.path().join("deep/er/store.db")).unwrap();
        let cut = folder.path().join("cut.db");
        for length in (0..bytes.len()).step_by(997) {
            fs::write(&cut, &bytes[..length]).unwrap();
            let Ok(store) = Store::open(&cut) else { continue };
            for job in store.jobs().unwrap_or_default() {
                assert_eq!(job, one);
                let found = store.parts(job.id).unwrap_or_default();
                assert!(found.iter().all(|part| parts.contains(part)));
            }
        }
    }

    #[test]
    fn a_job_is_forgotten_with_its_files() {
        let (_folder, store) = store();
        let one = job(&store, "a");
        store.add_parts(&mut [part(&one, 1)]).unwrap();
        fs::write(store.folder(one.id).join("1.jsonl"), "x").unwrap();
        store.remove_job(one.id).unwrap();
        assert!(store.jobs().unwrap().is_empty() && store.parts(one.id).unwrap().is_empty());
        assert!(!store.folder(one.id).exists());
        store.remove_job(one.id).unwrap();
    }
}
