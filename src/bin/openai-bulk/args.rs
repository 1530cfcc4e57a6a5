//! What was typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use openai_bulk::config::parse_duration;
use openai_bulk::usage::{Encoding, Money};
use std::path::PathBuf;
use std::time::Duration;

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
    /// Say what the requests of a JSONL file would cost, and how long they would take
    Estimate(Box<Estimate>),
    /// Count the tokens of a text, or of the requests of a JSONL file
    Tokens(Box<Tokens>),
    /// Single steps of batches: submit, watch, fetch, cancel
    Batch(Box<BatchSteps>),
    /// Serve an OpenAI-shaped server on this machine
    Simulate(Box<Simulate>),
}

const RUN_EXAMPLES: &str = "\
Examples:
  Try it without a key and without a network:
    openai-bulk run examples/questions.jsonl -o answers.jsonl --simulate

  Send the requests of a file, at most 500 a minute; run it again to resume:
    openai-bulk run requests.jsonl -o answers.jsonl --requests-per-minute 500

  Make requests of the rows of any JSONL file:
    openai-bulk run gsm8k.jsonl -o answers.jsonl \\
      --template '{\"messages\":[{\"role\":\"user\",\"content\":\"{question}\"}]}'

Input lines are Batch API requests (custom_id, method, url, body), bare request bodies,
{\"prompt\": ...} rows, or rows of fields for --template. Output lines are the Batch API's own, with
one more key, x_run. OUTPUT is also the journal: the same command again sends only what is missing
or failed.";

#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub struct Run {
    /// JSON Lines to send; `-` is standard input, `.gz` is unpacked
    pub input: PathBuf,
    /// Where the answers go; `-` is standard output, which cannot be resumed
    #[arg(short, long)]
    pub output: PathBuf,

    #[command(flatten)]
    pub requests: Requests,

    /// How rows are sent: at once, or as batches, which take up to a day at half the price. A run
    /// may change between its starts
    #[arg(long, value_enum, default_value_t = Mode::Live, value_name = "MODE", help_heading = "Batches")]
    pub mode: Mode,
    /// With --mode batch: rows that a batch leaves undone are sent live, not in another batch
    #[arg(long, help_heading = "Batches")]
    pub rest_live: bool,
    /// File that keeps the state of batches [default: OPENAI_BATCH_STORE, or one in the user's
    /// state folder]
    #[arg(long, value_name = "FILE", help_heading = "Batches")]
    pub store: Option<PathBuf>,

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

    /// Stop before more than this many US dollars are spent, earlier runs into OUTPUT and requests
    /// in flight included, such as 5.00 [default: none]
    #[arg(long, value_name = "DOLLARS", value_parser = Money::parse, help_heading = "Money")]
    pub max_cost: Option<Money>,
    /// Stop before more than this many tokens are used, read and written together [default: none]
    #[arg(long, value_name = "N", help_heading = "Money")]
    pub max_tokens_total: Option<u64>,
    /// Prices that go before those that are built in, in this program's format or in LiteLLM's
    #[arg(long, value_name = "FILE", help_heading = "Money")]
    pub prices: Option<PathBuf>,

    /// Requests a minute, for each model [default: what the server's headers say]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, for each model [default: what the server's headers say]
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
    /// Time for a row with all its attempts [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = "Limits")]
    pub deadline: Option<Duration>,
    /// How long requests in flight may take to end after Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30s", help_heading = "Limits")]
    pub grace: Duration,

    /// Send nothing: say what would be sent, what it would cost and how long it would take
    #[arg(long, help_heading = "Estimate")]
    pub dry_run: bool,
    /// With --dry-run: tokens that each answer is expected to have [default: the mean of the
    /// answers in OUTPUT, or 256]
    #[arg(long, value_name = "N", requires = "dry_run", help_heading = "Estimate")]
    pub expected_output: Option<u64>,

    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub talk: Talk,

    /// Answer from a simulator inside this program: no key, no network, no cost
    #[arg(long, help_heading = "Simulator")]
    pub simulate: bool,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
}

/// How rows are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// At once
    Live,
    /// As batches
    Batch,
}

const BATCH_EXAMPLES: &str = "\
`run --mode batch` does all of this by itself. JOB is the name that `submit` and `list` print, or
its beginning. Every step can be repeated, and goes on where the last one stopped.

Examples:
  openai-bulk batch submit requests.jsonl -o answers.jsonl
  openai-bulk batch list
  openai-bulk batch status 1f3a
  openai-bulk batch fetch 1f3a";

