//! What was typed for `estimate`.

use super::cache::Kept;
use super::shared::{Files, MORE, Rates, Requests, Talk};
use clap::Args;
use std::path::PathBuf;

const ESTIMATE_EXAMPLES: &str = "\
Nothing is sent, and no key is needed. Low is one token for each answer;
expected what --expected-output says, else the mean of the answers in OUTPUT,
else 256 tokens; high all that the request, or else the model, allows. Input is
counted in full in all of them, as if nothing were in the server's cache. What
has no known price is told, and is in no sum. With --cache, rows whose answers
are kept on this machine are told with what that saves, and are in no other sum.

JSON (--json), whose `schema` rises when a field changes its meaning or goes:
`rows` (total, answered, changed, invalid, from_cache, to_send), `tokens` (what the
requests say, also by model), `sums` and `models` (`output_tokens`, and `live`,
`flex` and `batch` with low, expected and high in US dollars as text, null
where unknown, and the rows that are not in them; `from_cache` is the same for
what the cache answers), `time` in seconds,
`rows_too_large` and the first 1,000 of them as `too_large`, `prices`.

Examples:
  openai-bulk estimate requests.jsonl
  openai-bulk estimate requests.jsonl --requests-per-minute 500
  openai-bulk estimate requests.jsonl -o answers.jsonl --json";

/// What an estimate needs.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = ESTIMATE_EXAMPLES)]
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

    #[command(flatten)]
    pub rates: Rates,
    /// Prices that go before those that are built in, in this program's format or in LiteLLM's
    #[arg(long, value_name = "FILE", help_heading = "Money")]
    pub prices: Option<PathBuf>,
    #[command(flatten)]
    pub kept: Kept,
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub talk: Talk,
}
