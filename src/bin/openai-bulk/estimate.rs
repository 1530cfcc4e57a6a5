//! `openai-bulk estimate`, and `run --dry-run`.

use crate::args::{Estimate as Args, Run};
use crate::failure::Failure;
use crate::progress::is_live;
use crate::requests::{self, aligned, print};
use crate::{cache_steps, logger, settings, table};
use indicatif::{MultiProgress, ProgressBar};
use openai_bulk::bulk::estimate::{
    CostRange, Estimate, ExpectedOutput, Seconds, Survey, TokenRange, TooLarge,
};
use openai_bulk::config::Config;
use openai_bulk::usage::Money;
use openai_bulk::wire::row::Format;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How many rows that are too large are shown.
const SHOWN: usize = 20;
/// After how many rows the live line is brought up to date.
const STEP: u64 = 1_000;

/// Says what the rows of a file come to.
pub fn estimate(args: &Args) -> Result<ExitCode, Failure> {
    if args.input == Path::new("-") && std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "standard input is a terminal: give it a file or a pipe".into(),
        ));
    }
    let bars = MultiProgress::new();
    logger::install(&bars, args.talk.quiet, args.talk.verbose);
    let mut config = settings::read(&args.files)?;
    if let Some(model) = &args.requests.model {
        config = config.model(model);
    }
    config = cache_steps::kept(&args.kept, settings::rates(&args.rates, config));
    if let Some(path) = &args.prices {
        config = config.prices_file(path);
    }
    requests::check_without_key(&config)?;
    let format = requests::format(&args.requests, config.get_model())?;
    let mut survey = survey(&args.input, &config, format)?
        .skip_invalid(args.skip_invalid)
        .expected_output(args.expected_output);
    if let Some(output) = &args.output {
        survey = survey.output(output);
    }
    tell(survey, &bars, args.talk.quiet, args.json)
}

/// Says what a run would send, and sends nothing.
pub fn dry_run(
    args: &Run,
    config: &Config,
    format: Format,
    bars: &MultiProgress,
) -> Result<ExitCode, Failure> {
    let mut survey = survey(&args.input, config, format)?
        .skip_invalid(args.writing.skip_invalid)
        .expected_output(args.expected_output);
    if !args.writing.fresh {
        survey = survey.output(&args.output);
    }
    tell(survey, bars, args.talk.quiet, false)
}

fn survey(input: &Path, config: &Config, format: Format) -> Result<Survey, Failure> {
    let survey = Survey::new(input)
        .prices(config.load_prices()?)
        .format(format)
        .limits(config.get_requests_per_minute(), config.get_tokens_per_minute())
        .daily_limits(config.get_requests_per_day(), config.get_tokens_per_day())
        .limit_groups(config.get_limit_groups());
    cache_steps::surveying(survey, config)
}

fn tell(
    survey: Survey,
    bars: &MultiProgress,
    is_quiet: bool,
    json: bool,
) -> Result<ExitCode, Failure> {
    let bar = (!is_quiet && is_live()).then(|| bars.add(ProgressBar::new_spinner()));
    let result = survey.run(|rows| {
        if let Some(bar) = &bar
            && rows % STEP == 0
        {
            bar.set_message(format!("{rows} rows counted"));
            bar.tick();
        }
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let estimate = result?;
    let out = if json {
        serde_json::to_string_pretty(&estimate).expect("an estimate is plain data") + "\n"
    } else {
        text(&estimate)
    };
    print(&out)
}

/// The estimate, a line for each fact and a table of what it costs.
fn text(estimate: &Estimate) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<18}{value}");
    };
    row("rows", rows(estimate));
    let about = if estimate.tokens.estimated_rows > 0 { "about " } else { "" };
    row("input tokens", format!("{about}{}", estimate.tokens.input_tokens));
    row("output tokens", output(&estimate.sums.output_tokens));
    if estimate.models.len() > 1 {
        text.push('\n');
        text.push_str(&models(estimate));
    } else if let Some(model) = estimate.models.keys().next() {
        row("model", shown(model).into());
    }
    text.push('\n');
    text.push_str(&ways(estimate));
    text.push('\n');
    for note in notes(estimate) {
        text.push_str(&note);
        text.push('\n');
    }
    text.push_str(&too_large(estimate));
    text
}

fn shown(model: &str) -> &str {
    if model.is_empty() { "(none named)" } else { model }
}

