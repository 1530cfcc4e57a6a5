//! Exit codes, one by one.

use crate::program::{Folder, chat, chats, logged, simulator, timed};
use openai_bulk::simulator::Fault;
use serde_json::Value;
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn wrong_usage_is_2() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(1));
    for args in [
        &[][..],
        &["run"],
        &["run", "in.jsonl"],
        &["run", "in.jsonl", "-o", "out.jsonl", "--no-such-flag"],
        &["run", "in.jsonl", "-o", "out.jsonl", "--timeout", "soon"],
        &["run", "in.jsonl", "-o", "out.jsonl", "--quiet", "--verbose"],
        &["run", "in.jsonl", "-o", "out.jsonl", "--simulate", "--endpoint", "/v1/nothing"],
        &["walk"],
    ] {
        let run = folder.program().args(args.iter().copied()).run().ended(2);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty(), "{args:?}");
    }
    assert!(!folder.path("out.jsonl").exists());
}

#[test]
fn help_and_version_are_0_and_go_to_standard_output() {
    let folder = Folder::new();
    for (args, part) in [
        (&["--help"][..], "Exit codes"),
        (&["run", "--help"], "Examples"),
        (&["simulate", "--help"], "Examples"),
        (&["--version"], "openai-bulk "),
    ] {
        let run = folder.program().args(args.iter().copied()).run().ended(0);
        assert!(run.stdout.contains(part) && run.stderr.is_empty(), "{args:?}: {}", run.stdout);
    }
}

#[test]
fn no_key_is_1_and_says_where_one_may_be() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(1));
    // Only the real server needs a key; without one, it is not asked.
    let job = folder.job().env("OPENAI_BASE_URL", "");
    job.run().ended(1).said(&["OPENAI_API_KEY", ".env"]);
    assert!(!folder.path("out.jsonl").exists());
}

#[test]
fn one_bad_row_of_many_is_3() {
    let (folder, simulator) = (Folder::new(), logged().context_tokens(60).start().unwrap());
    folder.write("in.jsonl", chats(99) + &chat("bad", &"word ".repeat(300)));
    folder.job().to(&simulator.base_url()).run().ended(3).said(&["1 row failed"]);
    let rows = folder.rows("out.jsonl");
    let failed: Vec<_> = rows.iter().filter(|(_, row)| row["x_run"]["ok"] == false).collect();
    assert_eq!((rows.len(), failed.len(), failed[0].0.as_str()), (100, 1, "bad"));
}

#[test]
fn a_wrong_key_is_5_and_fails_no_row() {
    let (folder, simulator) = (Folder::new(), logged().key("sk-right-0123456789").start().unwrap());
    folder.write("in.jsonl", chats(500));
    folder
        .job()
        .args(["--summary", "s.json", "--max-concurrency", "8"])
        .to(&simulator.base_url())
        .run()
        .ended(5)
        .said(&["invalid_api_key", "same command"]);
    assert!(simulator.stats().requests <= 16, "{}", simulator.stats().requests);
    assert_eq!(folder.read("out.jsonl"), "");
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(
        (&summary["status"], &summary["rows"]["not_sent"]),
        (&"stopped".into(), &500.into())
    );
    // With the right key the same command goes on.
    let job = folder.job().to(&simulator.base_url()).env("OPENAI_API_KEY", "sk-right-0123456789");
    job.run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 500);
}

#[test]
fn an_account_that_runs_dry_is_5_and_keeps_what_was_answered() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(300));
    let dry = logged().latency("10ms".parse().unwrap()).fault_at(50, Fault::InsufficientQuota);
    let dry = dry.start().unwrap();
    folder
        .job()
        .args(["--max-concurrency", "8"])
        .to(&dry.base_url())
        .run()
        .ended(5)
        .said(&["insufficient_quota"]);
    let kept = folder.rows("out.jsonl").len() as u64;
    assert!((49..70).contains(&kept), "{kept}");
    assert_eq!(kept, dry.stats().status(200), "what was answered is kept");
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(simulator.stats().requests, 300 - kept);
    assert_eq!(folder.rows("out.jsonl").len(), 300);
}

#[test]
fn a_server_that_stays_away_is_5_when_patience_ends() {
    // Nobody listens where somebody listened just now.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(200));
    let base_url = format!("http://{gone}/v1");
    let job = folder.job().to(&base_url).env("OPENAI_CIRCUIT_FIRST_PATIENCE", "1s");
    let (run, time) = timed(|| job.run());
    run.ended(5).said(&["could not be reached", "no connection", &gone.to_string(), "--base-url"]);
    assert!(time < Duration::from_secs(10), "{time:?}");
    let simulator = simulator();
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 200);
}
