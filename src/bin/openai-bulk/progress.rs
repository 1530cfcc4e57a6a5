//! Live lines: two that are redrawn on a terminal, a plain one every few seconds elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use openai_bulk::bulk::Snapshot;
use openai_bulk::usage::Money;
use std::io::IsTerminal;
use std::time::Duration;

/// Time between two plain lines.
const PLAIN: Duration = Duration::from_secs(5);

/// Shows how a run gets on.
pub struct Progress {
    bar: Option<ProgressBar>,
    is_quiet: bool,
    last_plain: Duration,
}

/// Whether standard error is a terminal that can redraw a line.
pub fn is_live() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Progress {
    pub fn new(bars: &MultiProgress, is_quiet: bool) -> Progress {
        let bar = (!is_quiet && is_live()).then(|| {
            let bar = bars.add(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()));
            bar.set_style(style("{spinner} {wide_msg}\n{prefix}"));
            bar
        });
        Progress { bar, is_quiet, last_plain: Duration::ZERO }
    }

    /// Shows where the run stands.
    pub fn show(&mut self, now: &Snapshot) {
        if let Some(bar) = &self.bar {
            if bar.length().is_none()
                && let Some(total) = now.total
            {
                bar.set_length(total);
                bar.set_style(style("{bar:20} {wide_msg}\n{prefix}"));
            }
            bar.set_position(now.done());
            bar.set_message(how_far(now).join(" | "));
            bar.set_prefix(how_fast(now).join(" | "));
            bar.tick();
        } else if !self.is_quiet && now.elapsed >= self.last_plain + PLAIN {
            self.last_plain = now.elapsed;
            let all = [how_far(now), how_fast(now)].concat();
            eprintln!("{}", all.join(" | "));
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ")
}

/// Money spent, and what it is expected to be in the end.
fn cost(now: &Snapshot) -> Option<String> {
    let spent = now.counted.unwrap_or(now.cost);
    if now.unpriced > 0 && spent == Money::ZERO {
        return Some("cost unknown".into());
    }
    let mut text = if now.unpriced > 0 { format!("more than {spent}") } else { spent.to_string() };
    if let Some(most) = now.max_cost {
        text.push_str(&format!(" of {most}"));
    }
    if let Some(projected) = now.projected() {
        text.push_str(&format!(", {projected} in the end"));
    }
    (spent > Money::ZERO || now.max_cost.is_some()).then_some(text)
}

/// How far the run is, and what it costs: the first line on a terminal, where it has to fit in 80
/// columns with a bar before it.
fn how_far(now: &Snapshot) -> Vec<String> {
    let mut parts = vec![match now.total {
        Some(total) => format!("{}/{} rows", now.done(), total),
        None => format!("{} rows", now.done()),
    }];
    if now.failed > 0 {
        parts.push(format!("{} failed", now.failed));
    }
    if now.unsent > 0 {
        parts.push(format!("{} without a request", now.unsent));
    }
    if let Some(eta) = now.eta() {
        parts.push(format!("{} left", super::table::human(eta)));
    }
    parts.extend(cost(now));
    parts
}

/// How fast it goes, and what holds it back.
fn how_fast(now: &Snapshot) -> Vec<String> {
    let rate = now.requests_per_second;
    let mut parts = vec![match now.requests_per_minute_limit.filter(|&limit| limit > 0.0) {
        Some(limit) => format!("{rate:.1} of {:.1} requests/s", limit / 60.0),
        None => format!("{rate:.1} requests/s"),
    }];
    if let Some(held) = now.held {
        parts.push(format!("held by {}", held.name().replace('_', " ")));
    }
    parts.push(match now.concurrency {
        Some(most) => format!("{} of {most} in flight", now.in_flight),
        None => format!("{} in flight", now.in_flight),
    });
    if now.waiting > 0 {
        parts.push(format!("{} to retry", now.waiting));
    }
    if now.refused > 0 {
        parts.push(format!("{} refused", now.refused));
    }
    parts
}
