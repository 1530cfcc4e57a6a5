//! Pages as a whole.

use super::Report;
use crate::bulk::Summary;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn of_output(&self, lines: &str) -> String {
        sound(Report::new().output(self.put("out.jsonl", lines)).unwrap().html())
    }

    fn of_summary(&self, summary: &Value) -> String {
        sound(Report::new().summary(self.put("s.json", summary.to_string())).unwrap().html())
    }
}

fn answered(n: u64) -> String {
    json!({"custom_id": format!("row-{n}"), "response": {"status_code": 200, "body": {"secret": "answer"}},
        "error": null, "x_run": {"ok": true, "line": n, "attempts": 1, "latency_ms": n as f64,
        "waiting_ms": 0.5, "ended": 1_764_000_000.0}})
    .to_string()
        + "\n"
}

fn failed(id: &str, code: &str, message: &str) -> String {
    json!({"custom_id": id, "response": null, "error": {"code": code, "message": message},
        "x_run": {"ok": false, "attempts": 2}})
    .to_string()
        + "\n"
}

/// The page, if all its tags are closed in order and nothing in it is fetched or run.
fn sound(page: String) -> String {
    // What stands before the style opens these.
    let mut open = vec!["html", "head"];
    let body = page.split_once("</style>").expect("there is a style").1;
    for tag in body.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag ends");
        assert!(!text.contains('>'), "a bracket that is not escaped: {text}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().unwrap_or_default(), name, "in <{tag}>"),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    for banned in
        ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "NaN", "inf%"]
    {
        assert!(!page.contains(banned), "{banned}");
    }
    page
}

fn has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(
            page.contains(part),
            "`{part}` is not in\n{}",
            page.split_once("</style>").unwrap().1
        );
    }
}

#[test]
fn a_run_of_one_row_has_a_page() {
    let page = Files::new().of_output(&answered(1));
    has(&page, &["Without a summary", "row-1", "Slowest rows", "1\u{a0}ms", "0\u{a0}% of 1"]);
    assert!(!page.contains("secret"));
}

#[test]
fn an_output_without_rows_has_a_page() {
    has(&Files::new().of_output(""), &["Without a summary", ">of none<"]);
    let empty = serde_json::to_value(Summary::default()).unwrap();
    has(&Files::new().of_summary(&empty), &["Without the output", "no timeline"]);
}

#[test]
fn a_run_of_nothing_but_failures_has_a_page() {
    let lines: String = (0..200)
        .map(|n| match n % 50 {
            0 => failed(&format!("late-{n}"), "timeout", "no answer in time"),
            _ => failed(&format!("bad-{n}"), "invalid_prompt", "was flagged"),
        })
        .collect();
    let page = Files::new().of_output(&lines);
    has(
        &page,
        &["100\u{a0}% of 200", "50 of 200, of every kind some", "late-150", "bad-1<", ">196<"],
    );
    assert!(!page.contains("Slowest rows"));
}

#[test]
fn what_others_wrote_is_text_and_no_key_is_shown() {
    let evil = "<script>alert('x')</script>\"onload=";
    let line = failed(evil, "<img>", "bad key sk-proj-0123456789abc <b>");
    let page = Files::new().of_output(&line);
    has(&page, &["&lt;script&gt;alert(&#39;x&#39;)", "&lt;img&gt;", "bad key sk-… &lt;b&gt;"]);
    assert!(!page.contains("0123456789abc"));
    let title = Report::new().title("<i>".to_owned()).html();
    has(&sound(title), &["<h1>&lt;i&gt;</h1>"]);
}

#[test]
fn a_row_that_failed_and_was_answered_later_counts_once() {
    let lines = failed("row-7", "timeout", "late")
        + &answered(7)
        + &failed("row-8", "timeout", "")
        + "{\"custom_id\": \"to";
    let page = Files::new().of_output(&lines);
    has(&page, &["1 answered", "50\u{a0}% of 2", "1\u{a0}line of the output could not be read"]);
    assert!(!page.contains(">late<"));
}

