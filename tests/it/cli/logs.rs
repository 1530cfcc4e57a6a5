//! Logs and metrics.

use crate::program::{Folder, KEY, chats, logged, simulator};
use openai_bulk::logs;
use openai_bulk::simulator::{BatchSpeed, Fault, Limits};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

fn debug(folder: &Folder) -> crate::program::Program {
    folder.job().args(["--log-file", "log.jsonl", "--log-level", "debug"])
}

#[test]
fn each_attempt_and_each_row_has_a_record_under_names_that_are_promised() {
    let folder = Folder::new();
    let limits = Limits::none().requests_per_minute(60_000);
    let simulator = logged().limits(limits).fault_at(3, Fault::ServerError).start().unwrap();
    folder.write("in.jsonl", chats(20));
    let run = debug(&folder).to(&simulator.base_url()).run().ended(0);
    assert!(!run.stderr.contains("answered"), "the level of the file is not that of the terminal");
    let lines = folder.lines("log.jsonl");
    let of =
        |target: &str| lines.iter().filter(|line| line["target"] == target).collect::<Vec<_>>();
    assert_eq!(of("openai_bulk::attempt").len() as u64, simulator.stats().requests);
    assert_eq!(of("openai_bulk::row").len(), 20);
    let answered = of("openai_bulk::attempt").into_iter().find(|l| l["message"] == "answered");
    let kv = &answered.unwrap()["kv"];
    assert_eq!(kv["gen_ai.operation.name"], "chat");
    assert_eq!(kv["gen_ai.request.model"], "gpt-4o-mini");
    assert_eq!(kv["server.address"], "127.0.0.1");
    assert_eq!(kv["http.response.status_code"], 200);
    assert!(kv["gen_ai.usage.input_tokens"].as_u64() > Some(0), "{kv}");
    assert!(kv["openai_bulk.duration_seconds"].is_f64(), "{kv}");
    let failed: Vec<_> = lines.iter().filter(|l| l["message"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["kv"]["http.response.status_code"], 500);
    assert!(failed[0]["kv"]["error.type"].is_string());
    let used: BTreeSet<&str> = lines
        .iter()
        .flat_map(|line| line["kv"].as_object().unwrap().keys().map(String::as_str))
        .collect();
    let known: BTreeSet<&str> = logs::ALL.into();
    assert!(used.is_subset(&known), "{:?}", used.difference(&known));
    let text = folder.read("log.jsonl");
    assert!(!text.contains("question") && !text.contains(KEY), "no prompt and no key");
    let time = lines[0]["time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
}

#[test]
fn a_log_is_appended_and_says_little_unless_it_is_asked() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(5));
    folder.write("log.jsonl", "{\"old\":true}\n");
    folder.job().args(["--log-file", "log.jsonl"]).to(&simulator.base_url()).run().ended(0);
    let lines = folder.lines("log.jsonl");
    assert_eq!(lines[0]["old"], true);
    assert!(lines.iter().skip(1).all(|line| line["level"] != "debug"), "{lines:?}");
    let nowhere = folder.job().args(["--log-file", "none/log.jsonl"]).run();
    nowhere.ended(1).said(&["none/log.jsonl"]);
}

#[test]
fn neither_takes_the_place_of_the_answers() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(2)).write("out.jsonl", "");
    for flag in ["--log-file", "--metrics-file"] {
        for file in ["in.jsonl", "out.jsonl", "./out.jsonl"] {
            let run = folder.job().args([flag, file]).to(&simulator.base_url()).run();
            run.ended(2).said(&["choose another file"]);
        }
    }
    assert_eq!((folder.read("in.jsonl"), folder.read("out.jsonl")), (chats(2), String::new()));
}

/// The value of a metric, by its name with its labels.
fn value(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn the_metrics_of_a_run_are_those_of_its_summary() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(30));
    let files = ["--metrics-file", "m.prom", "--summary", "s.json", "--max-cost", "5.00"];
    folder.job().args(files).to(&simulator.base_url()).run().ended(0);
    let (text, summary) = (folder.read("m.prom"), folder.read("s.json"));
    let summary: Value = serde_json::from_str(&summary).unwrap();
    let is = |name: &str, expected: &Value| {
        let expected = expected.as_f64().or_else(|| expected.as_str()?.parse().ok());
        assert_eq!(value(&text, name), expected, "{name}\n{text}");
    };
    is("openai_bulk_rows_total{result=\"succeeded\"}", &30.into());
    is("openai_bulk_attempts_total{kind=\"first\"}", &30.into());
    is("openai_bulk_run_status{status=\"finished\"}", &1.into());
    is("openai_bulk_request_duration_seconds_count", &30.into());
    is("openai_bulk_cap_dollars", &5.into());
    let (model, cost) = summary["cost"]["by_model"].as_object().unwrap().iter().next().unwrap();
    let labels = format!("model=\"{model}\",tier=\"default\"");
    let (tier, cost) = cost.as_object().unwrap().iter().next().unwrap();
    let labels = labels.replace("default", tier);
    is(&format!("openai_bulk_cost_dollars_total{{{labels}}}"), &cost["total"]);
    is(&format!("openai_bulk_tokens_total{{{labels},type=\"output\"}}"), &cost["output"]);
    assert_eq!(crate::program::count_named(&folder.path("."), ".new"), 0);
    let nowhere = folder.job().args(["--fresh", "--metrics-file", "none/m.prom"]);
    let sent = simulator.stats().requests;
    nowhere.to(&simulator.base_url()).run().ended(1).said(&["none/m.prom"]);
    assert_eq!(simulator.stats().requests, sent, "nothing is sent that cannot be told");
}

#[test]
fn a_run_by_batches_has_metrics_too() {
    let speed = BatchSpeed::steps_of(Duration::from_millis(10));
    let simulator = logged().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(5));
    folder
        .job()
        .args(["--mode", "batch", "--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--store", "s.db"])
        .args(["--metrics-file", "m.prom", "--log-file", "log.jsonl"])
        .to(&simulator.base_url())
        .run()
        .ended(0);
    let text = folder.read("m.prom");
    assert_eq!(value(&text, "openai_bulk_rows_total{result=\"succeeded\"}"), Some(5.0), "{text}");
    assert!(text.contains("openai_bulk_batch_parts{state="), "{text}");
    let known: BTreeSet<&str> = logs::ALL.into();
    for line in folder.lines("log.jsonl") {
        let names = line["kv"].as_object().unwrap().keys();
        assert!(names.clone().all(|name| known.contains(name.as_str())), "{line}");
    }
}
