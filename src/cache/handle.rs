//! The cache of a client.

use super::disk::Trouble;
use super::{Disk, Entry, Key, Request};
use crate::wire::batch::account_name;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// What the cache may be used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Nothing.
    #[default]
    Off,
    /// Answers are looked up, and kept.
    On,
    /// Answers are looked up; nothing is kept, and nothing removed.
    ReadOnly,
}

/// Where answers are kept, and how many for how long.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The file.
    pub file: PathBuf,
    /// What it may be used for.
    pub access: Access,
    /// The most bytes that answers may take.
    pub max_size: u64,
    /// How long an answer is kept.
    pub max_age: Duration,
}

impl CacheOptions {
    /// Options for a file that is looked up and written to.
    pub fn new(file: impl Into<PathBuf>, max_size: u64, max_age: Duration) -> CacheOptions {
        CacheOptions { file: file.into(), access: Access::On, max_size, max_age }
    }

    /// What was stored before is too old.
    fn oldest(&self, now: SystemTime) -> SystemTime {
        now.checked_sub(self.max_age).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Sets what the file may be used for. Default: everything.
    pub fn access(mut self, access: Access) -> CacheOptions {
        self.access = access;
        self
    }
}

/// The cache of a client: answers to requests of one account.
///
/// It never fails a request. A file that cannot be used is told once, and then not used.
#[derive(Debug, Default)]
pub struct Cache {
    account: String,
    disk: Option<(Disk, CacheOptions)>,
    is_coalescing: bool,
    is_broken: AtomicBool,
}

impl Cache {
    /// One that keeps nothing.
    pub fn none() -> Cache {
        Cache::default()
    }

    /// The cache of the account that is reached with `headers`, of which none is kept.
    pub fn open(options: CacheOptions, headers: &[(String, String)]) -> Cache {
        let opened = match options.access {
            Access::Off => return Cache::none(),
            Access::On => Disk::open(&options.file),
            Access::ReadOnly => Disk::open_read_only(&options.file),
        };
        let disk = match opened {
            Ok(disk) => Some((disk, options)),
            Err(error) => {
                log::warn!(target: "openai_bulk::cache", "the cache is not used: {error}");
                None
            }
        };
        let parts: Vec<&str> =
            headers.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
        Cache { account: account_name(&parts), disk, ..Cache::default() }
    }

    /// The same cache, with which the calls of a pool that ask the same at the same time are sent
    /// once. Default: no.
    pub fn coalescing(mut self, is_coalescing: bool) -> Cache {
        self.is_coalescing = is_coalescing;
        self
    }

    /// Whether the same request in flight is sent once.
    pub fn is_coalescing(&self) -> bool {
        self.is_coalescing
    }

    /// Whether answers are looked up.
    pub fn is_on(&self) -> bool {
        self.disk.is_some() && !self.is_broken.load(Relaxed)
    }

    /// The request that a body asks of this account; `None` if its answer is never kept.
    pub(crate) fn request(&self, url: &str, body: &[u8]) -> Option<Request> {
        Request::new(&self.account, url, body)
    }

    /// The answer under `key`, if it is kept and not too old.
    pub fn get(&self, key: &Key, now: SystemTime) -> Option<Entry> {
        let (disk, options) = self.disk.as_ref().filter(|_| self.is_on())?;
        disk.get(key, now, options.oldest(now)).unwrap_or_else(|trouble| {
            self.meet(trouble, &disk.path().display().to_string());
            None
        })
    }

    /// Whether an answer is kept under `key` and not too old; it is not read.
    pub fn has(&self, key: &Key, now: SystemTime) -> bool {
        let Some((disk, options)) = self.disk.as_ref().filter(|_| self.is_on()) else {
            return false;
        };
        disk.has(key, options.oldest(now)).unwrap_or_else(|trouble| {
            self.meet(trouble, &disk.path().display().to_string());
            false
        })
    }

