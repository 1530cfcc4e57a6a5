//! What the rows of an input come to, before they are sent.
//!
//! - `survey` - reads the input and the output: [`Survey`].
//! - `tally` - tokens, by model: [`Tally`].
//! - `learned` - how much the answers that are there have written.
//! - `kept` - which rows the cache of answers would answer.
//! - `forecast` - what one row may cost, and what is too large of it.
//! - `sums` - what rows come to together: [`Sums`].
//! - `time` - how long they take within limits: [`Time`].
//! - `report` - all of it: [`Estimate`].

mod forecast;
mod kept;
mod learned;
mod report;
mod sums;
mod survey;
mod tally;
#[cfg(test)]
mod tests;
mod time;

pub use forecast::{ASSUMED_OUTPUT, TooLarge};
pub use report::{
    Estimate, ExpectedOutput, GroupEstimate, ModelEstimate, PriceSource, Rows, SCHEMA,
};
pub use sums::{CostRange, Sums, TokenRange};
pub use survey::Survey;
pub use tally::{Longest, ModelTally, Tally};
pub(crate) use time::Limits;
pub use time::{Seconds, Time};
