//! How a run went over time: a series that stays small however long the run takes.

use super::Tally;
use super::record::unix;
use crate::usage::Money;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// Points that are kept; an even number, because every second one goes when it is reached.
const POINTS: usize = 240;
/// Seconds between the first points.
const FIRST: f64 = 0.1;

/// How a run went over time.
///
/// There are at most 240 points. A tenth of a second lies between two of them at first, and twice
/// as much each time that they become too many.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Timeline {
    /// Unix time of the start, in seconds; 0 if it is not known.
    pub started: f64,
    /// Seconds from one point to the next, at least.
    pub interval_seconds: f64,
    /// Where the run stood, oldest first; the last one is its end.
    pub points: Vec<Point>,
    /// The most that were in flight since the last point.
    #[serde(skip)]
    most: u64,
}

/// Where a run stood. Counts are those since its start, of rows that had come to their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Point {
    /// Seconds since the start.
    pub seconds: f64,
    /// Rows that were answered or failed; by batches, also those that the server has worked off.
    pub rows: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Attempts of these rows.
    pub attempts: u64,
    /// Those that the server refused for a rate limit.
    pub refused: u64,
    /// Tokens of the answers, read and written.
    pub tokens: u64,
    /// What the answers cost, as far as their prices are known.
    pub cost: Money,
    /// The most requests that were in flight since the last point.
    pub in_flight: u64,
    /// The limit of requests a minute, of all limit groups together, if it is known.
    pub requests_per_minute: Option<f64>,
    /// The limit of tokens a minute, as the one of requests.
    pub tokens_per_minute: Option<f64>,
    /// How many requests might be in flight, as the limit of requests.
    pub concurrency: Option<f64>,
}

impl Point {
    pub(crate) fn new(elapsed: Duration, tally: &Tally, in_flight: usize) -> Point {
        Point {
            seconds: millis(elapsed),
            rows: tally.rows.succeeded + tally.rows.failed,
            failed: tally.rows.failed,
            attempts: tally.attempts.total,
            refused: tally.attempts.refused,
            tokens: tally.tokens.total,
            cost: tally.costs.total,
            in_flight: in_flight as u64,
            ..Point::default()
        }
    }

    /// Where two steps stood together.
    fn plus(&self, other: &Point, seconds: f64) -> Point {
        Point {
            seconds,
            rows: self.rows + other.rows,
            failed: self.failed + other.failed,
            attempts: self.attempts + other.attempts,
            refused: self.refused + other.refused,
            tokens: self.tokens.saturating_add(other.tokens),
            cost: self.cost + other.cost,
            in_flight: self.in_flight + other.in_flight,
            requests_per_minute: other.requests_per_minute.or(self.requests_per_minute),
            tokens_per_minute: other.tokens_per_minute.or(self.tokens_per_minute),
            concurrency: other.concurrency.or(self.concurrency),
        }
    }
}

/// Where a step stood at a time.
fn at(points: &[Point], seconds: f64) -> Point {
    let seen = points.partition_point(|point| point.seconds <= seconds);
    points[..seen].last().copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).round() / 1e3
}

/// The sum of limits, if all of them are known.
pub(super) fn sum(limits: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut all = None;
    for limit in limits {
        all = Some(all.unwrap_or(0.0) + limit?);
    }
    all
}

impl Timeline {
    pub(crate) fn new(started: SystemTime) -> Timeline {
        Timeline { started: unix(started), interval_seconds: FIRST, ..Timeline::default() }
    }

    /// Whether it is time for a point; what is in flight is seen in any case.
    pub(crate) fn is_due(&mut self, elapsed: Duration, in_flight: usize) -> bool {
        self.most = self.most.max(in_flight as u64);
        let last = self.points.last().map_or(0.0, |point| point.seconds);
        // A sum of tenths is not a tenth to the last bit.
        millis(elapsed) + 1e-6 >= last + self.interval_seconds
    }

    /// Adds a point.
    pub(crate) fn push(&mut self, mut point: Point) {
        if self.points.len() >= POINTS {
            self.halve();
        }
        point.in_flight = point.in_flight.max(std::mem::take(&mut self.most));
        self.points.push(point);
    }

    /// Adds where the run stood at its end, with the limits that were in force last.
    pub(crate) fn end(&mut self, mut point: Point) {
        if let Some(last) = self.points.last() {
            point.requests_per_minute = last.requests_per_minute;
            point.tokens_per_minute = last.tokens_per_minute;
            point.concurrency = last.concurrency;
        }
        self.push(point);
    }

