//! Answers that were paid for once, kept on the disk.
//!
//! - `key` - which request an answer belongs to: [`Request`], [`Sample`], [`Key`].
//! - `entry` - an answer that is kept: [`Entry`], and which answers are.
//! - `disk` - the file: [`Disk`], its bounds, and the only place here that names SQLite.
//! - `disk/rows` - its rows: written and removed.
//! - `handle` - the cache of a client: [`Cache`]. It never fails a request.
//! - `folder` - folders that only their owner can read.

mod disk;
mod entry;
mod folder;
mod handle;
mod key;

pub use disk::{CacheStats, Disk};
pub use entry::Entry;
pub(crate) use folder::make_folder;
pub use handle::{Access, Cache, CacheOptions};
pub use key::{Key, Request, Sample};
