//! Throughput, requests in flight and money over time, against their limits.

use super::chart::{Chart, Series, Shape};
use super::format::{self, axis, count, number, seconds, small};
use super::table::Table;
use super::ticks::{self, Axis};
use crate::bulk::{CapUse, Point, Summary, Timeline};

/// Rows of a table behind a chart.
const ROWS: usize = 40;
/// Moments that a line is drawn through.
const MOMENTS: f64 = 120.0;
/// The share of the time for which something has to be known to have a mean.
const KNOWN: f64 = 0.8;

/// A stretch of the run, between two points of its timeline.
struct Stretch {
    from: Point,
    to: Point,
}

impl Stretch {
    /// What a rising count came to in a minute.
    fn rate(&self, count: impl Fn(&Point) -> u64) -> f64 {
        let minutes = (self.to.seconds - self.from.seconds) / 60.0;
        count(&self.to).saturating_sub(count(&self.from)) as f64 / minutes
    }
}

/// The section, or `None` if there is too little for one.
pub(super) fn section(run: &Summary) -> Option<String> {
    let stretches = stretches(&run.timeline);
    let end = stretches.last()?.to;
    // Of a moment, or of a few rows, a rate says nothing.
    if stretches.len() < 3 || end.seconds < 1.0 || end.rows < 5 {
        return None;
    }
    let x = ticks::time(end.seconds);
    let course = Course { stretches, x };
    let charts = [
        course.requests(),
        course.tokens(),
        course.in_flight(),
        course.rows(run.rows.total.saturating_sub(run.rows.done_before)),
        course.money(run.cost.cap.as_ref()),
    ];
    Some(charts.into_iter().flatten().collect())
}

/// The mean over time of what is known at each point; `None` if it was not known for most of the
/// time, of which a mean would say too little.
pub(super) fn mean(timeline: &Timeline, value: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
    let (mut sum, mut time, mut before) = (0.0, 0.0, 0.0f64);
    for point in &timeline.points {
        let length = (point.seconds - before).max(0.0);
        before = point.seconds;
        if let Some(value) = value(point) {
            sum += value * length;
            time += length;
        }
    }
    (time > 0.0 && time >= KNOWN * before && sum > 0.0).then(|| sum / time)
}

/// Whole stretches of a timeline, long enough for a rate and few enough to be seen.
fn stretches(timeline: &Timeline) -> Vec<Stretch> {
    let Some(end) = timeline.points.last().map(|point| point.seconds) else { return Vec::new() };
    let length = (end / MOMENTS).max((end / 10.0).min(1.0)) * 0.999;
    let mut all = Vec::new();
    let mut from = Point::default();
    let mut most = 0;
    for point in &timeline.points {
        most = most.max(point.in_flight);
        if point.seconds > from.seconds && point.seconds - from.seconds >= length {
            let to = Point { in_flight: most, ..*point };
            all.push(Stretch { from, to });
            (from, most) = (*point, 0);
        }
    }
    // The end counts to the last stretch, if it is none of its own.
    if let (Some(last), Some(end)) = (all.last_mut(), timeline.points.last()) {
        last.to = Point { in_flight: last.to.in_flight, ..*end };
    }
    all
}

struct Course {
    stretches: Vec<Stretch>,
    x: Axis,
}

impl Course {
    /// A value for each stretch, from the start on.
    fn line(&self, value: impl Fn(&Stretch) -> Option<f64>) -> Vec<(f64, Option<f64>)> {
        let first = self.stretches.first().map(|first| (0.0, value(first)));
        let rest = self.stretches.iter().map(|each| (each.to.seconds, value(each)));
        first.into_iter().chain(rest).collect()
    }

    /// A count as it rose.
    fn rising(&self, value: impl Fn(&Point) -> f64) -> Vec<(f64, Option<f64>)> {
        let points = self.stretches.iter().map(|each| (each.to.seconds, Some(value(&each.to))));
        [(0.0, Some(0.0))].into_iter().chain(points).collect()
    }

    fn requests(&self) -> Option<String> {
        let sent = self.line(|each| Some(each.rate(|point| point.attempts)));
        let refused = self.line(|each| Some(each.rate(|point| point.refused)));
        let limit = self.line(|each| each.to.requests_per_minute);
        let mut drawing = Drawing::new("Requests a minute", "sent requests that ended, a minute");
        drawing.add("sent", "c1", Shape::Area(sent))?;
        if most_of(&refused) > 0.0 {
            drawing.add("refused for a rate limit", "bad", Shape::Area(refused));
        }
        drawing.limit(limit);
        Some(drawing.html(&self.x, number))
    }

