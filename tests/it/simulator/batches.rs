use super::wire::{Answer, Wire, get, post, try_call};
use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::simulator::{BatchSpeed, Fault, Simulator};
use serde_json::{Value, json};
use std::time::Duration;

fn quick() -> Simulator {
    let speed = BatchSpeed::steps_of(Duration::from_millis(10));
    Simulator::builder().batch_speed(speed).start().unwrap()
}

fn upload(simulator: &Simulator, filename: &str, content: &str) -> Answer {
    let body = format!(
        "--XYZ\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--XYZ\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\n\
         {content}\r\n--XYZ--\r\n"
    );
    let mut wire = Wire::to(simulator);
    let kind = "Content-Type: multipart/form-data; boundary=XYZ\r\n";
    wire.send("POST", "/v1/files", kind, body.as_bytes());
    wire.answer().unwrap()
}

fn line(id: &str, body: Value) -> String {
    let url = "/v1/chat/completions";
    json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string()
}

fn good(id: &str) -> String {
    line(id, super::wire::chat(id))
}

fn create(simulator: &Simulator, content: &str) -> Value {
    let file = upload(simulator, "in.jsonl", content).json();
    let body = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"job": "a"}});
    post(simulator, "/v1/batches", body).json()
}

fn wait_for(simulator: &Simulator, id: &Value, status: &[&str]) -> Value {
    let clock = SystemClock::new();
    let path = format!("/v1/batches/{}", id.as_str().unwrap());
    loop {
        let batch = get(simulator, &path).json();
        if status.contains(&batch["status"].as_str().unwrap()) {
            return batch;
        }
        assert!(clock.now().since_origin() < Duration::from_secs(10), "{batch}");
        clock.sleep(Duration::from_millis(5), &Stop::new());
    }
}

fn rows(simulator: &Simulator, file: &Value) -> Vec<Value> {
    let path = format!("/v1/files/{}/content", file.as_str().unwrap());
    get(simulator, &path).text().lines().map(|row| serde_json::from_str(row).unwrap()).collect()
}

#[test]
fn files_are_kept_listed_read_and_deleted() {
    let simulator = quick();
    let ids: Vec<_> = (0..3)
        .map(|n| upload(&simulator, "a.jsonl", &format!("{{\"n\":{n}}}\n")).json()["id"].clone())
        .collect();
    let page = get(&simulator, "/v1/files?limit=2").json();
    assert_eq!((&page["first_id"], &page["last_id"]), (&ids[2], &ids[1]));
    assert_eq!(page["has_more"], true);
    let after = ids[1].as_str().unwrap();
    let rest = get(&simulator, &format!("/v1/files?limit=2&after={after}")).json();
    assert_eq!((&rest["data"][0]["id"], &rest["has_more"]), (&ids[0], &json!(false)));
    let path = format!("/v1/files/{}", ids[0].as_str().unwrap());
    let file = get(&simulator, &path).json();
    assert_eq!((&file["bytes"], &file["purpose"]), (&json!(8), &json!("batch")));
    assert_eq!(file["expires_at"].as_u64(), file["created_at"].as_u64().map(|at| at + 2_592_000));
    assert_eq!(get(&simulator, &format!("{path}/content")).text(), "{\"n\":0}\n");
    let gone = try_call(&simulator, "DELETE", &path, "").unwrap().json();
    assert_eq!(gone["deleted"], true);
    assert_eq!(get(&simulator, &path).status, 404);
}

#[test]
fn a_file_that_cannot_be_a_batch_is_refused_twice_in_one_body() {
    for (name, content) in [("a.txt", "{}"), ("a.jsonl", ""), ("a.jsonl", "no json")] {
        let answer = upload(&quick(), name, content);
        assert_eq!(answer.status, 400);
        let words = "Invalid file format for Batch API. Must be .jsonl";
        assert_eq!(answer.json()["error"]["message"], words);
        assert_eq!(answer.json()["detail"]["message"], words);
    }
}

