//! What it cost, what was saved, and what was expected.

use super::format::{count, counted, escape, number};
use super::table::{Table, bar};
use crate::bulk::{Costs, Summary};
use crate::usage::Money;

/// The section, or `None` if nothing was answered and nothing may have been billed.
pub(super) fn section(run: &Summary) -> Option<String> {
    let cost = &run.cost;
    let is_nothing = cost.maybe_billed == Money::ZERO && cost.saved_by_answers == Money::ZERO;
    if cost.by_model.is_empty() && is_nothing && cost.cap.is_none() {
        return None;
    }
    Some(format!("<div class=\"full\">{}{}</div>", by_model(cost), facts(run)))
}

fn by_model(cost: &Costs) -> String {
    let mut table = Table::new(&[
        "model",
        "tier",
        "#answers",
        "#input tokens",
        "#cached",
        "#output tokens",
        "#cost",
        "",
    ]);
    let each = cost.by_model.iter();
    let mut each: Vec<_> = each
        .flat_map(|(model, tiers)| tiers.iter().map(move |(tier, of)| (model, tier, of)))
        .collect();
    each.sort_by_key(|(_, _, of)| std::cmp::Reverse(of.total));
    let most = each.first().map_or(0.0, |(_, _, of)| of.total.as_dollars());
    let named = |name: &str| if name.is_empty() { "–".into() } else { escape(name) };
    for (model, tier, of) in &each {
        let price = match of.unpriced {
            0 => of.total.to_string(),
            unpriced if unpriced == of.answers => "unknown".into(),
            unpriced => format!("{}, and {} unknown", of.total, count(unpriced)),
        };
        let share = if most > 0.0 { of.total.as_dollars() / most } else { 0.0 };
        table.row([
            named(model),
            named(tier),
            count(of.answers),
            count(of.input),
            count(of.cached_input),
            count(of.output),
            price,
            if share > 0.0 { bar(share, "c4") } else { String::new() },
        ]);
    }
    if table.is_empty() { String::new() } else { table.html() }
}

/// What was saved, in whichever way.
pub(super) fn saved(cost: &Costs) -> Money {
    cost.saved_by_cache + cost.saved_by_batch + cost.saved_by_answers
}

/// What is told of money besides, a line each.
fn facts(run: &Summary) -> String {
    let cost = &run.cost;
    let mut table = Table::new(&["", "#US dollars", ""]);
    let mut row = |name: &str, money: Money, note: String| {
        table.row([name.to_owned(), money.to_string(), note]);
    };
    let full = cost.total + saved(cost);
    let bound = if cost.unpriced > 0 {
        format!("at least: {} without a known price", counted(cost.unpriced, "answer"))
    } else {
        cost.prices_as_of
            .as_deref()
            .map_or(String::new(), |day| format!("by prices of {}", escape(day)))
    };
    row("Spent", cost.total, bound);
    let share = |saved: Money| {
        let share = saved.as_dollars() / full.as_dollars().max(f64::MIN_POSITIVE);
        format!("{} of what it would have cost", super::format::percent(share))
    };
    for (name, saved) in [
        ("Saved by the server’s cache", cost.saved_by_cache),
        ("Saved by batches", cost.saved_by_batch),
        ("Saved by answers that were there", cost.saved_by_answers),
    ] {
        if saved > Money::ZERO {
            row(name, saved, share(saved));
        }
    }
    if cost.estimate.expected > Money::ZERO {
        let times = cost.estimate.actual.as_dollars() / cost.estimate.expected.as_dollars();
        let note = format!("before it was sent; the actual cost was {} times that", number(times));
        row("Estimated", cost.estimate.expected, note);
    }
    if run.attempts.maybe_billed > 0 {
        let note = format!(
            "at most, for {} without an answer",
            counted(run.attempts.maybe_billed, "attempt")
        );
        row("Maybe billed besides", cost.maybe_billed, note);
    }
    if let Some((cap, most)) = cost.cap.and_then(|cap| Some((cap, cap.money?))) {
        let note = format!("{} counted against it, earlier runs included", cap.counted_money);
        row("Cap", most, note);
    }
    if let Some(left) = cost.left.filter(|_| run.rows.not_sent > 0) {
        let note = format!("about, for {} that are left", counted(run.rows.not_sent, "row"));
        row("To come", left, note);
    }
    table.html()
}
