//! Judges what does not need the server.

use super::finding::Finding;
use super::probe::{Batches, Disk};
use crate::failure::chain;
use openai_bulk::Error;
use openai_bulk::config::{ApiKey, Config, Origin, format_size, settings};
use openai_bulk::usage::{Prices, Tier};
use std::path::Path;

/// Files that are open besides connections.
const OTHER_FILES: u64 = 64;
/// Less free space than this deserves a word: answers of a large run take gigabytes.
const LITTLE_SPACE: u64 = 1 << 30;

/// Settings that cannot be read.
pub fn unreadable(message: &str) -> Finding {
    let fix = "correct it there; `openai-bulk config --all` shows what each setting allows";
    Finding::error("configuration", message, fix)
}

/// Where the settings came from.
pub fn configuration(config: &Config) -> Finding {
    let count = |of: &dyn Fn(&Origin) -> bool| {
        settings().iter().filter(|s| config.origin(s.name).is_some_and(|o| of(&o))).count()
    };
    let mut parts = Vec::new();
    let flags = count(&|origin| *origin == Origin::Code);
    let variables = count(&|origin| *origin == Origin::Environment);
    for (count, place) in [(flags, "flags"), (variables, "the environment")] {
        if count > 0 {
            parts.push(format!("{count} from {place}"));
        }
    }
    for path in config.files() {
        let here = count(&|origin| *origin == Origin::File(path.into()));
        parts.push(format!("{here} from {}", path.display()));
    }
    match &*parts {
        [] => Finding::ok("configuration", "no file and no variable: all defaults"),
        parts => Finding::ok("configuration", format!("settings: {}", parts.join(", "))),
    }
}

/// What is allowed but most likely not meant.
pub fn suspicious(warning: &str) -> Finding {
    let fix = match warning.contains("is not read") {
        true => "correct the name, or take the variable away",
        false => "if that is not meant, take the line away, or name the server with --base-url",
    };
    Finding::warning("configuration", warning, fix)
}

/// Settings that contradict themselves or one another; what concerns the key is said of the key.
pub fn problems(config: &Config) -> Vec<Finding> {
    let Err(error) = config.validate() else { return Vec::new() };
    let text = error.to_string();
    let lines = text.lines().filter(|line| !line.starts_with("OPENAI_API_KEY: missing"));
    let finding = |line: &str| {
        let is_url = line.starts_with("OPENAI_BASE_URL") || line.starts_with("AZURE_OPENAI_END");
        let (check, fix) = match is_url {
            true => ("base_url", "set it like https://api.openai.com/v1"),
            false => ("configuration", "set another value, or none for the default"),
        };
        Finding::error(check, line, fix)
    };
    lines.map(finding).collect()
}

/// The key, as far as it can be judged without the server.
pub fn key(config: &Config, key: &Result<Option<ApiKey>, Error>) -> Option<Finding> {
    const WHERE: &str = "export OPENAI_API_KEY=..., write it into .env, or name a file of it with \
                         --api-key-file; keys are made at https://platform.openai.com/api-keys";
    let endpoint = config.get_endpoint().ok()?;
    let key = match key {
        Ok(Some(key)) => key,
        Ok(None) => {
            let found = format!("none; {} may want none", endpoint.host());
            return Some(Finding::ok("key", found));
        }
        Err(error) => return Some(Finding::error("key", error.to_string(), WHERE)),
    };
    let names = ["OPENAI_API_KEY", "OPENAI_API_KEY_FILE", "AZURE_OPENAI_API_KEY"];
    let from = names.iter().filter_map(|name| {
        config.origin(name).filter(|origin| *origin != Origin::Default).map(|o| (name, o))
    });
    let from: Vec<_> = from.map(|(name, origin)| format!("{name}, {origin}")).collect();
    let found = format!("{key} ({})", from.join("; "));
    if endpoint.is_openai() && !key.expose().starts_with("sk-") {
        let fix = format!("keys of OpenAI begin with sk-: look whether this is one. {WHERE}");
        return Some(Finding::warning("key", found, fix));
    }
    Some(Finding::ok("key", found))
}

