//! What was typed for `simulate`, and what the simulator is like.

use super::shared::{MORE, Talk};
use clap::Args;
use openai_bulk::config::parse_duration;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Simulator")]
pub struct SimulatorArgs {
    /// Answers to replay: JSON Lines with `question` and `answer`
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// How long an answer takes: `100ms`, a range `50ms..2s`, or `800ms~0.6` (median and
    /// sigma of a log-normal)
    #[arg(long, value_name = "TIME")]
    pub latency: Option<String>,
    /// A fault and its share, such as `500=5%`, `reset=3%`, `half=2%`; may be repeated
    #[arg(long, value_name = "KIND=SHARE")]
    pub fault: Vec<String>,
    /// Faults hit only the first N attempts of a request
    #[arg(long, value_name = "N")]
    pub faults_on_first: Option<u32>,
    /// The simulator's own limit of requests a minute
    #[arg(long, value_name = "N")]
    pub server_requests_per_minute: Option<u64>,
    /// The simulator's own limit of tokens a minute
    #[arg(long, value_name = "N")]
    pub server_tokens_per_minute: Option<u64>,
    /// How much of its limits the simulator gives at once, such as 1s or 60s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub server_burst: Option<Duration>,
    /// The simulator sends no rate limit headers
    #[arg(long)]
    pub no_limit_headers: bool,
    /// How long the simulator's batches take besides their requests [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub batch_time: Option<Duration>,
    /// How long each request of a batch takes, one after another [default: 1ms]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub batch_request_time: Option<Duration>,
    /// The most input tokens in the simulator's queue of batches
    #[arg(long, value_name = "N")]
    pub server_enqueued_tokens: Option<u64>,
    /// What the simulator's chances follow
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

const SIMULATE_EXAMPLES: &str = "\
The first line on standard output is the base URL. Ctrl-C ends it.

Examples:
  openai-bulk simulate --port 8080 --latency 100ms
  openai-bulk simulate --fault 500=5% --fault reset=3% --faults-on-first 2
  openai-bulk simulate --server-requests-per-minute 6000 --server-burst 1s";

#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = SIMULATE_EXAMPLES)]
pub struct Simulate {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: String,
    /// Write what was seen as JSON when it ends: requests, answers by status, the most at once
    #[arg(long, value_name = "FILE")]
    pub stats: Option<PathBuf>,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
    #[command(flatten)]
    pub talk: Talk,
}