    fn tokens(&self) -> Option<String> {
        let used = self.line(|each| Some(each.rate(|point| point.tokens)));
        let mut drawing = Drawing::new("Tokens a minute", "tokens of answers, read and written");
        drawing.add("used", "c2", Shape::Area(used))?;
        drawing.limit(self.line(|each| each.to.tokens_per_minute));
        Some(drawing.html(&self.x, number))
    }

    fn in_flight(&self) -> Option<String> {
        let in_flight = self.line(|each| Some(each.to.in_flight as f64));
        let mut drawing = Drawing::new("Requests in flight", "the most at once");
        drawing.add("in flight", "c3", Shape::Area(in_flight))?;
        drawing.limit(self.line(|each| each.to.concurrency));
        Some(drawing.html(&self.x, number))
    }

    fn rows(&self, total: u64) -> Option<String> {
        let done = self.rising(|point| point.rows.saturating_sub(point.failed) as f64);
        let failed = self.rising(|point| point.failed as f64);
        let has_failed = most_of(&failed) > 0.0;
        let mut drawing = Drawing::new("Rows done", "since the start");
        if drawing.add("answered", "c1", Shape::Area(done)).is_none() && !has_failed {
            return None;
        }
        if has_failed {
            drawing.add("failed", "bad", Shape::Line(failed));
        }
        let all = self.line(|_| Some(total as f64));
        drawing.bound("to do", all, number);
        Some(drawing.html(&self.x, number))
    }

    fn money(&self, cap: Option<&CapUse>) -> Option<String> {
        let cost = self.rising(|point| point.cost.as_dollars());
        let mut drawing = Drawing::new("Cost", "US dollars of this run's answers, since the start");
        drawing.add("spent", "c4", Shape::Area(cost))?;
        // What counted before the run leaves less of the cap for it.
        if let Some((cap, most)) = cap.and_then(|cap| Some((cap, cap.money?))) {
            let left = most.less(cap.earlier_money).as_dollars();
            drawing.bound("left of the cap", self.line(|_| Some(left)), dollars);
        }
        let places = places(drawing.top);
        Some(drawing.html(&self.x, |value| match value {
            0.0 => dollars(value),
            _ => format!("${}", format::fixed(value, places)),
        }))
    }
}

/// Dollars on an axis.
fn dollars(value: f64) -> String {
    match value {
        v if v == 0.0 || v >= 100.0 => format!("${}", number(v)),
        v => format!("${}", small(v)),
    }
}

/// Decimal places that tell the marks of an axis up to this value apart, of cents at least.
fn places(top: f64) -> usize {
    let step = (top / 4.0).max(1e-9);
    (-step.log10()).ceil().clamp(if top >= 100.0 { 0.0 } else { 2.0 }, 9.0) as usize
}

type Points = Vec<(f64, Option<f64>)>;

fn most_of(points: &Points) -> f64 {
    points.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max)
}

/// A chart while it is put together.
struct Drawing {
    title: &'static str,
    unit: &'static str,
    series: Vec<Series>,
    columns: Vec<(String, Points)>,
    top: f64,
}

impl Drawing {
    fn new(title: &'static str, unit: &'static str) -> Drawing {
        Drawing { title, unit, series: Vec::new(), columns: Vec::new(), top: 0.0 }
    }

    /// Adds a series; `None` if there is nothing of it.
    fn add(&mut self, name: &str, class: &'static str, shape: Shape) -> Option<()> {
        let (Shape::Line(points) | Shape::Area(points) | Shape::Steps(points)) = &shape else {
            return None;
        };
        let most = most_of(points);
        self.top = self.top.max(most);
        self.columns.push((name.to_owned(), points.clone()));
        self.series.push(Series { name: name.to_owned(), class, shape });
        (most > 0.0).then_some(())
    }

    /// Adds the limit that was in force.
    fn limit(&mut self, points: Points) {
        self.bound("limit", points, number);
    }

    /// Adds what bounds the others: drawn if they come near it, else only told.
    fn bound(&mut self, name: &'static str, points: Points, write: impl Fn(f64) -> String) {
        let (least, most) = points
            .iter()
            .filter_map(|(_, value)| *value)
            .fold((f64::MAX, 0.0f64), |(least, most), value| (least.min(value), most.max(value)));
        if most <= 0.0 {
            return;
        }
        let told = if least == most {
            format!("{name}: {}", write(most))
        } else {
            format!("{name}: {} to {}", write(least), write(most))
        };
        let is_near = least <= 2.5 * self.top;
        let highest = 2.5 * self.top;
        let label = match is_near {
            true if most > highest => format!("{told}, in part beyond the chart"),
            true => told,
            false => format!("{told}, beyond the chart"),
        };
        self.columns.push((name.into(), points.clone()));
        // What was far higher for a while is not drawn there: a line at the edge would be a value.
        let seen = |(x, value): (f64, Option<f64>)| (x, value.filter(|value| *value <= highest));
        let points: Points = points.into_iter().map(seen).collect();
        if is_near {
            self.top = self.top.max(most_of(&points));
        }
        let shape = if is_near { Shape::Steps(points) } else { Shape::Told };
        self.series.push(Series { name: label, class: "limit", shape });
    }

