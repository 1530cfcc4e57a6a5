//! Flags that several commands have.

use super::cache::Caching;
use super::simulate::SimulatorArgs;
use clap::{Args, ValueEnum};
use openai_bulk::config::parse_duration;
use openai_bulk::usage::Money;
use std::path::PathBuf;
use std::time::Duration;

/// What stands at the end of a short help.
pub const MORE: &str = "Examples: --help";

/// How rows become requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Requests")]
pub struct Requests {
    /// Model of the rows that name none [default: OPENAI_MODEL or gpt-4o-mini]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// System message for `{"prompt": ...}` rows
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// JSON request with `{field}` places for the row's fields, or the name of a file with one
    #[arg(long, value_name = "JSON|FILE")]
    pub template: Option<String>,
    /// Endpoint of bare bodies, such as /v1/embeddings [default: what the body looks like]
    #[arg(long, value_name = "PATH")]
    pub endpoint: Option<String>,
}

/// Which way rows are sent.
#[derive(Debug, Args)]
pub struct Ways {
    /// How rows are sent: at once, or as batches, which take up to a day at half the price, or the
    /// cheapest way that is in time. A run may change between its starts
    #[arg(long, value_enum, default_value_t = Mode::Live, value_name = "MODE", help_heading = "Batches")]
    pub mode: Mode,
    /// With --mode batch: rows that a batch leaves undone are sent live, not in another batch
    #[arg(long, help_heading = "Batches")]
    pub rest_live: bool,
    /// Time in which the whole run is to be done, such as 6h, from its first start. With --mode auto
    /// it decides what goes by batch; a live run warns as soon as it is too slow; --mode batch takes
    /// none, because the server promises nothing below 24h. For one row see --row-deadline
    /// [default: OPENAI_RUN_DEADLINE or none]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Batches")]
    pub deadline: Option<Duration>,
    /// With --mode auto: send the rows of a late batch live while it is still being cancelled, at
    /// the risk of paying for some twice
    #[arg(long, help_heading = "Batches")]
    pub allow_double: bool,
    /// File that keeps the state of batches [default: OPENAI_BATCH_STORE, or one in the user's
    /// state folder]
    #[arg(long, value_name = "FILE", help_heading = "Batches")]
    pub store: Option<PathBuf>,
}

/// How rows are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// At once
    Live,
    /// As batches
    Batch,
    /// As `openai-bulk plan` says: in time, and as cheap as that can be
    Auto,
}

/// How answers are written.
#[derive(Debug, Args)]
pub struct Writing {
    /// Write the answers in the order of the input
    #[arg(long, help_heading = "Output")]
    pub ordered: bool,
    /// Start over: what OUTPUT holds is thrown away
    #[arg(long, help_heading = "Output")]
    pub fresh: bool,
    /// Turn lines that are not valid into failed rows instead of refusing the file
    #[arg(long, help_heading = "Output")]
    pub skip_invalid: bool,
    /// When answers are forced to the disk: a killed program loses none even with `never`, a power
    /// failure may lose what was written since the last time
    #[arg(long, value_enum, default_value_t = Fsync::Interval, value_name = "WHEN", help_heading = "Output")]
    pub fsync: Fsync,
    /// Write a summary as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub summary: Option<PathBuf>,
    /// Write how the run stands every 5 seconds and at its end, in Prometheus' text format; for the
    /// textfile collector of node_exporter
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub metrics_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Never: when the system sees fit
    Never,
    /// Once a second and at the end
    Interval,
    /// After every group of answers that is written
    Always,
}

/// What may be spent, and what it is counted by.
#[derive(Debug, Args)]
pub struct Spending {
    /// Stop before more than this many US dollars are spent, such as 5.00; requests in flight count,
    /// and so does what a run spent before it was resumed [default: none]
    #[arg(long, value_name = "DOLLARS", value_parser = Money::parse, help_heading = "Money")]
    pub max_cost: Option<Money>,
    /// Stop before more than this many tokens are used, read and written together [default: none]
    #[arg(long, value_name = "N", help_heading = "Money")]
    pub max_tokens_total: Option<u64>,
    /// Prices that go before those that are built in, in this program's format or in LiteLLM's
    #[arg(long, value_name = "FILE", help_heading = "Money")]
    pub prices: Option<PathBuf>,
}

