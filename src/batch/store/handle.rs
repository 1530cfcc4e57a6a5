//! Jobs and parts on the disk, and the only place that names SQLite.

use super::super::part::{Date, Job, Part};
use super::schema::migrate;
use super::trouble::{failed, named};
use crate::bulk::UnderWayFile;
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

/// Jobs, parts and their states, in a SQLite file with a folder for their rows beside it.
///
/// Every method is one transaction. Several processes may use one store; a [`Lease`] keeps them from
/// working on the same job.
pub struct Store {
    db: Mutex<Connection>,
    folder: PathBuf,
    /// Where it lies; empty if it is gone with this value.
    path: PathBuf,
    /// Whether files beside outputs tell of it.
    marks: bool,
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
        let db = named(path, Connection::open(path).map_err(failed))?;
        let whole = fs::canonicalize(path).map_err(|e| Error::file("open", path, e))?;
        named(path, Store::with(db, folder.into(), whole))
    }

    /// The store that knows the batches that are under way for an output; none if there are none.
    ///
    /// # Errors
    /// When it is gone or cannot be opened.
    pub fn of_output(output: impl AsRef<Path>) -> Result<Option<Store>> {
        let mark = UnderWayFile::beside(output.as_ref());
        match mark.read()?.map(|known| known.store) {
            None => Ok(None),
            Some(path) if path.exists() => Store::open(path).map(Some),
            // Nobody knows them: the mark says what to do.
            Some(_) => mark.refuse().map(|()| None),
        }
    }

    /// A store that is gone with the value, with its files in `folder`; for tests.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn in_memory(folder: impl Into<PathBuf>) -> Result<Store> {
        let db = Connection::open_in_memory().map_err(failed)?;
        Store::with(db, folder.into(), PathBuf::new())
    }

    /// The same for a server that is gone with it, as a simulator in this process is: nothing beside
    /// an output tells of its batches, and no later run waits for them.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn passing(folder: impl Into<PathBuf>) -> Result<Store> {
        Ok(Store { marks: false, ..Store::in_memory(folder)? })
    }

    fn with(mut db: Connection, folder: PathBuf, path: PathBuf) -> Result<Store> {
        db.busy_timeout(PATIENCE).map_err(failed)?;
        // What is written is on the disk before a step that cannot be taken back.
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(failed)?;
        migrate(&mut db)?;
        make_folder(&folder)?;
        Ok(Store { db: Mutex::new(db), folder, path, marks: true })
    }

    /// Where it lies; empty for one in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the place of a writer for a moment, and tells the version of the tables.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn check(&self) -> Result<u32> {
        self.change(|t| t.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed))
    }

    fn change<T>(&self, of: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let mut db = self.db.lock();
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let change = || {
            let transaction = db.transaction_with_behavior(behavior).map_err(failed)?;
            let result = of(&transaction)?;
            transaction.commit().map_err(failed).map(|()| result)
        };
        named(&self.path, change())
    }

    pub(super) fn ask<T>(&self, of: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        named(&self.path, of(&self.db.lock()).map_err(failed))
    }

    /// Keeps a new job, and gives it its number.
    pub fn add_job(&self, job: &mut Job) -> Result<()> {
        job.id = self.change(|t| {
            t.execute(
                "INSERT INTO jobs (name, output, is_over, data) VALUES (?1, ?2, ?3, '')",
                params![job.name, job.output, job.is_over],
            )
            .map_err(failed)?;
            let id = t.last_insert_rowid();
            save(t, &Job { id, ..job.clone() })?;
            Ok(id)
        })?;
        make_folder(&self.folder(job.id))
    }

    /// Keeps what has changed of a job.
    pub fn save_job(&self, job: &Job) -> Result<()> {
        self.change(|t| save(t, job))
    }

    /// Keeps the parts of a job, with their numbers in the store, and that they are all. From now on
    /// they may be sent; a mark beside the output says so.
    pub fn plan(&self, job: &mut Job, parts: &mut [Part]) -> Result<()> {
        job.is_planned = true;
        self.change(|t| {
            insert(t, parts)?;
            save(t, job)?;
            // Within the transaction, so that no other process removes the mark meanwhile.
            self.mark(&job.output, true)
        })
    }

    /// Keeps that nothing more is to be done for a job.
    pub fn end(&self, job: &mut Job) -> Result<()> {
        job.is_over = true;
        self.change(|t| {
            save(t, job)?;
            self.mark(&job.output, is_open(t, &job.output)?)
        })
    }

    /// Sets or removes the mark beside an output by the jobs that are known for it.
    ///
    /// # Errors
    /// When the mark is another store's, or a file cannot be written.
    pub fn mark_again(&self, output: &str) -> Result<()> {
        let mark = UnderWayFile::beside(Path::new(output));
        if let Some(known) = mark.read()?.filter(|known| known.store != self.path) {
            let message = format!(
                "batches for it are under way, of which another store knows: {}; use that one \
                 (`--store`, OPENAI_BATCH_STORE)",
                known.store.display()
            );
            return Err(Error::invalid("output", message));
        }
        self.change(|t| self.mark(output, is_open(t, output)?))
    }

    fn mark(&self, output: &str, is_open: bool) -> Result<()> {
        let mark = UnderWayFile::beside(Path::new(output));
        match is_open {
            _ if !self.marks => Ok(()),
            true => mark.write(&self.path),
            false if mark.read()?.is_some_and(|known| known.store == self.path) => mark.remove(),
            false => Ok(()),
        }
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
        if let Some(job) = self.job(id)? {
            self.change(|t| {
                t.execute("DELETE FROM jobs WHERE id = ?1", [id]).map_err(failed)?;
                if is_open(t, &job.output)? { Ok(()) } else { self.mark(&job.output, false) }
            })?;
        }
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
            .map(drop)
            .map_err(failed)
        })
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

fn save(t: &Transaction<'_>, job: &Job) -> Result<()> {
    t.execute(
        "UPDATE jobs SET output = ?2, is_over = ?3, data = ?4 WHERE id = ?1",
        params![job.id, job.output, job.is_over, json(job)],
    )
    .map(drop)
    .map_err(failed)
}

/// Whether a job for an output is not over.
fn is_open(t: &Transaction<'_>, output: &str) -> Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM jobs WHERE output = ?1 AND is_over = 0)";
    t.query_row(query, [output], |row| row.get(0)).map_err(failed)
}

fn insert(t: &Transaction<'_>, parts: &mut [Part]) -> Result<()> {
    for part in parts {
        t.execute(
            "INSERT INTO parts (job, number, state, model, mark, batch_id, data) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, '')",
            params![part.job, part.number, part.state.name(), part.model, part.mark, part.batch_id],
        )
        .map_err(failed)?;
        part.id = t.last_insert_rowid();
        update(t, part)?;
    }
    Ok(())
}

fn update(t: &Transaction<'_>, part: &Part) -> Result<()> {
    t.execute(
        "UPDATE parts SET state = ?2, batch_id = ?3, data = ?4 WHERE id = ?1",
        params![part.id, part.state.name(), part.batch_id, json(part)],
    )
    .map(drop)
    .map_err(failed)
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
