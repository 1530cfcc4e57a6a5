//! What the rows of an input come to, before they are sent.
//!
//! - `tally` - their tokens, by model: [`Tally`].

mod tally;

pub use tally::{Longest, ModelTally, Tally};
