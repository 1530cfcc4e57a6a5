//! One question, and rows that ask for a stream.

use crate::program::{Folder, Program, logged, simulator, timed, until};
use openai_bulk::simulator::Fault;
use serde_json::{Value, json};
use std::time::Duration;

fn ask(folder: &Folder, args: &[&str]) -> Program {
    folder.program().args(["ask"]).args(args.iter().copied())
}

#[test]
fn the_answer_goes_to_standard_output_and_what_it_took_to_standard_error() {
    let (folder, simulator) = (Folder::new(), simulator());
    let to = |args: &[&str]| ask(&folder, args).to(&simulator.base_url()).run().ended(0);
    let streamed = to(&["How are you?", "--system", "Be kind."]).said(&["tokens in", "out, $"]);
    assert!(streamed.stdout.ends_with('\n') && streamed.stdout.len() > 5, "{}", streamed.stdout);
    let plain = to(&["How are you?", "--system", "Be kind.", "--no-stream"]);
    assert_eq!(plain.stdout, streamed.stdout);
    assert_eq!(plain.stderr, streamed.stderr, "they count and cost the same");
    let json = to(&["How are you?", "--system", "Be kind.", "--json", "-q"]);
    assert_eq!(json.stderr, "");
    let reply: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], streamed.stdout.trim_end());
    assert!(reply["usage"]["total_tokens"].as_u64() > Some(0));
    let asked: Vec<Value> = simulator
        .received()
        .iter()
        .map(|each| serde_json::from_slice(&each.body).unwrap())
        .collect();
    assert_eq!(asked[0]["messages"][0], json!({"role": "system", "content": "Be kind."}));
    assert_eq!(asked[0]["stream"], true);
    assert!(asked[1].get("stream").is_none());
}

#[test]
fn a_question_comes_from_standard_input_too() {
    let (folder, simulator) = (Folder::new(), simulator());
    ask(&folder, &["-"]).stdin("What is in here?").to(&simulator.base_url()).run().ended(0);
    let body = String::from_utf8(simulator.received()[0].body.to_vec()).unwrap();
    assert!(body.contains("What is in here?"), "{body}");
    ask(&folder, &["-"])
        .stdin(" \n")
        .to(&simulator.base_url())
        .run()
        .ended(2)
        .said(&["no question"]);
    ask(&folder, &["x", "--simulate"]).run().ended(0);
}

#[test]
fn a_question_that_is_not_answered_has_its_exit_code() {
    let (folder, simulator) = (Folder::new(), logged().start().unwrap());
    let to = |args: &[&str]| ask(&folder, args).to(&simulator.base_url()).run();
    simulator.fail_next(1, Fault::BadRequest);
    to(&["x"]).ended(3).said(&["400"]);
    simulator.fail_next(1, Fault::Unauthorized);
    to(&["x"]).ended(5).said(&["401"]);
    to(&["x", "--max-cost", "0.0000001", "--max-completion-tokens", "100"]).ended(4);
    ask(&folder, &["x", "--base-url", "https://api.openai.com/v1"])
        .run()
        .ended(1)
        .said(&["OPENAI_API_KEY"]);
    let cut = to(&["Tell me a long story.", "--max-completion-tokens", "2"]).ended(0);
    assert!(cut.stderr.contains("cut short at the limit"), "{}", cut.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_at_once() {
    let simulator = logged().latency("20s".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    let run = ask(&folder, &["x"]).to(&simulator.base_url()).start();
    until("the question", || simulator.stats().requests == 1);
    let (run, time) = timed(|| {
        run.signal("INT");
        run.wait()
    });
    run.ended(130).said(&["interrupted"]);
    assert!(time < Duration::from_secs(5), "{time:?}");
}

/// The same requests, once with a stream and once without.
fn rows(is_streamed: bool) -> String {
    let row = |id: &str, url: &str, mut body: Value| {
        if is_streamed {
            body["stream"] = json!(true);
        }
        json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string() + "\n"
    };
    let question = json!([{"role": "user", "content": "How many?"}]);
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]);
    [
        row("chat", "/v1/chat/completions", json!({"model": "gpt-4o-mini", "messages": question})),
        row(
            "two",
            "/v1/chat/completions",
            json!({"model": "gpt-4o-mini", "messages": question, "n": 2}),
        ),
        row(
            "tool",
            "/v1/chat/completions",
            json!({"model": "gpt-4o-mini", "messages": question,
            "tools": tool, "tool_choice": "required"}),
        ),
        row("response", "/v1/responses", json!({"model": "gpt-4o-mini", "input": "How many?"})),
        row("old", "/v1/completions", json!({"model": "gpt-3.5-turbo-instruct", "prompt": "How"})),
    ]
    .concat()
}

/// What of an answer does not change from one request to the next.
fn lasting(line: &Value) -> Value {
    let body = &line["response"]["body"];
    let mut lasting = json!({"usage": body["usage"], "model": body["model"], "object": body["object"], "status": body["status"]});
    for choice in body["choices"].as_array().into_iter().flatten() {
        let calls = choice["message"]["tool_calls"].as_array().into_iter().flatten();
        let calls: Vec<&Value> = calls.map(|call| &call["function"]).collect();
        let index = choice["index"].to_string();
        lasting[index] =
            json!([choice["text"], choice["message"]["content"], choice["finish_reason"], calls]);
    }
    lasting["output"] = body["output"][0]["content"].clone();
    lasting
}

#[test]
fn a_row_that_asks_for_a_stream_has_the_same_line_as_one_that_does_not() {
    let simulator = simulator();
    let [plain, streamed] = [false, true].map(|is_streamed| {
        let folder = Folder::new();
        folder.write("in.jsonl", rows(is_streamed));
        folder.job().args(["--summary", "s.json"]).to(&simulator.base_url()).run().ended(0);
        let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
        (folder.rows("out.jsonl"), summary)
    });
    assert_eq!(streamed.0.len(), 5);
    for (id, line) in &streamed.0 {
        assert_eq!(lasting(line), lasting(&plain.0[id]), "{id}");
    }
    assert!(streamed.1["cost"].is_object() && streamed.1["tokens"].is_object());
    assert_eq!(streamed.1["cost"], plain.1["cost"]);
    assert_eq!(streamed.1["tokens"], plain.1["tokens"]);
}

#[test]
fn streams_of_a_run_that_break_are_sent_again() {
    let simulator = logged().fault(Fault::HalfChunked, 0.4).seed(7).start().unwrap();
    let folder = Folder::new();
    let many: String = (0..40)
        .map(|n| format!(r#"{{"custom_id":"r{n}","body":{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{n}?"}}],"stream":true}}}}"#) + "\n")
        .collect();
    folder.write("in.jsonl", many);
    let fast = ["--set", "OPENAI_BACKOFF_BASE=10ms"];
    folder.job().args(fast).to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 40);
    assert!(simulator.stats().requests > 40, "some were cut and sent again");
}

#[test]
fn a_batch_refuses_rows_that_ask_for_a_stream_before_anything_is_sent() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(true));
    let run = folder.job().args(["--mode", "batch", "--store", "s.db"]).to(&simulator.base_url());
    run.run().ended(1).said(&["in.jsonl:1", "a batch cannot stream"]);
    assert_eq!(simulator.stats().requests, 0);
}
