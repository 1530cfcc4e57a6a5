//! Many requests from a file to a file.
//!
//! - `input` - the lines of the input, and the check of all of them before anything is sent.
//! - `journal` - the output, which tells at the same time what is done.

pub mod input;
pub mod journal;
