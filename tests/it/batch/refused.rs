//! Every error of an input, and files that are odd: a server that says what the real one was seen to
//! say.

use super::{Bench, bench, chats, reconciles, simulator};
use openai_bulk::batch::{BatchRun, BatchSummary};
use openai_bulk::error::TransportError;
use openai_bulk::transport::{Answer, Exchange, Method};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// What the server is to say of a batch.
#[derive(Clone, Default)]
struct Script {
    status: &'static str,
    errors: Value,
    output: Option<String>,
    error: Option<String>,
    /// The ids of the files as they are told, if they are not what they should be.
    output_id: Value,
    error_id: Value,
    /// How many rows the server says that it has done.
    done: u64,
    /// The file of answers is not there.
    is_lost: bool,
    /// So many bytes less come of the output at the first times.
    cuts: usize,
}

/// A server of which each batch ends as the script says; later ones as the last script says.
fn run(bench: &Bench, scripts: Vec<Script>) -> (BatchSummary, usize) {
    let made = Arc::new(Mutex::new(0usize));
    let cuts = Arc::new(Mutex::new(scripts.iter().map(|s| s.cuts).collect::<Vec<_>>()));
    let server = {
        let made = made.clone();
        move |request: &Exchange<'_>| -> Result<Answer, TransportError> {
            let path = request.url.split("/v1").nth(1).unwrap();
            let json = |value: Value| Ok(Answer::new(200, value.to_string()));
            let at = |n: usize| n.min(scripts.len() - 1);
            let number = |id: &str| id.rsplit('_').next().unwrap().parse::<usize>().unwrap();
            let steps: Vec<&str> = path.split(['/', '?']).skip(1).collect();
            match (request.method, steps.as_slice()) {
                (Method::Post, ["files"]) => json(json!({"id": "file-in"})),
                (Method::Delete, _) => json(json!({"deleted": true})),
                (Method::Post, ["batches"]) => {
                    let mut made = made.lock();
                    *made += 1;
                    let id = format!("batch_{}", *made - 1);
                    json(json!({"id": id, "status": "validating"}))
                }
                (Method::Get, ["batches", id]) => {
                    let script = &scripts[at(number(id))];
                    let named = |told: &Value, content: &Option<String>, kind: &str| match told {
                        Value::Null if content.is_some() => {
                            json!(format!("file-{kind}_{}", number(id)))
                        }
                        told => told.clone(),
                    };
                    json(json!({
                        "id": id, "status": script.status,
                        "request_counts": {"total": 4, "completed": script.done, "failed": 0},
                        "errors": {"object": "list", "data": script.errors},
                        "output_file_id": named(&script.output_id, &script.output, "out"),
                        "error_file_id": named(&script.error_id, &script.error, "err"),
                    }))
                }
                (Method::Get, ["files", id, "content"]) => {
                    let n = number(id);
                    let script = &scripts[at(n)];
                    let is_output = id.starts_with("file-out");
                    if is_output && script.is_lost {
                        return Ok(Answer::new(404, "{}"));
                    }
                    let text = if is_output { &script.output } else { &script.error };
                    let mut bytes = text.clone().unwrap().into_bytes();
                    let left = &mut cuts.lock()[at(n)];
                    if is_output && *left > 0 {
                        *left -= 1;
                        bytes.truncate(bytes.len() - 20);
                    }
                    Ok(Answer::new(200, bytes))
                }
                (Method::Get, ["files", ..]) => Ok(Answer::new(404, "{}")),
                other => panic!("{other:?}"),
            }
        }
    };
    let job =
        BatchRun::new(bench.batches_over(server), bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = job.run(|_| {}).unwrap();
    reconciles(&summary);
    let made = *made.lock();
    (summary, made)
}

