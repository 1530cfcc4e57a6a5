//! Jobs and parts on the disk, and the only place that names SQLite.
//!
//! - `handle` - the handle: [`Store`], [`Lease`].
//! - `schema` - the tables.
//! - `trouble` - what is wrong with a store, and what to do about it.

mod handle;
mod schema;
#[cfg(test)]
mod tests;
mod trouble;

pub use handle::{Lease, Store};
