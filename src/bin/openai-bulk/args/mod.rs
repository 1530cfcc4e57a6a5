//! What was typed.
//!
//! - `shared` - flags that several commands have.
//! - `ask`, `run`, `eval` (with `compare`), `plan`, `estimate`, `tokens`, `batch`, `cache`, `report`,
//!   `simulate`, `doctor`, `config`, `completions` - one command each.

mod ask;
mod batch;
mod cache;
mod completions;
mod config;
mod doctor;
mod estimate;
mod eval;
mod plan;
mod report;
mod run;
mod shared;
mod simulate;
mod tokens;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

pub use ask::Ask;
pub use batch::{BatchCommand, BatchSteps};
pub use cache::{CacheCommand, CacheSteps, Caching, Kept};
pub use completions::Completions;
pub use config::Config;
pub use doctor::Doctor;
pub use estimate::Estimate;
pub use eval::{Compare, Eval, Judge, Question, ScorerName, Shape};
pub use plan::Plan;
pub use report::Report;
pub use run::Run;
pub use shared::{
    Connection, Files, Fsync, Mode, Rates, Requests, Sending, Spending, Ways, Writing,
};
pub use simulate::{Simulate, SimulatorArgs};
pub use tokens::{Kind, Tokens};

/// Sends very many requests to OpenAI, or to a server of its shape, and loses none.
#[derive(Debug, Parser)]
#[command(name = "openai-bulk", version, after_help = START, after_long_help = MANUAL, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Append log records to this file, as JSON Lines
    #[arg(long, value_name = "FILE", global = true, help_heading = "Messages")]
    pub log_file: Option<PathBuf>,
    /// What goes into the log file; debug has a record for each attempt and each row
    #[arg(
        long,
        value_name = "LEVEL",
        global = true,
        requires = "log_file",
        default_value = "info",
        help_heading = "Messages"
    )]
    pub log_level: log::LevelFilter,
}

const START: &str = "\
Try it, without a key and without a network:
  openai-bulk run examples/questions.jsonl -o answers.jsonl --simulate

`openai-bulk --help` has examples and the exit codes, `openai-bulk run --help`
all of a run.";

const MANUAL: &str = "\
First steps:
  Look whether all is well: key, server, limits, disk
    openai-bulk doctor
  See what a file would cost, and how long it would take
    openai-bulk estimate requests.jsonl
  Send it; the same command again sends what is missing
    openai-bulk run requests.jsonl -o answers.jsonl --max-cost 5.00
  The same by tomorrow, at half the price
    openai-bulk run requests.jsonl -o answers.jsonl --mode batch

A line of requests.jsonl is a line of the Batch API, a bare request, or
{\"prompt\": \"...\"}.

Exit codes:
  0    every row succeeded
  1    configuration, or a file that cannot be read or written
  2    wrong usage
  3    finished, but some rows failed
  4    stopped by the cap of --max-cost or --max-tokens-total
  5    stopped by the account or the server: bad key, no quota, an outage
  130  interrupted
After 3, 4, 5 and 130 the same command goes on where it stopped.

The key comes from OPENAI_API_KEY, from .env, or from --api-key-file; no flag
takes it.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask one question, and write the answer while it comes
    Ask(Box<Ask>),
    /// Send every request of a JSONL file and write every answer
    Run(Box<Run>),
    /// Ask the questions of a data set, judge the answers, and count
    Eval(Box<Eval>),
    /// Say whether two evaluations differ, and whether that is more than chance
    Compare(Compare),
    /// Say what should go now and what by batch to be done in time, why, and what it would cost
    Plan(Box<Plan>),
    /// Say what the requests of a JSONL file would cost, and how long they would take
    Estimate(Box<Estimate>),
    /// Count the tokens of a text, or of the requests of a JSONL file
    Tokens(Box<Tokens>),
    /// Single steps of batches: submit, watch, fetch, cancel
    Batch(Box<BatchSteps>),
    /// Make one page of HTML about a run, from its summary and its output
    Report(Box<Report>),
    /// Answers that are kept on this machine: stats, clear
    Cache(Box<CacheSteps>),
    /// Serve an OpenAI-shaped server on this machine
    Simulate(Box<Simulate>),
    /// Look at everything that a run needs, and say what to do about what is wrong
    Doctor(Box<Doctor>),
    /// Show the settings, and where each came from
    Config(Box<Config>),
    /// Write the completions for a shell
    Completions(Completions),
    /// Write the manual page
    Man,
}
