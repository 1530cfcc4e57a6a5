//! The layers hold, and each dependency has one door.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first: a module names only itself and what stands before it.
const LAYERS: &[&str] = &[
    "error",
    "logs",
    "clock",
    "wire",
    "policy",
    "usage",
    "transport",
    "cache",
    "dispatch",
    "api",
    "bulk",
    "batch",
    "hybrid",
    "report",
    "config",
    "client",
    "simulator",
];

/// The only places that may name a package.
const DOORS: &[(&str, &[&str])] = &[
    ("ureq", &["transport/http/"]),
    ("rustls", &["transport/http/tls.rs"]),
    ("rustls_native_certs", &["transport/http/tls.rs"]),
    ("rusqlite", &["batch/store/", "cache/"]),
    ("rustix", &["transport/http/tcp.rs", "bin/openai-bulk/doctor/probe.rs"]),
    ("socket2", &["transport/http/", "simulator/"]),
    ("ratelimit", &["policy/budget.rs"]),
    ("rayon", &["usage/tokens/count.rs", "bulk/par.rs", "bulk/input/each.rs"]),
    ("regex", &["usage/tokens/long.rs"]),
    ("tiktoken_rs", &["usage/tokens/engine.rs"]),
    ("bpe_openai", &["usage/tokens/engine.rs"]),
    ("hdrhistogram", &["bulk/distribution.rs"]),
    ("httpdate", &["wire/headers.rs"]),
    ("blake3", &["wire/row/"]),
    ("flate2", &["bulk/input/source.rs"]),
    ("dotenvy", &["config/dotenv.rs"]),
    ("toml", &["config/file.rs"]),
    ("schemars", &["api/schema/"]),
    ("clap", &["bin/"]),
    ("clap_complete", &["bin/"]),
    ("clap_mangen", &["bin/"]),
    ("ctrlc", &["bin/"]),
    ("indicatif", &["bin/"]),
    ("rlimit", &["bin/"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source below `src` by its path there, without comments.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 50, "the sources are where they are expected");
    let mut all: Vec<_> = found
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(path).unwrap();
            let is_code = |line: &&str| !line.trim_start().starts_with("//");
            (name, text.lines().filter(is_code).collect::<Vec<_>>().join("\n"))
        })
        .collect();
    all.sort();
    all
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

/// The modules that follow `crate::` in a text, those in braces too.
fn named(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for rest in text.split("crate::").skip(1) {
        let group = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default(),
            None => rest,
        };
        let is_group = rest.starts_with('{');
        for name in group.split(',').take(if is_group { usize::MAX } else { 1 }) {
            let name: String =
                name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            all.push(name);
        }
    }
    all
}

#[test]
fn a_module_names_only_itself_and_lower_ones() {
    for (file, text) in code() {
        let module = file.split(['/', '.']).next().unwrap();
        let Some(own) = layer(module) else {
            assert!(
                ["lib", "bin", "guide"].contains(&module),
                "{file} has no place among the layers"
            );
            continue;
        };
        for name in named(&text) {
            if let Some(other) = layer(&name) {
                assert!(other <= own, "{file} names {name}, which lies above it");
            }
        }
    }
}

#[test]
fn the_program_uses_the_library_from_outside() {
    for (file, text) in code().iter().filter(|(file, _)| file.starts_with("bin/")) {
        for name in named(text) {
            assert!(layer(&name).is_none(), "{file} names crate::{name}");
        }
    }
}

#[test]
fn each_dependency_has_one_door() {
    for (file, text) in code() {
        for (package, doors) in DOORS {
            let is_named = [format!("{package}::"), format!("{package};"), format!("{package}!")]
                .iter()
                .any(|form| {
                    text.match_indices(form.as_str()).any(|(at, _)| {
                        let before = text[..at].chars().next_back();
                        !before.is_some_and(|c| {
                            c.is_alphanumeric() || c == '_' || c == ':' || c == '-'
                        })
                    })
                });
            let is_door = doors.iter().any(|door| file.starts_with(door));
            assert!(!is_named || is_door, "{file} names {package}, whose door is {doors:?}");
        }
    }
}

#[test]
fn time_is_read_in_one_place() {
    for (file, text) in code() {
        for banned in ["Instant::now", "SystemTime::now", "thread::sleep"] {
            assert!(file.starts_with("clock/") || !text.contains(banned), "{file} uses {banned}");
        }
    }
}

#[test]
fn what_sends_never_counts_tokens() {
    // A vocabulary takes a tenth of a second and 50 MB; admission weighs bytes.
    let mut counting = 0;
    for (file, text) in code() {
        let counts = ["count_request", "Encoding::", "TextCount"].iter().any(|n| text.contains(n));
        let may = ["usage/", "bulk/estimate/", "bin/"].iter().any(|place| file.starts_with(place));
        assert!(may || !counts, "{file} counts tokens");
        counting += u32::from(counts && file.starts_with("bulk/estimate/"));
    }
    assert!(counting > 0, "what is looked for has these names");
}