#[test]
fn the_slowest_of_many_rows_are_kept_slowest_first() {
    let lines: String = (0..1_000).map(|n| answered(n * 7 % 1_000)).collect();
    let page = Files::new().of_output(&lines);
    let slowest = page.split_once("Slowest rows").unwrap().1;
    let place = |id: &str| slowest.find(&format!(">row-{id}<"));
    assert!(place("999") < place("998") && place("998") < place("980"));
    assert!(place("999").is_some() && place("980").is_some() && place("979").is_none());
}

/// A summary as a run writes it, with more than this version knows.
fn summary() -> Value {
    let mut all = serde_json::to_value(Summary::default()).unwrap();
    let points: Vec<_> = (1..=40)
        .map(|n| json!({"seconds": n, "rows": n * 10, "failed": n, "attempts": n * 12, "refused": n, "tokens": n * 500,
            "cost": format!("0.{n:03}"), "in_flight": 8, "requests_per_minute": if n < 20 { 900 } else { 700 },
            "concurrency": 5000, "later": true}))
        .collect();
    all["timeline"] = json!({"started": 1_764_000_000, "interval_seconds": 1, "points": points});
    all["rows"] =
        json!({"total": 400, "succeeded": 360, "failed": 40, "failed_by_kind": {"timeout": 40}});
    all["attempts"] = json!({"total": 480, "refused": 40, "retries": 80, "maybe_billed": 1});
    all["wall_seconds"] = json!(40);
    all["server_seconds"] = json!({"count": 360, "min": 0.1, "p50": 0.4, "p90": 1, "p95": 1.5, "p99": 2, "max": 3, "mean": 0.5});
    all["rate"] =
        json!({"requests_per_minute": 720, "limits": {"m": {"requests_per_minute": 900}}});
    all["held_back"] = json!({"requests_budget": 0.9, "something_new": 0.1});
    all["limit_changes"] = json!([{"seconds": 20, "group": "m", "limit": "requests_per_minute", "to": 700, "reason": "asked"}]);
    all["cost"] = json!({"total": "0.04", "saved_by_cache": "0.01", "cap": {"money": "1", "earlier_money": "0"},
        "by_model": {"m": {"batch": {"answers": 360, "input": 12_345, "total": "0.04"}}}});
    all["status"] = json!("ended_somehow");
    all
}

#[test]
fn an_output_alone_tells_its_cost_and_its_course() {
    let body = json!({"model": "gpt-4o", "choices": [], "usage": {"prompt_tokens": 1_000_000,
        "completion_tokens": 0, "total_tokens": 1_000_000}});
    let line = |n: u64| {
        json!({"custom_id": format!("row-{n}"), "response": {"status_code": 200, "body": body},
            "error": null, "x_run": {"ok": true, "line": n, "attempts": 1, "latency_ms": 10.0,
            "waiting_ms": 0.5, "cached": n == 0, "ended": 1_764_000_000.0 + n as f64}})
        .to_string()
            + "\n"
    };
    let page = Files::new().of_output(&(0..20).map(line).collect::<String>());
    has(
        &page,
        &[
            "Requests a minute",
            "Rows done",
            "Cost<",
            "$47.50",
            "Saved by answers that were there",
            "5\u{a0}% of what it would have cost",
            "1 without a request",
        ],
    );
    assert!(!page.contains("Requests in flight") && !page.contains("to do"));
}

#[test]
fn a_run_that_the_cache_answered_tells_what_that_saved() {
    let mut all = serde_json::to_value(Summary::default()).unwrap();
    all["rows"] = json!({"total": 40, "succeeded": 40, "from_cache": 30, "shared": 10});
    all["cost"] = json!({"total": "0", "saved_by_answers": "0.25"});
    let page = Files::new().of_summary(&all);
    has(
        &page,
        &[
            "30 of them from the cache, 10 of them with another row",
            "Saved by answers that were there",
            "$0.25 saved",
        ],
    );
}

