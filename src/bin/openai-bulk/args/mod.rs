//! What was typed.
//!
//! - `shared` - flags that several commands have.
//! - `run`, `plan`, `estimate`, `tokens`, `batch`, `report`, `simulate` - one command each.

mod batch;
mod estimate;
mod plan;
mod report;
mod run;
mod shared;
mod simulate;
mod tokens;

use clap::{Parser, Subcommand};

pub use batch::{BatchCommand, BatchSteps};
pub use estimate::Estimate;
pub use plan::Plan;
pub use report::Report;
pub use run::Run;
pub use shared::{Connection, Fsync, Mode, Rates, Requests, Sending, Spending, Ways};
pub use simulate::{Simulate, SimulatorArgs};
pub use tokens::{Kind, Tokens};

/// Sends very many requests to OpenAI, or to a server of its shape, and loses none.
#[derive(Debug, Parser)]
#[command(name = "openai-bulk", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    every row succeeded
  1    configuration, or a file that cannot be read or written
  2    wrong usage
  3    finished, but some rows failed
  4    stopped by the cap of --max-cost or --max-tokens-total; a larger one goes on
  5    stopped by the account or the server: bad key, no quota, server out of order for too long
  130  interrupted; the same command goes on where it stopped

The key comes from OPENAI_API_KEY, from .env, or from --api-key-file; no flag takes it.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send every request of a JSONL file and write every answer
    Run(Box<Run>),
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
    /// Serve an OpenAI-shaped server on this machine
    Simulate(Box<Simulate>),
}
