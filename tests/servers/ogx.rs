//! OGX: files and batches, whose lines of results and errors have shapes of their own.

use crate::program::Folder;
use crate::{Server, body, chat, lines, row, server};
use serde_json::{Value, json};

const MODEL: &str = "llamacpp/tiny-random";
const EMBED: &str = "llamaembed/tiny-embed";

fn questions(count: usize) -> Vec<Value> {
    (0..count).map(|n| chat(&format!("r{n}"), MODEL, &format!("question {n}"), 6)).collect()
}

/// A run by batches, that asks often how they are.
fn batches(server: &Server, rows: &[Value], code: i32) -> (Folder, Value) {
    let folder = Folder::new();
    folder.write("in.jsonl", lines(rows));
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--mode", "batch", "--store", "store.db"];
    let often = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--summary", "s.json"];
    server.program(&folder, &args).args(often).run().ended(code);
    let summary = serde_json::from_str(&folder.read("s.json")).unwrap();
    (folder, summary)
}

#[test]
fn rows_and_errors_without_a_code_pass_live() {
    let Some(server) = server("OGX") else { return };
    let mut rows = questions(8);
    rows.push(chat("other", "no-such-model", "hello", 5));
    let lines = server.send(&rows, 3, &["--concurrency", "2"]);
    assert!(body(&lines["r0"])["choices"][0]["message"]["content"].is_string());
    assert_eq!(lines["other"]["response"]["status_code"], 404);
    let error = &lines["other"]["response"]["body"]["error"];
    assert!(error["message"].as_str().unwrap().contains("no-such-model"), "{error}");
}

#[test]
fn answers_of_a_batch_that_come_as_a_text_are_answers() {
    let Some(server) = server("OGX") else { return };
    let (folder, _) = batches(&server, &questions(40), 0);
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), 40);
    for line in rows.values() {
        assert!(body(line)["usage"]["total_tokens"].as_u64().unwrap() > 0, "{line}");
        assert!(line["x_run"]["batch"].is_string());
    }
}

#[test]
fn a_row_that_a_batch_cannot_do_is_told_in_the_servers_words() {
    let Some(server) = server("OGX") else { return };
    let mut rows = questions(3);
    rows.push(chat("long", MODEL, &"word ".repeat(9_000), 5));
    let (folder, summary) = batches(&server, &rows, 3);
    let lines = folder.rows("out.jsonl");
    let error = &lines["long"]["error"];
    assert_eq!(error["code"], "request_failed");
    assert!(error["message"].as_str().unwrap().contains("context size"), "{error}");
    assert_eq!((&summary["rows"]["succeeded"], &summary["rows"]["failed"]), (&json!(3), &json!(1)));
}

#[test]
fn embeddings_pass_by_batch() {
    let Some(server) = server("OGX") else { return };
    let rows: Vec<_> = (0..10)
        .map(|n| {
            let body = json!({"model": EMBED, "input": format!("text {n}")});
            row(&format!("e{n}"), "embeddings", body)
        })
        .collect();
    let (folder, _) = batches(&server, &rows, 0);
    for line in folder.rows("out.jsonl").values() {
        assert_eq!(body(line)["data"][0]["embedding"].as_array().unwrap().len(), 64);
    }
}

#[test]
fn an_input_that_it_refuses_ends_in_failed_rows_and_in_no_loop() {
    let Some(server) = server("OGX") else { return };
    let rows: Vec<_> = (0..3).map(|n| chat(&format!("r{n}"), "no-such-model", "hi", 5)).collect();
    let folder = Folder::new();
    folder.write("in.jsonl", lines(&rows));
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--mode", "batch", "--store", "store.db"];
    let often = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s"];
    let run = server.program(&folder, &args).args(often).run();
    assert_ne!(run.code, Some(0));
    let said = run.stderr + &std::fs::read_to_string(folder.path("out.jsonl")).unwrap_or_default();
    assert!(said.contains("no-such-model") || said.contains("model_not_found"), "{said}");
}

#[test]
fn a_batch_is_submitted_watched_fetched_and_cancelled_step_by_step() {
    let Some(server) = server("OGX") else { return };
    let folder = Folder::new();
    folder.write("in.jsonl", lines(&questions(12))).write("many.jsonl", lines(&questions(400)));
    let step = |args: &[&str]| {
        let program = server.program(&folder, &["batch", "--store", "store.db"]).arg_list(args);
        program.args(["--set", "OPENAI_BATCH_POLL_INTERVAL=1s"]).run()
    };
    let job = step(&["submit", "in.jsonl", "-o", "out.jsonl"]).ended(0).stdout.trim().to_owned();
    step(&["wait", &job]).ended(0);
    let status = step(&["status", &job, "--json"]).ended(0).stdout;
    assert!(status.contains(&job), "{status}");
    step(&["fetch", &job]).ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 12);
    let job = step(&["submit", "many.jsonl", "-o", "many.out"]).ended(0).stdout.trim().to_owned();
    step(&["cancel", &job]).ended(0);
    step(&["wait", &job]);
    let listed = step(&["list", "--json"]).ended(0).stdout;
    assert!(listed.contains(&job), "{listed}");
}