fn good(ids: impl IntoIterator<Item = usize>) -> String {
    let line = |n| {
        json!({"id": "b", "custom_id": format!("r{n}"), "error": null, "response": {
            "status_code": 200, "request_id": "r", "body": {"id": "c", "model": "gpt-4o-mini",
                "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10}}}})
        .to_string()
            + "\n"
    };
    ids.into_iter().map(line).collect()
}

fn completed(output: String) -> Script {
    Script { status: "completed", output: Some(output), ..Script::default() }
}

fn failed(errors: Value) -> Script {
    Script { status: "failed", errors, ..Script::default() }
}

fn four(scripts: Vec<Script>) -> (Bench, BatchSummary, usize) {
    let bench = bench(simulator());
    bench.write(chats(4));
    let (summary, made) = run(&bench, scripts);
    (bench, summary, made)
}

#[test]
fn each_known_error_of_an_input_ends_in_outcomes_and_never_in_a_loop() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/batch_errors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the shared data is not here");
        return;
    };
    let known: Value = serde_json::from_str(&text).unwrap();
    for error in known["validation_errors"].as_array().unwrap() {
        let rest = match error["line"].as_u64() {
            Some(line) => good((0..4).filter(|n| *n as u64 + 1 != line)),
            None => good(0..4),
        };
        let (bench, summary, made) = four(vec![failed(json!([error])), completed(rest)]);
        let code = error["code"].as_str().unwrap();
        let rows = &summary.run.rows;
        let is_retried = code == "token_limit_exceeded" || error["param"] == "file_id";
        match error["line"].as_u64() {
            Some(line) => {
                assert_eq!((rows.succeeded, rows.failed, made), (3, 1, 2), "{code}");
                let row = bench.rows()[&format!("r{}", line - 1)].clone();
                assert_eq!(row["error"]["code"], code);
            }
            None if is_retried => {
                assert_eq!((rows.succeeded, rows.failed, made), (4, 0, 2), "{code}");
                assert_eq!(summary.parts.len(), 1, "the same part again: {code}");
            }
            None => assert_eq!((rows.succeeded, rows.failed, made), (0, 4, 1), "{code}"),
        }
    }
}

#[test]
fn a_download_that_is_cut_short_is_fetched_again() {
    let script = Script { cuts: 3, ..completed(good(0..4)) };
    let (bench, summary, made) = four(vec![script]);
    assert_eq!((summary.run.rows.succeeded, made), (4, 1));
    assert_eq!(bench.rows().len(), 4);
}

#[test]
fn answers_in_any_order_lines_twice_unknown_broken_and_missing() {
    let odd = format!("{}{}not a line\n{}", good([2, 0, 2]), good([9]), "\n\n");
    let (bench, summary, made) = four(vec![completed(odd), completed(good([3, 1]))]);
    assert_eq!((summary.run.rows.succeeded, made), (4, 2));
    assert_eq!(summary.parts[1].rows, 2, "only the missing ones go again");
    assert_eq!(bench.rows().len(), 4);
}

#[test]
fn a_batch_that_says_it_is_done_and_has_no_files_is_done_again_and_then_told() {
    let none = Script { status: "completed", ..Script::default() };
    let (bench, summary, made) = four(vec![none]);
    assert_eq!((summary.run.rows.failed, made), (4, 3));
    assert_eq!(bench.rows()["r0"]["error"]["code"], "no_result");
}

#[test]
fn every_end_with_every_number_of_files_gives_each_row_an_outcome() {
    let undone = |ids: &[usize], code: &str| -> String {
        ids.iter()
            .map(|n| {
                json!({"custom_id": format!("r{n}"), "response": null,
                    "error": {"code": code, "message": "m"}})
                .to_string()
                    + "\n"
            })
            .collect()
    };
    for status in ["completed", "expired", "cancelled"] {
        for (output, error) in [(false, false), (true, false), (false, true), (true, true)] {
            let script = Script {
                status,
                output: output.then(|| good([1, 0])),
                error: error.then(|| undone(&[2, 3], "batch_expired")),
                error_id: if error { Value::Null } else { json!("") },
                ..Script::default()
            };
            let (bench, summary, _) = four(vec![script, completed(good(0..4))]);
            assert_eq!(summary.run.rows.succeeded, 4, "{status} {output} {error}");
            assert_eq!(bench.rows().len(), 4);
        }
    }
}

#[test]
fn an_http_error_inside_a_line_is_that_rows_and_final() {
    let error = json!({"custom_id": "r1", "error": null, "response": {"status_code": 400,
        "request_id": "q", "body": {"error": {"message": "too long", "code": "context_length_exceeded",
            "type": "invalid_request_error"}}}});
    let script = Script { error: Some(format!("{error}\n")), ..completed(good([0, 2, 3])) };
    let (bench, summary, made) = four(vec![script]);
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.failed, made), (3, 1, 1));
    let row = &bench.rows()["r1"];
    assert_eq!(row["response"]["body"]["error"]["code"], "context_length_exceeded");
    assert_eq!(summary.run.rows.failed_by_kind["context_length_exceeded"], 1);
}

/// The tokens that may have been used and that no line tells.
fn doubtful(bench: &Bench) -> u64 {
    let text = std::fs::read_to_string(bench.path("out.jsonl.spent")).unwrap_or_default();
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    assert!(text.is_empty() || told["on_top"] == true, "{text}");
    told["tokens_at_most"].as_u64().unwrap_or(0)
}

#[test]
fn rows_that_were_done_and_have_no_line_are_done_again_and_count_twice_against_a_cap() {
    let mut each = 0;
    for (done, is_lost, missing) in [(3, false, 0), (4, false, 1), (4, true, 4)] {
        let script = Script { done, is_lost, ..completed(good([0, 1, 3])) };
        let rest = if is_lost { good(0..4) } else { good([2]) };
        let (bench, summary, made) = four(vec![script, completed(rest)]);
        assert_eq!((summary.run.rows.succeeded, made), (4, 2), "{done} {is_lost}");
        let tokens = doubtful(&bench);
        match missing {
            0 => assert_eq!(tokens, 0, "what was not done was not paid"),
            1 => each = tokens,
            // Ids and questions have the same length.
            _ => assert_eq!(tokens, each * missing),
        }
    }
    assert!(each > 50, "{each}");
}

