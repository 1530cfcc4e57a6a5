//! What a request costs.
//!
//! - `weight` - what it weighs against the rate limits.
//! - `outputs` - how much models write, as seen so far.
//! - `tokens` - text to tokens, exactly: [`Encoding`].
//! - `request` - the tokens of a request: [`count_request`].

mod outputs;
mod request;
mod tokens;
mod weight;

pub use outputs::Outputs;
pub use request::{Detail, Doubt, Doubts, RequestTokens, count_request, image_tokens};
use tokens::base_model;
pub use tokens::{Encoding, TextCount};
pub use weight::{Weight, weigh};
