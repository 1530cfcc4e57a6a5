//! `--log-file`: log records as JSON Lines.

use crate::failure::Failure;
use log::kv::{Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Record};
use openai_bulk::Error;
use openai_bulk::clock::{Clock, SystemClock, Time};
use serde_json::{Map, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, SystemTime};

/// How long records of single requests may wait to be in the file. Others are rare, and may be the last
/// ones for minutes or before a kill.
const PATIENCE: Duration = Duration::from_secs(1);

static FILE: OnceLock<LogFile> = OnceLock::new();

struct LogFile {
    level: LevelFilter,
    clock: SystemClock,
    out: Mutex<Out>,
}

struct Out {
    to: BufWriter<File>,
    flushed: Time,
}

/// Appends the records of `level` and above to the file at `path` from now on.
pub fn open(path: &Path, level: LevelFilter) -> Result<(), Failure> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|e| Error::file("write the log", path, e))?;
    let clock = SystemClock::new();
    let out = Mutex::new(Out { to: BufWriter::new(file), flushed: clock.now() });
    // There is one for each process.
    let _ = FILE.set(LogFile { level, clock, out });
    Ok(())
}

/// What the file takes.
pub fn level() -> LevelFilter {
    FILE.get().map_or(LevelFilter::Off, |file| file.level)
}

/// Writes a record, if there is a file that takes it.
pub fn write(record: &Record<'_>) {
    let Some(file) = FILE.get().filter(|file| record.level() <= file.level) else { return };
    let mut kv = Map::new();
    let _ = record.key_values().visit(&mut Pairs(&mut kv));
    let mut line = json!({
        "time": stamp(file.clock.date()),
        "level": record.level().as_str().to_lowercase(),
        "target": record.target(),
        "message": record.args().to_string(),
        "kv": kv,
    })
    .to_string();
    line.push('\n');
    let mut out = file.out.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let now = file.clock.now();
    let is_due = record.level() <= Level::Info || now.since(out.flushed) >= PATIENCE;
    // A log that cannot be written is no reason to end a run.
    let _ = out.to.write_all(line.as_bytes());
    if is_due {
        out.flushed = now;
        let _ = out.to.flush();
    }
}

/// Writes what is not yet in the file.
pub fn flush() {
    if let Some(file) = FILE.get() {
        let mut out = file.out.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = out.to.flush();
    }
}

struct Pairs<'a>(&'a mut Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        if let Some(value) = json_of(&value)? {
            self.0.insert(key.to_string(), value);
        }
        Ok(())
    }
}

/// A value of a record as JSON; none if there is none.
pub fn json_of(value: &Value<'_>) -> Result<Option<serde_json::Value>, log::kv::Error> {
    let mut found = Found(None);
    value.visit(&mut found)?;
    Ok(found.0)
}

struct Found(Option<serde_json::Value>);

impl<'v> VisitValue<'v> for Found {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), log::kv::Error> {
        self.0 = Some(value.to_string().into());
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), log::kv::Error> {
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), log::kv::Error> {
        self.0 = Some(value.into());
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), log::kv::Error> {
        self.0 = Some(value.into());
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), log::kv::Error> {
        self.0 = Some(value.into());
        Ok(())
    }
}

/// A date as RFC 3339 has it, in UTC, with milliseconds.
fn stamp(date: SystemTime) -> String {
    let since = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The year, month and day that lie so many days after the first of 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from the first of March of the year 0, so that leap days end a year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let is_next = month >= 10;
    let number = if is_next { month - 9 } else { month + 3 };
    (era * 400 + year + u64::from(is_next), number, day - (153 * month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_standard_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
