//! What was typed for `tokens`.

use super::shared::{Files, MORE, Requests, Talk};
use clap::{Args, ValueEnum};
use openai_bulk::usage::Encoding;
use std::path::PathBuf;

const TOKENS_EXAMPLES: &str = "\
A text is counted by the vocabulary of --model, or by --encoding. Requests are
counted by what they send: messages, names, tools, images and the form of the
answer, each by OpenAI's published rules; where there is none, the count is
marked as an estimate, and the reason is told. FILE holds requests if its name
ends in .jsonl or .ndjson (or these with .gz), or if its first line is a
request; --as decides otherwise.

Examples:
  openai-bulk tokens essay.txt
  echo 'How long is this?' | openai-bulk tokens --model gpt-4
  openai-bulk tokens --encoding cl100k_base --ids essay.txt
  openai-bulk tokens requests.jsonl --json";

/// What counting needs.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = TOKENS_EXAMPLES)]
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
    pub files: Files,
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
