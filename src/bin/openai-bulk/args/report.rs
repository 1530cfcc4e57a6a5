//! What was typed for `report`.

use super::shared::{MORE, Talk};
use clap::{ArgGroup, Args};
use std::path::PathBuf;

const REPORT_EXAMPLES: &str = "\
The page is one file that needs no network and no script, is readable in light
and dark, and prints well. The summary tells the course over time, limits, cost
and the score of an evaluation; the output tells single rows, how their times
are spread, and, without a summary, cost and course as far as it can. Prompts
and answers are not in it; ids and what servers said of failures are.

Examples:
  openai-bulk run requests.jsonl -o answers.jsonl --summary summary.json
  openai-bulk report answers.jsonl --summary summary.json -o report.html
  openai-bulk report answers.jsonl -o report.html";

/// What a report needs.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = REPORT_EXAMPLES, group = ArgGroup::new("sources").args(["answers", "summary"]).required(true).multiple(true))]
pub struct Report {
    /// Outputs of the run: JSON Lines of answers and failures
    #[arg(value_name = "ANSWERS")]
    pub answers: Vec<PathBuf>,
    /// Summary of the run, as `run --summary` writes it, or what an evaluation found; may be repeated
    #[arg(long, value_name = "FILE")]
    pub summary: Vec<PathBuf>,
    /// Where the page goes; an earlier report is replaced, no other file is
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// What stands at the top [default: Run report]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Prices by which an output without a summary is told what it cost, before those that are built
    /// in
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    #[command(flatten)]
    pub talk: Talk,
}
