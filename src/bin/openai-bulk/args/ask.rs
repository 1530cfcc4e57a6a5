//! What was typed for `ask`.

use super::shared::{MORE, Sending, Talk};
use clap::Args;

const ASK_EXAMPLES: &str = "\
Examples:
  openai-bulk ask \"Why do ships made of steel float?\"
  git diff | openai-bulk ask - --system \"Write a commit message for this diff.\"
  openai-bulk ask \"Name a colour.\" --json | jq .choices
  openai-bulk ask \"Try it without a key.\" --simulate

The answer goes to standard output while it comes; tokens and cost go to
standard error. A question that is not answered ends with 3, and the other exit
codes are those of every command.";

#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = ASK_EXAMPLES)]
pub struct Ask {
    /// The question; `-` reads it from standard input
    pub question: String,
    /// Model to ask [default: OPENAI_MODEL or gpt-4o-mini]
    #[arg(short, long, value_name = "NAME")]
    pub model: Option<String>,
    /// System message
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Tokens that the answer may have [default: the model's own limit]
    #[arg(long, value_name = "N")]
    pub max_completion_tokens: Option<u64>,
    /// Wait for the whole answer, for servers that cannot stream
    #[arg(long)]
    pub no_stream: bool,
    /// Write the whole reply as JSON, at its end
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub sending: Sending,
    #[command(flatten)]
    pub talk: Talk,
}
