//! Real processes that are killed before and after each step.

use super::{chats, few, rows};
use openai_bulk::batch::{BatchOptions, BatchRun, StepEvent, Store};
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::simulator::{BatchSpeed, Simulator};
use openai_bulk::{Client, Error};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const FOLDER: &str = "BATCH_CRASH_FOLDER";
const SERVER: &str = "BATCH_CRASH_SERVER";
/// Which part dies at which moment of its creation: a batch that is found again was not kept.
const TURN: &str = "BATCH_CRASH_TURN";
const ROWS: usize = 10;

/// Dies at the first step that nobody has died at, and leaves a note of it.
fn dies_once(folder: PathBuf) -> impl Fn(&StepEvent<'_>) + Send + Sync {
    move |event| {
        let notes = folder.join("deaths");
        // How often a batch is looked at is a matter of time: one death at each is enough.
        let name = match event.step {
            "poll" | "find" => format!("{} {:?}\n", event.step, event.moment),
            step => format!("{step} {:?} of part {}\n", event.moment, event.part),
        };
        let known = std::fs::read_to_string(&notes).unwrap_or_default();
        let turn: u32 = std::env::var(TURN).map_or(0, |turn| turn.parse().unwrap());
        let is_ours = (event.part + turn) % 3 == event.moment as u32;
        if known.contains(&name) || (event.step == "create" && !is_ours) {
            return;
        }
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&notes).unwrap();
        file.write_all(name.as_bytes()).unwrap();
        let own = std::process::id().to_string();
        Command::new("kill").args(["-9", &own]).status().unwrap();
        loop {
            std::thread::park();
        }
    }
}

fn options() -> BatchOptions {
    let mut options = BatchOptions::default();
    options.limits = few(4);
    options.poll_interval = Duration::from_millis(20);
    options.grace = Duration::from_millis(30);
    options
}

fn go(folder: &Path, server: &str, options: BatchOptions) -> Result<u64, Error> {
    let config = Config::new().base_url(server).api_key(ApiKey::new("sk-of-the-test")?);
    let batches = Client::new(config)?.batches_with(Store::open(folder.join("s.db"))?, options)?;
    let run = BatchRun::new(batches, folder.join("in.jsonl"), folder.join("out.jsonl"));
    let summary = run.run(|_| {})?;
    super::reconciles(&summary);
    Ok(summary.run.rows.done_before + summary.run.rows.succeeded)
}

fn quick() -> Simulator {
    let speed = BatchSpeed::steps_of(Duration::from_millis(10));
    Simulator::builder().batch_speed(speed).start().unwrap()
}

/// Without a folder it is a run like any other; with one it is the process that dies.
#[test]
fn a_run_in_a_process_of_its_own_comes_to_its_end() {
    if let (Ok(folder), Ok(server)) = (std::env::var(FOLDER), std::env::var(SERVER)) {
        let folder = PathBuf::from(folder);
        let mut options = options();
        options.observer = Some(Arc::new(dies_once(folder.clone())));
        assert_eq!(go(&folder, &server, options).unwrap(), ROWS as u64);
        std::fs::write(folder.join("finished"), "").unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.jsonl"), chats(ROWS)).unwrap();
    assert_eq!(go(folder.path(), &quick().base_url(), options()).unwrap(), ROWS as u64);
}

#[cfg(unix)]
#[test]
fn killed_before_and_after_each_step_every_part_has_one_batch_and_every_row_one_line() {
    let all: String = (0..3).map(die_at_every_step).collect();
    for step in ["upload", "create", "fetch", "settle", "clean"] {
        for moment in ["Begun", "Acted", "Kept"] {
            // Two threads are at work, and a death in one may come before its note in the other.
            let name = format!("{step} {moment} of part");
            assert!(all.contains(&name), "nobody died at {name}:\n{all}");
        }
    }
    assert!(all.contains("find Begun") && all.contains("poll Acted"), "{all}");
    assert!(all.lines().count() > 100, "{} deaths", all.lines().count());
}

/// Gives a note of each death on the way.
#[cfg(unix)]
fn die_at_every_step(turn: u32) -> String {
    use std::os::unix::process::ExitStatusExt;
    let (simulator, folder) = (quick(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("in.jsonl"), chats(ROWS)).unwrap();
    let mut starts = 0;
    while !folder.path().join("finished").exists() {
        starts += 1;
        assert!(starts < 150, "it does not come to its end");
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "batch::crash::a_run_in_a_process_of_its_own_comes_to_its_end"])
            .env(FOLDER, folder.path())
            .env(SERVER, simulator.base_url())
            .env(TURN, turn.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success() || status.signal() == Some(9), "it failed: {status}");
    }
    let marks = marks(&simulator);
    assert_eq!(marks.len(), 3, "{marks:?}");
    assert_eq!(marks.iter().collect::<BTreeSet<_>>().len(), 3);
    let rows = rows(&std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap());
    assert_eq!(rows.len(), ROWS);
    assert!(rows.values().all(|row| row["x_run"]["ok"] == true));
    std::fs::read_to_string(folder.path().join("deaths")).unwrap()
}

fn marks(simulator: &Simulator) -> Vec<String> {
    use openai_bulk::transport::{Exchange, Http, HttpOptions, Method, Transport};
    let stop = openai_bulk::clock::Stop::new();
    let headers = [("Authorization".to_owned(), "Bearer k".to_owned())];
    let url = format!("{}/batches?limit=100", simulator.base_url());
    let mut request = Exchange::new(Method::Get, &url, b"", Duration::from_secs(9), &stop);
    request.headers = &headers;
    let answer = Http::new(HttpOptions::default()).unwrap().exchange(&request).unwrap();
    let page: Value = serde_json::from_slice(&answer.body).unwrap();
    let all = page["data"].as_array().unwrap().iter();
    all.map(|batch| batch["metadata"]["openai_bulk_part"].as_str().unwrap().to_owned()).collect()
}
