//! Jobs and parts on the disk, and the only place that names SQLite.
//!
//! - `handle` - the handle: [`Store`], [`Lease`].

mod handle;
#[cfg(test)]
mod tests;

pub use handle::{Lease, Store};