fn rows(estimate: &Estimate) -> String {
    let rows = &estimate.rows;
    let mut parts = vec![format!("{} in all", rows.total)];
    for (count, what) in [
        (rows.answered, "answered already"),
        (rows.changed, "changed since they were answered, which a run refuses"),
        (rows.invalid, "not valid"),
        (rows.from_cache, "in the cache"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.push(format!("{} to send", rows.to_send));
    parts.join(", ")
}

fn output(tokens: &TokenRange) -> String {
    let TokenRange { low, expected, high, rows_without_high, .. } = *tokens;
    let most = if rows_without_high > 0 {
        format!("{high} and {} without a known bound", counted(rows_without_high, "row"))
    } else {
        high.to_string()
    };
    format!("low {low}, expected {expected}, high {most}")
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A line for each model.
fn models(estimate: &Estimate) -> String {
    let head = ["model", "rows", "input tokens", "expected output", "expected, live"];
    let mut lines = vec![head.map(String::from)];
    for (name, model) in &estimate.models {
        lines.push([
            shown(name).to_owned(),
            model.rows.to_string(),
            model.input_tokens.to_string(),
            model.sums.output_tokens.expected.to_string(),
            money(model.sums.live.expected),
        ]);
    }
    aligned(&lines, 1)
}

/// A line for each way to send them.
fn ways(estimate: &Estimate) -> String {
    let time = &estimate.time;
    let sums = &estimate.sums;
    let mut lines = vec![["", "low", "expected", "high", "time"].map(String::from)];
    for (name, cost, time) in [
        ("live", &sums.live, duration(time.live, "")),
        ("flex", &sums.flex, duration(time.flex, "at least ")),
        ("batch", &sums.batch, format!("at most {}", human(time.batch_at_most))),
    ] {
        // Sums from which rows are missing are not what is paid.
        let sum = |amount: Option<Money>, missing: u64| match amount {
            Some(amount) if missing > 0 => format!("more than {amount}"),
            amount => money(amount),
        };
        let unpriced = cost.rows_without_price;
        lines.push([
            name.into(),
            sum(cost.low, unpriced),
            sum(cost.expected, unpriced),
            sum(cost.high, unpriced + cost.rows_without_high),
            time,
        ]);
    }
    aligned(&lines, 1)
}

fn money(amount: Option<Money>) -> String {
    amount.map_or("unknown".into(), |amount| amount.to_string())
}

fn human(seconds: f64) -> String {
    table::human(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn duration(time: Option<Seconds>, about: &str) -> String {
    time.map_or("unknown".into(), |time| format!("{about}{}", human(time.expected)))
}

/// What has to be known to read the tables.
fn notes(estimate: &Estimate) -> Vec<String> {
    let mut notes = Vec::new();
    let ways = [
        ("live", &estimate.sums.live),
        ("flex", &estimate.sums.flex),
        ("batch", &estimate.sums.batch),
    ];
    for (name, cost) in ways {
        notes.extend(unpriced(name, cost, estimate.rows.to_send));
    }
    if estimate.rows.from_cache > 0 {
        notes.push(format!(
            "cache: {} to be answered from it, which would cost {} live if they were sent",
            counted(estimate.rows.from_cache, "row"),
            money(estimate.from_cache.live.expected)
        ));
    }
    if estimate.models.values().any(|model| model.has_fees) {
        notes.push(
            "fees: some models charge for calls besides their tokens, which is in no sum".into(),
        );
    }
    let learned = |from| estimate.models.iter().filter(move |(_, m)| m.expected_from == from);
    for (name, model) in learned(ExpectedOutput::Learned) {
        let name = shown(name);
        notes.push(format!(
            "expected: {} an answer of {name}, the mean of the answers so far",
            counted(model.expected_output, "token")
        ));
    }
    for (from, why) in [
        (ExpectedOutput::Given, "as given"),
        (ExpectedOutput::Assumed, "an assumption; --expected-output sets it"),
    ] {
        if let Some((_, model)) = learned(from).next() {
            notes.push(format!(
                "expected: {} an answer where it may be so long, {why}",
                counted(model.expected_output, "token")
            ));
        }
    }
    if estimate.tokens.estimated_rows > 0 {
        let mut doubts = BTreeMap::<_, u64>::new();
        for (doubt, rows) in estimate.tokens.models.values().flat_map(|model| &model.doubts) {
            *doubts.entry(*doubt).or_default() += rows;
        }
        let told: Vec<_> = doubts.iter().map(|(doubt, rows)| format!("{rows} {doubt}")).collect();
        notes.push(format!(
            "about: the input of {} is an estimate: {}",
            counted(estimate.tokens.estimated_rows, "row"),
            told.join(", ")
        ));
    }
    notes.push(time_note(estimate));
    let prices = &estimate.prices;
    let as_of = prices.as_of.as_deref().unwrap_or("an unknown day");
    notes.push(format!("prices: as of {as_of}; {}", prices.sources.join("; ")));
    notes
}

/// By which limits the times are told.
fn time_note(estimate: &Estimate) -> String {
    let limits = [
        (estimate.requests_per_minute, "requests a minute"),
        (estimate.tokens_per_minute, "tokens a minute"),
        (estimate.requests_per_day, "requests a day"),
        (estimate.tokens_per_day, "tokens a day"),
    ];
    let limits: Vec<_> = limits
        .iter()
        .filter_map(|(limit, what)| limit.map(|limit| format!("{limit} {what}")))
        .collect();
    if limits.is_empty() {
        "time: not known without --requests-per-minute or --tokens-per-minute".into()
    } else {
        format!("time: with expected answers, at {} for each model", limits.join(" and "))
    }
}

fn unpriced(name: &str, cost: &CostRange, rows: u64) -> Option<String> {
    let without = cost.rows_without_price;
    let are = if without == 1 { "is" } else { "are" };
    match without {
        0 => None,
        _ if without == rows => Some(format!("{name}: no price is known")),
        _ => Some(format!(
            "{name}: no price is known for {}, which {are} in no sum",
            counted(without, "row")
        )),
    }
}

fn too_large(estimate: &Estimate) -> String {
    let mut text = String::new();
    if estimate.rows_too_large == 0 {
        return text;
    }
    let are = if estimate.rows_too_large == 1 { "is" } else { "are" };
    let _ = writeln!(text, "\n{} {are} too large:", counted(estimate.rows_too_large, "row"));
    for TooLarge { line, reason, found, limit, .. } in estimate.too_large.iter().take(SHOWN) {
        let what = match *reason {
            "context" => format!("{found} input tokens, the model takes {limit}"),
            "output" => format!("{found} output tokens are asked for, the model writes {limit}"),
            "window" => format!("{found} tokens with its ceiling, the model's window is {limit}"),
            "minute" => format!("{found} tokens with its ceiling, the limit is {limit} a minute"),
            "inputs" => format!("{found} texts, a request may have {limit}"),
            _ => format!("{found} tokens, a request may have {limit}"),
        };
        let _ = writeln!(text, "  line {line}: {what}");
    }
    let more = estimate.rows_too_large.saturating_sub(SHOWN as u64);
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    text
}
