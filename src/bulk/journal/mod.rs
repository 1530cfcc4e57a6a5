//! The output of a bulk run, which tells at the same time what is done.
//!
//! It is a file of lines as the Batch API writes them (see [`crate::wire::row`]), in the order
//! in which the answers came. A run that was killed leaves at most a torn last line behind; the
//! next one mends that and goes on.
//!
//! - `handle` - the handle: [`Journal`], [`Options`], [`Known`].
//! - `write` - lines into the file: buffer, flush, sync, and what holds after a failure.
//! - `scan` - what an existing file says, and the mending of its end.
//! - `look` - what an output says, without opening it for a run: [`look()`].
//! - `index` - which rows are done, in 16 bytes a row.
//! - `compact` - one line for each row, into a copy that takes the file's place: [`Summary`].
//! - `file` - the file system: locks, and whether two names are one file.

mod compact;
mod file;
mod handle;
mod index;
mod look;
mod scan;
#[cfg(test)]
mod tests;
mod write;

pub use compact::Summary;
pub use file::same_file;
pub(crate) use handle::each_line;
pub use handle::{Fsync, Journal, Options};
pub use index::{Found, Index, Known};
pub use look::look;
