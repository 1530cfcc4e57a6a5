//! Real processes that are killed before and after each step.

use super::{chats, few, rows};
use openai_bulk::batch::{BatchOptions, BatchRun, StepEvent, Store};
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::simulator::{BatchSpeed, Simulator, SimulatorBuilder};
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
/// What the process does; see [`go`].
const WAY: &str = "BATCH_CRASH_WAY";
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

fn options(way: &str) -> BatchOptions {
    let mut options = BatchOptions::default();
    options.limits = few(if way == "split" { 1_000 } else { 4 });
    options.poll_interval = Duration::from_millis(20);
    options.grace = Duration::from_millis(30);
    options
}

/// `run` does all rows; `split` too, in parts that are larger than the server's queue; `recall`
/// sends them and takes them back.
fn go(way: &str, folder: &Path, server: &str, options: BatchOptions) -> Result<u64, Error> {
    let config = Config::new().base_url(server).api_key(ApiKey::new("sk-of-the-test")?);
    let batches = Client::new(config)?.batches_with(Store::open(folder.join("s.db"))?, options)?;
    let output = folder.join("out.jsonl");
    let run = BatchRun::new(batches.clone(), folder.join("in.jsonl"), &output);
    let note = folder.join("recalling");
    let summary = match way {
        "recall" => {
            if !note.exists() {
                run.submit(|_| {})?;
                std::fs::write(note, "").unwrap();
            }
            BatchRun::resume(batches, output).recall(|_| {})?
        }
        _ => run.run(|_| {})?,
    };
    super::reconciles(&summary);
    Ok(summary.run.rows.done_before + summary.run.rows.succeeded)
}

fn quick() -> SimulatorBuilder {
    Simulator::builder().batch_speed(BatchSpeed::steps_of(Duration::from_millis(10)))
}

/// Without a folder it is a run like any other; with one it is the process that dies.
#[test]
fn a_run_in_a_process_of_its_own_comes_to_its_end() {
    if let (Ok(folder), Ok(server)) = (std::env::var(FOLDER), std::env::var(SERVER)) {
        let (folder, way) = (PathBuf::from(folder), std::env::var(WAY).unwrap());
        let mut options = options(&way);
        options.observer = Some(Arc::new(dies_once(folder.clone())));
        let done = go(&way, &folder, &server, options).unwrap();
        std::fs::write(folder.join("finished"), done.to_string()).unwrap();
        return;
    }
    let (folder, simulator) = (tempfile::tempdir().unwrap(), quick().start().unwrap());
    std::fs::write(folder.path().join("in.jsonl"), chats(ROWS)).unwrap();
    let done = go("run", folder.path(), &simulator.base_url(), options("run")).unwrap();
    assert_eq!(done, ROWS as u64);
}

#[cfg(unix)]
#[test]
fn killed_before_and_after_each_step_every_part_has_one_batch_and_every_row_one_line() {
    let all: String = (0..3).map(|turn| die_at_every_step("run", turn, quick(), 3)).collect();
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

#[cfg(unix)]
#[test]
fn killed_while_parts_are_split_every_row_has_one_line_and_no_part_two_batches() {
    let all = die_at_every_step("split", 0, quick().enqueued_tokens(260), 2);
    for moment in ["Begun", "Acted", "Kept"] {
        assert!(all.contains(&format!("split {moment} of part 1")), "{all}");
    }
}

#[cfg(unix)]
#[test]
fn killed_while_it_is_taken_back_nothing_is_under_way_in_the_end() {
    // One part is at the server for ever, and two wait for room.
    let speed = BatchSpeed::steps_of(Duration::from_millis(5)).per_request(Duration::from_secs(99));
    let server = Simulator::builder().batch_speed(speed).enqueued_tokens(200);
    let all = die_at_every_step("recall", 0, server, 1);
    for step in ["cancel", "withdraw"] {
        for moment in ["Begun", "Acted", "Kept"] {
            assert!(all.contains(&format!("{step} {moment} of part")), "{step} {moment}:\n{all}");
        }
    }
}

/// Gives a note of each death on the way, after which there are `parts` batches that were taken.
#[cfg(unix)]
fn die_at_every_step(way: &str, turn: u32, server: SimulatorBuilder, parts: usize) -> String {
    use std::os::unix::process::ExitStatusExt;
    let (simulator, folder) = (server.start().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("in.jsonl"), chats(ROWS)).unwrap();
    let mut starts = 0;
    while !folder.path().join("finished").exists() {
        starts += 1;
        assert!(starts < 150, "it does not come to its end");
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "batch::crash::a_run_in_a_process_of_its_own_comes_to_its_end"])
            .env(FOLDER, folder.path())
            .env(SERVER, simulator.base_url())
            .env(WAY, way)
            .env(TURN, turn.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success() || status.signal() == Some(9), "it failed: {status}");
    }
    let marks = marks(&simulator);
    assert_eq!(marks.len(), parts, "{marks:?}");
    assert_eq!(marks.iter().collect::<BTreeSet<_>>().len(), parts);
    let rows = rows(&std::fs::read_to_string(folder.path().join("out.jsonl")).unwrap());
    assert_eq!(rows.len(), if way == "recall" { 0 } else { ROWS });
    assert!(rows.values().all(|row| row["x_run"]["ok"] == true));
    assert!(!folder.path().join("out.jsonl.batches").exists(), "nothing is under way");
    // Rows that were in the output already when a process died count once.
    let done = std::fs::read_to_string(folder.path().join("finished")).unwrap();
    assert_eq!(done, rows.len().to_string());
    std::fs::read_to_string(folder.path().join("deaths")).unwrap()
}

/// The marks of all batches whose input the server took.
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
    all.filter(|batch| batch["status"] != "failed")
        .map(|batch| batch["metadata"]["openai_bulk_part"].as_str().unwrap().to_owned())
        .collect()
}