/// A client that cannot be made.
pub fn unusable(error: &Error) -> Finding {
    let text = chain(error);
    let (check, fix) = match () {
        () if text.contains("ca_file") || text.contains("certificate") => {
            ("tls", "name a file of certificates in PEM form with --ca-file")
        }
        () if text.contains("proxy") => {
            ("proxy", "write the variable as http://host:port, or unset it")
        }
        () => ("configuration", "correct what is named there"),
    };
    Finding::error(check, text, fix)
}

/// Whether the model's price is known.
pub fn prices(model: &str, prices: &Result<Prices, Error>) -> Finding {
    let prices = match prices {
        Ok(prices) => prices,
        Err(error) => {
            return Finding::error("prices", chain(error), "correct the file, or do not name it");
        }
    };
    let as_of = prices.as_of().map(|day| format!(" (as of {day})")).unwrap_or_default();
    match prices.model(model).and_then(|price| price.rates(Tier::Standard, 0)) {
        Some(rates) => {
            let million = |money: openai_bulk::usage::Money| money.times(1_000_000);
            let (input, output) = (million(rates.input), million(rates.output));
            let found =
                format!("{model}: {input} for a million tokens read, {output} written{as_of}");
            Finding::ok("prices", found)
        }
        None => {
            let found = format!("no price is known of {model}{as_of}: what it costs is not told");
            let fix = "give one with --prices FILE; --max-cost needs it, all else works without";
            Finding::warning("prices", found, fix)
        }
    }
}

/// Whether as many files may be open as there may be requests in flight.
pub fn open_files(config: &Config, allowed: u64) -> Finding {
    let wanted = config.get_max_concurrency() as u64;
    let room = allowed.saturating_sub(OTHER_FILES).max(1);
    if room >= wanted {
        let found = format!("{allowed} allowed, enough for {wanted} requests in flight");
        return Finding::ok("open_files", found);
    }
    let found = format!(
        "{allowed} allowed: no more than {room} requests are in flight at once, of {wanted}"
    );
    let fix = format!("raise the limit with `ulimit -n {}`", wanted + OTHER_FILES);
    Finding::warning("open_files", found, fix)
}

/// The file that keeps the state of batches.
pub fn store(seen: &Batches) -> Finding {
    let name = |path: &Path| path.display().to_string();
    const ELSEWHERE: &str = "let its folder be written, or name another file with \
                             OPENAI_BATCH_STORE or --store";
    match seen {
        Batches::Nowhere(error) => {
            let fix =
                "needed for --mode batch only: set OPENAI_BATCH_STORE, HOME or XDG_STATE_HOME";
            Finding::warning("store", error.to_string(), fix)
        }
        Batches::Missing(path, Ok(())) => {
            Finding::ok("store", format!("{} is made by the first batch", name(path)))
        }
        Batches::Missing(path, Err(e)) => {
            Finding::error("store", format!("{} cannot be made: {e}", name(path)), ELSEWHERE)
        }
        Batches::There { path, seen: Ok((version, jobs, under_way)) } => {
            let found =
                format!("{}: {jobs} jobs, {under_way} under way, format {version}", name(path));
            Finding::ok("store", found)
        }
        Batches::There { path, seen: Err(error) } => {
            Finding::error("store", format!("{}: {}", name(path), chain(error)), ELSEWHERE)
        }
    }
}

/// The folder where answers would be written.
pub fn disk(disk: &Disk) -> Finding {
    let folder = disk.folder.display();
    if let Err(e) = &disk.written {
        let fix = "write answers into another folder, make room, or let this one be written";
        return Finding::error("disk", format!("{folder} cannot be written: {e}"), fix);
    }
    match disk.free {
        Some(free) if free < LITTLE_SPACE => {
            let found = format!("{} free for {folder}", rounded(free));
            let fix =
                "make room: an answer takes a few kilobytes, a million of them some gigabytes";
            Finding::warning("disk", found, fix)
        }
        Some(free) => {
            Finding::ok("disk", format!("{folder} can be written, {} free", rounded(free)))
        }
        None => Finding::ok("disk", format!("{folder} can be written")),
    }
}

/// A size in whole units of the largest kind that it has.
fn rounded(bytes: u64) -> String {
    let unit = [1 << 30, 1 << 20, 1 << 10].into_iter().find(|unit| bytes >= *unit).unwrap_or(1);
    format_size(bytes / unit * unit)
}
