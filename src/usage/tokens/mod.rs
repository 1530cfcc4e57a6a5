//! Text to tokens, as OpenAI's models see it.
//!
//! A vocabulary takes a tenth of a second and some 50 MB when it is first asked for, and is then
//! kept. Nothing on the way of a request asks for one: admission weighs bytes.
//!
//! - `encoding` - which vocabulary a model reads by: [`Encoding`].
//! - `engine` - the vocabularies, loaded when first needed.
//! - `chunks` - where text may be cut without changing its tokens.
//! - `long` - text that has no such place for very long.
//! - `count` - counting and encoding, on all processors where it is much.
//! - `stream` - text that comes in parts: [`TextCount`].
//! - `truncate` - the beginning of a text that is so many tokens.

mod chunks;
mod count;
mod encoding;
mod engine;
mod long;
mod stream;
#[cfg(test)]
pub(super) mod tests;
mod truncate;

pub use encoding::Encoding;
pub(super) use encoding::base_model;
pub use stream::TextCount;
