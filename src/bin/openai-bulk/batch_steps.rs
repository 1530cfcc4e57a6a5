//! `openai-bulk batch`, and `run --mode batch`.

use crate::args::{BatchCommand, BatchSteps, Fsync, Mode, Run};
use crate::auto::{self, Passing};
use crate::batch_metrics::BatchMetrics;
use crate::failure::{self, Failure};
use crate::requests::{aligned, print};
use crate::run::Sent;
use crate::{run, settings, signals, table};
use openai_bulk::batch::{
    BatchProgress, BatchRun, BatchSummary, Batches, Job, Part, PartProgress, State, Store,
};
use openai_bulk::bulk::Status;
use openai_bulk::bulk::journal;
use openai_bulk::clock::Stop;
use openai_bulk::{Client, Error};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// What becomes of batches at a simulator in this process.
pub const GONE: &str =
    "the simulator's batches are gone with it; the same command sends what is missing";
/// Time between two lines that tell how batches get on.
const PLAIN: Duration = Duration::from_secs(60);

/// The jobs of a client in the store of the settings, or in another one.
pub fn open(client: &Client, store: Option<&Path>) -> Result<Batches, Failure> {
    let path = match store {
        Some(path) => path.to_owned(),
        None => client.config().find_batch_store()?,
    };
    Ok(client.batches(Store::open(path)?)?)
}

/// The same for a run. The batches of a simulator in this process are gone with it.
pub fn open_for(job: &run::Job<'_>, passing: Option<&Passing>) -> Result<Batches, Failure> {
    match passing {
        Some(passing) => Ok(job.client.batches(Store::passing(&passing.0)?)?),
        None => open(job.client, job.args.ways.store.as_deref()),
    }
}

/// A run by batches with the arguments of any run.
fn by_batches(job: &run::Job<'_>, batches: &Batches) -> BatchRun {
    let writing = &job.args.writing;
    BatchRun::new(batches.clone(), job.input, job.output)
        .format(job.format.clone())
        .ordered(writing.ordered)
        .fresh(writing.fresh)
        .skip_invalid(writing.skip_invalid)
        .fsync(match writing.fsync {
            Fsync::Never => journal::Fsync::Never,
            _ => journal::Fsync::Always,
        })
        .max_cost(job.caps.money)
        .max_tokens_total(job.caps.tokens)
}

/// What is done with batches before rows go live, if that is all that is done.
pub fn first(job: &run::Job<'_>) -> Result<Option<Sent>, Failure> {
    Ok(match job.args.ways.mode {
        Mode::Live => recall(job)?.map(|summary| Sent::Recalling(Box::new(summary))),
        Mode::Batch => run(job)?.map(|summary| Sent::Batch(Box::new(summary))),
        Mode::Auto => Some(Sent::Auto(Box::new(auto::run(job)?))),
    })
}

/// `--mode batch`; gives what was done, unless what is left is to be sent live.
fn run(job: &run::Job<'_>) -> Result<Option<BatchSummary>, Failure> {
    let args = job.args;
    let passing = Passing::of(args);
    let batches = open_for(job, passing.as_ref())?;
    let mut lines = Lines::new(args.talk.quiet);
    let mut metrics = args.writing.metrics_file.as_deref().map(BatchMetrics::start).transpose()?;
    let summary =
        by_batches(job, &batches).stop(job.stop).resubmit(!args.ways.rest_live).run(|now| {
            lines.show(now);
            if let Some(metrics) = &mut metrics {
                metrics.show(now);
            }
        })?;
    if let Some(metrics) = metrics {
        metrics.end(&summary.run, &summary.parts);
    }
    let is_left = summary.run.rows.not_sent > 0 && summary.run.stopped_by.is_none();
    let goes_on = args.ways.rest_live && is_left && !job.stop.is_stopped();
    if !args.talk.quiet {
        eprint!("{}{}", table::summary(&summary.run), parts_table(&summary.parts));
    }
    if goes_on {
        eprintln!("{} rows are left and go live", summary.run.rows.not_sent);
        return Ok(None);
    }
    Ok(Some(summary))
}

/// Says how a run by batches ended, and gives its exit code.
pub fn end(args: &Run, summary: &BatchSummary) -> ExitCode {
    if summary.run.status == Status::Interrupted {
        let batches = if Passing::is_for(args) {
            GONE
        } else {
            "batches go on at the server; the same command fetches them"
        };
        eprintln!("interrupted: {batches}");
        return ExitCode::from(failure::INTERRUPTED);
    }
    run::end(args, &summary.run)
}

