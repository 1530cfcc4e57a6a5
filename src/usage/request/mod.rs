//! What a request takes in and may write, from its JSON alone.
//!
//! - `count` - the count of a request: [`count_request`], [`RequestTokens`].
//! - `doubt` - why a count is an estimate: [`Doubt`].
//! - `chat` - messages, and the items of the Responses API.
//! - `tools` - functions, and the form of the answer.
//! - `image` - what an image counts for, by model.
//! - `picture` - the size of a picture from its first bytes.
//! - `ceiling` - the most that may be written.

mod ceiling;
mod chat;
mod count;
mod doubt;
mod image;
mod picture;
#[cfg(test)]
mod tests;
mod tools;

pub use count::{RequestTokens, count_request};
pub use doubt::{Doubt, Doubts};
pub use image::{Detail, image_tokens};
