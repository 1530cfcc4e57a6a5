//! `openai-bulk cache`.

use crate::args::{CacheCommand, CacheSteps, Caching, Kept};
use crate::failure::Failure;
use crate::requests::{aligned, print};
use crate::{settings, table};
use openai_bulk::Client;
use openai_bulk::bulk::estimate::Survey;
use openai_bulk::cache::{Access, CacheStats, Disk};
use openai_bulk::clock::{Clock, SystemClock};
use openai_bulk::config::{Config, format_size};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// The settings with those of the cache that were typed. A simulator has no answers to keep.
pub fn caching(args: &Caching, is_simulated: bool, mut config: Config) -> Config {
    config = kept(&args.kept, config);
    if is_simulated {
        config = config.cache(Access::Off);
    }
    if args.coalesce { config.coalesce(true) } else { config }
}

/// The settings with what was typed of where answers are kept.
pub fn kept(args: &Kept, mut config: Config) -> Config {
    if let Some(mode) = args.cache {
        config = config.cache(mode.into());
    }
    match &args.cache_file {
        Some(path) => config.cache_file(path),
        None => config,
    }
}

/// The settings of a command that sends nothing, for which a cache is only looked at, and not made.
pub fn looking(config: Config) -> Result<Config, Failure> {
    if config.get_cache() == Access::Off {
        return Ok(config);
    }
    let is_there = config.find_cache_file()?.exists();
    Ok(config.cache(if is_there { Access::ReadOnly } else { Access::Off }))
}

/// A survey that knows which rows the cache would answer. Nothing is sent.
pub fn surveying(survey: Survey, config: &Config) -> Result<Survey, Failure> {
    let config = looking(config.clone())?;
    if config.get_cache() == Access::Off {
        return Ok(survey);
    }
    if config.validate().is_err() {
        log::warn!(target: "openai_bulk::cache", "without a key, it is not known whose answers are looked for: the cache is not looked at");
        return Ok(survey);
    }
    Ok(survey.kept(Client::new(config)?.caller().clone()))
}

/// One of the commands for the cache.
pub fn steps(args: &CacheSteps) -> Result<ExitCode, Failure> {
    let mut config = settings::read(&args.files)?;
    if let Some(path) = &args.cache_file {
        config = config.cache_file(path);
    }
    let path = config.find_cache_file()?;
    // What is not there holds nothing, and is not made by looking at it.
    let disk = if path.exists() { Some(Disk::open(&path)?) } else { None };
    match &args.command {
        CacheCommand::Stats { json } => {
            let stats = disk.map_or_else(|| Ok(CacheStats::default()), |disk| disk.stats())?;
            print(&if *json { as_json(&path, &stats) } else { as_text(&path, &stats, &config) })
        }
        CacheCommand::Clear { older_than } => {
            let before = older_than.map(|age| SystemClock::new().date() - age);
            let gone = disk.map_or(Ok(0), |disk| disk.clear(before))?;
            let answers = if gone == 1 { "answer" } else { "answers" };
            if !args.talk.quiet {
                eprintln!("removed {gone} {answers}");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn as_json(path: &Path, stats: &CacheStats) -> String {
    let mut value = json!(stats);
    value["file"] = path.to_string_lossy().into();
    format!("{value}\n")
}

fn as_text(path: &Path, stats: &CacheStats, config: &Config) -> String {
    let line = |name: &str, value: String| [name.to_string(), value];
    let most = format_size(config.get_cache_max_size());
    let mut lines = vec![
        line("file", path.display().to_string()),
        line("answers", stats.answers.to_string()),
        line("size", format!("{:.1} MB of at most {most}", stats.bytes as f64 / 1e6)),
    ];
    let now = SystemClock::new().date();
    for (name, stored) in [("oldest", stats.oldest), ("newest", stats.newest)] {
        let Some(stored) = stored else { continue };
        let stored = SystemTime::UNIX_EPOCH + Duration::from_secs(stored);
        let age = now.duration_since(stored).unwrap_or_default();
        lines.push(line(name, format!("{} ago", table::human(age))));
    }
    aligned(&lines, 2)
}