#[test]
fn a_batch_is_answered_in_another_order_and_its_failures_apart() {
    let simulator = quick();
    let mut lines: Vec<_> = (0..20).map(|n| good(&format!("id-{n}"))).collect();
    lines.push(line("wrong", json!({"model": "gpt-4o-mini", "messages": []})));
    let batch = create(&simulator, &lines.join("\n"));
    assert_eq!(batch["status"], "validating");
    assert_eq!(batch["request_counts"]["total"], 0);
    let batch = wait_for(&simulator, &batch["id"], &["completed"]);
    assert_eq!(batch["request_counts"], json!({"total": 21, "completed": 20, "failed": 1}));
    assert_eq!(batch["metadata"]["job"], "a");
    assert!(batch["usage"]["total_tokens"].as_u64().unwrap() > 0);
    let output = rows(&simulator, &batch["output_file_id"]);
    let ids: Vec<_> = output.iter().map(|row| row["custom_id"].as_str().unwrap()).collect();
    let sent: Vec<_> = (0..20).map(|n| format!("id-{n}")).collect();
    assert_ne!(ids, sent);
    assert!(sent.iter().all(|id| ids.contains(&id.as_str())));
    assert_eq!(output[0]["response"]["status_code"], 200);
    assert_eq!(output[0]["response"]["body"]["object"], "chat.completion");
    assert_eq!(output[0]["error"], Value::Null);
    let errors = rows(&simulator, &batch["error_file_id"]);
    assert_eq!(errors[0]["custom_id"], "wrong");
    assert_eq!(errors[0]["response"]["status_code"], 400);
    assert_eq!(errors[0]["response"]["body"]["error"]["code"], "empty_array");
}

#[test]
fn a_batch_says_the_same_as_a_call() {
    let simulator = quick();
    let batch = create(&simulator, &good("hello"));
    let batch = wait_for(&simulator, &batch["id"], &["completed"]);
    assert_eq!(batch["error_file_id"], Value::Null);
    let row = &rows(&simulator, &batch["output_file_id"])[0];
    let call = post(&simulator, super::wire::CHAT, super::wire::chat("hello")).json();
    assert_eq!(row["response"]["body"]["choices"], call["choices"]);
}

#[test]
fn a_batch_whose_requests_all_failed_has_no_output_file() {
    let speed = BatchSpeed::steps_of(Duration::from_millis(5));
    let simulator =
        Simulator::builder().batch_speed(speed).batch_line_failures(1.0).start().unwrap();
    let batch = create(&simulator, &format!("{}\n{}", good("a"), good("b")));
    let batch = wait_for(&simulator, &batch["id"], &["completed"]);
    assert_eq!(batch["output_file_id"], Value::Null);
    assert_eq!(rows(&simulator, &batch["error_file_id"]).len(), 2);
}