#[test]
fn an_answer_that_cannot_be_read_is_told_with_what_it_may_have_cost() {
    let broken = good([2]).replace(r#""choices":[]"#, r#""error":{"message":"x"}"#);
    let (bench, summary, made) = four(vec![completed(good([0, 1, 3]) + &broken)]);
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.failed, made), (3, 1, 1));
    assert_eq!(summary.run.attempts.maybe_billed, 1);
    let row = &bench.rows()["r2"];
    assert!(row["x_run"]["maybe_tokens"].as_u64().unwrap() > 50, "{row}");
    assert!(row["x_run"]["maybe_cost"].as_str().unwrap().starts_with("0.0"), "{row}");
    assert_eq!(doubtful(&bench), 0, "its line tells it");
}

/// A server that answers a call with an HTTP error, as often as `times` says, and else as it should.
fn errs(
    bench: &Bench,
    method: Method,
    end: &str,
    status: u16,
    error: &Value,
    times: usize,
) -> usize {
    let (server, end) = (bench.server.clone(), end.to_owned());
    let (left, body) = (Mutex::new(times), json!({ "error": error }).to_string());
    let errs = move |request: &Exchange<'_>| -> Result<Answer, TransportError> {
        let mut left = left.lock();
        let path = request.url.split('?').next().unwrap();
        if *left > 0 && request.method == method && path.contains(&end) {
            *left -= 1;
            return Ok(Answer::new(status, body.clone()));
        }
        openai_bulk::transport::Transport::exchange(&server, request)
    };
    let batches = bench.batches_over(errs);
    let run = BatchRun::new(batches, bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = run.run(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!(bench.rows().len(), 4);
    summary.run.rows.failed as usize
}

#[test]
fn each_known_http_error_of_files_and_batches_ends_in_outcomes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/batch_errors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the shared data is not here");
        return;
    };
    let known: Value = serde_json::from_str(&text).unwrap();
    let mut seen = 0;
    for each in known["http_errors"].as_array().unwrap() {
        let (call, error) = (each["call"].as_str().unwrap(), &each["error"]);
        let status = u16::try_from(each["status"].as_u64().unwrap()).unwrap();
        let bench = bench(simulator());
        bench.write(chats(4));
        let code = |id: &str| bench.rows()[id]["error"].clone();
        match call {
            // What is refused is every row's outcome, in the server's words.
            call if call.starts_with("POST /v1/batches ") => {
                assert_eq!(errs(&bench, Method::Post, "/batches", status, error, 9), 4, "{call}");
                assert_eq!(code("r0")["code"], error["code"], "{call}");
            }
            call if call.starts_with("POST /v1/files") => {
                assert_eq!(errs(&bench, Method::Post, "/files", status, error, 9), 4, "{call}");
                let told = code("r3")["message"].as_str().unwrap().to_owned();
                assert!(told.contains("Must be .jsonl"), "{told}");
            }
            // A batch that is not there yet is asked for again.
            call if call.starts_with("GET /v1/batches/") => {
                assert_eq!(errs(&bench, Method::Get, "/batches/", status, error, 2), 0, "{call}");
                assert_eq!(bench.asked("POST", "/v1/batches"), 1);
            }
            // It has come to its end before it was cancelled.
            call if call.contains("/cancel") => {
                let (server, body) = (bench.server.clone(), json!({"error": error}).to_string());
                let late = move |request: &Exchange<'_>| {
                    if request.url.ends_with("/cancel") {
                        return Ok(Answer::new(status, body.clone()));
                    }
                    openai_bulk::transport::Transport::exchange(&server, request)
                };
                bench.job().submit(|_| {}).unwrap();
                let run = BatchRun::resume(bench.batches_over(late), bench.path("out.jsonl"));
                let summary = run.recall(|_| {}).unwrap();
                assert_eq!(summary.run.rows.succeeded, 4, "{call}");
            }
            other => panic!("{other} is not tried"),
        }
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn each_error_of_a_line_that_was_not_done_goes_into_another_batch() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/batch_errors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: the shared data is not here");
        return;
    };
    let known: Value = serde_json::from_str(&text).unwrap();
    for code in known["line_errors_non_http"].as_array().unwrap() {
        let line = json!({"custom_id": "r2", "response": null, "error": {"code": code}});
        let error = Some(format!("{line}\n"));
        let script = Script { error, ..completed(good([0, 1, 3])) };
        let (bench, summary, made) = four(vec![script, completed(good([2]))]);
        assert_eq!((summary.run.rows.succeeded, made), (4, 2), "{code}");
        assert_eq!(bench.rows().len(), 4);
    }
}
