//! What was typed for `doctor`.

use super::shared::{Connection, MORE};
use clap::Args;

const DOCTOR_EXAMPLES: &str = "\
Looks at: configuration, key, base URL, TLS, proxy, clock, model, limits,
prices, open files, batch store, disk. Each is ok, a warning or an error, with
what to do about it. The exit code is 1 if there is an error, else 0. Of a key
no more than its end is shown.

Two requests are sent: one for the list of models, which is free, and one to
the model, of a few tokens, from whose headers the limits are read; --free
leaves the second out.

Examples:
  openai-bulk doctor
  openai-bulk doctor --model gpt-4o --free
  openai-bulk doctor --base-url http://localhost:8000/v1 --json
  openai-bulk doctor --offline";

/// What a look at everything needs.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = DOCTOR_EXAMPLES)]
pub struct Doctor {
    /// Model to ask [default: OPENAI_MODEL or gpt-4o-mini]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Send nothing that costs anything: the limits are not looked at
    #[arg(long)]
    pub free: bool,
    /// Send nothing at all
    #[arg(long)]
    pub offline: bool,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connection: Connection,
}
