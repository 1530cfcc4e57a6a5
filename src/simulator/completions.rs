//! `POST /v1/completions`, the older endpoint without messages.

use super::answers::{cut, pieces, tokens};
use super::check;
use super::endpoint::{Demand, Job, Made};
use super::failure::Failure;
use super::random::id;
use super::response::Body;
use super::sse;
use serde_json::{Value, json};

/// What this endpoint produces where nothing is said: 16 tokens.
const DEFAULT_MAX_TOKENS: u64 = 16;

pub(super) fn check(body: &Value) -> Result<Demand, Failure> {
    let prompts = prompts(body)?;
    let max_tokens = check::integer(body, "max_tokens", 0, i64::MAX)?.unwrap_or(DEFAULT_MAX_TOKENS);
    let n = check::integer(body, "n", 1, 128)?.unwrap_or(1);
    check::number(body, "temperature", 0.0, 2.0)?;
    let (stream, include_usage) = check::streaming(body)?;
    Ok(Demand {
        characters: prompts.iter().map(|(_, characters)| characters).sum(),
        max_tokens: Some(max_tokens),
        choices: n * prompts.len() as u64,
        stream,
        include_usage,
    })
}

/// The prompts as text, each with its number of characters; a token counts as four.
fn prompts(body: &Value) -> Result<Vec<(String, u64)>, Failure> {
    let wrong = |value| {
        let wanted = "a string, array of strings, array of tokens, or array of token arrays";
        Failure::wrong_type("prompt", wanted, value)
    };
    let text = |text: &str| (text.to_owned(), text.chars().count() as u64);
    let ids = |ids: &[Value]| (format!("{ids:?}"), 4 * ids.len() as u64);
    match check::given(body, "prompt") {
        None => Ok(vec![text("<|endoftext|>")]),
        Some(Value::String(prompt)) => Ok(vec![text(prompt)]),
        Some(Value::Array(all)) if all.is_empty() => Err(check::empty_array("prompt")),
        Some(Value::Array(all)) if all.iter().all(Value::is_u64) => Ok(vec![ids(all)]),
        Some(Value::Array(all)) => all
            .iter()
            .map(|each| match each {
                Value::String(prompt) => Ok(text(prompt)),
                Value::Array(tokens) if tokens.iter().all(Value::is_u64) => Ok(ids(tokens)),
                other => Err(wrong(other)),
            })
            .collect(),
        Some(other) => Err(wrong(other)),
    }
}

pub(super) fn answer(job: &Job<'_>) -> Made {
    let prompts = prompts(job.body).unwrap_or_default();
    let each = job.demand.choices / (prompts.len() as u64).max(1);
    let most = job.demand.max_tokens;
    let mut choices = Vec::new();
    for (prompt, _) in &prompts {
        for index in 0..each {
            let text = job.author.answer(prompt, index);
            let (kept, was_cut) = cut(&text, most);
            choices.push((kept.to_owned(), if was_cut { "length" } else { "stop" }));
        }
    }
    let prompt_tokens = prompts.iter().map(|(_, characters)| characters.div_ceil(4)).sum::<u64>();
    let completion_tokens = choices.iter().map(|(text, _)| tokens(text)).sum::<u64>();
    let usage = json!({
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    });
    let whole = |choices: Vec<Value>| {
        json!({
            "id": id("cmpl-", job.serial, 24),
            "object": "text_completion",
            "created": job.created,
            "model": job.model,
            "system_fingerprint": "fp_simulated",
            "choices": choices,
        })
    };
    let choice = |index: usize, text: &str, finish: Value| json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish});
    if !job.demand.stream {
        let list = choices.iter().enumerate();
        let mut body = whole(list.map(|(at, (text, end))| choice(at, text, json!(end))).collect());
        body["usage"] = usage;
        return Made { body: Body::Text(body.to_string()), prompt_tokens, completion_tokens };
    }
    let mut frames = Vec::new();
    for (at, (text, finish)) in choices.iter().enumerate() {
        for piece in pieces(text) {
            frames.push(sse::data(&whole(vec![choice(at, piece, Value::Null)])));
        }
        frames.push(sse::data(&whole(vec![choice(at, "", json!(finish))])));
    }
    if job.demand.include_usage {
        let mut last = whole(Vec::new());
        last["usage"] = usage;
        frames.push(sse::data(&last));
    }
    frames.push(sse::DONE.into());
    Made { body: Body::Events(frames), prompt_tokens, completion_tokens }
}
