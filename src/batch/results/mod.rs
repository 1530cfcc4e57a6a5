//! What a batch brought, joined to its rows.
//!
//! - `line` - a line of results, judged: [`Outcome`], [`Rank`].
//! - `join` - the lines and the rows: [`join`](join()).

mod join;
mod line;
#[cfg(test)]
mod tests;

pub(in crate::batch) use join::{Oddities, join};
pub(in crate::batch) use line::{Outcome, Rank};
