//! What held the run back, and how its limits changed.

use super::format::{count, escape, number, percent, seconds};
use super::table::{Table, bar};
use super::told::{Part, Told};

/// Changes that are shown.
const CHANGES: usize = 60;

/// What held the run back.
pub(super) fn held_back(told: &Told) -> Option<String> {
    let shares = told.run.held_back.iter().filter(|(_, share)| **share >= 0.001);
    let mut shares: Vec<_> = shares.collect();
    shares.sort_by(|a, b| b.1.total_cmp(a.1));
    let mut table = Table::new(&["waiting for", "#of the time", ""]);
    for (cause, share) in shares {
        let name = match &**cause {
            "requests_budget" => "the limit of requests",
            "tokens_budget" => "the limit of tokens",
            "concurrency" => "the limit of requests in flight",
            "cap" => "the cap",
            "refused" => "a pause after a refusal",
            "circuit" => "a server that was out of order",
            "back_off" => "rows to be tried again",
            "server" => "the server: all was in flight",
            "input" => "the input",
            "output" => "the output",
            other => other,
        };
        table.row([escape(name), percent(*share), bar(*share, "c1")]);
    }
    (!table.is_empty()).then(|| format!("<div class=\"full\">{}</div>", table.html()))
}

/// How limits changed, latest last.
pub(super) fn changes(told: &Told) -> Option<String> {
    let all = &told.run.limit_changes;
    let mut table = Table::new(&["#after", "group", "limit", "#from then on", "why"]);
    for change in &all[all.len().saturating_sub(CHANGES)..] {
        table.row([
            seconds(change.seconds),
            escape(&change.group),
            escape(&change.limit.replace('_', " ")),
            number(change.to),
            escape(&change.reason),
        ]);
    }
    let all = all.len() as u64 + told.run.limit_changes_dropped;
    let name = match all {
        1 => "One change of a limit".into(),
        all if all > CHANGES as u64 => {
            format!("The latest {CHANGES} of {} changes of limits", count(all))
        }
        all => format!("{} changes of limits", count(all)),
    };
    (!table.is_empty()).then(|| format!("<div class=\"full\">{}</div>", table.folded(&name)))
}

/// The batches of a run.
pub(super) fn batches(parts: &[Part]) -> Option<String> {
    let mut table = Table::new(&[
        "batch",
        "model",
        "state",
        "#rows",
        "#answered",
        "#failed",
        "#left",
        "#age",
        "",
    ]);
    for part in parts {
        let done = (part.succeeded + part.failed) as f64 / part.rows.max(1) as f64;
        let state = match &part.trouble {
            Some(trouble) => format!("{}: {}", part.state, super::format::message(trouble)),
            None => part.state.clone(),
        };
        table.row([
            part.part.to_string(),
            escape(&part.model),
            escape(&state),
            count(part.rows),
            count(part.succeeded),
            count(part.failed),
            count(part.left),
            part.age_seconds.map_or("–".into(), |age| seconds(age as f64)),
            bar(done, "c1"),
        ]);
    }
    (!table.is_empty()).then(|| format!("<div class=\"full\">{}</div>", table.html()))
}
