//! `openai-bulk plan`, and the plan of a run.

use crate::args::{Plan as Args, Run};
use crate::auto::{self, Passing};
use crate::failure::Failure;
use crate::requests::{self, aligned, print};
use crate::{cache_steps, logger, settings, table};
use indicatif::MultiProgress;
use openai_bulk::batch::{Batches, Store};
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::hybrid::{
    ASSUMED_REQUESTS_PER_MINUTE, Alternative, AutoRun, BatchTime, Plan, Reason, Share, Verdict,
    WhyNot,
};
use openai_bulk::usage::Money;
use openai_bulk::wire::row::Format;
use openai_bulk::{Client, Error};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Says what should go now and what by batch.
pub fn plan(args: &Args) -> Result<ExitCode, Failure> {
    logger::install(&MultiProgress::new(), args.talk.quiet, args.talk.verbose);
    let mut config = settings::rates(&args.rates, settings::unchecked(&args.connection)?);
    if let Some(model) = &args.requests.model {
        config = config.model(model);
    }
    if let Some(path) = &args.prices {
        config = config.prices_file(path);
    }
    if let Some(most) = args.max_cost {
        config = config.max_cost(most);
    }
    if let Some(time) = args.deadline {
        config = config.run_deadline(time);
    }
    let format = requests::format(&args.requests, config.get_model())?;
    let passing = Passing::new();
    // Without an output there are no answers.
    let output = args.output.clone().unwrap_or_else(|| passing.0.with_extension("none"));
    let config = without_key(config)?;
    let batches = batches(&config, args.store.as_deref(), &passing)?;
    let job = AutoRun::new(batches, &args.input, output)
        .format(format)
        .skip_invalid(args.skip_invalid)
        .max_cost(config.get_caps().money)
        .thresholds(config.get_thresholds())
        .deadline(config.get_run_deadline())
        .expected_output(args.expected_output);
    let plan = job.plan(|_| {})?;
    if args.json {
        return print(&(serde_json::to_string_pretty(&plan).expect("a plan is plain data") + "\n"));
    }
    print(&text(&plan))
}

/// Says what `run --mode auto` would do, and sends nothing.
pub fn dry_run(args: &Run, config: Config, format: Format) -> Result<ExitCode, Failure> {
    let passing = Passing::new();
    let config = without_key(cache_steps::looking(config)?)?;
    let batches = batches(&config, args.ways.store.as_deref(), &passing)?;
    let (files, caps) = ((&*args.input, &*args.output), config.get_caps());
    let by_plan = auto::by_plan(args, files, batches, &config, format);
    let by_plan = by_plan.max_cost(caps.money).max_tokens_total(caps.tokens);
    print(&text(&by_plan.plan(|_| {})?))
}

/// The settings with a key that opens nothing, if they have none: an account that is not known has
/// no history.
fn without_key(config: Config) -> Result<Config, Failure> {
    if config.validate().is_ok() {
        return Ok(config);
    }
    requests::check_without_key(&config)?;
    Ok(config.api_type("openai").api_key(ApiKey::new("sk-none")?))
}

/// The batches of the store, which is not made if it is not there.
fn batches(config: &Config, store: Option<&Path>, passing: &Passing) -> Result<Batches, Failure> {
    let path: Result<PathBuf, Error> = match store {
        Some(path) => Ok(path.to_owned()),
        None => config.find_batch_store(),
    };
    let store = match path.ok().filter(|path| path.exists()) {
        Some(path) => Store::open(path)?,
        None => Store::in_memory(&passing.0)?,
    };
    Ok(Client::new(config.clone())?.batches(store)?)
}

