//! What is written where.

use crate::program::{Folder, chat, chats, id, lines, logged, simulator};
use openai_bulk::simulator::{Fault, Latency};
use serde_json::Value;

/// Latencies that let answers overtake one another.
fn mixed() -> Latency {
    "1ms..30ms".parse().unwrap()
}

#[test]
fn every_row_has_one_line_in_the_shape_of_the_batch_api() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(25));
    let run = folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(run.stdout, "");
    for (id, row) in folder.rows("out.jsonl") {
        let mut keys: Vec<_> = row.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["custom_id", "error", "id", "response", "x_run"], "{id}");
        assert!(row["id"].as_str().unwrap().starts_with("batch_req_"));
        assert_eq!(row["error"], Value::Null);
        let response = &row["response"];
        assert_eq!(response["status_code"], 200);
        assert!(response["request_id"].as_str().unwrap().starts_with("req_"));
        assert_eq!(response["body"]["object"], "chat.completion");
        let run = &row["x_run"];
        assert_eq!((&run["ok"], &run["attempts"]), (&Value::Bool(true), &Value::from(1)));
        assert_eq!(run["fingerprint"].as_str().unwrap().len(), 16);
    }
}

#[test]
fn a_failed_row_keeps_the_body_of_the_servers_error() {
    let (folder, simulator) = (Folder::new(), logged().context_tokens(50).start().unwrap());
    let long = chat("long", &"word ".repeat(500));
    folder.write("in.jsonl", chats(9) + &long);
    folder.job().args(["--summary", "s.json"]).to(&simulator.base_url()).run().ended(3).said(&[
        "1 row failed",
        "same command",
        "context_length_exceeded",
    ]);
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), 10);
    let failed = &rows["long"];
    assert_eq!(failed["response"]["status_code"], 400);
    assert_eq!(failed["response"]["body"]["error"]["code"], "context_length_exceeded");
    assert_eq!((&failed["error"], &failed["x_run"]["ok"]), (&Value::Null, &Value::Bool(false)));
    assert_eq!(simulator.stats().requests, 10, "a row that cannot pass is sent once");
}

#[test]
fn ordered_output_stands_as_the_input_does() {
    let (folder, simulator) = (Folder::new(), logged().latency(mixed()).start().unwrap());
    folder.write("in.jsonl", chats(120));
    let job = || folder.job().args(["--ordered"]).to(&simulator.base_url());
    job().run().ended(0);
    let order = || folder.lines("out.jsonl").iter().map(id).collect::<Vec<_>>();
    let wanted: Vec<_> = (0..120).map(|n| format!("r{n}")).collect();
    assert_eq!(order(), wanted);
    // The order holds too when the rows that were missing come later.
    let kept: String =
        folder.read("out.jsonl").lines().skip(60).map(|l| format!("{l}\n")).collect();
    folder.write("out.jsonl", kept);
    job().run().ended(0);
    assert_eq!(order(), wanted);
    assert_eq!(simulator.stats().requests, 180);
}

#[test]
fn standard_output_carries_answers_and_nothing_else() {
    for ordered in [false, true] {
        let simulator = logged().latency(mixed()).fault(Fault::BadRequest, 0.1).start().unwrap();
        let folder = Folder::new();
        folder.write("in.jsonl", chats(60));
        let order: &[&str] = if ordered { &["--ordered"] } else { &[] };
        let run = folder
            .program()
            .args(["run", "in.jsonl", "-o", "-", "-vv"])
            .args(order.iter().copied())
            .to(&simulator.base_url())
            .run()
            .ended(3)
            .said(&["rows failed"]);
        let ids: Vec<_> = lines(&run.stdout).iter().map(id).collect();
        assert_eq!(ids.len(), 60);
        if ordered {
            assert_eq!(ids, (0..60).map(|n| format!("r{n}")).collect::<Vec<_>>());
        }
        assert!(!run.stderr.contains("same command"), "it cannot be resumed: {}", run.stderr);
    }
}

