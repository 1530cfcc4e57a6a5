//! What was typed for the cache of answers.

use super::shared::{Files, MORE, Talk};
use clap::{Args, Subcommand, ValueEnum};
use openai_bulk::cache::Access;
use openai_bulk::config::parse_duration;
use std::path::PathBuf;
use std::time::Duration;

/// How a command that sends requests uses the cache.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache")]
pub struct Caching {
    #[command(flatten)]
    pub kept: Kept,
    /// Take rows that ask the same for one request: what is in flight is sent once, and all have its
    /// answer [default: OPENAI_COALESCE or off]
    #[arg(long)]
    pub coalesce: bool,
}

/// What the cache may be used for, and where it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache")]
pub struct Kept {
    /// Keep answers on this machine, and take those that are there: the same request is not paid for
    /// twice. The n-th time that a request occurs in a run, it has an answer of its own [default:
    /// OPENAI_CACHE or off]
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "on", value_name = "MODE")]
    pub cache: Option<CacheMode>,
    /// File that keeps the answers [default: OPENAI_CACHE_FILE, or one in the user's cache folder]
    #[arg(long, value_name = "FILE")]
    pub cache_file: Option<PathBuf>,
}

/// What the cache may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheMode {
    /// Nothing
    Off,
    /// Answers are looked up, and kept
    On,
    /// Answers are looked up, and none are kept
    ReadOnly,
}

impl From<CacheMode> for Access {
    fn from(mode: CacheMode) -> Access {
        match mode {
            CacheMode::Off => Access::Off,
            CacheMode::On => Access::On,
            CacheMode::ReadOnly => Access::ReadOnly,
        }
    }
}

const CACHE_EXAMPLES: &str = "\
Examples:
  openai-bulk run questions.jsonl -o answers.jsonl --cache
  openai-bulk cache stats
  openai-bulk cache clear --older-than 7d";

/// What the commands for the cache need.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = CACHE_EXAMPLES)]
pub struct CacheSteps {
    #[command(subcommand)]
    pub command: CacheCommand,
    /// File that keeps the answers [default: OPENAI_CACHE_FILE, or one in the user's cache folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub cache_file: Option<PathBuf>,
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub talk: Talk,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Say how many answers are kept, since when, and what room they take
    Stats {
        /// Write JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the answers that are kept
    Clear {
        /// Only those that were stored longer ago, such as 7d [default: all]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        older_than: Option<Duration>,
    },
}
