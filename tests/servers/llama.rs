//! llama.cpp's own server: codes of errors that are numbers, no headers of limits, no ids of requests,
//! and connections that it closes after five seconds.

use crate::program::Folder;
use crate::{body, chat, lines, row, server};
use openai_bulk::api::{
    ChatRequest, CompletionsRequest, ListModels, ResponsesRequest, RetrieveModel,
};
use openai_bulk::{Error, clock::Stop};
use serde_json::{Value, json};

const MODEL: &str = "tiny-random";

#[test]
fn each_endpoint_answers_through_the_program() {
    let Some(server) = server("LLAMA") else { return };
    let rows = [
        chat("chat", MODEL, "hello there", 12),
        row("text", "completions", json!({"model": MODEL, "prompt": "hello", "max_tokens": 5})),
        row("resp", "responses", json!({"model": MODEL, "input": "hello", "max_output_tokens": 8})),
    ];
    let lines = server.send(&rows, 0, &[]);
    assert!(body(&lines["chat"])["choices"][0]["message"]["content"].is_string());
    assert!(body(&lines["chat"])["timings"].is_object(), "what it adds is kept");
    assert!(body(&lines["text"])["choices"][0]["text"].is_string());
    assert_eq!(body(&lines["resp"])["object"], "response");
    for line in lines.values() {
        assert_eq!(line["response"]["request_id"], Value::Null);
    }
}

