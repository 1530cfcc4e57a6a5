//! Log lines on standard error, above the progress line, and in the log file.

use crate::log_file;
use indicatif::MultiProgress;
use log::kv::{Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use std::fmt::Write;

struct Logger {
    bars: MultiProgress,
    level: LevelFilter,
}

/// Sends log records of this crate to standard error; the bars step aside for them.
pub fn install(bars: &MultiProgress, quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, 2) => LevelFilter::Debug,
        (false, _) => LevelFilter::Trace,
    };
    if log::set_boxed_logger(Box::new(Logger { bars: bars.clone(), level })).is_ok() {
        log::set_max_level(level.max(log_file::level()));
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates' records are not ours to show: some print headers.
        metadata.target().starts_with("openai_bulk")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        log_file::write(record);
        if record.level() > self.level {
            return;
        }
        let mut line = format!("{}: {}", record.level().as_str().to_lowercase(), record.args());
        let _ = record.key_values().visit(&mut Pairs(&mut line));
        self.bars.suspend(|| eprintln!("{line}"));
    }

    fn flush(&self) {
        log_file::flush();
    }
}

struct Pairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        if log_file::json_of(&value)?.is_some() {
            let _ = write!(self.0, " {key}={value}");
        }
        Ok(())
    }
}
