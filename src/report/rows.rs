//! What the lines of an output tell, in the space of a few rows.

use super::course::Course;
use crate::bulk::Distribution;
use crate::bulk::input::{Line, Lines};
use crate::error::Result;
use crate::usage::Prices;
use crate::wire::row::{CourseRef, read_course};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Slow rows that are kept.
const SLOWEST: usize = 20;
/// Failed rows that are shown, and kept of each kind.
const FAILED: usize = 50;
/// Kinds of failures of which rows are kept.
const KINDS: usize = 50;

/// What the lines of an output tell.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) answered: u64,
    pub(super) by_kind: BTreeMap<String, u64>,
    /// Lines that are no rows, such as a last one that is torn.
    pub(super) unread: u64,
    /// Seconds of the last exchange of answered rows.
    pub(super) server: Distribution,
    /// Seconds that answered rows spent outside of exchanges.
    pub(super) waiting: Distribution,
    /// What they cost, and when they ended.
    pub(super) course: Course,
    /// Slowest first.
    pub(super) slowest: Vec<Shown>,
    failed: BTreeMap<String, Vec<Shown>>,
    /// The kind of each failed row by the hash of its id: a later line takes its place.
    failures: HashMap<u64, String>,
}

/// A row that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    pub(super) id: String,
    hash: u64,
    pub(super) line: Option<u64>,
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) attempts: Option<u32>,
    pub(super) latency: Option<f64>,
    pub(super) waiting: Option<f64>,
    pub(super) ended: Option<f64>,
}

impl Rows {
    /// No rows yet; what they cost will be told by `prices`.
    pub(super) fn new(prices: Prices) -> Rows {
        Rows {
            answered: 0,
            by_kind: BTreeMap::new(),
            unread: 0,
            server: Distribution::default(),
            waiting: Distribution::default(),
            course: Course::new(prices),
            slowest: Vec::new(),
            failed: BTreeMap::new(),
            failures: HashMap::new(),
        }
    }

    /// Reads an output to its end.
    pub(super) fn read(&mut self, mut lines: Lines) -> Result<()> {
        while let Some(line) = lines.next_line()? {
            let row = match line {
                Line::Text(_, line) => read_course(line).map(|row| (row, line)),
                Line::TooLong(_) => None,
            };
            match row {
                Some((row, line)) => {
                    self.add(&row);
                    self.course.add(&row, line);
                }
                None => self.unread += 1,
            }
        }
        Ok(())
    }

    /// Rows that were read.
    pub(super) fn lines(&self) -> u64 {
        self.answered + self.failed()
    }

    /// Rows that failed.
    pub(super) fn failed(&self) -> u64 {
        self.by_kind.values().sum()
    }

    /// Some failed rows, of every kind as many as of the others.
    pub(super) fn some_failed(&self) -> Vec<&Shown> {
        let nth = |n: usize| self.failed.values().filter_map(move |rows| rows.get(n));
        (0..FAILED).flat_map(nth).take(FAILED).collect()
    }

    fn add(&mut self, row: &CourseRef<'_>) {
        let hash = row.id_hash();
        if let Some(kind) = self.failures.remove(&hash) {
            self.forget(hash, &kind);
        }
        if row.ok {
            self.answered += 1;
            self.time(row);
        } else {
            self.fail(row, hash);
        }
    }

    fn time(&mut self, row: &CourseRef<'_>) {
        // The answers of a batch have no times.
        if row.attempts.unwrap_or(0) == 0 {
            return;
        }
        let time = |millis: Option<f64>| {
            millis.and_then(|millis| Duration::try_from_secs_f64(millis / 1e3).ok())
        };
        if let Some(waiting) = time(row.waiting_ms) {
            self.waiting.record(waiting);
        }
        let Some(latency) = time(row.latency_ms) else { return };
        self.server.record(latency);
        let latency = latency.as_secs_f64();
        let is_full = self.slowest.len() == SLOWEST;
        if is_full && self.slowest.last().is_some_and(|last| last.latency >= Some(latency)) {
            return;
        }
        let at = self.slowest.partition_point(|slow| slow.latency >= Some(latency));
        self.slowest.insert(at, Shown::new(row, 0));
        self.slowest.truncate(SLOWEST);
    }

    fn fail(&mut self, row: &CourseRef<'_>, hash: u64) {
        let (kind, message) = row.failure();
        *self.by_kind.entry(kind.clone()).or_default() += 1;
        if self.failed.len() < KINDS || self.failed.contains_key(&kind) {
            let kept = self.failed.entry(kind.clone()).or_default();
            if kept.len() < FAILED {
                kept.push(Shown { kind: kind.clone(), message, ..Shown::new(row, hash) });
            }
        }
        self.failures.insert(hash, kind);
    }

    fn forget(&mut self, hash: u64, kind: &str) {
        if let Some(count) = self.by_kind.get_mut(kind) {
            *count -= 1;
            if *count == 0 {
                self.by_kind.remove(kind);
            }
        }
        if let Some(kept) = self.failed.get_mut(kind) {
            kept.retain(|row| row.hash != hash);
        }
    }
}

impl Shown {
    fn new(row: &CourseRef<'_>, hash: u64) -> Shown {
        Shown {
            id: row.custom_id.chars().take(200).collect(),
            hash,
            line: row.line,
            attempts: row.attempts.filter(|attempts| *attempts > 0),
            latency: row.latency_ms.map(|millis| millis / 1e3),
            waiting: row.waiting_ms.map(|millis| millis / 1e3),
            ended: row.ended,
            ..Shown::default()
        }
    }
}