/// The plan before a run, in a few lines.
pub fn brief(plan: &Plan) -> String {
    if plan.live_rows() + plan.batch_rows() == 0 {
        return String::new();
    }
    let mut text = format!("plan: {}\n", heading(plan));
    for share in &plan.shares {
        for line in because(share) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// The whole plan, for people.
fn text(plan: &Plan) -> String {
    let mut text = format!("{}\n", heading(plan));
    if plan.live_rows() + plan.batch_rows() + plan.under_way == 0 {
        return text;
    }
    text.push('\n');
    let mut facts = Vec::new();
    match plan.deadline_seconds {
        Some(0.0) => facts.push(("deadline", "it has passed".into())),
        Some(deadline) => facts.push(("deadline", format!("{} from now", time(deadline)))),
        None => {}
    }
    if let Some(cap) = plan.cap {
        facts.push(("cap", format!("{cap} may still be spent")));
    }
    if plan.under_way > 0 {
        facts.push(("under way", format!("{} in batches, which stay there", rows(plan.under_way))));
    }
    if plan.from_cache > 0 {
        facts.push(("cache", format!("{} rows have their answers there", plan.from_cache)));
    }
    if let Some(ago) = plan.begun_seconds_ago {
        let ago = time(ago);
        facts.push(("begun", format!("{ago} ago: a run goes on with the plan of then")));
    }
    facts.push(("verdict", verdict(plan)));
    for (name, value) in facts {
        let _ = writeln!(text, "{name:<12}{value}");
    }
    text.push('\n');
    text.push_str(&alternatives(plan));
    let shares = plan.shares.iter().filter(|share| share.live_rows + share.batch_rows > 0);
    let shares: Vec<_> = shares.collect();
    // What is the same for all is told once.
    let is_same = shares.windows(2).all(|two| speeds(two[0]) == speeds(two[1]));
    for share in &shares {
        let model = if share.model.is_empty() { "(no model named)" } else { &share.model };
        let _ = writeln!(
            text,
            "\n{model} {}: {} now, {} by batch",
            share.endpoint, share.live_rows, share.batch_rows
        );
        for line in because(share) {
            let _ = writeln!(text, "  - {line}");
        }
        if !is_same {
            let _ = writeln!(text, "  - {}", speeds(share));
        }
    }
    if let Some(share) = shares.first().filter(|_| is_same) {
        let _ = writeln!(text, "\n{}", speeds(share));
    }
    text
}

fn heading(plan: &Plan) -> String {
    let way = match (plan.live_rows(), plan.batch_rows()) {
        (0, 0) => return "nothing is to be sent".into(),
        (1, 0) => "the only row now".into(),
        (live, 0) => format!("all {live} rows now"),
        (0, 1) => "the only row by batch".into(),
        (0, batch) => format!("all {batch} rows by batch"),
        (live, batch) => format!("{} now, {batch} by batch", rows(live)),
    };
    let cost = plan.cost.map_or("at a cost that is not known".into(), |cost| format!("for {cost}"));
    format!("{way}, {cost}, done in about {}", time(plan.seconds))
}

fn rows(count: u64) -> String {
    format!("{count} {}", if count == 1 { "row" } else { "rows" })
}

fn verdict(plan: &Plan) -> String {
    let text = match (plan.verdict, plan.deadline_seconds) {
        (Verdict::Guarded, None) => "no deadline: as cheap as can be",
        (Verdict::Guarded, _) if plan.batch_rows() == 0 => "in time",
        (Verdict::Guarded, _) => "in time, also if batches do nothing: the rest then goes live",
        (Verdict::InTime, _) => {
            "in time if batches are as expected; too late to send their rows live"
        }
        (Verdict::Late, deadline) => {
            let late = time(plan.seconds - deadline.unwrap_or(0.0));
            let is_capped = |reason: &Reason| matches!(reason, Reason::CapAllowsOnly { .. });
            let is_capped = plan.shares.iter().any(|share| share.reasons.iter().any(is_capped));
            return match is_capped {
                true => format!("{late} late: the cap allows no way that is in time"),
                false => format!("nothing is in time: this is the soonest, {late} late"),
            };
        }
        _ => "the cap is too small even for the cheapest way: the run will end at it",
    };
    text.into()
}

fn alternatives(plan: &Plan) -> String {
    let mut lines = vec![["", "now", "by batch", "cost", "done in", "why not"].map(String::from)];
    for each in &plan.alternatives {
        lines.push([
            each.name.into(),
            each.live_rows.to_string(),
            each.batch_rows.to_string(),
            each.cost.map_or("unknown".into(), |cost| cost.to_string()),
            time(each.seconds),
            format!("  {}", why_not(each, plan.cost)),
        ]);
    }
    let width = lines.iter().map(|line| line[5].chars().count()).max().unwrap_or(0);
    lines[0][5] = format!("  {:<rest$}", "why not", rest = width.saturating_sub(2));
    lines[1..].iter_mut().for_each(|line| line[5] = format!("{:<width$}", line[5]));
    aligned(&lines, 1)
}

fn why_not(each: &Alternative, cost: Option<Money>) -> String {
    match each.why_not {
        None if each.name == "chosen" => String::new(),
        None => "the same".into(),
        Some(WhyNot::Late { seconds }) => format!("{} too late", time(seconds)),
        Some(WhyNot::NoTimeForTheRest) => "no time left if batches miss it".into(),
        Some(WhyNot::Dearer { by }) => format!("{by} more"),
        Some(WhyNot::OverCap) => "more than the cap".into(),
        Some(WhyNot::Slower { seconds }) if each.cost < cost => format!("{} longer", time(seconds)),
        Some(WhyNot::Slower { seconds }) => format!("{} longer, and no cheaper", time(seconds)),
        Some(WhyNot::NotWorthwhile) => "too few rows, or no batches".into(),
        Some(_) => String::new(),
    }
}

/// Why a share is as it is.
fn because(share: &Share) -> Vec<String> {
    let one = |reason: &Reason| match *reason {
        Reason::Cheaper { saved } => format!("batches save {saved}"),
        Reason::TooFewRows { rows: count, least } => format!(
            "{} {} too few for a batch (OPENAI_AUTO_BATCH_ROWS: {least})",
            rows(count),
            if count == 1 { "is" } else { "are" }
        ),
        Reason::NoBatches => "the endpoint takes no batches".into(),
        Reason::NoSaving => "batches are not cheaper".into(),
        Reason::PriceUnknown => "a price is not known, so no saving is; --prices FILE tells".into(),
        Reason::BatchTooLate { expected, deadline, .. } if expected > deadline => {
            format!("all by batch would take {}, and there are {}", time(expected), time(deadline))
        }
        Reason::BatchTooLate { expected, deadline, kept } => format!(
            "batches end in {}, and {} more are kept to send their rows live: too late for {}",
            time(expected),
            time(kept),
            time(deadline)
        ),
        Reason::QueueRoom { room, needed } => {
            format!("the server's queue takes {room} of {needed} tokens now, and more too late")
        }
        Reason::DeadlineAllows { rows } => {
            format!("no more than {rows} by batch could still go live in time if batches miss it")
        }
        Reason::LiveTooLate { expected, deadline } => {
            format!("all live would take {}, and there are {}", time(expected), time(deadline))
        }
        Reason::CapAllowsOnly { cap, otherwise } => format!(
            "{cap} allow no dearer way; without the cap, {otherwise} for all rows are surer in time"
        ),
        Reason::NothingInTime { deadline } => {
            format!("no way is done in {}: the soonest is taken", time(deadline))
        }
        _ => String::new(),
    };
    share.reasons.iter().map(one).collect()
}

/// What the times rest on.
fn speeds(share: &Share) -> String {
    let live = if share.speed_is_assumed {
        format!("live speed: assumed, {ASSUMED_REQUESTS_PER_MINUTE} requests a minute")
    } else {
        "live speed: by the limits that are set".into()
    };
    let batch = time(share.batch_time);
    match share.batch_time_from {
        BatchTime::History(1) => format!("{live}; a batch: {batch}, as the one before"),
        BatchTime::History(count) => format!("{live}; a batch: {batch}, by {count} before"),
        _ => format!("{live}; a batch: {batch}, assumed"),
    }
}

fn time(seconds: f64) -> String {
    table::human(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}
