//! Looks at this machine, at the store and at the server, and judges nothing.

use super::there::Place;
use crate::machine;
use openai_bulk::batch::Store;
use openai_bulk::clock::Stop;
use openai_bulk::config::Config;
use openai_bulk::error::TransportError;
use openai_bulk::transport::{Answer, Method};
use openai_bulk::{Client, Error};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of an exchange.
pub type Looked = Result<Answer, TransportError>;

/// A folder that is written to.
#[derive(Debug)]
pub struct Disk {
    pub folder: PathBuf,
    /// Bytes that are free, where the system tells.
    pub free: Option<u64>,
    pub written: io::Result<()>,
}

/// The file of batches.
#[derive(Debug)]
pub enum Batches {
    /// Nothing names one.
    Nowhere(Error),
    /// It is not there, and would be made.
    Missing(PathBuf, io::Result<()>),
    There {
        path: PathBuf,
        /// The version of its tables, its jobs, and those of them that are under way.
        seen: Result<(u32, usize, usize), Error>,
    },
}

/// Asks for the list of models.
pub fn list_models(client: &Client, place: &Place) -> Looked {
    let dispatcher = &client.caller().dispatcher;
    dispatcher.look(Method::Get, &place.models_url, b"", PATIENCE, &Stop::new())
}

/// What is said before the model is asked.
pub fn announcement(client: &Client, place: &Place) -> String {
    let body = place.question();
    let reach = openai_bulk::usage::Reach::read(body.as_bytes());
    let most = reach.most(client.prices(), &place.model).money;
    let money =
        most.map_or("at a cost that is not known".into(), |most| format!("for {most} at most"));
    format!("asking {} for one token, {money}; --free leaves that out", place.model)
}

/// Asks the model for one token.
pub fn ask(client: &Client, place: &Place) -> Looked {
    let (dispatcher, body) = (&client.caller().dispatcher, place.question());
    dispatcher.look(Method::Post, &place.ask_url, body.as_bytes(), PATIENCE, &Stop::new())
}

/// How many files may be open, after what is allowed was asked for.
pub fn open_files() -> u64 {
    machine::open_files()
}

/// Looks at the file of batches; one that is not there is not made.
pub fn store(config: &Config) -> Batches {
    let path = match config.find_batch_store() {
        Ok(path) => path,
        Err(error) => return Batches::Nowhere(error),
    };
    if !path.exists() {
        let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
        let written = write_into(folder.unwrap_or(Path::new(".")));
        return Batches::Missing(path, written);
    }
    let look = || {
        let store = Store::open(&path)?;
        let jobs = store.jobs()?;
        let under_way = jobs.iter().filter(|job| !job.is_over).count();
        Ok((store.check()?, jobs.len(), under_way))
    };
    Batches::There { seen: look(), path }
}

/// Looks at the current folder.
pub fn disk() -> Disk {
    let folder = std::env::current_dir().unwrap_or_else(|_| ".".into());
    Disk { free: free(&folder), written: write_into(&folder), folder }
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let seen = rustix::fs::statvfs(folder).ok()?;
    Some(seen.f_bavail.saturating_mul(seen.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

/// Writes a small file and takes it away again.
fn write_into(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".openai-bulk-doctor-{}", std::process::id()));
    let written = fs::write(&path, [b'\n'; 4096]).and_then(|()| fs::File::open(&path)?.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed)
}
