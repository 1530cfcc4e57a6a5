//! The summary as a table.

use openai_bulk::bulk::estimate::ASSUMED_OUTPUT;
use openai_bulk::bulk::{CapUse, Compared, Percentiles, Status, Summary};
use openai_bulk::usage::Money;
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
        Status::Capped => "stopped by the cap",
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
            format!(
                "{} attempts may have been billed without an answer{}",
                sent.maybe_billed,
                at_most(summary)
            ),
        );
    }
    let tokens = &summary.tokens;
    row(
        "tokens",
        format!("{} in ({} cached), {} out", tokens.input, tokens.cached_input, tokens.output),
    );
    for (name, value) in cost(summary) {
        row(name, value);
    }
    row("time", format!("{:.2} s", summary.wall_seconds));
    row("rate", rate_line(summary));
    row("server time", percentiles(&summary.server_seconds));
    row("waiting", percentiles(&summary.waiting_seconds));
    row("held back by", held_back(summary));
    text
}

/// What attempts without an answer may have cost.
fn at_most(summary: &Summary) -> String {
    match (summary.cost.maybe_billed, summary.cost.maybe_billed_unpriced) {
        (Money::ZERO, 0) => String::new(),
        (money, 0) => format!(", at most {money}"),
        (Money::ZERO, _) => ", at a price that is not known".into(),
        (money, unpriced) => {
            format!(", at most {money} and {unpriced} at a price that is not known")
        }
    }
}

/// What it cost, by model and tier; what was saved; the cap.
fn cost(summary: &Summary) -> Vec<(&'static str, String)> {
    let cost = &summary.cost;
    let mut rows = Vec::new();
    if cost.unpriced > 0 {
        let (unpriced, all) = (cost.unpriced, summary.rows.succeeded);
        let rest = if cost.total > Money::ZERO { "; the cost is a lower bound" } else { "" };
        rows.push((
            "price unknown",
            format!(
                "{unpriced} of {all} answers{rest} (--prices FILE gives prices; an answer that does \
                 not tell its tokens has none)"
            ),
        ));
    }
    if cost.total > Money::ZERO || cost.unpriced < summary.rows.succeeded {
        let bound = if cost.unpriced > 0 { "at least " } else { "" };
        let dated = cost.prices_as_of.as_ref().map(|day| format!(", by prices of {day}"));
        rows.push(("cost", format!("{bound}{}{}", cost.total, dated.unwrap_or_default())));
        let all = cost.by_model.iter();
        let all =
            all.flat_map(|(model, tiers)| tiers.iter().map(move |(tier, of)| (model, tier, of)));
        for (model, tier, of) in all.filter(|(_, _, of)| of.answers > of.unpriced) {
            rows.push(("", format!("{} for {} of {model} ({tier})", of.total, of.answers)));
        }
        let Compared { expected, actual, .. } = cost.estimate;
        if expected > Money::ZERO {
            let times = actual.as_dollars() / expected.as_dollars();
            rows.push((
                "estimate",
                format!("{expected} by characters and at most {ASSUMED_OUTPUT} tokens an answer; actual {times:.2} times that"),
            ));
        }
    }
    for (saved, by) in [
        (cost.saved_by_cache, "the server's cache"),
        (cost.saved_by_answers, "answers that were there"),
        (cost.saved_by_batch, "batch"),
    ] {
        if saved > Money::ZERO {
            rows.push(("saved", format!("{saved} by {by}")));
        }
    }
    if let Some(cap) = &cost.cap {
        rows.extend(against(cap).map(|text| ("cap", text)));
    }
    rows
}

/// How more can be spent than a cap allows.
const OVER: &str = "the server used more than the requests allowed";

/// What counts against the caps.
fn against(cap: &CapUse) -> impl Iterator<Item = String> {
    let money = cap.money.map(|most| {
        let mut text = format!("{} of {most}", cap.counted_money);
        if cap.earlier_money > Money::ZERO {
            text.push_str(&format!(", {} of it by earlier runs", cap.earlier_money));
        }
        if cap.reserved_money > Money::ZERO {
            let (reserved, settled) = (cap.reserved_money, cap.settled_money);
            text.push_str(&format!("; {reserved} reserved for what cost {settled}"));
        }
        if cap.over_money > Money::ZERO {
            text.push_str(&format!("; {} over it: {OVER}", cap.over_money));
        }
        text
    });
    let tokens = cap.tokens.map(|most| {
        let mut text = format!("{} of {most} tokens", cap.counted_tokens);
        if cap.earlier_tokens > 0 {
            text.push_str(&format!(", {} of them by earlier runs", cap.earlier_tokens));
        }
        if cap.over_tokens > 0 {
            text.push_str(&format!("; {} over it: {OVER}", cap.over_tokens));
        }
        text
    });
    money.into_iter().chain(tokens)
}

fn rows_line(summary: &Summary) -> String {
    let rows = &summary.rows;
    let mut parts = vec![format!("{} in all", rows.total)];
    for (count, what) in [
        (rows.done_before, "done before"),
        (rows.succeeded, "succeeded"),
        (rows.from_cache, "of them from the cache"),
        (rows.shared, "of them with another row's answer"),
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
