//! `POST /v1/chat/completions`.

use super::answers::{cut, pieces, tokens};
use super::check;
use super::endpoint::{Demand, Job, Made};
use super::failure::Failure;
use super::random::id;
use super::response::Body;
use super::{prompt, schema, sse};
use serde::Serialize;
use serde_json::{Value, json};

const ROLES: &[&str] = &["system", "assistant", "user", "function", "tool", "developer"];
const MANY: i64 = i64::MAX;

pub(super) fn check(body: &Value) -> Result<Demand, Failure> {
    let messages = match check::given(body, "messages") {
        None => return Err(Failure::missing("messages")),
        Some(Value::Array(messages)) => messages,
        Some(other) => {
            return Err(Failure::wrong_type("messages", "an array of objects", other));
        }
    };
    if messages.is_empty() {
        return Err(check::empty_array("messages"));
    }
    for (at, message) in messages.iter().enumerate() {
        check_message(at, message)?;
    }
    let old = check::integer(body, "max_tokens", 1, MANY)?;
    let max_tokens = check::integer(body, "max_completion_tokens", 1, MANY)?.or(old);
    let choices = check::integer(body, "n", 1, 128)?.unwrap_or(1);
    check::number(body, "temperature", 0.0, 2.0)?;
    check::number(body, "top_p", 0.0, 1.0)?;
    check::number(body, "presence_penalty", -2.0, 2.0)?;
    check::number(body, "frequency_penalty", -2.0, 2.0)?;
    let (stream, include_usage) = check::streaming(body)?;
    Ok(Demand {
        characters: prompt::characters(messages),
        max_tokens,
        choices,
        stream,
        include_usage,
    })
}

fn check_message(at: usize, message: &Value) -> Result<(), Failure> {
    let name = |field: &str| format!("messages[{at}]{field}");
    if !message.is_object() {
        return Err(Failure::wrong_type(&name(""), "an object", message));
    }
    let role = match check::given(message, "role") {
        None => return Err(Failure::missing(&name(".role"))),
        Some(Value::String(role)) => role,
        Some(other) => return Err(Failure::wrong_type(&name(".role"), "a string", other)),
    };
    if !ROLES.contains(&role.as_str()) {
        return Err(check::not_one_of(&name(".role"), role, ROLES));
    }
    match &message["content"] {
        Value::String(_) | Value::Array(_) => Ok(()),
        // An assistant that only called tools said nothing.
        Value::Null if matches!(role.as_str(), "assistant" | "function") => Ok(()),
        Value::Null => {
            Err(Failure::plain("Invalid value for 'content': expected a string, got null.")
                .param(name(".content")))
        }
        other => {
            let wanted = "one of a string or array of objects";
            Err(Failure::wrong_type(&name(".content"), wanted, other))
        }
    }
}

/// One of the answers to a request.
struct Choice {
    text: String,
    call: Option<Value>,
    finish: &'static str,
    tokens: u64,
}

fn choose(job: &Job<'_>, asked: &str, index: u64) -> Choice {
    let text = job.author.answer(asked, index);
    if let Some(function) = called(job.body) {
        let arguments = schema::example(&function["parameters"], &text).to_string();
        let tokens = tokens(&arguments) + 1;
        let call = json!({
            "id": id("call_", job.serial.wrapping_add(index), 24),
            "type": "function",
            "function": {"name": function["name"], "arguments": arguments},
        });
        return Choice { text: String::new(), call: Some(call), finish: "tool_calls", tokens };
    }
    let text = structured(&job.body["response_format"], &text).unwrap_or(text.into_owned());
    let (kept, was_cut) = cut(&text, job.demand.max_tokens);
    Choice {
        tokens: tokens(kept),
        text: kept.to_owned(),
        call: None,
        finish: if was_cut { "length" } else { "stop" },
    }
}