#[test]
fn structured_output_and_tools_pass_through() {
    let Some(server) = server("LLAMA") else { return };
    let schema = json!({
        "type": "object", "required": ["unit", "ok"], "additionalProperties": false,
        "properties": {"unit": {"type": "string", "enum": ["c", "f"]}, "ok": {"type": "boolean"}},
    });
    let mut unit = chat("unit", MODEL, "unit", 200);
    unit["body"]["response_format"] = json!({
        "type": "json_schema",
        "json_schema": {"name": "unit", "strict": true, "schema": schema},
    });
    let mut tool = chat("tool", MODEL, "weather in city", 200);
    let parameters = json!({
        "type": "object", "required": ["unit"], "additionalProperties": false,
        "properties": {"unit": {"type": "string", "enum": ["c", "f"]}},
    });
    let function = json!({"name": "get_weather", "description": "w", "parameters": parameters});
    tool["body"]["tools"] = json!([{"type": "function", "function": function}]);
    tool["body"]["tool_choice"] = json!("required");
    // Its weights are random, and would not call anything by themselves.
    tool["body"]["logit_bias"] = json!({"5": 90, "4": 100});
    tool["body"]["seed"] = json!(1);
    let lines = server.send(&[unit, tool], 0, &[]);
    let content = body(&lines["unit"])["choices"][0]["message"]["content"].as_str().unwrap();
    let value: Value = serde_json::from_str(content).unwrap();
    assert!(value["unit"].is_string() && value["ok"].is_boolean(), "{value}");
    let choice = &body(&lines["tool"])["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0]["function"];
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(call["name"] == "get_weather" && arguments["unit"].is_string(), "{call}");
}

#[test]
fn errors_with_a_number_for_a_code_are_told_by_their_type() {
    let Some(server) = server("LLAMA") else { return };
    let rows = [
        row("none", "chat/completions", json!({"model": MODEL})),
        chat("long", MODEL, &"word ".repeat(9_000), 5),
        row("path", "moderations", json!({"input": "hello"})),
        chat("good", MODEL, "hello", 5),
    ];
    let folder = Folder::new();
    folder.write("in.jsonl", lines(&rows));
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--summary", "s.json"];
    server.program(&folder, &args).run().ended(3);
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    let kinds = &summary["rows"]["failed_by_kind"];
    let wanted = ["invalid_request_error", "exceed_context_size_error", "not_found_error"];
    for kind in wanted {
        assert_eq!(kinds[kind], 1, "{kinds}");
    }
    assert_eq!(summary["attempts"]["total"], 4, "none of them is tried again");
    let failed = &folder.rows("out.jsonl")["long"]["response"]["body"]["error"];
    assert_eq!((&failed["code"], &failed["n_ctx"]), (&json!(400), &json!(2048)));
}

#[test]
fn sixty_four_at_once_are_all_answered() {
    let Some(server) = server("LLAMA") else { return };
    let rows: Vec<_> =
        (0..128).map(|n| chat(&format!("r{n}"), MODEL, &format!("question {n}"), 8)).collect();
    let lines = server.send(&rows, 0, &["--concurrency", "64"]);
    assert!(lines.values().all(|line| line["x_run"]["attempts"] == 1));
}

#[test]
fn a_connection_that_it_has_closed_costs_no_attempt() {
    let Some(server) = server("LLAMA") else { return };
    let rows: Vec<_> = (0..3).map(|n| chat(&format!("r{n}"), MODEL, "hello", 3)).collect();
    // Nine seconds between two requests; it closes what is idle for five.
    let lines = server.send(&rows, 0, &["--concurrency", "1", "--requests-per-minute", "7"]);
    assert!(lines.values().all(|line| line["x_run"]["attempts"] == 1), "{lines:?}");
}

#[test]
fn what_was_answered_once_comes_from_the_cache() {
    let Some(server) = server("LLAMA") else { return };
    let folder = Folder::new();
    let rows: Vec<_> = (0..10).map(|n| chat(&format!("r{n}"), MODEL, "the same", 8)).collect();
    folder.write("in.jsonl", lines(&rows));
    let run = |output: &str| {
        let args = ["run", "in.jsonl", "--cache", "--cache-file", "a.db", "-o", output];
        server.program(&folder, &args).run().ended(0);
        folder.rows(output).into_iter().map(|(id, line)| (id, body(&line).clone())).collect()
    };
    let (first, second): (std::collections::BTreeMap<_, _>, _) =
        (run("one.jsonl"), run("two.jsonl"));
    assert_eq!(first, second, "its ids and times show that none was sent again");
}

#[test]
fn its_tokens_are_estimated_before_and_counted_after() {
    let Some(server) = server("LLAMA") else { return };
    let folder = Folder::new();
    folder.write("in.jsonl", lines(&[chat("a", MODEL, "hello there", 7)]));
    let told = folder.program().args(["tokens", "in.jsonl"]).run().ended(0);
    assert!(told.stdout.contains(MODEL) && told.stdout.contains("~"), "{}", told.stdout);
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--summary", "s.json"];
    let run = server.program(&folder, &args).run().ended(0);
    run.said(&["price unknown"]);
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert!(summary["tokens"]["output"].as_u64().unwrap() <= 7, "{summary}");
    assert!(summary["tokens"]["input"].as_u64().unwrap() > 3, "{summary}");
}

#[test]
fn the_library_reads_each_reply() {
    let Some(server) = server("LLAMA") else { return };
    let client = server.client();
    let chat = client.send(&ChatRequest::new(MODEL).user("hello").max_tokens(8)).unwrap();
    assert!(chat.usage.as_ref().is_some_and(|usage| usage.total_tokens > Some(0)), "{chat:?}");
    assert!(!chat.choices.is_empty() && chat.cost.is_none());
    let text = client.send(&CompletionsRequest::new(MODEL, "hello").max_tokens(4)).unwrap();
    assert!(!text.choices.is_empty());
    let response = client.send(&ResponsesRequest::new(MODEL, "hello")).unwrap();
    assert!(!response.output.is_empty(), "{response:?}");
    let models = client.send(&ListModels).unwrap();
    assert!(models.data.iter().any(|model| model.id == MODEL), "{models:?}");
    let unknown = client.send_until(&RetrieveModel::new(MODEL), &Stop::new());
    assert!(matches!(unknown, Err(Error::Api(e)) if e.status == 404), "it has no such path");
}
