//! The page, and its first screen.

use super::files::Report;
use super::format::{count, counted, date, escape, number, percent, seconds, small};
use super::rows::Rows;
use super::told::Told;
use super::{failures, latency, limits, money, over_time, quality};
use crate::bulk::Summary;
use crate::usage::Money;
use std::borrow::Cow;
use std::fmt::Write;

/// What every page begins with.
pub(super) const START: &str = "<!doctype html><html lang=\"en\"><!-- openai-bulk report -->";

/// Nothing is fetched, and nothing runs.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = include_str!("style.css");

/// The page of a report.
pub(super) fn page(report: &Report) -> String {
    let title = report.title.as_deref().unwrap_or("Run report");
    let run = run_of(report);
    let run = run.as_deref();
    let mut out = format!(
        "{START}<head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\"><title>{0}</title><style>{STYLE}</style></head><body><main><header><h1>{0}</h1>{1}</header>",
        escape(title),
        subtitle(report)
    );
    out.push_str(&figures(report, run));
    out.push_str(&notes(report, run));
    for (heading, content) in sections(report, run) {
        if let Some(content) = content {
            let _ = write!(
                out,
                "<section><h2>{heading}</h2><div class=\"grid-of\">{content}</div></section>"
            );
        }
    }
    let _ = write!(
        out,
        "<footer>Made by openai-bulk {}. Times are UTC; costs are US dollars.</footer></main></body></html>",
        env!("CARGO_PKG_VERSION")
    );
    out.push('\n');
    out
}

/// What the summary tells of the run, or else what the output does.
fn run_of(report: &Report) -> Option<Cow<'_, Summary>> {
    let told = report.told.as_ref().map(|told| Cow::Borrowed(&told.run));
    told.or_else(|| Some(Cow::Owned(report.rows.as_ref()?.course.summary())))
}

/// The sections in their order, with what they hold, if anything.
fn sections(report: &Report, run: Option<&Summary>) -> Vec<(&'static str, Option<String>)> {
    let (told, rows) = (report.told.as_ref(), report.rows.as_ref());
    let of_run = told.map(|told| &told.run.rows);
    let kinds = of_run.map(|rows| &rows.failed_by_kind).filter(|kinds| !kinds.is_empty());
    let kinds = kinds.or(rows.map(|rows| &rows.by_kind));
    let tried = of_run.map(|rows| rows.succeeded + rows.failed).filter(|tried| *tried > 0);
    let tried = tried.or(rows.map(|rows| rows.lines())).unwrap_or(0);
    vec![
        ("Score", report.score.as_ref().map(quality::section)),
        ("Over time", run.and_then(over_time::section)),
        ("Failures by kind", kinds.and_then(|kinds| failures::by_kind(kinds, tried))),
        ("How long rows took", latency::section(told, rows)),
        ("What the run waited for", told.and_then(limits::held_back)),
        ("Changes of limits", told.and_then(limits::changes)),
        ("Batches", told.and_then(|told| limits::batches(&told.parts))),
        ("Cost", run.and_then(money::section)),
        ("Grading", report.grading.as_ref().map(grading)),
        ("Cost of grading", report.grading.as_ref().and_then(|told| money::section(&told.run))),
        ("Failed rows", rows.and_then(failures::failed)),
        ("Slowest rows", rows.and_then(failures::slowest)),
    ]
}

/// How the run ended, and when it began.
fn subtitle(report: &Report) -> String {
    let Some(told) = &report.told else {
        let of = if report.rows.is_some() { "From the output alone" } else { "Of an evaluation" };
        return format!("<p class=\"sub\">{of}</p>");
    };
    ended(told)
}

