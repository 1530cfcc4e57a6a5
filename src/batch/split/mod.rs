//! Rows into parts.
//!
//! - `splitter` - rows of an input: [`PartLimits`], [`Splitter`].
//! - `divide` - rows of another part.

mod divide;
mod splitter;
#[cfg(test)]
mod tests;

pub(in crate::batch) use divide::{divide, half, rewrite};
pub use splitter::PartLimits;
pub(in crate::batch) use splitter::Splitter;
pub(crate) use splitter::{queue_tokens, takes_batches};