/// The function that the request says must be called.
fn called(body: &Value) -> Option<&Value> {
    let functions = || body["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]);
    match &body["tool_choice"] {
        Value::String(how) if how == "required" => functions().next(),
        Value::Object(one) => {
            let name = one.get("function").map(|function| &function["name"]);
            functions().find(|function| name == Some(&function["name"]))
        }
        _ => None,
    }
}

/// The answer in the JSON that `format` asks for, if it does.
pub(super) fn structured(format: &Value, text: &str) -> Option<String> {
    match format["type"].as_str() {
        Some("json_object") => Some(json!({ "answer": text }).to_string()),
        Some("json_schema") => {
            // Chat nests the schema once more than Responses does.
            let schema = format.get("json_schema").unwrap_or(format).get("schema")?;
            Some(schema::example(schema, text).to_string())
        }
        _ => None,
    }
}

pub(super) fn answer(job: &Job<'_>) -> Made {
    let messages = job.body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let asked = prompt::last_said(messages);
    let choices: Vec<_> = (0..job.demand.choices).map(|index| choose(job, &asked, index)).collect();
    // Each message costs three tokens besides its text, and so does the start of the answer.
    let prompt_tokens = job.demand.characters.div_ceil(4) + 3 * messages.len() as u64 + 3;
    let completion_tokens = choices.iter().map(|choice| choice.tokens).sum();
    let usage = Usage::new(prompt_tokens, completion_tokens);
    let body = if job.demand.stream {
        Body::Events(stream(job, &choices, &usage))
    } else {
        Body::Text(whole(job, &choices, usage))
    };
    Made { body, prompt_tokens, completion_tokens }
}

/// What is written for most requests by far, so that it is not built as a tree of values first.
#[derive(Serialize)]
struct Reply<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<ReplyChoice<'a>>,
    usage: Usage,
    service_tier: &'static str,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct ReplyChoice<'a> {
    index: usize,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<()>,
    annotations: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[&'a Value; 1]>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Default, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Default, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl Usage {
    fn new(prompt_tokens: u64, completion_tokens: u64) -> Usage {
        Usage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails::default(),
            completion_tokens_details: CompletionDetails::default(),
        }
    }
}

fn whole(job: &Job<'_>, choices: &[Choice], usage: Usage) -> String {
    fn show((index, choice): (usize, &Choice)) -> ReplyChoice<'_> {
        ReplyChoice {
            index,
            message: Message {
                role: "assistant",
                content: choice.call.is_none().then_some(&choice.text),
                refusal: None,
                annotations: [],
                tool_calls: choice.call.as_ref().map(|call| [call]),
            },
            logprobs: None,
            finish_reason: choice.finish,
        }
    }
    let reply = Reply {
        id: id("chatcmpl-", job.serial, 29),
        object: "chat.completion",
        created: job.created,
        model: job.model,
        choices: choices.iter().enumerate().map(show).collect(),
        usage,
        service_tier: "default",
        system_fingerprint: "fp_simulated",
    };
    serde_json::to_string(&reply).expect("it has nothing that JSON cannot hold")
}

fn stream(job: &Job<'_>, choices: &[Choice], usage: &Usage) -> Vec<String> {
    let mut frames = Vec::new();
    let id = id("chatcmpl-", job.serial, 29);
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": job.created,
            "model": job.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
            "choices": choices,
        });
        if job.demand.include_usage {
            chunk["usage"] = usage;
        }
        sse::data(&chunk)
    };
    for (index, choice) in choices.iter().enumerate() {
        let mut push = |delta: Value, finish: Value| {
            let choice = json!([{
                "index": index, "delta": delta, "logprobs": null, "finish_reason": finish,
            }]);
            frames.push(chunk(choice, Value::Null));
        };
        push(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
        if let Some(call) = &choice.call {
            let mut call = call.clone();
            call["index"] = json!(0);
            push(json!({ "tool_calls": [call] }), Value::Null);
        }
        for piece in pieces(&choice.text) {
            push(json!({ "content": piece }), Value::Null);
        }
        push(json!({}), json!(choice.finish));
    }
    if job.demand.include_usage {
        frames.push(chunk(json!([]), json!(usage)));
    }
    frames.push(sse::DONE.into());
    frames
}
