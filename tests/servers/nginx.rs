//! nginx with fixed answers: delays, refusals for the rate, faults, and what it says of limits.

use crate::program::Folder;
use crate::{Server, body, chat, lines, server};
use serde_json::{Value, json};

const MODEL: &str = "gpt-4o-mini";

/// The paths of the same server below another prefix.
fn at(server: &Server, path: &str) -> Server {
    Server { url: server.url.replace("/v1", path) }
}

fn rows(count: usize) -> Vec<Value> {
    (0..count).map(|n| chat(&format!("r{n}"), MODEL, &format!("question {n}"), 5)).collect()
}

#[test]
fn a_fixed_answer_is_priced_by_the_model_that_it_names() {
    let Some(server) = server("NGINX") else { return };
    let folder = Folder::new();
    folder.write("in.jsonl", lines(&rows(200)));
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--summary", "s.json"];
    server.program(&folder, &args).run().ended(0);
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(
        (&summary["attempts"]["total"], &summary["cost"]["unpriced"]),
        (&json!(200), &json!(0))
    );
    assert!(folder.rows("out.jsonl")["r0"]["response"]["request_id"].is_string());
}

#[test]
fn a_slow_server_has_as_many_at_once_as_are_asked_for() {
    let Some(server) = server("NGINX") else { return };
    let lines = at(&server, "/d/300/v1").send(&rows(64), 0, &["--concurrency", "64"]);
    assert!(lines.values().all(|line| line["x_run"]["attempts"] == 1));
}

#[test]
fn refusals_for_the_rate_are_waited_out() {
    let Some(server) = server("NGINX") else { return };
    // It takes 21 at once, and tells a limit of a second where others tell that of a minute.
    let lines = at(&server, "/rl/x/v1").send(&rows(23), 0, &[]);
    assert!(lines.values().all(|line| body(line)["choices"].is_array()));
}

#[test]
fn faults_are_tried_again_and_then_told() {
    let Some(server) = server("NGINX") else { return };
    for (path, status, attempts) in [("/err/500/v1", 500, 3), ("/err/418/v1", 418, 1)] {
        let lines = at(&server, path).send(&rows(1), 3, &[]);
        let line = &lines["r0"];
        assert_eq!(line["response"]["status_code"], status, "{line}");
        assert_eq!(line["x_run"]["attempts"], attempts, "{line}");
    }
}