#[test]
fn a_compressed_output_is_refused_before_anything_is_sent() {
    let simulator = logged().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(3));
    folder
        .program()
        .args(["run", "in.jsonl", "-o", "out.jsonl.gz"])
        .to(&simulator.base_url())
        .run()
        .ended(1)
        .said(&["out.jsonl.gz would have to be compressed", "write to out.jsonl and"]);
    assert_eq!(simulator.stats().requests, 0);
    assert!(!folder.path("out.jsonl.gz").exists());
}

#[test]
fn a_reader_that_leaves_ends_the_run() {
    let simulator = logged().latency("5ms".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(2_000));
    let program = env!("CARGO_BIN_EXE_openai-bulk");
    let script = format!(
        "{program} run in.jsonl -o - --max-concurrency 8 \"$@\" 2>err.txt | head -n 3 >three.txt; exit 7"
    );
    folder.program().to(&simulator.base_url()).after(&script).run().ended(7);
    assert_eq!(folder.lines("three.txt").len(), 3);
    assert!(simulator.stats().requests < 1_000, "{}", simulator.stats().requests);
    assert!(!folder.read("err.txt").contains("panicked"), "{}", folder.read("err.txt"));
}

#[test]
fn quiet_says_nothing_but_errors() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(10));
    let run = folder.job().args(["--quiet"]).to(&simulator.base_url()).run().ended(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    simulator.fail_next(1, Fault::BadRequest);
    let run = folder.job().args(["-q", "--fresh"]).to(&simulator.base_url()).run().ended(3);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn the_summary_adds_up() {
    let simulator = logged()
        .fault(Fault::ServerError, 0.2)
        .faults_on_first(1)
        .context_tokens(50)
        .start()
        .unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(40));
    let job = || folder.job().args(["--summary", "s.json"]).to(&simulator.base_url());
    let summary = || serde_json::from_str::<Value>(&folder.read("s.json")).unwrap();
    job().run().ended(0);
    let first = summary();
    let stats = simulator.stats();
    assert_eq!((&first["schema"], &first["status"]), (&1.into(), &"finished".into()));
    assert_eq!(counts(&first), [40, 0, 40, 0, 0]);
    assert_eq!(first["attempts"]["total"], stats.requests);
    assert_eq!(first["attempts"]["retries"], stats.requests - 40);
    assert_eq!(first["tokens"]["input"], stats.prompt_tokens);
    assert_eq!(first["tokens"]["output"], stats.completion_tokens);
    // Ten more rows, one of which fails.
    folder.write("in.jsonl", chats(49) + &chat("long", &"word ".repeat(500)));
    job().run().ended(3);
    let second = summary();
    assert_eq!(counts(&second), [50, 40, 9, 1, 0]);
    assert_eq!(second["rows"]["failed_by_kind"]["context_length_exceeded"], 1);
}

/// Total, done before, succeeded, failed, not sent.
fn counts(summary: &Value) -> [u64; 5] {
    let count = |name: &str| summary["rows"][name].as_u64().unwrap();
    let counts = ["total", "done_before", "succeeded", "failed", "not_sent"].map(count);
    assert_eq!(counts[0], counts[1..].iter().sum::<u64>(), "{summary}");
    counts
}

#[test]
fn a_summary_that_cannot_be_written_is_told_before_anything_is_paid_for() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(5));
    folder
        .job()
        .args(["--summary", "absent/s.json"])
        .to(&simulator.base_url())
        .run()
        .ended(1)
        .said(&["absent"]);
    for own in ["in.jsonl", "out.jsonl", "./out.jsonl"] {
        let job = folder.job().args(["--summary", own]).to(&simulator.base_url());
        job.run().ended(2).said(&["--summary"]);
    }
    assert_eq!(folder.read("in.jsonl"), chats(5));
    assert_eq!(simulator.stats().requests, 0);
}
