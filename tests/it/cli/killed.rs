//! Death without warning, again and again.

use crate::program::{Folder, chats, id, logged, until};
use openai_bulk::simulator::Simulator;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const ROWS: usize = 400;

/// How often each row was received, by the question that its body asks.
fn received(simulator: &Simulator) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in simulator.received() {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let asked = body["messages"][0]["content"].as_str().unwrap();
        let number = asked.strip_prefix("question ").unwrap().trim_end_matches('?');
        *counts.entry(format!("r{number}")).or_default() += 1;
    }
    counts
}

/// The rows whose lines are whole.
fn answered(folder: &Folder) -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder.path("out.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["x_run"]["ok"] == true).map(|line| id(&line)).collect()
}

#[test]
fn a_run_that_is_killed_again_and_again_answers_each_row_and_repeats_none_that_was_written() {
    let simulator = logged().latency("30ms".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(ROWS));
    let mut random = fastrand::Rng::with_seed(11);
    // What was written at each death, and how often each row had been received until then.
    let mut deaths = Vec::new();
    loop {
        let job = folder.job().args(["--max-concurrency", "16"]).to(&simulator.base_url());
        let mut run = job.start();
        let begun = simulator.stats().requests;
        // Now and then before the first request is sent, or while the output is compacted.
        let few = random.u64(0..100);
        let mut is_over = false;
        until("some requests or the end", || {
            is_over = !run.is_running();
            is_over || simulator.stats().requests >= begun + few
        });
        if is_over {
            run.wait().ended(0);
            break;
        }
        run.kill();
        assert_eq!(run.wait().code, None, "it was killed");
        // What was on its way has arrived when the connections have ended.
        until("the end of all connections", || simulator.stats().open_connections == 0);
        deaths.push((answered(&folder), received(&simulator)));
    }
    assert!(deaths.len() >= 3, "killed only {} times", deaths.len());
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), ROWS);
    assert!(rows.values().all(|row| row["x_run"]["ok"] == true));
    let last = received(&simulator);
    for (written, before) in &deaths {
        for row in written {
            assert_eq!(before[row], last[row], "{row} was written, and sent again");
        }
    }
    // Of each death, no more is lost than was in flight, and what had come and was not written yet.
    let sent = simulator.stats().requests as usize;
    assert!(sent <= ROWS + 24 * deaths.len(), "{sent} for {} deaths", deaths.len());
}

#[test]
fn a_death_while_the_output_is_compacted_loses_nothing() {
    let simulator = logged().start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(20));
    folder.job().to(&simulator.base_url()).run().ended(0);
    // A copy that was not finished, and every line twice in the file that it was made from.
    let whole = folder.read("out.jsonl");
    folder.write("out.jsonl", whole.repeat(2)).write("out.jsonl.partial", &whole[..300]);
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 20);
    assert!(!folder.path("out.jsonl.partial").exists());
    assert_eq!(simulator.stats().requests, 20);
}
