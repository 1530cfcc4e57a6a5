//! What was typed for `run`.

use super::shared::{MORE, Requests, Sending, Talk, Ways, Writing};
use clap::Args;
use std::path::PathBuf;

const RUN_EXAMPLES: &str = "\
Examples:
  Try it without a key and without a network:
    openai-bulk run examples/questions.jsonl -o answers.jsonl --simulate

  Send the requests of a file, at most 500 a minute; run it again to resume:
    openai-bulk run requests.jsonl -o answers.jsonl --requests-per-minute 500

  Make requests of the rows of any JSONL file:
    openai-bulk run gsm8k.jsonl -o answers.jsonl \\
      --template '{\"messages\":[{\"role\":\"user\",\"content\":\"{question}\"}]}'

  Spend 5 dollars at most, and keep an account of it:
    openai-bulk run requests.jsonl -o answers.jsonl \\
      --max-cost 5.00 --summary summary.json

  To a server on this machine, 32 requests at once at most:
    openai-bulk run requests.jsonl -o answers.jsonl --model my-model \\
      --base-url http://localhost:8000/v1 --max-concurrency 32

  In a pipe:
    zcat requests.jsonl.gz | openai-bulk run - -o - | jq .response.body

Input lines are Batch API requests (custom_id, method, url, body), bare request
bodies, {\"prompt\": ...} rows, or rows of fields for --template. Output lines
are the Batch API's own, with one more key, x_run. OUTPUT is also the journal:
the same command again sends only what is missing or failed.";

#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = RUN_EXAMPLES)]
pub struct Run {
    /// JSON Lines to send; `-` is standard input, `.gz` is unpacked
    pub input: PathBuf,
    /// Where the answers go; `-` is standard output, which cannot be resumed
    #[arg(short, long)]
    pub output: PathBuf,

    #[command(flatten)]
    pub requests: Requests,

    #[command(flatten)]
    pub ways: Ways,
    #[command(flatten)]
    pub writing: Writing,

    /// Send nothing: say what would be sent, what it would cost and how long it would take
    #[arg(long, help_heading = "Estimate")]
    pub dry_run: bool,
    /// With --dry-run: tokens that each answer is expected to have [default: the mean of the
    /// answers in OUTPUT, or 256]
    #[arg(long, value_name = "N", requires = "dry_run", help_heading = "Estimate")]
    pub expected_output: Option<u64>,

    #[command(flatten)]
    pub sending: Sending,
    #[command(flatten)]
    pub talk: Talk,
}
