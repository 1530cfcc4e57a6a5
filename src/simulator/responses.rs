//! `POST /v1/responses`.

use super::answers::{cut, pieces, tokens};
use super::check;
use super::endpoint::{Demand, Job, Made};
use super::failure::Failure;
use super::random::id;
use super::response::Body;
use super::{chat, prompt, sse};
use serde_json::{Value, json};

pub(super) fn check(body: &Value) -> Result<Demand, Failure> {
    let input = match check::given(body, "input") {
        None => return Err(Failure::missing("input")),
        Some(Value::String(text)) => text.chars().count() as u64,
        Some(Value::Array(items)) if items.is_empty() => return Err(check::empty_array("input")),
        Some(Value::Array(items)) => match items.iter().position(|item| !item.is_object()) {
            None => prompt::characters(items),
            Some(at) => {
                let name = format!("input[{at}]");
                return Err(Failure::wrong_type(&name, "an object", &items[at]));
            }
        },
        Some(other) => {
            let wanted = "one of a string or array of objects";
            return Err(Failure::wrong_type("input", wanted, other));
        }
    };
    let instructions = check::string(body, "instructions")?.unwrap_or("").chars().count() as u64;
    // The real server allows no fewer than 16.
    let max_tokens = check::integer(body, "max_output_tokens", 16, i64::MAX)?;
    check::number(body, "temperature", 0.0, 2.0)?;
    check::number(body, "top_p", 0.0, 1.0)?;
    let stream = check::flag(body, "stream")?;
    let characters = input + instructions;
    Ok(Demand { characters, max_tokens, choices: 1, stream, include_usage: true })
}

pub(super) fn answer(job: &Job<'_>) -> Made {
    let asked = match &job.body["input"] {
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => prompt::last_said(items),
        _ => "".into(),
    };
    let text = job.author.answer(&asked, 0);
    let text = chat::structured(&job.body["text"]["format"], &text).unwrap_or(text.into_owned());
    let (text, was_cut) = cut(&text, job.demand.max_tokens);
    let messages = job.body["input"].as_array().map_or(1, Vec::len) as u64;
    let prompt_tokens = job.demand.characters.div_ceil(4) + 3 * messages + 3;
    let completion_tokens = tokens(text);
    let usage = json!({
        "input_tokens": prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt_tokens + completion_tokens,
    });
    let body = if job.demand.stream {
        Body::Events(stream(job, text, was_cut, &usage))
    } else {
        Body::Text(end(job, text, was_cut, &usage).to_string())
    };
    Made { body, prompt_tokens, completion_tokens }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn item(job: &Job<'_>, status: &str, content: Value) -> Value {
    json!({
        "id": id("msg_", job.serial ^ 1, 48),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    })
}

/// The object as it stands before there is any output.
fn start(job: &Job<'_>) -> Value {
    let said = |name: &str, default: Value| match check::given(job.body, name) {
        Some(value) => value.clone(),
        None => default,
    };
    json!({
        "id": id("resp_", job.serial, 48),
        "object": "response",
        "created_at": job.created,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "instructions": said("instructions", Value::Null),
        "max_output_tokens": said("max_output_tokens", Value::Null),
        "model": job.model,
        "output": [],
        "parallel_tool_calls": said("parallel_tool_calls", json!(true)),
        "previous_response_id": said("previous_response_id", Value::Null),
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": said("store", json!(true)),
        "temperature": said("temperature", json!(1.0)),
        "text": said("text", json!({"format": {"type": "text"}})),
        "tool_choice": said("tool_choice", json!("auto")),
        "tools": said("tools", json!([])),
        "top_p": said("top_p", json!(1.0)),
        "truncation": "disabled",
        "usage": null,
        "user": said("user", Value::Null),
        "metadata": said("metadata", json!({})),
    })
}

/// The object as it stands at the end.
fn end(job: &Job<'_>, text: &str, was_cut: bool, usage: &Value) -> Value {
    let status = if was_cut { "incomplete" } else { "completed" };
    let mut response = start(job);
    response["status"] = json!(status);
    response["output"] = json!([item(job, status, json!([part(text)]))]);
    response["usage"] = usage.clone();
    if was_cut {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    } else {
        response["completed_at"] = json!(job.created);
    }
    response
}

fn stream(job: &Job<'_>, text: &str, was_cut: bool, usage: &Value) -> Vec<String> {
    let mut frames = Vec::new();
    let mut push = |kind: &str, mut event: Value| {
        event["type"] = json!(kind);
        event["sequence_number"] = json!(frames.len());
        frames.push(sse::event(&event));
    };
    let whole = end(job, text, was_cut, usage);
    let done = whole["output"][0].clone();
    let within = |mut event: Value| {
        event["item_id"] = done["id"].clone();
        event["output_index"] = json!(0);
        event["content_index"] = json!(0);
        event
    };
    push("response.created", json!({ "response": start(job) }));
    push("response.in_progress", json!({ "response": start(job) }));
    let empty = item(job, "in_progress", json!([]));
    push("response.output_item.added", json!({"output_index": 0, "item": empty}));
    push("response.content_part.added", within(json!({ "part": part("") })));
    for piece in pieces(text) {
        push("response.output_text.delta", within(json!({"delta": piece, "logprobs": []})));
    }
    push("response.output_text.done", within(json!({"text": text, "logprobs": []})));
    push("response.content_part.done", within(json!({ "part": part(text) })));
    push("response.output_item.done", json!({"output_index": 0, "item": done}));
    let last = if was_cut { "response.incomplete" } else { "response.completed" };
    push(last, json!({ "response": whole }));
    frames
}
