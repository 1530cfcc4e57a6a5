//! Failures by kind, and single rows: failed and slow ones.

use super::format::{self, count, escape, percent, seconds};
use super::rows::{Rows, Shown};
use super::table::{Table, bar};
use std::collections::BTreeMap;

/// Kinds that are told apart.
const KINDS: usize = 20;

/// Failures by kind.
pub(super) fn by_kind(kinds: &BTreeMap<String, u64>, rows: u64) -> Option<String> {
    let mut sorted: Vec<_> = kinds.iter().filter(|(_, failed)| **failed > 0).collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let most = *sorted.first()?.1;
    let mut table = Table::new(&["kind", "#rows", "#of all", ""]);
    let mut row = |name: String, failed: u64| {
        table.row([
            name,
            count(failed),
            percent(failed as f64 / rows.max(1) as f64),
            bar(failed as f64 / most as f64, "bad"),
        ]);
    };
    for (kind, failed) in sorted.iter().take(KINDS) {
        row(format!("<code>{}</code>", escape(kind)), **failed);
    }
    let others: u64 = sorted.iter().skip(KINDS).map(|(_, failed)| **failed).sum();
    if others > 0 {
        row("other kinds".into(), others);
    }
    Some(format!("<div class=\"full\">{}</div>", table.html()))
}

/// Failed rows, some of every kind.
pub(super) fn failed(rows: &Rows) -> Option<String> {
    let shown = rows.some_failed();
    let mut table = Table::new(&["row", "#line", "kind", "message", "#attempts", "ended"]);
    for row in &shown {
        table.row([
            id(row),
            row.line.map_or("–".into(), count),
            format!("<code>{}</code>", escape(&row.kind)),
            format!("<span class=\"text\">{}</span>", escape(&format::message(&row.message))),
            attempts(row),
            ended(row),
        ]);
    }
    let of = match rows.failed() {
        failed if failed > shown.len() as u64 => {
            format!(
                "<p class=\"note\">{} of {}, of every kind some.</p>",
                shown.len(),
                count(failed)
            )
        }
        _ => String::new(),
    };
    (!table.is_empty()).then(|| format!("<div class=\"full\">{of}{}</div>", table.html()))
}

/// The slowest rows.
pub(super) fn slowest(rows: &Rows) -> Option<String> {
    let most = rows.slowest.first()?.latency?;
    let mut table =
        Table::new(&["row", "#line", "#at the server", "", "#waiting", "#attempts", "ended"]);
    for row in &rows.slowest {
        let time = |time: Option<f64>| time.map_or("–".into(), seconds);
        table.row([
            id(row),
            row.line.map_or("–".into(), count),
            time(row.latency),
            bar(row.latency.unwrap_or(0.0) / most, "c1"),
            time(row.waiting),
            attempts(row),
            ended(row),
        ]);
    }
    Some(format!("<div class=\"full\">{}</div>", table.html()))
}

fn id(row: &Shown) -> String {
    format!("<code class=\"id\">{}</code>", escape(&row.id))
}

fn attempts(row: &Shown) -> String {
    row.attempts.map_or("–".into(), |attempts| count(attempts.into()))
}

fn ended(row: &Shown) -> String {
    row.ended.map_or("–".into(), |unix| format::date(unix, true))
}
