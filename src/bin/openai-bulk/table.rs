//! The summary as a table.

use openai_bulk::bulk::{Percentiles, Status, Summary};
use std::fmt::Write;
use std::time::Duration;

/// A duration for people: two units at most.
pub fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The summary, a line for each fact.
pub fn summary(summary: &Summary) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<18}{value}");
    };
    let rows = &summary.rows;
    let status = match summary.status {
        Status::Finished => "finished",
        Status::Interrupted => "interrupted",
        _ => "stopped",
    };
    row("status", status.into());
    row("rows", rows_line(summary));
    if rows.failed > 0 {
        row("failed by kind", counts(&rows.failed_by_kind));
    }
    let sent = &summary.attempts;
    row(
        "attempts",
        format!(
            "{} sent, {} retries, {} refused for a rate limit",
            sent.total, sent.retries, sent.refused
        ),
    );
    if sent.hedges > 0 {
        row("hedges", format!("{} second requests beside slow ones", sent.hedges));
    }
    if sent.maybe_billed > 0 {
        row(
            "maybe billed",
            format!("{} attempts may have been billed without an answer", sent.maybe_billed),
        );
    }
    let tokens = &summary.tokens;
    row(
        "tokens",
        format!("{} in ({} cached), {} out", tokens.input, tokens.cached_input, tokens.output),
    );
    row("time", format!("{:.2} s", summary.wall_seconds));
    row("rate", rate_line(summary));
    row("server time", percentiles(&summary.server_seconds));
    row("waiting", percentiles(&summary.waiting_seconds));
    row("held back by", held_back(summary));
    text
}

fn rows_line(summary: &Summary) -> String {
    let rows = &summary.rows;
    let mut parts = vec![format!("{} in all", rows.total)];
    for (count, what) in [
        (rows.done_before, "done before"),
        (rows.succeeded, "succeeded"),
        (rows.failed, "failed"),
        (rows.not_sent, "not sent"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

fn counts(counts: &std::collections::BTreeMap<String, u64>) -> String {
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

fn rate_line(summary: &Summary) -> String {
    let rate = &summary.rate;
    let mut line = format!(
        "{:.0} requests and {:.0} tokens a minute",
        rate.requests_per_minute, rate.tokens_per_minute
    );
    for (group, limit) in &rate.limits {
        let known = [(limit.requests_per_minute, "requests"), (limit.tokens_per_minute, "tokens")];
        let known: Vec<_> = known
            .iter()
            .filter_map(|(limit, what)| limit.map(|limit| format!("{limit:.0} {what}")))
            .collect();
        if !known.is_empty() {
            let _ = write!(line, "; {group} allows {}", known.join(" and "));
        }
    }
    line
}

fn percentiles(p: &Percentiles) -> String {
    if p.count == 0 {
        return "-".into();
    }
    format!(
        "p50 {} | p90 {} | p99 {} | max {}",
        short(p.p50),
        short(p.p90),
        short(p.p99),
        short(p.max)
    )
}

fn short(seconds: f64) -> String {
    if seconds < 0.9995 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

fn held_back(summary: &Summary) -> String {
    let mut shares: Vec<_> =
        summary.held_back.iter().filter(|(_, share)| **share >= 0.005).collect();
    shares.sort_by(|a, b| b.1.total_cmp(a.1));
    if shares.is_empty() {
        return "nothing".into();
    }
    let shares: Vec<_> = shares
        .iter()
        .map(|(name, share)| format!("{} {:.0}%", name.replace('_', " "), **share * 100.0))
        .collect();
    shares.join(", ")
}
