//! What a request costs.
//!
//! - `weight` - what it weighs against the rate limits.

mod weight;

pub use weight::weigh;
