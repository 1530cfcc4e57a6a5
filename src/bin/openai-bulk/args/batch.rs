//! What was typed for `batch`.

use super::shared::{Connection, MORE, Requests, Spending, Talk};
use clap::{Args, Subcommand};
use std::path::PathBuf;

const BATCH_EXAMPLES: &str = "\
`run --mode batch` does all of this by itself. JOB is the name that `submit`
and `list` print, or its beginning. Every step can be repeated, and goes on
where the last one stopped.

Examples:
  openai-bulk batch submit requests.jsonl -o answers.jsonl
  openai-bulk batch list
  openai-bulk batch status 1f3a
  openai-bulk batch fetch 1f3a";

/// What the steps of batches need.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = BATCH_EXAMPLES)]
pub struct BatchSteps {
    #[command(subcommand)]
    pub command: BatchCommand,
    /// File that keeps the state of batches [default: OPENAI_BATCH_STORE, or one in the user's
    /// state folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub store: Option<PathBuf>,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub talk: Talk,
}

#[derive(Debug, Subcommand)]
pub enum BatchCommand {
    /// Send the rows of a file as batches, and print the name of the job. What has to wait for room
    /// in the server's queue or for money is sent by `wait`, `fetch` and `run --mode batch`
    Submit {
        /// JSON Lines to send
        input: PathBuf,
        /// Where the answers will go
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        requests: Requests,
        #[command(flatten)]
        spending: Spending,
    },
    /// List the jobs
    List {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell where the parts of a job stood last
    Status {
        job: String,
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Watch over a job until all its batches have ended
    Wait { job: String },
    /// Ask once how the batches of a job get on, and write the answers of those that have ended into
    /// its output
    Fetch { job: String },
    /// Cancel what is under way of a job, and keep what is done
    Cancel { job: String },
    /// Take over a batch that was made elsewhere, and print the name of its job
    Adopt {
        /// Id of the batch
        batch: String,
        /// Where its answers will go
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Forget jobs that are over, with their files on this machine
    Clean {
        /// One job [default: all that are over]
        job: Option<String>,
        /// Also if it is not over: its batches go on, and nobody fetches them
        #[arg(long)]
        forget: bool,
    },
}
