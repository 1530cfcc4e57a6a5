//! Plans, and runs that follow them, as a user has them.

use crate::program::{Folder, Program, chat, chats, logged, until};
use openai_bulk::simulator::{BatchSpeed, Received, Simulator};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn a_plan_is_printed_without_a_key_and_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(300));
    let plan = |more: &[&str]| {
        folder.program().args(["plan", "in.jsonl", "-o", "out.jsonl"]).arg_list(more).run().ended(0)
    };
    let told = plan(&["--deadline", "6h", "--max-cost", "20"]).stdout;
    for part in ["all 300 rows by batch", "6h00m", "all live", "all batch", "why not", "assumed"] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let soon = plan(&["--deadline", "2h"]).stdout;
    assert!(soon.contains("all 300 rows now") && soon.contains("too late"), "{soon}");
    let json: Value = serde_json::from_str(&plan(&["--deadline", "2h", "--json"]).stdout).unwrap();
    assert_eq!(json["shares"][0]["reasons"][0]["reason"], "batch_too_late");
    assert_eq!(
        (&json["shares"][0]["live_rows"], &json["verdict"]),
        (&300.into(), &"guarded".into())
    );
    let names: Vec<_> = std::fs::read_dir(folder.path("")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn an_automatic_run_needs_no_network_with_the_simulator_and_tells_what_it_saved() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(120));
    let job = folder.job().args(["--mode", "auto", "--deadline", "6h", "--simulate"]);
    let quick = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--summary", "s.json"];
    let said = ["plan: all 120 rows by batch", "saved by batches", "deadline          6h00m, kept"];
    job.args(quick).run().ended(0).said(&said);
    assert_eq!(folder.rows("out.jsonl").len(), 120);
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(summary["measured"]["batch_rows"], 120);
    assert_eq!(
        (&summary["plan"]["in_time"], &summary["status"]),
        (&true.into(), &"finished".into())
    );
    assert!(!folder.path("out.jsonl.plan").exists());
    let dry = folder.job().args(["--mode", "auto", "--deadline", "6h", "--dry-run"]).run().ended(0);
    assert!(dry.stdout.contains("nothing is to be sent"), "{}", dry.stdout);
}

#[test]
fn a_deadline_is_refused_by_batches_and_warned_of_live() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(60));
    let job = |more: &[&str]| folder.job().args(["--simulate", "--deadline", "2s"]).arg_list(more);
    job(&["--mode", "batch"]).run().ended(2).said(&["--mode auto is in time"]);
    let slow = ["--latency", "200ms", "--concurrency", "2"];
    job(&slow).run().ended(0).said(&["after its deadline"]);
    let quick = ["--latency", "1ms"];
    let told = job(&quick).run().ended(0);
    assert!(!told.stderr.contains("after its deadline"), "{}", told.stderr);
}

const CHATS: usize = 40;
const EMBEDDINGS: usize = 5;

/// Rows of which most go by batch, which is too slow for all of them; a few go live.
fn mixed() -> String {
    let embedding = |n| {
        let body = format!(r#"{{"model":"text-embedding-3-small","input":"text {n}"}}"#);
        format!(r#"{{"custom_id":"e{n}","method":"POST","url":"/v1/embeddings","body":{body}}}"#)
    };
    let chats = (0..CHATS).map(|n| chat(&format!("r{n}"), &format!("question {n}?")));
    chats.chain((0..EMBEDDINGS).map(|n| embedding(n) + "\n")).collect()
}

fn automatic(folder: &Folder, simulator: &Simulator) -> Program {
    let settings = [
        "OPENAI_BATCH_POLL_INTERVAL=1s",
        "OPENAI_BATCH_MAX_REQUESTS=20",
        "OPENAI_AUTO_BATCH_ROWS=10",
        "OPENAI_AUTO_BATCH_TIME=1s",
        "OPENAI_AUTO_CANCEL_TIME=2s",
        "OPENAI_REQUESTS_PER_MINUTE=6000",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let ways = ["--mode", "auto", "--deadline", "12s", "--store", "s.db"];
    folder.job().args(ways).args(settings).to(&simulator.base_url())
}

/// The questions that were asked live.
fn asked_live(simulator: &Simulator) -> BTreeSet<String> {
    let received = simulator.received();
    let chats = received.iter().filter(|request| request.path == "/v1/chat/completions");
    let question = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    chats.map(|request| question(&request.body)).collect()
}

#[test]
fn killed_again_and_again_an_automatic_run_answers_each_row_once_and_one_way() {
    let speed =
        BatchSpeed::steps_of(Duration::from_millis(200)).per_request(Duration::from_secs(1));
    let simulator = logged().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", mixed());
    let mut random = fastrand::Rng::with_seed(5);
    let mut kills = 0;
    loop {
        let mut run = automatic(&folder, &simulator).start();
        let begun = simulator.stats().requests;
        let few = random.u64(0..6);
        let mut is_over = false;
        until("some requests or the end", || {
            is_over = !run.is_running();
            is_over || simulator.stats().requests > begun + few
        });
        if is_over {
            run.wait().ended(0).said(&["goes on with the one that was begun", "deadline"]);
            break;
        }
        run.kill();
        run.wait();
        kills += 1;
        assert!(kills < 200, "it does not come to its end");
    }
    assert!(kills > 3, "{kills} kills");
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), CHATS + EMBEDDINGS);
    assert!(rows.values().all(|row| row["x_run"]["ok"] == true));
    let live = asked_live(&simulator);
    let received = simulator.received();
    assert!(received.iter().any(|request| request.path.ends_with("/cancel")));
    let made = received.iter().filter(|r| (&*r.method, &*r.path) == ("POST", "/v1/batches"));
    // On a busy machine a part may be given up before it has a batch, but none has two.
    let mark = |request: &Received| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        body["metadata"]["openai_bulk_part"].as_str().unwrap().to_owned()
    };
    let marks: Vec<_> = made.map(mark).collect();
    let parts: BTreeSet<_> = marks.iter().collect();
    assert_eq!(parts.len(), marks.len(), "a part has one batch: {marks:?}");
    let by_batch: Vec<_> = rows.values().filter(|row| row["x_run"]["batch"].is_string()).collect();
    assert!(!by_batch.is_empty() && by_batch.len() < CHATS, "{} by batch", by_batch.len());
    for row in by_batch {
        let number = &row["custom_id"].as_str().unwrap()[1..];
        assert!(!live.contains(&format!("question {number}?")), "{number} went both ways");
    }
    assert!(!folder.path("out.jsonl.plan").exists());
}
