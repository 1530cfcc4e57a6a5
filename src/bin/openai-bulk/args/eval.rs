//! What was typed for `eval` and `compare`.

use super::run::Run;
use super::shared::{MORE, Requests, Sending, Talk, Ways, Writing};
use clap::{Args, ValueEnum};
use openai_bulk::config::parse_duration;
use std::path::{Path, PathBuf};
use std::time::Duration;

const EVAL_EXAMPLES: &str = "\
Examples:
  GSM8K, each question four times; run it again to go on where it stopped:
    openai-bulk eval --dataset gsm8k_test.jsonl --format gsm8k \\
      -o gsm8k.jsonl --epochs 4

  Programs, run by a command that shuts them in:
    openai-bulk eval --dataset HumanEval.jsonl.gz --format humaneval \\
      -o code.jsonl \\
      --check-command 'docker run -i --rm --network none python:3 python -'

  Rows of any fields, judged by another model, with a log for `inspect view`:
    openai-bulk eval --dataset rows.csv -o french.jsonl \\
      --prompt 'Translate into French: {text}' --target french \\
      --scorer graded --grader-model gpt-4.1 --inspect french.json

OUTPUT has a line for each sample and epoch, in the order of the data set.
Beside it lie the requests (OUTPUT.requests.jsonl) and the answers
(OUTPUT.answers.jsonl), as `run` has them: the same command with another scorer
judges them again and asks nothing. With a grader, OUTPUT.grading.jsonl has its
answers; remove it to let another one judge.";

#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = EVAL_EXAMPLES)]
pub struct Eval {
    /// File of the questions: JSON Lines, a JSON list, .csv or .tsv; also as .gz
    #[arg(long, value_name = "FILE")]
    pub dataset: PathBuf,
    /// Where the results go
    #[arg(short, long)]
    pub output: PathBuf,
    #[command(flatten)]
    pub question: Question,
    #[command(flatten)]
    pub judge: Judge,

    /// Take at most this many samples
    #[arg(long, value_name = "N", help_heading = "Samples")]
    pub limit: Option<usize>,
    /// Take the samples in an order that this number decides
    #[arg(long, value_name = "N", help_heading = "Samples")]
    pub shuffle_seed: Option<u64>,
    /// Ask each sample this many times, for pass@k and majority votes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Samples")]
    pub epochs: u32,

    /// Write a log that Inspect reads, as JSON: a name that ends in .json
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub inspect: Option<PathBuf>,
    /// Number that the draws for the intervals follow: the same gives the same
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Output")]
    pub bootstrap_seed: u64,

    #[command(flatten)]
    pub ways: Ways,
    #[command(flatten)]
    pub writing: Writing,
    #[command(flatten)]
    pub sending: Sending,
    #[command(flatten)]
    pub talk: Talk,
}

/// What rows are, and what is asked of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Questions")]
pub struct Question {
    /// Shape of the rows [default: any fields, which needs --prompt]
    #[arg(long, value_enum, value_name = "NAME")]
    pub format: Option<Shape>,
    /// What is asked, with `{field}` places for the row's fields, or the name of a file with it
    #[arg(long, value_name = "TEXT|FILE")]
    pub prompt: Option<String>,
    /// Field of the right answer, for rows of any fields [default: target]
    #[arg(long, value_name = "FIELD", conflicts_with = "format")]
    pub target: Option<String>,
    /// Field of the id, for rows of any fields [default: id, or the number of the row]
    #[arg(long, value_name = "FIELD", conflicts_with = "format")]
    pub id: Option<String>,
    /// Field of what rows are counted under, for rows of any fields [default: none]
    #[arg(long, value_name = "FIELD", conflicts_with = "format")]
    pub group: Option<String>,
    /// Examples before each question: the first N samples, which are then not asked, or all of
    /// another file of the same shape
    #[arg(long, value_name = "N|FILE")]
    pub few_shot: Option<String>,
    /// System message
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Model to ask [default: OPENAI_MODEL or gpt-4o-mini]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// /v1/chat/completions or /v1/responses [default: the former]
    #[arg(long, value_name = "PATH")]
    pub endpoint: Option<String>,
    /// More members of each request, such as '{"temperature":0}'
    #[arg(long, value_name = "JSON")]
    pub params: Option<String>,
}

