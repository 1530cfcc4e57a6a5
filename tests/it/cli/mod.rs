//! The program, run as a user runs it: real processes against a simulator in this one.
//!
//! - `auto` - plans, and runs that follow them.
//! - `batch` - batches and their single steps.
//! - `cap` - caps of money and tokens.
//! - `codes` - each exit code.
//! - `control` - limits that change while a run goes on.
//! - `estimate` - what a run would cost.
//! - `input` - each kind of line, each way in, each endpoint.
//! - `report` - a page about a run.
//! - `output` - what is written where.
//! - `resume` - the same command again.
//! - `invalid` - input that is refused, before anything is sent.
//! - `killed` - death without warning.
//! - `secret` - a key that the server says aloud.
//! - `signals` - Ctrl-C.
//! - `tokens` - counting without sending.

mod auto;
mod batch;
mod cap;
mod codes;
mod control;
mod estimate;
mod input;
mod invalid;
mod killed;
mod output;
mod report;
mod resume;
mod secret;
mod signals;
mod tokens;
