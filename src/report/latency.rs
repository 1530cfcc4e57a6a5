//! How long rows took: at the server, and waiting.

use super::chart::{Chart, Series, Shape, Whisker, whiskers};
use super::format::{axis, count, counted, seconds};
use super::rows::Rows;
use super::table::Table;
use super::ticks::{self, Axis};
use super::told::Told;
use crate::bulk::{Distribution, Percentiles};

/// Bars of a histogram.
const BARS: usize = 40;
/// Shorter waits than this are all alike.
const LEAST: f64 = 0.001;

/// The section, or `None` if no row was timed.
pub(super) fn section(told: Option<&Told>, rows: Option<&Rows>) -> Option<String> {
    let all = [
        told.map(|told| (told.run.server_seconds, told.run.waiting_seconds)),
        rows.map(|rows| (rows.server.percentiles(), rows.waiting.percentiles())),
    ];
    let [of_run, of_rows] = all.map(|both| both.filter(|(server, _)| server.count > 0));
    // An output may hold the rows of several runs; the numbers are to be those of the charts.
    let (server, waiting) = of_rows.or(of_run)?;
    let mut out = table(&server, &waiting);
    match rows.filter(|_| of_rows.is_some_and(|(server, _)| server.count > 1)) {
        Some(rows) => {
            out.push_str(&histogram("At the server", "c1", &rows.server));
            out.push_str(&histogram("Waiting", "c3", &rows.waiting));
        }
        None if server.count > 1 => out.push_str(&spans(&server, &waiting)),
        None => {}
    }
    Some(out)
}

fn table(server: &Percentiles, waiting: &Percentiles) -> String {
    let mut table = Table::new(&[
        "",
        "#median",
        "#90 %",
        "#95 %",
        "#99 %",
        "#longest",
        "#mean",
        "#shortest",
        "#rows",
    ]);
    for (name, p) in [("At the server", server), ("Waiting", waiting)] {
        let times = [p.p50, p.p90, p.p95, p.p99, p.max, p.mean, p.min].map(seconds);
        let cells = [name.to_owned()].into_iter().chain(times);
        table.row(cells.chain([count(p.count)]));
    }
    format!(
        "<div class=\"full\">{}<p class=\"note\">Seconds of answered rows. At the server: from the \
         first byte sent to the last byte received, of the last attempt. Waiting: for limits, and \
         between attempts. Of 100 rows, so many took at most as long.</p></div>",
        table.html()
    )
}

fn histogram(name: &str, class: &'static str, times: &Distribution) -> String {
    let p = times.percentiles();
    let x = times_axis(p.min, p.max);
    let bounds = ticks::bounds(&x, BARS);
    let counts = times.between(&bounds);
    let most = counts.iter().copied().max().unwrap_or(0);
    let mut table = Table::new(&["#from", "#to", "#rows"]);
    let mut bars = Vec::new();
    for (bound, rows) in bounds.windows(2).zip(&counts).filter(|(_, rows)| **rows > 0) {
        bars.push((bound[0], bound[1], *rows as f64));
        table.row([seconds(bound[0]), seconds(bound[1]), count(*rows)]);
    }
    let desc = format!(
        "{}: the median is {}, 99 of 100 took at most {}, the longest {}.",
        counted(p.count, "row"),
        seconds(p.p50),
        seconds(p.p99),
        seconds(p.max)
    );
    // Names of values that lie close together would cover each other.
    let is_apart = x.place(p.p99) - x.place(p.p50) > 0.16;
    let mut at = vec![(p.p50, "median".to_owned())];
    if is_apart {
        at.push((p.p99, "99 %".to_owned()));
    }
    Chart {
        title: name.into(),
        unit: "rows by time, logarithmic".into(),
        desc,
        x,
        y: ticks::linear(most as f64, axis),
        series: vec![Series { name: name.into(), class, shape: Shape::Bars(bars) }],
        at,
        table: table.folded("Numbers"),
    }
    .html()
}

/// An axis for times from `least` to `most`; all that are shorter than [`LEAST`] are at its start.
fn times_axis(least: f64, most: f64) -> Axis {
    let mut x = ticks::log(least.max(LEAST), most.max(LEAST));
    if let Some((value, text)) = x.marks.first_mut()
        && least < *value
    {
        *text = format!("≤\u{2009}{text}");
    }
    x
}

/// The same from percentiles alone.
fn spans(server: &Percentiles, waiting: &Percentiles) -> String {
    let both = [("At the server", server), ("Waiting", waiting)];
    let (least, most) = both
        .iter()
        .fold((f64::MAX, LEAST), |(least, most), (_, p)| (least.min(p.min), most.max(p.p99)));
    let x = times_axis(least, most);
    let rows = both.map(|(name, p)| Whisker {
        name: name.into(),
        low: p.min,
        at: p.p50,
        high: p.p99,
        text: format!("{} ({} to {})", seconds(p.p50), seconds(p.min), seconds(p.p99)),
    });
    let unit = "dot: median; line: shortest to 99 of 100; logarithmic";
    whiskers("How long rows took", unit, "Time at the server and waiting.", &x, &rows)
}
