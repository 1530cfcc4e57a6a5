//! Ctrl-C and its kin.
#![cfg(unix)]

use crate::program::{Folder, Started, chats, logged, timed, until};
use openai_bulk::simulator::{Fault, Simulator};
use serde_json::Value;
use std::time::Duration;

const ROWS: usize = 200;

fn start(folder: &Folder, simulator: &Simulator, more: &[&str]) -> Started {
    let sizes = ["--max-concurrency", "16", "--summary", "s.json"];
    folder.job().args(sizes).args(more.iter().copied()).to(&simulator.base_url()).start()
}

#[test]
fn the_first_signal_lets_answers_in_flight_arrive_and_the_same_command_goes_on() {
    for signal in ["INT", "TERM", "HUP"] {
        let simulator = logged().latency("60ms".parse().unwrap()).start().unwrap();
        let folder = Folder::new();
        folder.write("in.jsonl", chats(ROWS));
        let run = start(&folder, &simulator, &[]);
        until("requests in flight", || simulator.stats().requests > 40);
        run.signal(signal);
        run.wait().ended(130).said(&["interrupted", "the same command"]);
        // All that was sent is answered and written.
        let sent = simulator.stats().requests;
        assert!(sent < ROWS as u64, "{signal}: the run was over already");
        assert_eq!(folder.rows("out.jsonl").len() as u64, sent, "{signal}");
        let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
        assert_eq!(summary["status"], "interrupted");
        assert_eq!(summary["rows"]["succeeded"], sent);
        assert_eq!(summary["rows"]["not_sent"], ROWS as u64 - sent);
        start(&folder, &simulator, &[]).wait().ended(0);
        assert_eq!(simulator.stats().requests, ROWS as u64, "{signal}");
        assert_eq!(folder.rows("out.jsonl").len(), ROWS);
    }
}

#[test]
fn the_second_signal_ends_a_run_whose_server_hangs() {
    let simulator = logged().fault(Fault::Hang, 1.0).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(50));
    let run = start(&folder, &simulator, &[]);
    until("requests in flight", || simulator.stats().in_flight == 16);
    run.signal("INT");
    // The second one comes while the first is being waited out, however late it is taken.
    let (run, time) = timed(|| {
        run.signal("TERM");
        run.signal("INT");
        run.wait()
    });
    run.ended(130).said(&["interrupted"]);
    assert!(time < Duration::from_secs(3), "{time:?}");
    assert_eq!(folder.read("out.jsonl"), "");
}

#[test]
fn the_grace_ends_a_run_whose_server_hangs() {
    let simulator = logged().fault(Fault::Hang, 1.0).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(50));
    let run = start(&folder, &simulator, &["--grace", "300ms"]);
    until("requests in flight", || simulator.stats().in_flight == 16);
    run.signal("INT");
    let (run, time) = timed(|| run.wait());
    run.ended(130).said(&["0.3 s"]);
    assert!(time < Duration::from_secs(3), "{time:?}");
}

#[test]
fn a_signal_ends_the_wait_for_a_retry_and_for_the_limit() {
    let faults = logged().fault(Fault::RateLimited, 1.0).fault_retry_after(Duration::from_secs(60));
    let simulator = faults.start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(50));
    let run = start(&folder, &simulator, &["--requests-per-minute", "30"]);
    until("a refusal", || simulator.stats().status(429) > 0);
    let (run, time) = timed(|| {
        run.signal("INT");
        run.wait()
    });
    run.ended(130);
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn a_signal_ends_a_run_that_waits_for_standard_input() {
    let simulator = logged().start().unwrap();
    let folder = Folder::new();
    let script = "mkfifo pipe; exec 3<>pipe; exec <pipe";
    let run = folder
        .program()
        .args(["run", "-", "-o", "out.jsonl", "-vv"])
        .to(&simulator.base_url())
        .after(script)
        .start();
    until("the output", || folder.path("out.jsonl").exists());
    let mut pipe = std::fs::OpenOptions::new().write(true).open(folder.path("pipe")).unwrap();
    std::io::Write::write_all(&mut pipe, chats(3).as_bytes()).unwrap();
    until("all answers", || folder.read("out.jsonl").lines().count() == 3);
    run.signal("INT");
    run.wait().ended(130).said(&["interrupted"]);
    assert_eq!(folder.rows("out.jsonl").len(), 3);
}
