//! `openai-bulk run`.

use crate::args::{Connection, Fsync, Mode, Rates, Run, Sending, Spending};
use crate::control::Control;
use crate::failure::{self, Failure};
use crate::progress::Progress;
use crate::{
    auto, batch_steps, estimate, logger, machine, plan, requests, signals, simulate, table,
};
use indicatif::MultiProgress;
use openai_bulk::bulk::journal;
use openai_bulk::bulk::{FileRun, Status, Summary};
use openai_bulk::clock::Stop;
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::simulator::Simulator;
use openai_bulk::usage::Money;
use openai_bulk::{Client, Error};
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long the simulator takes unless something else is asked for: long enough to see the run.
const SIMULATED_LATENCY: &str = "200ms..1500ms";

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
    let mut config = config(&args.sending, model, !args.dry_run, &mut simulator)?;
    config = auto::ways(&args.ways, config);
    if args.ways.mode == Mode::Batch && config.get_run_deadline().is_some() {
        return Err(Failure::Usage(
            "--deadline: batches are promised within 24h and no sooner; --mode auto is in time"
                .into(),
        ));
    }
    if args.dry_run {
        requests::check_without_key(&config)?;
    } else {
        config.validate()?;
    }
    for warning in config.warnings() {
        log::warn!(target: "openai_bulk::config", "{warning}");
    }
    let format = requests::format(&args.requests, config.get_model())?;
    if args.dry_run && args.ways.mode == Mode::Auto {
        return plan::dry_run(args, config, format);
    }
    if args.dry_run {
        return estimate::dry_run(args, &config, format, &bars);
    }
    let (caps, deadline) = (config.get_caps(), config.get_run_deadline());
    let client = Client::new(config)?;
    if let Some(path) = &args.writing.summary {
        check_summary(path, args)?;
    }
    let stop = Stop::new();
    signals::watch(&stop, args.sending.grace)?;
    if let Some(code) = batch_steps::first(args, &client, &format, &stop, &bars)? {
        return Ok(code);
    }
    let mut control = args.sending.control.clone().map(|path| Control::new(path, &client));
    machine::survive_file_limits();
    let mut progress = Progress::new(&bars, args.talk.quiet);
    let mut pace = auto::Pace::new(deadline);
    let result = FileRun::new(client.caller().clone(), &args.input, &args.output)
        .format(format)
        .ordered(args.writing.ordered)
        .fresh(args.writing.fresh)
        .skip_invalid(args.writing.skip_invalid)
        .fsync(fsync(args.writing.fsync))
        .max_cost(caps.money)
        .max_tokens_total(caps.tokens)
        .stop(&stop)
        .run(|snapshot| {
            if let Some(control) = &mut control {
                control.look(snapshot.elapsed);
            }
            pace.look(snapshot);
            progress.show(snapshot);
        });
    progress.finish();
    let summary = result?;
    if let Some(path) = &args.writing.summary {
        write_summary(path, &summary)?;
    }
    if !args.talk.quiet {
        eprint!("{}", table::summary(&summary));
    }
    Ok(end(args, &summary))
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
        return ExitCode::from(failure::SOME_FAILED);
    }
    ExitCode::SUCCESS
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

/// The settings of a command that has no others than those of the connection.
pub fn connect(connection: &Connection) -> Result<Config, Failure> {
    let config = connected(settings(connection)?, connection);
    config.validate()?;
    Ok(config)
}

pub fn settings(connection: &Connection) -> Result<Config, Failure> {
    let mut config = match &connection.env_file {
        Some(path) => Config::from_env_file(path)?,
        None => Config::from_env()?,
    };
    for setting in &connection.settings {
        config = set(config, setting)?;
    }
    Ok(config)
}

pub fn connected(mut config: Config, connection: &Connection) -> Config {
    if let Some(url) = &connection.base_url {
        config = config.base_url(url);
    }
    if let Some(path) = &connection.api_key_file {
        config = config.api_key_file(path);
    }
    if let Some(path) = &connection.ca_file {
        config = config.ca_file(path);
    }
    if let Some(time) = connection.connect_timeout {
        config = config.connect_timeout(time);
    }
    config
}

