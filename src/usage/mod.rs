//! What a request costs.
//!
//! - `weight` - what it weighs against the rate limits.
//! - `outputs` - how much models write, as seen so far.

mod outputs;
mod weight;

pub use outputs::Outputs;
pub use weight::{Weight, weigh};