fn ended(told: &Told) -> String {
    let (class, text) = match told.status.as_str() {
        "finished" if told.run.rows.failed > 0 => ("warn", "Finished, some rows failed".to_owned()),
        "finished" => ("good", "Finished".to_owned()),
        "interrupted" => ("warn", "Interrupted".to_owned()),
        "capped" => ("warn", "Stopped by the cap".to_owned()),
        "stopped" => ("bad", "Stopped".to_owned()),
        other => ("warn", other.replace('_', " ")),
    };
    let started = told.run.timeline.started;
    let began = if started > 0.0 {
        format!(" <time>began {}</time>", date(started, false))
    } else {
        String::new()
    };
    let why = told.run.stopped_by.as_deref().map(super::format::message);
    let why = why.map(|why| format!("<p class=\"why\">{}</p>", escape(&why))).unwrap_or_default();
    format!(
        "<p class=\"sub\"><span class=\"status {class}\">{}</span>{began}</p>{why}",
        escape(&text)
    )
}

/// A number that is seen first.
struct Figure {
    name: &'static str,
    value: String,
    note: String,
    class: &'static str,
}

fn figures(report: &Report, run: Option<&Summary>) -> String {
    let mut all = Vec::new();
    if let Some((value, note)) = report.score.as_ref().and_then(quality::overall) {
        all.push(Figure { name: "Score", value, note, class: "" });
    }
    match (&report.told, &report.rows) {
        (Some(told), _) => {
            of_summary(told, &mut all);
            if let Some(grading) = &report.grading {
                all.push(Figure { name: "Cost of grading", ..cost(&grading.run) });
            }
        }
        (None, Some(rows)) => {
            of_output(rows, &mut all);
            all.extend(run.filter(|_| rows.answered > 0).map(cost));
        }
        (None, None) => {}
    }
    listed(all)
}

/// How the run went that asked a grader.
fn grading(told: &Told) -> String {
    let mut all = Vec::new();
    of_summary(told, &mut all);
    format!("<div class=\"full\">{}{}</div>", ended(told), listed(all))
}

fn listed(all: Vec<Figure>) -> String {
    let mut out = String::from("<dl class=\"figures\">");
    for Figure { name, value, note, class } in all {
        let _ = write!(
            out,
            "<div><dt>{name}</dt><dd class=\"{class}\">{value}</dd><dd class=\"note\">{note}</dd></div>"
        );
    }
    out + "</dl>"
}

fn of_output(rows: &Rows, all: &mut Vec<Figure>) {
    let lines = rows.lines();
    let mut note = format!("{} answered", count(rows.answered));
    if rows.course.unpaid > 0 {
        let _ = write!(note, ", {} without a request", count(rows.course.unpaid));
    }
    all.push(Figure { name: "Rows", value: count(lines), note, class: "" });
    all.push(failed(rows.failed(), lines));
}

fn of_summary(told: &Told, all: &mut Vec<Figure>) {
    let run = &told.run;
    let rows = &run.rows;
    let mut parts = vec![format!("{} answered", count(rows.succeeded))];
    for (rows, what) in [
        (rows.from_cache, "of them from the cache"),
        (rows.shared, "of them with another row"),
        (rows.done_before, "before"),
        (rows.not_sent, "not done"),
    ] {
        if rows > 0 {
            parts.push(format!("{} {what}", count(rows)));
        }
    }
    all.push(Figure { name: "Rows", value: count(rows.total), note: parts.join(", "), class: "" });
    all.push(failed(rows.failed, rows.succeeded + rows.failed));
    let retries = counted(run.attempts.retries, "attempt").replace("attempt", "retry");
    let retries = retries.replace("retrys", "retries");
    all.push(Figure { name: "Time", value: seconds(run.wall_seconds), note: retries, class: "" });
    if run.attempts.total > 0 {
        all.push(rate(run));
    }
    all.push(cost(run));
}

fn failed(failed: u64, tried: u64) -> Figure {
    Figure {
        name: "Failed",
        value: count(failed),
        note: if tried == 0 {
            "of none".into()
        } else {
            format!("{} of {}", percent(failed as f64 / tried as f64), count(tried))
        },
        class: if failed > 0 { "bad" } else { "" },
    }
}