#[test]
fn the_times_of_all_rows_of_an_output_are_told_where_the_last_run_made_few_of_them() {
    let files = Files::new();
    let output = files.put("out.jsonl", (1..=50).map(answered).collect::<String>());
    let report = Report::new().summary(files.put("s.json", summary().to_string())).unwrap();
    let page = sound(report.output(output).unwrap().html());
    let table = page.split_once("How long rows took").unwrap().1.split_once("</table>").unwrap().0;
    assert!(table.contains(">50</td>") && !table.contains(">360</td>"), "{table}");
}

#[test]
fn a_summary_alone_tells_the_course_of_a_run() {
    let page = Files::new().of_summary(&summary());
    has(
        &page,
        &[
            "ended somehow",
            "2025-11-24",
            "Requests a minute",
            "refused for a rate limit",
            "limit: 700 to 900",
            "Requests in flight",
            "limit: 5,000, beyond the chart",
            "90.6\u{a0}% of the limit, 795",
            "something_new",
            "One change of a limit",
            "Saved by the server’s cache",
            "20\u{a0}% of what it would have cost",
            "12,345",
            "left of the cap: $1.00",
            "<title>How long rows took</title>",
            "<code>timeout</code>",
        ],
    );
}

#[test]
fn a_summary_of_batches_tells_of_each() {
    let mut all = summary();
    all["parts"] = json!([{"job": "1f3a", "part": 1, "model": "m", "rows": 400, "state": "done", "succeeded": 300,
        "failed": 40, "left": 60, "age_seconds": 7_500, "trouble": null}]);
    has(&Files::new().of_summary(&all), &["<h2>Batches</h2>", "2\u{a0}h 05\u{a0}min", "width:85%"]);
}

#[test]
fn an_evaluation_shows_its_score_with_its_interval() {
    let score = json!({"schema": 1, "scorer": "exact", "groups": {"algebra": {"samples": 9, "scored": 9, "mean": 0.5,
        "interval": [0.25, 0.75]}, "empty": {"errors": 3}},
        "overall": {"samples": 99, "scored": 97, "errors": 2, "is_binary": true, "mean": 0.8, "interval": [0.7, 0.875]}});
    let files = Files::new();
    let report = Report::new().summary(files.put("a.json", summary().to_string())).unwrap();
    let page = sound(report.summary(files.put("b.json", score.to_string())).unwrap().html());
    has(
        &page,
        &[
            "Accuracy by exact",
            "70\u{a0}% to 87.5\u{a0}%",
            "x1=\"25%\" x2=\"75%\"",
            "cx=\"80%\"",
            "algebra",
        ],
    );
    has(&files.of_summary(&score), &["Of an evaluation", "80\u{a0}%"]);
}

#[test]
fn files_that_are_something_else_are_refused() {
    let files = Files::new();
    let summary = |text: &str| Report::new().summary(files.put("x", text)).unwrap_err().to_string();
    assert!(summary("{").contains("not the summary of a run: no JSON"));
    assert!(summary("{\"a\":1}").contains("`run --summary FILE`"));
    let output = |text: &str| Report::new().output(files.put("x", text)).unwrap_err().to_string();
    assert!(output("{\"prompt\":\"hi\"}\n").contains("is not the output of a run"));
    assert!(Report::new().output(files.0.path().join("none")).is_err());
}

#[test]
fn only_an_earlier_report_is_replaced() {
    let files = Files::new();
    let output = files.put("out.jsonl", answered(1));
    let report = Report::new().output(&output).unwrap();
    assert!(report.write(&output).unwrap_err().to_string().contains("is not a report"));
    let other = files.put("answers.jsonl", answered(2));
    assert!(report.write(&other).is_err());
    assert_eq!(fs::read_to_string(&other).unwrap(), answered(2));
    let page = files.0.path().join("report.html");
    report.write(&page).unwrap();
    report.write(&page).unwrap();
    assert_eq!(fs::read_to_string(&page).unwrap(), report.html());
}