/// What a command that sends requests needs.
#[derive(Debug, Args)]
pub struct Sending {
    #[command(flatten)]
    pub spending: Spending,
    #[command(flatten)]
    pub rates: Rates,
    /// A file of `NAME = VALUE` lines, such as `requests_per_minute = 500`, that is looked at every
    /// second and changes the limits while the run goes on
    #[arg(long, value_name = "FILE", help_heading = "Limits")]
    pub control: Option<PathBuf>,
    /// Exactly this many requests in flight, if the limits allow them [default: as many as the
    /// limits and the server's latency need]
    #[arg(long, value_name = "N", conflicts_with_all = ["min_concurrency", "max_concurrency"], help_heading = "Limits")]
    pub concurrency: Option<usize>,
    /// Requests in flight at least, however slow or overloaded the server [default: 1]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub min_concurrency: Option<usize>,
    /// Requests in flight at most [default: OPENAI_MAX_CONCURRENCY or 1024]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_concurrency: Option<usize>,
    /// Sends up to this share of requests a second time when they take longer than 95 of 100
    /// others, such as 0.02; both may be billed [default: 0]
    #[arg(long, value_name = "SHARE", help_heading = "Limits")]
    pub hedge: Option<f64>,
    /// Tries after the first, for each row; refusals for the rate limit count a tenth [default: 8]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub max_retries: Option<u32>,
    /// Time for one attempt, such as 30s [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub timeout: Option<Duration>,
    /// Time for one row with all its attempts [default: OPENAI_DEADLINE or 30m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub row_deadline: Option<Duration>,
    /// How long requests in flight may take to end after Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s", help_heading = "Limits")]
    pub grace: Duration,

    #[command(flatten)]
    pub caching: Caching,

    #[command(flatten)]
    pub connection: Connection,

    /// Answer from a simulator inside this program: no key, no network, no cost
    #[arg(long, conflicts_with = "cache", help_heading = "Simulator")]
    pub simulate: bool,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
}

/// The limits of a minute and of a day.
#[derive(Debug, Args)]
pub struct Rates {
    /// Requests a minute, for each model [default:
    /// OPENAI_REQUESTS_PER_MINUTE, or what the server's headers say]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, for each model [default:
    /// OPENAI_TOKENS_PER_MINUTE, or what the server's headers say]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub tokens_per_minute: Option<u64>,
    /// Requests a day, for each model [default: none]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub requests_per_day: Option<u64>,
    /// Tokens a day, for each model [default: none]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub tokens_per_day: Option<u64>,
    /// Models that share their limits, such as `gpt-4o-2024-*=gpt-4o`; may be repeated
    #[arg(long, value_name = "PATTERN=NAME", help_heading = "Limits")]
    pub limit_group: Vec<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Server to send to [default: OPENAI_BASE_URL or https://api.openai.com/v1]
    #[arg(long, value_name = "URL", global = true)]
    pub base_url: Option<String>,
    /// File that holds the key
    #[arg(long, value_name = "FILE", global = true)]
    pub api_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub files: Files,
    /// Any other setting by its name in the environment, such as OPENAI_BACKOFF_CAP=5s
    #[arg(long = "set", value_name = "NAME=VALUE", global = true)]
    pub settings: Vec<String>,
    /// Time to connect [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, global = true)]
    pub connect_timeout: Option<Duration>,
    /// Certificates (PEM) to trust besides the system's
    #[arg(long, value_name = "FILE", global = true)]
    pub ca_file: Option<PathBuf>,
}

/// Which files settings are read from.
#[derive(Debug, Default, Args)]
pub struct Files {
    /// File of variables to read instead of ./.env
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub env_file: Option<PathBuf>,
    /// File of settings (TOML) to read instead of the project's openai-bulk.toml and the user's
    #[arg(long = "config", value_name = "FILE", global = true, help_heading = "Settings")]
    pub config_file: Option<PathBuf>,
    /// Let [profile.NAME] of a file of settings go before the rest of it
    #[arg(long, value_name = "NAME", global = true, help_heading = "Settings")]
    pub profile: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Messages")]
pub struct Talk {
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    pub quiet: bool,
    /// Say more; twice for still more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}
