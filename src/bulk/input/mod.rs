//! The input of a bulk run.
//!
//! - `source` - its lines, read with the memory of one: [`Source`], [`Lines`], [`Rows`].
//! - `check` - the first pass, before anything is sent: [`check()`], [`Checked`].
//! - `each` - rows on all processors, given in their order: [`each_row()`].
//! - `duplicates` - ids that occur twice: [`DuplicateGuard`].

mod check;
mod duplicates;
mod each;
mod source;

pub(super) use check::SHOWN;
pub use check::{Checked, Problem, check};
pub use duplicates::DuplicateGuard;
pub(super) use duplicates::Taken;
pub use each::each_row;
pub use source::{Line, Lines, Rows, Source};
