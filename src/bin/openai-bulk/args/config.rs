//! What was typed for `config`.

use super::shared::{Connection, MORE};
use clap::Args;

const CONFIG_EXAMPLES: &str = "\
A setting comes from the first of these that has it:
  1. a flag
  2. the environment                     OPENAI_MAX_RETRIES=3
  3. .env in the current folder          OPENAI_MAX_RETRIES=3
  4. openai-bulk.toml in this folder, or above it up to the one with .git
  5. openai-bulk/config.toml in $XDG_CONFIG_HOME, else in ~/.config
  6. the default

A file of settings names them in lower case, without OPENAI_:
  model = \"gpt-4o-mini\"
  requests_per_minute = 500
  timeout = \"2m\"

  [profile.local]                        # with --profile local
  base_url = \"http://localhost:8000/v1\"

A key does not belong in such a file: it comes from OPENAI_API_KEY, from .env,
or from a file that api_key_file names.

Examples:
  openai-bulk config
  openai-bulk config --all
  openai-bulk config --profile local --json";

/// What showing settings needs.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = CONFIG_EXAMPLES)]
pub struct Config {
    /// Also those that nobody has set, with what each is for
    #[arg(long)]
    pub all: bool,
    /// Write JSON: every setting with its value, where it came from, and what is allowed
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connection: Connection,
}
