//! The program, run as a user runs it: real processes against a simulator in this one.
//!
//! - `auto` - plans, and runs that follow them.
//! - `advice` - likely mistakes, and what is said to do.
//! - `ask` - one question, and rows that ask for a stream.
//! - `batch` - batches and their single steps.
//! - `cache` - answers that are kept on this machine.
//! - `cap` - caps of money and tokens.
//! - `codes` - each exit code.
//! - `config` - settings from files.
//! - `control` - limits that change while a run goes on.
//! - `doctor` - what it finds.
//! - `estimate` - what a run would cost.
//! - `eval` - data sets, verdicts, and comparisons.
//! - `help` - what the program says of itself.
//! - `input` - each kind of line, each way in, each endpoint.
//! - `report` - a page about a run.
//! - `logs` - logs and metrics.
//! - `output` - what is written where.
//! - `resume` - the same command again.
//! - `invalid` - input that is refused, before anything is sent.
//! - `killed` - death without warning.
//! - `secret` - a key that the server says aloud.
//! - `signals` - Ctrl-C.
//! - `tokens` - counting without sending.

mod auto;
mod advice;
mod ask;
mod batch;
mod cache;
mod cap;
mod codes;
mod config;
mod control;
mod doctor;
mod estimate;
mod eval;
mod help;
mod input;
mod invalid;
mod killed;
mod logs;
mod output;
mod report;
mod resume;
mod secret;
mod signals;
mod tokens;