    /// Keeps an answer.
    pub fn put(&self, key: &Key, entry: &Entry, now: SystemTime) {
        let Some((disk, options)) = self.disk.as_ref().filter(|_| self.is_on()) else { return };
        if options.access == Access::ReadOnly {
            return;
        }
        if let Err(trouble) = disk.put(key, entry, now, options.oldest(now), options.max_size) {
            self.meet(trouble, &disk.path().display().to_string());
        }
    }

    fn meet(&self, trouble: Trouble, path: &str) {
        match trouble {
            Trouble::Busy => {
                log::debug!(target: "openai_bulk::cache", file = path; "the cache is busy");
            }
            Trouble::Broken(why) => {
                if !self.is_broken.swap(true, Relaxed) {
                    log::warn!(target: "openai_bulk::cache", "the cache is not used from here on: {path}: {why}");
                }
            }
        }
    }
}

impl Access {
    const ALL: [Access; 3] = [Access::Off, Access::On, Access::ReadOnly];

    /// Its name, as in settings.
    pub fn name(self) -> &'static str {
        match self {
            Access::Off => "off",
            Access::On => "on",
            Access::ReadOnly => "read-only",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Access> {
        Access::ALL.into_iter().find(|access| access.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Sample;
    use std::fs;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn options(file: PathBuf) -> CacheOptions {
        CacheOptions::new(file, 1 << 30, Duration::from_secs(60))
    }

    fn key(cache: &Cache) -> Key {
        cache.request("http://a/v1/chat/completions", b"{}").unwrap().sample(Sample::default())
    }

    #[test]
    fn answers_are_those_of_one_account_and_of_some_time() {
        let folder = tempfile::tempdir().unwrap();
        let open = |key: &str| {
            let headers = [("Authorization".to_owned(), key.to_owned())];
            Cache::open(options(folder.path().join("a.db")), &headers)
        };
        let (own, other) = (open("Bearer sk-a"), open("Bearer sk-b"));
        let entry = Entry::new(200, None, b"{}").unwrap();
        own.put(&key(&own), &entry, NOW);
        assert_eq!(own.get(&key(&own), NOW), Some(entry.clone()));
        assert!(own.has(&key(&own), NOW) && !own.has(&key(&other), NOW));
        assert!(!own.has(&key(&own), NOW + Duration::from_secs(61)));
        assert_eq!(open("Bearer sk-a").get(&key(&own), NOW), Some(entry));
        assert_eq!(own.get(&key(&other), NOW), None);
        assert_eq!(own.get(&key(&own), NOW + Duration::from_secs(61)), None);
        assert!(!format!("{own:?}").contains("sk-a"));
    }

    #[test]
    fn a_cache_that_is_only_read_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        drop(Cache::open(options(file.clone()), &[]));
        let cache = Cache::open(options(file).access(Access::ReadOnly), &[]);
        cache.put(&key(&cache), &Entry::new(200, None, b"{}").unwrap(), NOW);
        assert_eq!(cache.get(&key(&cache), NOW), None);
        assert!(cache.is_on());
    }

    #[test]
    fn a_file_that_breaks_is_not_used_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let entry = Entry::new(200, None, b"{}").unwrap();
        let cache = Cache::open(options(file.clone()), &[]);
        cache.put(&key(&cache), &entry, NOW);
        drop(cache);
        let mut bytes = fs::read(&file).unwrap();
        // The header stays, and what it leads to goes.
        bytes[100..].fill(0xa5);
        fs::write(&file, bytes).unwrap();
        let cache = Cache::open(options(file), &[]);
        assert_eq!(cache.get(&key(&cache), NOW), None);
        cache.put(&key(&cache), &entry, NOW);
        assert_eq!(cache.get(&key(&cache), NOW), None);
        assert!(!cache.is_on());
    }

    #[test]
    fn a_folder_that_cannot_be_made_turns_the_cache_off() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        assert!(!Cache::open(options(folder.path().join("file/a.db")), &[]).is_on());
        let off = options(folder.path().join("a.db")).access(Access::Off);
        assert!(!Cache::open(off, &[]).is_on());
        assert!(!folder.path().join("a.db").exists());
    }
}
