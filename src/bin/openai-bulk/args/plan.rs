//! What was typed for `plan`.

use super::shared::{Connection, MORE, Rates, Requests, Talk};
use clap::Args;
use openai_bulk::config::parse_duration;
use openai_bulk::usage::Money;
use std::path::PathBuf;
use std::time::Duration;

const PLAN_EXAMPLES: &str = "\
Nothing is sent. `run --mode auto` with the same flags follows the plan. In time comes first, then
the cheapest way, then the soonest. A plan is guarded if there is time to cancel its batches and to
send all their rows live; OPENAI_AUTO_MARGIN and OPENAI_AUTO_CANCEL_TIME say how much is kept for
that, and OPENAI_AUTO_BATCH_ROWS how many rows make a batch worthwhile.

How long batches take is learned from those of the same account and model that have ended, which
needs the key; without any it is assumed (OPENAI_AUTO_BATCH_TIME). How fast rows go live is known
from --requests-per-minute and --tokens-per-minute; without them it is assumed too.

Examples:
  openai-bulk plan requests.jsonl --deadline 6h --tokens-per-minute 2000000
  openai-bulk plan requests.jsonl -o answers.jsonl --deadline 6h --max-cost 20 --json";

/// What planning needs.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = PLAN_EXAMPLES)]
pub struct Plan {
    /// JSON Lines to plan for
    pub input: PathBuf,
    /// Answers of a run that was begun: what is answered or under way is left out
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Time in which everything is to be done, such as 6h [default: OPENAI_RUN_DEADLINE or none]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub deadline: Option<Duration>,
    /// The most that may be spent, in US dollars [default: OPENAI_MAX_COST or none]
    #[arg(long, value_name = "DOLLARS", value_parser = Money::parse)]
    pub max_cost: Option<Money>,
    /// Tokens that each answer is expected to have [default: the mean of the answers in OUTPUT, or
    /// 256]
    #[arg(long, value_name = "N")]
    pub expected_output: Option<u64>,
    /// Prices that go before those that are built in
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// File that keeps the state of batches [default: OPENAI_BATCH_STORE, or one in the user's
    /// state folder]
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// Pass over lines that are not valid
    #[arg(long)]
    pub skip_invalid: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub rates: Rates,
    #[command(flatten)]
    pub requests: Requests,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub talk: Talk,
}
