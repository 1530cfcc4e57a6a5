//! `openai-bulk run`.

use crate::args::{Fsync, Mode, Run};
use crate::control::Control;
use crate::failure::{self, Failure};
use crate::progress::Progress;
use crate::{
    advice, auto, batch_steps, estimate, logger, machine, plan, requests, settings, signals, table,
};
use indicatif::MultiProgress;
use openai_bulk::batch::BatchSummary;
use openai_bulk::bulk::journal;
use openai_bulk::bulk::{FileRun, Status, Summary};
use openai_bulk::clock::Stop;
use openai_bulk::hybrid::AutoSummary;
use openai_bulk::usage::{Caps, Money};
use openai_bulk::wire::row::Format;
use openai_bulk::{Client, Error};
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Runs a file of requests into a file of answers.
pub fn run(args: &Run) -> Result<ExitCode, Failure> {
    if args.input == Path::new("-") && std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "standard input is a terminal: give it a file or a pipe".into(),
        ));
    }
    let bars = MultiProgress::new();
    logger::install(&bars, args.talk.quiet, args.talk.verbose);
    // Lives until the run is over.
    let mut simulator = None;
    let model = args.requests.model.as_deref();
    let config = settings::sending(&args.sending, model, !args.dry_run, &mut simulator)?;
    let config = auto::ways(args, config)?;
    for warning in config.warnings() {
        log::warn!(target: "openai_bulk::config", "{warning}");
    }
    let format = requests::format(&args.requests, config.get_model())?;
    if args.dry_run {
        return match args.ways.mode {
            Mode::Auto => plan::dry_run(args, config, format),
            _ => estimate::dry_run(args, &config, format, &bars),
        };
    }
    let caps = config.get_caps();
    let client = Client::new(config)?;
    if let Some(path) = &args.writing.metrics_file {
        check_apart("--metrics-file", path, &[&args.input, &args.output])?;
    }
    if let Some(path) = &args.writing.summary {
        check_summary(path, &[&args.input, &args.output])?;
    }
    let stop = Stop::new();
    signals::watch(&stop, args.sending.grace)?;
    let (input, output) = (&*args.input, &*args.output);
    let job = Job { args, input, output, client: &client, format, caps, stop: &stop, bars: &bars };
    let sent = send(&job, &|_| {}, &|| None)?;
    if let Some(path) = &args.writing.summary
        && !matches!(sent, Sent::Recalling(_))
    {
        write_summary(path, &sent)?;
    }
    Ok(sent.end(args))
}

/// Rows to send, and how.
pub struct Job<'a> {
    pub args: &'a Run,
    pub input: &'a Path,
    pub output: &'a Path,
    pub client: &'a Client,
    pub format: Format,
    pub caps: Caps,
    pub stop: &'a Stop,
    pub bars: &'a MultiProgress,
}

/// What was sent.
#[derive(serde::Serialize)]
#[serde(untagged)]
pub enum Sent {
    Live(Box<Summary>),
    Batch(Box<BatchSummary>),
    Auto(Box<AutoSummary>),
    /// Nothing, because batches are still being cancelled.
    Recalling(Box<BatchSummary>),
}

impl Sent {
    pub fn summary(&self) -> &Summary {
        match self {
            Sent::Live(summary) => summary,
            Sent::Batch(summary) | Sent::Recalling(summary) => &summary.run,
            Sent::Auto(summary) => &summary.run,
        }
    }

    /// Says how it ended, and gives its exit code.
    pub fn end(&self, args: &Run) -> ExitCode {
        match self {
            Sent::Live(summary) => end(args, summary),
            Sent::Batch(summary) => batch_steps::end(args, summary),
            Sent::Auto(summary) => auto::end(args, summary),
            Sent::Recalling(summary) => batch_steps::recalling(summary),
        }
    }
}

/// Sends rows in the mode that was asked for, and tells what that did. `seen` gets the lines of a
/// live run, and `more` what its progress says besides.
pub fn send(
    job: &Job<'_>,
    seen: &dyn Fn(&[u8]),
    more: &dyn Fn() -> Option<String>,
) -> Result<Sent, Failure> {
    if let Some(sent) = batch_steps::first(job)? {
        return Ok(sent);
    }
    let Job { args, client, .. } = job;
    let mut control = args.sending.control.clone().map(|path| Control::new(path, client));
    machine::survive_file_limits();
    let mut progress = Progress::new(job.bars, args.talk.quiet);
    let mut pace = auto::Pace::new(client.config().get_run_deadline());
    let result = file_run(job).run_seen(
        |snapshot| {
            if let Some(control) = &mut control {
                control.look(snapshot.elapsed);
            }
            pace.look(snapshot);
            progress.show(snapshot, more());
        },
        seen,
    );
    progress.finish();
    let summary = result?;
    if !args.talk.quiet {
        eprint!("{}", table::summary(&summary));
    }
    Ok(Sent::Live(Box::new(summary)))
}

