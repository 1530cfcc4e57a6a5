//! `run --mode auto`, and what a deadline means elsewhere.

use crate::args::{Fsync, Mode, Run};
use crate::batch_metrics::BatchMetrics;
use crate::control::Control;
use crate::failure::{self, Failure};
use crate::progress::Progress;
use crate::run::Job;
use crate::{batch_steps, machine, plan, requests, run, table};
use openai_bulk::batch::Batches;
use openai_bulk::bulk::{Snapshot, Status, journal};
use openai_bulk::config::Config;
use openai_bulk::hybrid::{AutoProgress, AutoRun, AutoSummary, Followed, Measured, Stage};
use openai_bulk::usage::Money;
use openai_bulk::wire::row::Format;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What was typed about ways, over the settings.
pub fn ways(args: &Run, mut config: Config) -> Result<Config, Failure> {
    if let Some(time) = args.ways.deadline {
        config = config.run_deadline(time);
    }
    if args.ways.allow_double {
        config = config.auto_allow_double(true);
    }
    if args.ways.mode == Mode::Batch && config.get_run_deadline().is_some() {
        return Err(Failure::Usage(
            "--deadline: batches are promised within 24h and no sooner; --mode auto is in time"
                .into(),
        ));
    }
    match args.dry_run {
        true => requests::check_without_key(&config)?,
        false => config.validate()?,
    }
    Ok(config)
}

/// A run by plan with the arguments of any run.
pub fn by_plan(
    args: &Run,
    (input, output): (&Path, &Path),
    batches: Batches,
    config: &Config,
    format: Format,
) -> AutoRun {
    AutoRun::new(batches, input, output)
        .format(format)
        .ordered(args.writing.ordered)
        .fresh(args.writing.fresh)
        .skip_invalid(args.writing.skip_invalid)
        .fsync(match args.writing.fsync {
            Fsync::Never => journal::Fsync::Never,
            Fsync::Interval => journal::Fsync::Interval(Duration::from_secs(1)),
            Fsync::Always => journal::Fsync::Always,
        })
        .thresholds(config.get_thresholds())
        .deadline(config.get_run_deadline())
        .expected_output(args.expected_output)
        .metrics_file(args.writing.metrics_file.as_deref())
}

/// `run --mode auto`.
pub fn run(job: &Job<'_>) -> Result<AutoSummary, Failure> {
    let Job { args, client, .. } = job;
    let passing = Passing::of(args);
    let batches = batch_steps::open_for(job, passing.as_ref())?;
    machine::survive_file_limits();
    let files = (job.input, job.output);
    let by_plan = by_plan(args, files, batches, client.config(), job.format.clone())
        .max_cost(job.caps.money)
        .max_tokens_total(job.caps.tokens)
        .stop(job.stop);
    let mut control = args.sending.control.clone().map(|path| Control::new(path, client));
    let mut live = Progress::new(job.bars, args.talk.quiet);
    let mut lines = batch_steps::Lines::new(args.talk.quiet);
    let mut metrics = args.writing.metrics_file.as_deref().map(BatchMetrics::start).transpose()?;
    let summary = by_plan.run(|now| match now {
        AutoProgress::Live(snapshot) => {
            if let Some(control) = &mut control {
                control.look(snapshot.elapsed);
            }
            live.show(snapshot, None);
        }
        AutoProgress::Batch(now) => {
            lines.show(now);
            metrics.iter_mut().for_each(|metrics| metrics.show(now));
        }
        AutoProgress::Planned(now) => tell(args, plan::brief(now).trim_end()),
        AutoProgress::GoesOn { seconds_ago } => {
            let ago = table::human(Duration::from_secs_f64(seconds_ago));
            tell(args, &format!("plan: goes on with the one that was begun {ago} ago"));
        }
        AutoProgress::Begins(stage) => {
            if let Stage::Batch(_) = stage {
                live.finish();
            }
            tell(args, &begins(stage));
        }
        AutoProgress::GivenUp { parts, rows } => tell(args, &given_up(parts as u64, rows)),
        _ => {}
    });
    live.finish();
    let summary = summary?;
    if let Some(metrics) = metrics {
        metrics.end(&summary.run, &summary.parts);
    }
    if !args.talk.quiet {
        eprint!("{}", text(&summary));
    }
    Ok(summary)
}

fn tell(args: &Run, text: &str) {
    if !args.talk.quiet && !text.is_empty() {
        eprintln!("{text}");
    }
}