    fn html(self, x: &Axis, write: impl Fn(f64) -> String) -> String {
        let peak = |points: &Points| write(most_of(points));
        let shown: Vec<_> =
            self.columns.iter().map(|(n, p)| format!("{n} at most {}", peak(p))).collect();
        let desc = format!("Over {}: {}.", seconds(x.to), shown.join(", "));
        let mut columns = vec!["#after".to_owned()];
        columns.extend(self.columns.iter().map(|(name, _)| format!("#{name}")));
        let mut table = Table::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
        let moments = self.columns.first().map_or(0, |(_, points)| points.len());
        let every = moments.div_ceil(ROWS).max(1);
        for n in (0..moments).filter(|n| n % every == 0 || n + 1 == moments) {
            let values = self.columns.iter().map(|(_, points)| points[n].1);
            let values = values.map(|value| value.map_or("–".into(), &write));
            let after = seconds(self.columns[0].1[n].0);
            table.row([after].into_iter().chain(values));
        }
        let folded = match every {
            1 => table.folded("Numbers"),
            every => table.folded(&format!("Numbers, one moment of {}", count(every as u64))),
        };
        let y =
            ticks::linear(self.top, |value| if value >= 1e6 { axis(value) } else { write(value) });
        Chart {
            title: self.title.into(),
            unit: self.unit.into(),
            desc,
            x: x.clone(),
            y,
            series: self.series,
            at: Vec::new(),
            table: folded,
        }
        .html()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_was_hardly_known_has_no_mean() {
        let mean_of = |known: &[Option<f64>]| {
            let mut timeline = Timeline::default();
            for (n, limit) in known.iter().enumerate() {
                let seconds = (n + 1) as f64;
                let point = Point { seconds, requests_per_minute: *limit, ..Point::default() };
                timeline.points.push(point);
            }
            mean(&timeline, |point| point.requests_per_minute)
        };
        assert_eq!(mean_of(&[None, Some(6.0), Some(6.0), Some(6.0), Some(2.0)]), Some(5.0));
        assert_eq!(mean_of(&[None, None, Some(6.0), Some(6.0)]), None);
        assert_eq!(mean_of(&[]), None);
    }

    #[test]
    fn a_limit_beyond_the_chart_is_told_and_not_drawn_at_its_edge() {
        let mut drawing = Drawing::new("", "");
        let flat = |y: f64| vec![(0.0, Some(y)), (1.0, Some(y))];
        drawing.add("sent", "c1", Shape::Area(flat(10.0)));
        drawing.limit(vec![(0.0, Some(20.0)), (1.0, Some(900.0))]);
        assert_eq!(drawing.top, 20.0);
        let Series { name, shape: Shape::Steps(points), .. } = &drawing.series[1] else {
            panic!("{:?}", drawing.series)
        };
        assert_eq!(name, "limit: 20 to 900, in part beyond the chart");
        assert_eq!(points, &[(0.0, Some(20.0)), (1.0, None)]);
        assert_eq!(drawing.columns[1].1[1].1, Some(900.0), "the table has it");
    }

    #[test]
    fn the_marks_of_an_axis_of_money_have_as_many_places_as_each_other() {
        for (top, expected) in [(0.0142, 3), (0.9, 2), (3.0, 2), (450.0, 0), (0.00074, 4)] {
            assert_eq!(places(top), expected, "{top}");
        }
    }

    #[test]
    fn a_long_timeline_is_cut_into_stretches_that_lose_nothing() {
        for (points, every, most) in [(3, 0.1, 3), (240, 0.1, 24), (240, 100.0, 120)] {
            let mut timeline = Timeline::default();
            for n in 1..=points {
                let mut point = Point::default();
                (point.seconds, point.attempts) = (n as f64 * every, n);
                point.in_flight = n;
                timeline.points.push(point);
            }
            let all = stretches(&timeline);
            assert!(!all.is_empty() && all.len() <= most, "{}", all.len());
            assert!(all.windows(2).all(|two| two[0].to.attempts == two[1].from.attempts));
            let end = &all.last().unwrap().to;
            assert_eq!((end.attempts, all[0].from.attempts), (points, 0));
            let rate = all[0].rate(|point| point.attempts);
            assert!((rate - 60.0 / every).abs() < 60.0 / every * 0.01, "{rate}");
        }
        assert!(stretches(&Timeline::default()).is_empty());
    }
}