/// Shapes of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// question, and answer with #### before the number
    Gsm8k,
    /// question, choices or options, answer, subject or category; also the original CSV without a
    /// header
    Mmlu,
    /// task_id, prompt, canonical_solution, test, entry_point
    Humaneval,
    /// problem, answer
    Simpleqa,
    /// input, ideal
    OpenaiEvals,
    /// input, target, choices, id, metadata
    Inspect,
}

/// How answers are judged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scoring")]
pub struct Judge {
    /// How answers are judged [default: as usual for the format; includes for any fields]
    #[arg(long, value_enum, value_name = "NAME")]
    pub scorer: Option<ScorerName>,
    /// How far a number may be from the right one
    #[arg(long, value_name = "X", default_value_t = 0.0, value_parser = tolerance)]
    pub tolerance: f64,
    /// Regular expression whose first group is the answer, for --scorer pattern
    #[arg(long, value_name = "REGEX", required_if_eq("scorer", "pattern"))]
    pub pattern: Option<String>,
    /// Command of the shell whose exit code 0 says right. It reads a program with its tests
    /// (humaneval) or the answer and the sample as JSON. It runs what a model has written: let it
    /// shut that in
    #[arg(long, value_name = "COMMAND", conflicts_with = "scorer")]
    pub check_command: Option<String>,
    /// Time for each command
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    pub check_timeout: Duration,
    /// Model that grades [default: the one that is asked]
    #[arg(long, value_name = "NAME")]
    pub grader_model: Option<String>,
    /// What the grader is asked, with {question}, {target} and {answer}, or the name of a file with
    /// it
    #[arg(long, value_name = "TEXT|FILE")]
    pub grader_template: Option<String>,
    /// Regular expression whose first group is the grader's verdict: a letter of the built-in
    /// templates, or a number from 0 to 1
    #[arg(long, value_name = "REGEX")]
    pub grader_pattern: Option<String>,
}

/// Ways to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScorerName {
    /// The answer is the target
    Exact,
    /// The same but for case, punctuation and articles
    Normalised,
    /// The answer holds the target
    Includes,
    /// The answer names the letter of the right choice
    Choice,
    /// The marked or last number is the target
    Numeric,
    /// The number after ####, spelled as the target, as GSM8K was published
    Gsm8k,
    /// What --pattern finds is the target
    Pattern,
    /// Another model says correct, partly correct or incorrect
    Graded,
    /// Another model says correct, incorrect or not attempted
    Simpleqa,
}

fn tolerance(typed: &str) -> Result<f64, String> {
    let number = typed.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "a number from 0 is expected".to_owned())
}

impl Eval {
    /// What a run is given that sends the requests.
    pub fn run(ways: Ways, writing: Writing, sending: Sending, talk: Talk, output: &Path) -> Run {
        Run {
            input: output.to_owned(),
            output: output.to_owned(),
            requests: Requests { model: None, system: None, template: None, endpoint: None },
            ways,
            writing,
            dry_run: false,
            expected_output: None,
            sending,
            talk,
        }
    }
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  openai-bulk compare before.jsonl after.jsonl

A and B are outputs of `eval` over the same data set. Samples are paired by
their ids; those with an error in one of them are left out.";

#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = COMPARE_EXAMPLES)]
pub struct Compare {
    /// Results of the first evaluation
    pub a: PathBuf,
    /// Results of the second
    pub b: PathBuf,
    /// Write JSON
    #[arg(long)]
    pub json: bool,
    /// Number that the draws by chance follow: the same gives the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}