/// A live run with the arguments of any run.
fn file_run(job: &Job<'_>) -> FileRun {
    let writing = &job.args.writing;
    let file_run = FileRun::new(job.client.caller().clone(), job.input, job.output)
        .format(job.format.clone())
        .ordered(writing.ordered)
        .fresh(writing.fresh)
        .skip_invalid(writing.skip_invalid)
        .fsync(fsync(writing.fsync))
        .max_cost(job.caps.money)
        .max_tokens_total(job.caps.tokens)
        .stop(job.stop);
    match &writing.metrics_file {
        Some(path) => file_run.metrics_file(path),
        None => file_run,
    }
}

fn fsync(typed: Fsync) -> journal::Fsync {
    match typed {
        Fsync::Never => journal::Fsync::Never,
        Fsync::Interval => journal::Fsync::Interval(Duration::from_secs(1)),
        Fsync::Always => journal::Fsync::Always,
    }
}

/// Says how the run ended, and gives its exit code.
pub fn end(args: &Run, summary: &Summary) -> ExitCode {
    let can_resume = args.output != Path::new("-") && args.input != Path::new("-");
    let resume = if can_resume { "; the same command sends what is missing" } else { "" };
    if let (Status::Capped, Some(reason)) = (summary.status, &summary.stopped_by) {
        eprintln!("stopped by the cap: {reason}");
        eprintln!(
            "{}{}",
            left(summary),
            if can_resume { "; the same command with a larger cap goes on" } else { "" }
        );
        return ExitCode::from(failure::CAPPED);
    }
    if let Some(reason) = &summary.stopped_by {
        eprintln!("error: the run was stopped: {reason}{resume}");
        tell(advice::about_stop(reason).as_deref());
        return ExitCode::from(failure::STOPPED);
    }
    if summary.status == Status::Interrupted {
        let left = summary.rows.not_sent;
        let are = if left == 1 { "row is" } else { "rows are" };
        eprintln!("interrupted: {left} {are} not done{resume}");
        return ExitCode::from(failure::INTERRUPTED);
    }
    if summary.rows.failed > 0 {
        let failed = summary.rows.failed;
        let (rows, errors) =
            if failed == 1 { ("row", "its error is") } else { ("rows", "their errors are") };
        eprintln!("{failed} {rows} failed: {errors} in the output{resume}");
        tell(advice::about_rows(summary));
        return ExitCode::from(failure::SOME_FAILED);
    }
    ExitCode::SUCCESS
}

fn tell(advice: Option<&str>) {
    if let Some(advice) = advice {
        eprintln!("  -> {advice}");
    }
}

/// What a run that was capped leaves.
fn left(summary: &Summary) -> String {
    let rows = summary.rows.not_sent;
    let are = if rows == 1 { "row is" } else { "rows are" };
    let cost = &summary.cost;
    let has_money = cost.cap.is_some_and(|cap| cap.money.is_some());
    // Where a server uses more than it is allowed, there is no most.
    let is_kept = |most: &Money| cost.left.is_none_or(|about| about <= *most);
    let most = cost.left_at_most.filter(|most| has_money && is_kept(most));
    let money = match (cost.left, most) {
        (Some(about), Some(most)) => {
            format!("at about {about} by what those cost that are done, and at most {most}")
        }
        (Some(about), None) => format!("at about {about} by what those cost that are done"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "at a cost that is not known".into(),
    };
    let tokens = match cost.left_tokens {
        Some(tokens) if cost.cap.is_some_and(|cap| cap.tokens.is_some()) => {
            format!("with about {tokens} tokens and ")
        }
        _ => String::new(),
    };
    format!("{rows} {are} left, {tokens}{money}")
}

/// Fails now if the summary cannot be written, before anything is paid for.
pub fn check_summary(path: &Path, others: &[&Path]) -> Result<(), Failure> {
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| Error::file("write the summary", path, e))?;
    check_apart("--summary", path, others)
}

/// Refuses a file that would be written over the input or the output.
pub fn check_apart(flag: &str, path: &Path, others: &[&Path]) -> Result<(), Failure> {
    for &other in others {
        if path == other || journal::same_file(path, other) {
            return Err(Failure::Usage(format!(
                "{flag} {}: that is the input or the output; choose another file",
                path.display()
            )));
        }
    }
    Ok(())
}

pub fn write_summary(path: &Path, summary: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(summary).expect("a summary is plain data");
    text.push('\n');
    fs::write(path, text).map_err(|e| Error::file("write the summary", path, e).into())
}