/// Before a live run: what is under way in batches for the same output is cancelled, and what those
/// did is kept, so that nothing is paid twice. Gives what was done if that did not come to its end.
fn recall(job: &run::Job<'_>) -> Result<Option<BatchSummary>, Failure> {
    if job.output == Path::new("-") {
        return Ok(None);
    }
    let Some(store) = Store::of_output(job.output)? else { return Ok(None) };
    eprintln!(
        "batches for {} are under way: they are cancelled, and what they did is kept",
        job.output.display()
    );
    let mut lines = Lines::new(job.args.talk.quiet);
    let summary = BatchRun::resume(job.client.batches(store)?, job.output)
        .stop(job.stop)
        .recall(|now| lines.show(now))?;
    let rows = &summary.run.rows;
    match summary.run.status {
        Status::Finished => {
            eprintln!(
                "the batches answered {} rows before, and left {}",
                rows.succeeded, rows.not_sent
            );
            Ok(None)
        }
        _ => Ok(Some(summary)),
    }
}

/// Says that batches are still being cancelled, and gives the exit code.
pub fn recalling(summary: &BatchSummary) -> ExitCode {
    if let Some(reason) = &summary.run.stopped_by {
        eprintln!("error: the account or the server refused: {reason}");
        return ExitCode::from(failure::STOPPED);
    }
    eprintln!("interrupted: batches are being cancelled at the server; the same command goes on");
    ExitCode::from(failure::INTERRUPTED)
}

/// A single step.
pub fn steps(args: &BatchSteps) -> Result<ExitCode, Failure> {
    crate::logger::install(&indicatif::MultiProgress::new(), args.talk.quiet, args.talk.verbose);
    let mut config = settings::connect(&args.connection)?;
    if let BatchCommand::Submit { spending, .. } = &args.command {
        config = settings::spending(spending, config);
    }
    let client = Client::new(config)?;
    let batches = open(&client, args.store.as_deref())?;
    let stop = Stop::new();
    signals::watch_quietly(&stop)?;
    let mut lines = Lines::new(args.talk.quiet);
    match &args.command {
        BatchCommand::Submit { input, output, requests, .. } => {
            let format = crate::requests::format(requests, client.config().get_model())?;
            let caps = client.config().get_caps();
            let run = BatchRun::new(batches.clone(), input, output)
                .format(format)
                .max_cost(caps.money)
                .max_tokens_total(caps.tokens)
                .stop(&stop);
            submit(&batches, &run.submit(|now| lines.show(now))?)
        }
        BatchCommand::List { json } => list(&batches, *json),
        BatchCommand::Status { job, json } => status(&batches, &batches.job(job)?, *json),
        BatchCommand::Wait { job } => wait(&batches, &batches.job(job)?, &stop, &mut lines),
        BatchCommand::Fetch { job } => {
            let job = batches.job(job)?;
            fetch(&batches, &job, &stop, |run| run.fetch(|now| lines.show(now)))
        }
        BatchCommand::Cancel { job } => {
            let job = batches.job(job)?;
            fetch(&batches, &job, &stop, |run| run.recall(|now| lines.show(now)))
        }
        BatchCommand::Adopt { batch, output } => {
            let job = batches.adopt(batch, output)?;
            print(&format!("{}\n", job.name))
        }
        BatchCommand::Clean { job, forget } => clean(&batches, job.as_deref(), *forget),
    }
}

/// Prints the names of jobs, and says what of them is not at the server yet.
fn submit(batches: &Batches, jobs: &[Job]) -> Result<ExitCode, Failure> {
    let is_waiting = |part: &&Part| !part.state.is_over() && !part.state.is_sent();
    for job in jobs {
        let parts = batches.store().parts(job.id)?;
        let count = parts.iter().filter(is_waiting).count();
        if count > 0 {
            eprintln!(
                "{count} of {} parts wait for room in the server's queue or for money; `batch wait` \
                 and `run --mode batch` send them",
                parts.len()
            );
        }
    }
    print(&jobs.iter().map(|job| format!("{}\n", job.name)).collect::<String>())
}

fn wait(batches: &Batches, job: &Job, stop: &Stop, lines: &mut Lines) -> Result<ExitCode, Failure> {
    let is_fetched = |part: &Part| part.state.is_over() || part.state == State::Fetched;
    let all = |parts: &[Part]| parts.iter().all(is_fetched);
    let is_done = batches.wait(job, stop, all, |now| lines.show(now))?;
    status(batches, job, false)?;
    Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(failure::INTERRUPTED) })
}

