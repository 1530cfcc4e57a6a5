//! The score of an evaluation, with its interval, by group.

use super::chart::{Whisker, whiskers};
use super::format::{count, counted, escape, number, percent};
use super::score::{Group, Score};
use super::table::Table;
use super::ticks;

/// Groups that are drawn; the table has all.
const DRAWN: usize = 60;

/// The score of all samples and where it lies, as they are shown.
pub(super) fn overall(score: &Score) -> Option<(String, String)> {
    let write = writer(score);
    let ends = score.overall.ends();
    let ends = ends.map(|(low, high)| format!("{} to {}", write(low), write(high)));
    Some((write(score.overall.mean?), ends.unwrap_or_default()))
}

/// Scores that are shares are written as percents.
fn writer(score: &Score) -> fn(f64) -> String {
    if is_share(score) { percent } else { number }
}

fn is_share(score: &Score) -> bool {
    let all = [&score.overall].into_iter().chain(score.groups.values());
    all.filter_map(|group| group.mean).all(|mean| (0.0..=1.0).contains(&mean))
}

/// The section: a chart, and the numbers behind it.
pub(super) fn section(score: &Score) -> String {
    let write = writer(score);
    let mut groups = vec![("all", &score.overall)];
    groups.extend(score.groups.iter().map(|(name, group)| (name.as_str(), group)));
    let mut table = Table::new(&[
        "group",
        "#score",
        "#from",
        "#to",
        "#standard error",
        "#samples",
        "#scored",
        "#errors",
        "#missing",
    ]);
    for (name, group) in &groups {
        let end = |end: Option<f64>| end.map_or("–".into(), write);
        let ends = group.ends();
        table.row([
            escape(name),
            end(group.mean),
            end(ends.map(|ends| ends.0)),
            end(ends.map(|ends| ends.1)),
            end(group.standard_error),
            count(group.samples),
            count(group.scored),
            count(group.errors),
            count(group.missing),
        ]);
    }
    let chart = chart(score, &groups);
    format!("<div class=\"full\">{chart}{}</div>", table.folded("Numbers"))
}

fn chart(score: &Score, groups: &[(&str, &Group)]) -> String {
    let write = writer(score);
    let drawn = groups.iter().filter_map(|(name, group)| row(name, group, write));
    let drawn: Vec<_> = drawn.take(DRAWN).collect();
    if drawn.is_empty() {
        return "<p class=\"note\">No answer was scored.</p>".into();
    }
    let axis = if is_share(score) {
        ticks::linear(1.0, write)
    } else {
        let (least, most) = drawn.iter().fold((f64::MAX, f64::MIN), |(least, most), row| {
            (least.min(row.low), most.max(row.high))
        });
        ticks::between(least, most.max(least + 1e-6), write)
    };
    let what = if score.overall.is_binary { "Accuracy" } else { "Mean score" };
    let title = match score.scorer.as_str() {
        "" => what.to_owned(),
        scorer => format!("{what} by {scorer}"),
    };
    let all = &score.overall;
    let desc = format!("{} scored, {} errors.", counted(all.scored, "answer"), count(all.errors));
    let unit = "dot: score; line: its 95 % interval; errors are not in it";
    whiskers(&title, unit, &desc, &axis, &drawn)
}

fn row(name: &str, group: &Group, write: fn(f64) -> String) -> Option<Whisker> {
    let mean = group.mean?;
    let (low, high) = group.ends().unwrap_or((mean, mean));
    let mut text = format!("{} of {}", write(mean), counted(group.scored, "answer"));
    if group.errors > 0 {
        text.push_str(&format!(", {}", counted(group.errors, "error")));
    }
    Some(Whisker { name: name.into(), low, at: mean, high, text })
}
