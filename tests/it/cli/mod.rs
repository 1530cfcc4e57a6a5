//! The program, run as a user runs it: real processes against a simulator in this one.
//!
//! - `input` - each kind of line, each way in, each endpoint.
//! - `output` - what is written where.
//! - `resume` - the same command again.
//! - `invalid` - input that is refused, before anything is sent.

mod input;
mod invalid;
mod output;
mod resume;