/// What the steps of batches need.
#[derive(Debug, Args)]
#[command(after_help = BATCH_EXAMPLES)]
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
    /// Send the rows of a file as batches, and print the name of the job
    Submit {
        /// JSON Lines to send
        input: PathBuf,
        /// Where the answers will go
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        requests: Requests,
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
    /// Write the answers of batches that have ended into the job's output
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

const ESTIMATE_EXAMPLES: &str = "\
Nothing is sent, and no key is needed. Low is one token for each answer; expected what
--expected-output says, else the mean of the answers in OUTPUT, else 256 tokens; high all that the
request, or else the model, allows. Input is counted in full in all of them, as if nothing were in
the server's cache. What has no known price is told, and is in no sum.

JSON (--json), whose `schema` rises when a field changes its meaning or goes: `rows` (total,
answered, changed, invalid, to_send), `tokens` (what the requests say, also by model), `sums` and
`models` (`output_tokens`, and `live`, `flex` and `batch` with low, expected and high in US dollars
as text, null where unknown, and the rows that are not in them), `time` in seconds,
`rows_too_large` and the first 1,000 of them as `too_large`, `prices`.

Examples:
  openai-bulk estimate requests.jsonl
  openai-bulk estimate requests.jsonl --requests-per-minute 500 --tokens-per-minute 200000
  openai-bulk estimate requests.jsonl -o answers.jsonl --json";

/// What an estimate needs.
#[derive(Debug, Args)]
#[command(after_help = ESTIMATE_EXAMPLES)]
pub struct Estimate {
    /// JSON Lines that would be sent; `-` is standard input, `.gz` is unpacked
    pub input: PathBuf,
    /// Output of a run that was begun: what is answered there is not counted again
    #[arg(short, long)]
    pub output: Option<PathBuf>,
    /// Tokens that each answer is expected to have [default: the mean of the answers in OUTPUT, or
    /// 256]
    #[arg(long, value_name = "N")]
    pub expected_output: Option<u64>,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Pass over lines that are not valid instead of refusing the file
    #[arg(long)]
    pub skip_invalid: bool,
    #[command(flatten)]
    pub requests: Requests,

    /// Requests a minute, for each model [default: OPENAI_REQUESTS_PER_MINUTE, or not known]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, for each model [default: OPENAI_TOKENS_PER_MINUTE, or not known]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub tokens_per_minute: Option<u64>,
    /// Requests a day, for each model [default: OPENAI_REQUESTS_PER_DAY, or none]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub requests_per_day: Option<u64>,
    /// Tokens a day, for each model [default: OPENAI_TOKENS_PER_DAY, or none]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub tokens_per_day: Option<u64>,
    /// Models that share their limits, such as `gpt-4o-2024-*=gpt-4o`; may be repeated
    #[arg(long, value_name = "PATTERN=NAME", help_heading = "Limits")]
    pub limit_group: Vec<String>,
    /// Prices that go before those that are built in, in this program's format or in LiteLLM's
    #[arg(long, value_name = "FILE", help_heading = "Money")]
    pub prices: Option<PathBuf>,
    /// File of settings to read instead of ./.env
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub env_file: Option<PathBuf>,
    #[command(flatten)]
    pub talk: Talk,
}

const TOKENS_EXAMPLES: &str = "\
A text is counted by the vocabulary of --model, or by --encoding. Requests are counted by what they
send: messages, names, tools, images and the form of the answer, each by OpenAI's published rules;
where there is none, the count is marked as an estimate, and the reason is told. FILE holds requests if its name ends in .jsonl or .ndjson
(or these with .gz), or if its first line is a request; --as decides otherwise.

Examples:
  openai-bulk tokens essay.txt
  echo 'How long is this?' | openai-bulk tokens --model gpt-4
  openai-bulk tokens --encoding cl100k_base --ids essay.txt
  openai-bulk tokens requests.jsonl --json";

/// What counting needs.
#[derive(Debug, Args)]
#[command(after_help = TOKENS_EXAMPLES)]
pub struct Tokens {
    /// Text or JSON Lines of requests to count; `-` is standard input, `.gz` is unpacked
    #[arg(default_value = "-", value_name = "FILE")]
    pub input: PathBuf,
    /// Vocabulary to count text by, instead of that of --model
    #[arg(long, value_name = "NAME", value_parser = encoding, conflicts_with = "model")]
    pub encoding: Option<Encoding>,
    /// What FILE is [default: what its name and its first line say]
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,
    /// Write the numbers of the text's tokens
    #[arg(long)]
    pub ids: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Count the requests among lines of which some are not valid
    #[arg(long)]
    pub skip_invalid: bool,
    #[command(flatten)]
    pub requests: Requests,
    #[command(flatten)]
    pub talk: Talk,
}

/// What a file is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Text
    Text,
    /// JSON Lines of requests, as `run` takes them
    Requests,
}

fn encoding(name: &str) -> Result<Encoding, String> {
    Encoding::named(name)
        .ok_or_else(|| format!("there are {}", Encoding::ALL.map(Encoding::name).join(", ")))
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
    /// File of settings to read instead of ./.env
    #[arg(long, value_name = "FILE", global = true)]
    pub env_file: Option<PathBuf>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fsync {
    /// Never: when the system sees fit
    Never,
    /// Once a second and at the end
    Interval,
    /// After every group of answers that is written
    Always,
}

/// What the simulator is like.
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
#[command(after_help = SIMULATE_EXAMPLES)]
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