/// Writes answers of a job into its output, and tells where the job stands.
fn fetch(
    batches: &Batches,
    job: &Job,
    stop: &Stop,
    run: impl FnOnce(BatchRun) -> Result<BatchSummary, Error>,
) -> Result<ExitCode, Failure> {
    if job.is_over {
        eprintln!("job {} is over: its answers are in {}", &job.name[..8], job.output);
        return Ok(ExitCode::SUCCESS);
    }
    let summary = run(BatchRun::of(batches.clone(), job).stop(stop))?;
    let rows = &summary.run.rows;
    eprintln!(
        "{} rows answered, {} failed, {} not done; the answers are in {}",
        rows.succeeded, rows.failed, rows.not_sent, job.output
    );
    status(batches, job, false)?;
    for part in summary.parts.iter().filter(|part| !part.is_over()) {
        if let Some(trouble) = &part.trouble {
            eprintln!("part {}: {trouble}", part.part);
        }
    }
    Ok(match &summary.run {
        run if run.stopped_by.is_some() => recalling(&summary),
        _ if stop.is_stopped() => ExitCode::from(failure::INTERRUPTED),
        run if run.rows.failed > 0 => ExitCode::from(failure::SOME_FAILED),
        _ => ExitCode::SUCCESS,
    })
}

fn clean(batches: &Batches, job: Option<&str>, forget: bool) -> Result<ExitCode, Failure> {
    let jobs = match job {
        Some(name) => vec![batches.job(name)?],
        None if forget => {
            return Err(Failure::Usage("--forget needs the name of a job".into()));
        }
        None => batches.store().jobs()?,
    };
    let mut removed = 0;
    for job in &jobs {
        removed += u32::from(batches.clean(job, forget)?);
    }
    print(&format!("{removed} of {} jobs removed\n", jobs.len()))
}

fn list(batches: &Batches, json: bool) -> Result<ExitCode, Failure> {
    let jobs = batches.store().jobs()?;
    if json {
        return print(&(serde_json::to_string_pretty(&jobs).expect("it is plain data") + "\n"));
    }
    let mut lines = vec![["job", "state", "input", "output", "rows", "parts"].map(String::from)];
    for job in &jobs {
        let state = match job {
            job if job.is_over => "over",
            job if job.is_ending => "ending",
            _ => "under way",
        };
        lines.push([
            job.name[..8].to_owned(),
            state.into(),
            job.input.clone(),
            job.output.clone(),
            job.rows.to_string(),
            batches.store().parts(job.id)?.len().to_string(),
        ]);
    }
    print(&aligned(&lines, 4))
}

fn status(batches: &Batches, job: &Job, json: bool) -> Result<ExitCode, Failure> {
    let parts = batches.status(job)?;
    if json {
        return print(&(serde_json::to_string_pretty(&parts).expect("it is plain data") + "\n"));
    }
    print(&parts_table(&parts))
}

/// The parts, a line for each.
pub fn parts_table(parts: &[PartProgress]) -> String {
    let mut lines = vec![
        ["part", "state", "batch", "rows", "answered", "failed", "left", "age", "to go"]
            .map(String::from),
    ];
    let time = |seconds: Option<u64>| {
        seconds.map_or("-".into(), |seconds| table::human(Duration::from_secs(seconds)))
    };
    for part in parts {
        lines.push([
            format!("{}-{}", &part.job[..part.job.len().min(8)], part.part),
            match (&part.status, part.state) {
                (Some(status), "running") => status.clone(),
                _ => part.state.into(),
            },
            part.batch_id.clone().unwrap_or("-".into()),
            part.rows.to_string(),
            part.succeeded.max(part.worked_off.saturating_sub(part.failed + part.left)).to_string(),
            part.failed.to_string(),
            part.left.to_string(),
            time(part.age_seconds),
            time(part.expected_seconds),
        ]);
    }
    aligned(&lines, 3)
}

/// Tells how batches get on: a line whenever a state has changed, and every minute.
pub struct Lines {
    is_quiet: bool,
    last: String,
    at: Duration,
}

impl Lines {
    pub fn new(is_quiet: bool) -> Lines {
        Lines { is_quiet, last: String::new(), at: Duration::ZERO }
    }

    pub fn show(&mut self, now: &BatchProgress) {
        let mut counts = std::collections::BTreeMap::<&str, u32>::new();
        for part in &now.parts {
            let state = match part.state {
                "running" => part.status.as_deref().unwrap_or("running"),
                state => state,
            };
            *counts.entry(state).or_default() += 1;
        }
        let states: Vec<_> = counts.iter().map(|(state, n)| format!("{n} {state}")).collect();
        let states = states.join(", ");
        if self.is_quiet || (states == self.last && now.elapsed < self.at + PLAIN) {
            return;
        }
        let worked_off: u64 =
            now.parts.iter().filter(|part| !part.is_over()).map(|part| part.worked_off).sum();
        let to_go = now.parts.iter().filter_map(|part| part.expected_seconds).max();
        let to_go = to_go.map(|s| format!(" | {} to go", table::human(Duration::from_secs(s))));
        eprintln!(
            "{}/{} rows done, {worked_off} more worked off | parts: {states}{}",
            now.done(),
            now.total.unwrap_or_default(),
            to_go.unwrap_or_default()
        );
        (self.last, self.at) = (states, now.elapsed);
    }
}