/// Requests a minute against the limit, as it was on average, or else at the end.
fn rate(run: &Summary) -> Figure {
    let limits = run.rate.limits.values().map(|limit| limit.requests_per_minute);
    let at_end = limits.sum::<Option<f64>>().filter(|limit| *limit > 0.0);
    let is_seen = run.timeline.points.iter().any(|point| point.requests_per_minute.is_some());
    let limit = over_time::mean(&run.timeline, |point| point.requests_per_minute);
    let limit = limit.or(at_end.filter(|_| !is_seen));
    // The mean over a moment says nothing of a rate.
    let is_long = run.wall_seconds >= 1.0;
    let rate = run.rate.requests_per_minute;
    let note = match limit {
        Some(limit) if is_long => {
            format!("{} of the limit, {}", percent(rate / limit), number(limit))
        }
        Some(limit) => format!("limit {}", number(limit)),
        None if is_seen => "limit known for a part of the time".into(),
        None => "limit not known".into(),
    };
    Figure { name: "Requests a minute", value: number(rate.round()), note, class: "" }
}

fn cost(run: &Summary) -> Figure {
    let cost = &run.cost;
    let saved = money::saved(cost);
    let is_unknown = cost.total == Money::ZERO && cost.unpriced > 0;
    let note = match cost.unpriced {
        0 if saved > Money::ZERO => format!("{} saved", short(saved)),
        0 if run.tokens.total > 0 => format!("{} tokens", count(run.tokens.total)),
        0 => String::new(),
        unpriced => format!("{} without a known price", counted(unpriced, "answer")),
    };
    let value = match cost.unpriced {
        _ if is_unknown => "unknown".into(),
        0 => short(cost.total),
        _ => format!("≥\u{2009}{}", short(cost.total)),
    };
    Figure { name: "Cost", value, note, class: "" }
}

/// Money to the cent, or to two digits where it is less; the table has every digit.
fn short(money: Money) -> String {
    let dollars = money.as_dollars();
    match dollars {
        d if d >= 1000.0 => format!("${}", count(d.round() as u64)),
        d if d > 0.0 => format!("${}", small(d)),
        _ => "$0".into(),
    }
}

/// What is missing, and what has to be known to read the rest.
fn notes(report: &Report, run: Option<&Summary>) -> String {
    let mut notes = Vec::new();
    let is_short = run.and_then(over_time::section).is_none();
    match &report.told {
        None => notes.push(
            "Without a summary (<code>run --summary FILE</code>, then <code>report --summary FILE</code>) limits, requests in flight, what was waited for and the end of the run are not known; costs are by the list of prices.".to_owned(),
        ),
        Some(told) => {
            if told.run.timeline.points.is_empty() {
                notes.push("The summary has no timeline: a version wrote it that kept none.".into());
            } else if is_short && told.run.rows.succeeded + told.run.rows.failed > 0 {
                notes.push("The run was too short, or had too few rows, for a course over time.".into());
            }
            if told.run.schema > crate::bulk::SCHEMA {
                notes.push("A later version wrote the summary: some of it may be missing here.".into());
            }
        }
    }
    match &report.rows {
        None => notes.push(
            "Without the output (<code>report ANSWERS</code>) single rows are not shown.".into(),
        ),
        Some(rows) if rows.unread > 0 => {
            notes
                .push(format!("{} of the output could not be read.", counted(rows.unread, "line")));
        }
        Some(_) => {}
    }
    if let (Some(told), Some(rows)) = (&report.told, &report.rows)
        && told.run.rows.done_before > 0
        && rows.lines() > 0
    {
        notes.push("Rows of earlier runs are in the output, and not in the summary.".into());
    }
    if notes.is_empty() {
        return String::new();
    }
    let items: String = notes.iter().map(|note| format!("<li>{note}</li>")).collect();
    format!("<ul class=\"notes\">{items}</ul>")
}