#[test]
fn a_wrong_input_fails_the_batch_and_not_its_creation() {
    let simulator = quick();
    let batch = create(&simulator, &format!("{}\nnot json", good("a")));
    let batch = wait_for(&simulator, &batch["id"], &["failed"]);
    let error = &batch["errors"]["data"][0];
    assert_eq!((&error["code"], &error["line"]), (&json!("invalid_json_line"), &json!(2)));
    assert!(batch["failed_at"].is_u64() && batch["in_progress_at"].is_null());
    let body = json!({"input_file_id": "file-none", "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    let batch = post(&simulator, "/v1/batches", body).json();
    let batch = wait_for(&simulator, &batch["id"], &["failed"]);
    assert_eq!(batch["errors"]["data"][0]["code"], "invalid_request");
}

#[test]
fn a_batch_is_cancelled_and_keeps_what_was_done() {
    let speed =
        BatchSpeed::steps_of(Duration::from_millis(1)).per_request(Duration::from_millis(20));
    let simulator = Simulator::builder().batch_speed(speed).start().unwrap();
    let lines: Vec<_> = (0..500).map(|n| good(&n.to_string())).collect();
    let id = create(&simulator, &lines.join("\n"))["id"].clone();
    let path = format!("/v1/batches/{}", id.as_str().unwrap());
    let clock = SystemClock::new();
    while get(&simulator, &path).json()["request_counts"]["completed"] == 0 {
        clock.sleep(Duration::from_millis(5), &Stop::new());
    }
    let batch = post(&simulator, &format!("{path}/cancel"), json!({})).json();
    assert_eq!(batch["status"], "cancelling");
    let batch = wait_for(&simulator, &id, &["cancelled"]);
    let output = rows(&simulator, &batch["output_file_id"]);
    let errors = rows(&simulator, &batch["error_file_id"]);
    assert_eq!(output.len() + errors.len(), 500);
    assert!(!output.is_empty());
    assert_eq!(errors[0]["error"]["code"], "batch_cancelled");
    assert_eq!(errors[0]["response"], Value::Null);
}

#[test]
fn a_finished_batch_cannot_be_cancelled() {
    let simulator = quick();
    let batch = create(&simulator, &good("a"));
    wait_for(&simulator, &batch["id"], &["completed"]);
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    let refused = post(&simulator, &path, json!({}));
    assert_eq!(refused.status, 409);
    let words = "Cannot cancel a batch with status 'completed'.";
    assert_eq!(refused.json()["error"]["message"], words);
}

#[test]
fn a_batch_that_is_too_slow_expires() {
    let speed = BatchSpeed::steps_of(Duration::from_millis(1))
        .per_request(Duration::from_millis(30))
        .window(Duration::from_millis(100));
    let simulator = Simulator::builder().batch_speed(speed).start().unwrap();
    let lines: Vec<_> = (0..50).map(|n| good(&n.to_string())).collect();
    let batch = create(&simulator, &lines.join("\n"));
    let batch = wait_for(&simulator, &batch["id"], &["expired"]);
    let done = rows(&simulator, &batch["output_file_id"]).len();
    let errors = rows(&simulator, &batch["error_file_id"]);
    assert_eq!((done, errors.len()), (3, 47));
    assert_eq!(errors[0]["error"]["code"], "batch_expired");
}

#[test]
fn a_batch_over_the_enqueued_tokens_fails_until_others_are_done() {
    let speed =
        BatchSpeed::steps_of(Duration::from_millis(20)).per_request(Duration::from_millis(100));
    let simulator = Simulator::builder().batch_speed(speed).enqueued_tokens(60).start().unwrap();
    let first = create(&simulator, &good("a"));
    wait_for(&simulator, &first["id"], &["in_progress"]);
    let second = create(&simulator, &good("b"));
    let second = wait_for(&simulator, &second["id"], &["failed"]);
    let error = &second["errors"]["data"][0];
    assert_eq!(error["code"], "token_limit_exceeded");
    wait_for(&simulator, &first["id"], &["completed"]);
    let third = create(&simulator, &good("c"));
    wait_for(&simulator, &third["id"], &["completed"]);
}

#[test]
fn batches_are_listed_page_by_page_newest_first() {
    let simulator = quick();
    let ids: Vec<_> = (0..5).map(|_| create(&simulator, &good("a"))["id"].clone()).collect();
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(&simulator, &format!("/v1/batches?limit=2{after}")).json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|batch| batch["id"].clone()));
        if page["has_more"] == false {
            break;
        }
        after = format!("&after={}", page["last_id"].as_str().unwrap());
    }
    seen.reverse();
    assert_eq!(seen, ids);
    assert_eq!(get(&simulator, "/v1/batches?limit=101").status, 400);
}

#[test]
fn a_wrong_creation_is_refused() {
    let simulator = quick();
    let right =
        json!({"input_file_id": "f", "endpoint": "/v1/embeddings", "completion_window": "24h"});
    for (name, value, param, code) in [
        ("input_file_id", Value::Null, "input_file_id", "missing_required_parameter"),
        ("endpoint", json!("/v1/invalid/endpoint"), "endpoint", "invalid_value"),
        ("completion_window", json!("1h"), "completion_window", "invalid_value"),
        ("metadata", json!({"tags": []}), "metadata.tags", "invalid_type"),
    ] {
        let mut body = right.clone();
        body[name] = value;
        let answer = post(&simulator, "/v1/batches", body);
        assert_eq!(answer.status, 400, "{name}");
        let error = &answer.json()["error"];
        assert_eq!((&error["param"], &error["code"]), (&json!(param), &json!(code)));
    }
    let unknown = get(&simulator, "/v1/batches/batch_x");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.json()["error"]["message"], "No batch found with id 'batch_x'.");
}

#[test]
fn a_download_may_break_off() {
    let simulator = quick();
    let id = upload(&simulator, "a.jsonl", "{\"a\":1}\n").json()["id"].clone();
    simulator.fail_next(1, Fault::HalfBody);
    let path = format!("/v1/files/{}/content", id.as_str().unwrap());
    assert!(try_call(&simulator, "GET", &path, "").is_err());
    assert_eq!(get(&simulator, &path).text(), "{\"a\":1}\n");
}