/// The settings: flags before the environment, the environment before the file.
pub fn config(
    args: &Sending,
    model: Option<&str>,
    needs_key: bool,
    simulator: &mut Option<Simulator>,
) -> Result<Config, Failure> {
    let connection = &args.connection;
    let mut config = settings(connection)?;
    let mut files_per_request = 1;
    if args.simulate {
        let mut builder = simulate::builder(&args.simulator)?;
        if args.simulator.latency.is_none() {
            builder = builder.latency(SIMULATED_LATENCY.parse()?);
        }
        let started = builder.start()?;
        // A real key is never sent to it.
        let key = ApiKey::new("sk-simulated")?;
        config = config.api_type("openai").base_url(started.base_url()).api_key(key);
        *simulator = Some(started);
        files_per_request = 2;
    } else {
        config = connected(config, connection);
    }
    if let Some(model) = model {
        config = config.model(model);
    }
    config = limits(args, config);
    if !needs_key {
        requests::check_without_key(&config)?;
        return Ok(config);
    }
    config.validate()?;
    Ok(machine::fit(config, files_per_request))
}

/// A setting that was typed as `NAME=VALUE`.
fn set(config: Config, typed: &str) -> Result<Config, Failure> {
    let Some((name, value)) = typed.split_once('=') else {
        return Err(Failure::Usage(format!("--set {typed}: write it as NAME=VALUE")));
    };
    if name.ends_with("API_KEY") {
        // What is typed can be read by others on this machine.
        let ways = "the environment, .env or --api-key-file";
        return Err(Failure::Usage(format!(
            "--set {name}: a key comes from {ways}, never from a flag"
        )));
    }
    Ok(config.set(name, value)?)
}

fn limits(args: &Sending, config: Config) -> Config {
    let mut config = spending(&args.spending, rates(&args.rates, config));
    if let Some(exact) = args.concurrency {
        config = config.min_concurrency(exact).max_concurrency(exact);
    }
    if let Some(limit) = args.min_concurrency {
        config = config.min_concurrency(limit);
    }
    if let Some(limit) = args.max_concurrency {
        config = config.max_concurrency(limit);
    }
    if let Some(share) = args.hedge {
        config = config.hedge(share);
    }
    if let Some(limit) = args.max_retries {
        config = config.max_retries(limit);
    }
    if let Some(time) = args.timeout {
        config = config.timeout(time);
    }
    if let Some(time) = args.row_deadline {
        config = config.deadline(time);
    }
    if let Some(time) = args.connection.connect_timeout {
        config = config.connect_timeout(time);
    }
    config
}

/// What may be spent, as far as it was typed.
pub fn spending(args: &Spending, mut config: Config) -> Config {
    if let Some(most) = args.max_cost {
        config = config.max_cost(most);
    }
    if let Some(most) = args.max_tokens_total {
        config = config.max_tokens_total(most);
    }
    if let Some(path) = &args.prices {
        config = config.prices_file(path);
    }
    config
}

/// The limits of a minute and of a day, as far as they were typed.
pub fn rates(args: &Rates, mut config: Config) -> Config {
    if let Some(limit) = args.requests_per_minute {
        config = config.requests_per_minute(limit);
    }
    if let Some(limit) = args.tokens_per_minute {
        config = config.tokens_per_minute(limit);
    }
    if let Some(limit) = args.requests_per_day {
        config = config.requests_per_day(limit);
    }
    if let Some(limit) = args.tokens_per_day {
        config = config.tokens_per_day(limit);
    }
    if !args.limit_group.is_empty() {
        config = config.limit_groups(args.limit_group.join(","));
    }
    config
}

/// Fails now if the summary cannot be written, before anything is paid for.
fn check_summary(path: &Path, args: &Run) -> Result<(), Failure> {
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| Error::file("write the summary", path, e))?;
    for other in [&args.input, &args.output] {
        if path == other.as_path() || journal::same_file(path, other) {
            return Err(Failure::Usage(format!(
                "--summary {}: that is the input or the output; choose another file",
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