fn begins(stage: Stage) -> String {
    match stage {
        Stage::Live(0) | Stage::Batch(0) => String::new(),
        Stage::Live(rows) => format!("{} now", counted(rows, "row goes", "rows go")),
        Stage::Batch(rows) => format!("{} for batches", counted(rows, "row waits", "rows wait")),
        Stage::Rest(rows) => {
            format!("{} left by batches, and sent now", counted(rows, "row is", "rows are"))
        }
        _ => String::new(),
    }
}

fn given_up(parts: u64, rows: u64) -> String {
    format!(
        "{} will not be in time: cancelled; what is done is kept, and the rest, {} at most, goes live",
        counted(parts, "batch", "batches"),
        counted(rows, "row", "rows")
    )
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Says how it ended, and gives its exit code.
pub fn end(args: &Run, summary: &AutoSummary) -> ExitCode {
    if summary.run.status == Status::Interrupted {
        let left = counted(summary.run.rows.not_sent, "row is", "rows are");
        let batches = if Passing::is_for(args) {
            batch_steps::GONE
        } else {
            "batches go on at the server; the same command goes on with the plan and its deadline"
        };
        eprintln!("interrupted: {left} not done; {batches}");
        return ExitCode::from(failure::INTERRUPTED);
    }
    run::end(args, &summary.run)
}

/// The summary, and what became of the plan.
fn text(summary: &AutoSummary) -> String {
    let mut text = table::summary(&summary.run);
    for (name, value) in followed(&summary.plan, &summary.measured) {
        text.push_str(&format!("{name:<18}{value}\n"));
    }
    if !summary.parts.is_empty() {
        text.push_str(&batch_steps::parts_table(&summary.parts));
    }
    text
}

fn followed(plan: &Followed, measured: &Measured) -> Vec<(&'static str, String)> {
    let time = |seconds: f64| table::human(Duration::from_secs_f64(seconds.max(0.0)));
    let planned = plan.planned_cost.map_or("unknown".into(), |cost| cost.to_string());
    let more = if measured.unpriced > 0 { "more than " } else { "" };
    let mut rows = vec![
        ("answers", format!("{} live, {} by batch", measured.live_rows, measured.batch_rows)),
        ("plan", format!("{planned} in {}", time(plan.planned_seconds))),
        ("came to", format!("{more}{} in {}", measured.cost, time(plan.seconds))),
    ];
    if measured.batch_rows > 0 {
        let live = measured.batch_cost + measured.saved;
        let saved = match (measured.saved, live) {
            (_, Money::ZERO) => "not known: no price".into(),
            (saved, live) => {
                format!("{more}{saved}, by their tokens: {} instead of {live}", measured.batch_cost)
            }
        };
        rows.push(("saved by batches", saved));
    }
    if plan.given_up > 0 {
        rows.push(("given up", counted(plan.given_up, "batch", "batches")));
    }
    if plan.both_ways > 0 {
        rows.push(("paid twice", counted(plan.both_ways, "row", "rows")));
    }
    if let Some(deadline) = plan.deadline_seconds {
        let kept = match plan.in_time {
            Some(true) => "kept".into(),
            Some(false) => format!("missed by {}", time(plan.seconds - deadline)),
            None => "not done yet".into(),
        };
        rows.push(("deadline", format!("{}, {kept}", time(deadline))));
    }
    rows
}

/// A folder that is gone with the value.
pub struct Passing(pub PathBuf);

impl Passing {
    /// Whether the batches of a run are gone with this process, as its simulator is.
    pub fn is_for(args: &Run) -> bool {
        args.sending.simulate && args.ways.store.is_none()
    }

    /// The folder of such batches.
    pub fn of(args: &Run) -> Option<Passing> {
        Passing::is_for(args).then(Passing::new)
    }

    pub fn new() -> Passing {
        Passing(std::env::temp_dir().join(format!("openai-bulk-{}.files", std::process::id())))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Warns once, as soon as a live run is too slow for its deadline.
pub struct Pace {
    deadline: Option<Duration>,
}

impl Pace {
    /// Nothing is said before so much of the deadline has passed. Source: own choice.
    const SETTLING: u32 = 20;

    pub fn new(deadline: Option<Duration>) -> Pace {
        Pace { deadline }
    }

    pub fn look(&mut self, now: &Snapshot) {
        let (Some(deadline), Some(left)) = (self.deadline, now.eta()) else { return };
        if now.elapsed >= deadline / Pace::SETTLING && now.elapsed + left > deadline {
            self.deadline = None;
            log::warn!(
                target: "openai_bulk::run",
                "at this pace the run ends {} after its deadline",
                table::human(now.elapsed + left - deadline)
            );
        }
    }
}