    /// Adds how a further step of the same run went, which may have gone on at the same time.
    pub(crate) fn add(&mut self, more: &Timeline) {
        let started = match (self.points.is_empty(), more.points.is_empty()) {
            (_, true) => return,
            (true, false) => more.started,
            (false, false) => self.started.min(more.started),
        };
        let [own, its] = [&*self, more].map(|each| each.since(started));
        let mut times: Vec<f64> = own.iter().chain(&its).map(|point| point.seconds).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let point = |time: &f64| at(&own, *time).plus(&at(&its, *time), *time);
        self.points = times.iter().map(point).collect();
        self.started = started;
        self.interval_seconds = self.interval_seconds.max(more.interval_seconds);
        while self.points.len() > POINTS {
            // The last one is the end, and stays.
            self.points.extend(self.points.last().copied().filter(|_| self.points.len() % 2 == 1));
            self.halve();
        }
    }

    /// The points, with their times since `started`.
    fn since(&self, started: f64) -> Vec<Point> {
        let later = self.started - started;
        let moved = |point: &Point| Point {
            seconds: ((point.seconds + later) * 1e3).round() / 1e3,
            ..*point
        };
        self.points.iter().map(moved).collect()
    }

    /// Makes one of each two points: the later one, with the most that both saw in flight.
    fn halve(&mut self) {
        self.interval_seconds *= 2.0;
        let pairs = self.points.chunks_exact(2);
        self.points = pairs
            .map(|pair| Point { in_flight: pair[0].in_flight.max(pair[1].in_flight), ..pair[1] })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that is looked at ten times a second, with 7 in flight in its first moment.
    fn run(seconds: u64) -> Timeline {
        let mut timeline = Timeline::new(SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        let mut tally = Tally::default();
        for tick in 0..=seconds * 10 {
            let elapsed = Duration::from_millis(tick * 100);
            tally.attempts.total = tick;
            let in_flight = if tick == 1 { 7 } else { 3 };
            if timeline.is_due(elapsed, in_flight) {
                timeline.push(Point::new(elapsed, &tally, in_flight));
            }
        }
        tally.attempts.total += 1;
        timeline.end(Point::new(Duration::from_secs(seconds), &tally, 0));
        timeline
    }

    #[test]
    fn a_series_doubles_its_interval_and_stays_small() {
        for (seconds, interval) in [(1, 0.1), (24, 0.2), (48, 0.4), (3_600, 25.6)] {
            let timeline = run(seconds);
            let points = &timeline.points;
            assert_eq!(timeline.interval_seconds, interval, "{seconds} s");
            assert!(points.len() <= POINTS, "{} points", points.len());
            assert!(seconds < 24 || points.len() > POINTS / 2 - 10, "{} points", points.len());
            let end = points.last().unwrap();
            assert_eq!((end.seconds, end.attempts), (seconds as f64, seconds * 10 + 1));
            assert!(points.windows(2).all(|two| two[0].seconds <= two[1].seconds));
            // What was seen in flight between two points is not forgotten.
            assert_eq!(points[0].in_flight, 7);
            assert_eq!(points[2].in_flight, 3);
        }
    }

    #[test]
    fn steps_that_overlap_are_one_series_from_the_first_start_to_the_last_end() {
        let step = |started: f64, points: &[(f64, u64)]| {
            let point = |&(seconds, rows): &(f64, u64)| Point { seconds, rows, ..Point::default() };
            let points = points.iter().map(point).collect();
            Timeline { started, points, ..Timeline::default() }
        };
        let told = |timeline: &Timeline| -> Vec<(f64, u64)> {
            timeline.points.iter().map(|point| (point.seconds, point.rows)).collect()
        };
        let mut sum = Timeline::default();
        sum.add(&Timeline::default());
        assert!(sum.points.is_empty());
        sum.add(&step(100.0, &[(1.0, 1), (3.0, 2)]));
        sum.add(&step(98.0, &[(2.0, 10), (3.0, 20), (9.0, 30)]));
        assert_eq!(sum.started, 98.0);
        assert_eq!(told(&sum), [(2.0, 10), (3.0, 21), (5.0, 22), (9.0, 32)]);
        let many: Vec<_> = (1..=401_u32).map(|n| (f64::from(n), u64::from(n))).collect();
        sum.add(&step(98.0, &many));
        assert!(sum.points.len() <= POINTS);
        assert_eq!(told(&sum).last(), Some(&(401.0, 433)));
    }

    #[test]
    fn limits_are_summed_only_if_all_are_known() {
        assert_eq!(sum([Some(1.0), Some(2.0)].into_iter()), Some(3.0));
        assert_eq!(sum([Some(1.0), None].into_iter()), None);
        assert_eq!(sum(std::iter::empty()), None);
    }
}
