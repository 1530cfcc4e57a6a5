//! One batch: its course through time, its requests and its files.

use super::batch_input::{self, Input, error};
use super::batch_state::{Course, Status};
use super::core::Core;
use super::endpoint::{Demand, Endpoint, Job};
use super::failure::Failure;
use super::random::{Row, hash, id, mix, unit};
use crate::clock::Time;
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;

/// A batch.
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) course: Course,
    pub(super) endpoint: Endpoint,
    pub(super) input_file_id: String,
    pub(super) metadata: Value,
    /// Seconds that the files of results live.
    pub(super) output_life: Option<u64>,
    content: Option<Arc<Vec<u8>>>,
    input: Option<Result<Input, Vec<Value>>>,
    /// The lines in the order in which they are worked off.
    order: Vec<Range<usize>>,
    results: Results,
}

#[derive(Default)]
struct Results {
    worked: usize,
    output: String,
    errors: String,
    completed: u64,
    failed: u64,
    input_tokens: u64,
    output_tokens: u64,
    output_file: Option<String>,
    error_file: Option<String>,
    is_written: bool,
}

impl Batch {
    pub(super) fn new(
        id: String,
        endpoint: Endpoint,
        input_file_id: String,
        content: Option<Arc<Vec<u8>>>,
        now: Time,
    ) -> Batch {
        Batch {
            id,
            course: Course::new(now),
            endpoint,
            input_file_id,
            metadata: Value::Null,
            output_life: None,
            content,
            input: None,
            order: Vec::new(),
            results: Results::default(),
        }
    }

    /// Tokens of this batch that count against the limit of its model, while it is not done.
    pub(super) fn enqueued(&self) -> Option<(&str, u64)> {
        match &self.input {
            Some(Ok(input)) if !self.course.status.is_final() => Some((&input.model, input.tokens)),
            _ => None,
        }
    }

    /// Goes on to where it stands at `now`; `enqueued` is what other batches hold of a model.
    pub(super) fn advance(&mut self, core: &Core, enqueued: &dyn Fn(&str) -> u64, now: Time) {
        let speed = &core.settings.batch_speed;
        let validating = self.course.status == Status::Validating;
        if validating && self.input.is_none() && now >= self.course.is_validated_at(speed) {
            self.input = Some(self.validate(core, enqueued));
            if let Some(Ok(input)) = &mut self.input {
                self.order = std::mem::take(&mut input.lines);
                shuffle(&mut self.order, hash(core.settings.seed, self.id.as_bytes()));
            }
        }
        let total = match &self.input {
            Some(Err(_)) => None,
            _ => Some(self.order.len()),
        };
        self.course.advance(speed, total, now);
        while self.results.worked < self.course.done {
            self.work(core);
        }
        if self.course.status.is_final() && !self.results.is_written {
            self.write(core, now);
        }
    }

    fn validate(&self, core: &Core, enqueued: &dyn Fn(&str) -> u64) -> Result<Input, Vec<Value>> {
        let Some(content) = &self.content else {
            let message = format!(
                "Cannot find file {}, or organization {} does not have access to it.",
                self.input_file_id, core.settings.organization
            );
            return Err(vec![error("invalid_request", &message, Some("file_id"), None)]);
        };
        let known = |model: &str| core.knows(model);
        let input = batch_input::check(content, self.endpoint, &known)?;
        match core.settings.enqueued_tokens {
            Some(limit) if enqueued(&input.model) + input.tokens > limit => {
                let message = format!(
                    "Enqueued token limit reached for {} in organization {}. Limit: {} enqueued \
                     tokens. Please try again once some in_progress batches have been completed.",
                    input.model,
                    core.settings.organization,
                    grouped(limit)
                );
                Err(vec![error("token_limit_exceeded", &message, None, None)])
            }
            _ => Ok(input),
        }
    }

    /// Works off the next request.
    fn work(&mut self, core: &Core) {
        let serial = core.serial();
        let content = self.content.as_ref().expect("there are lines");
        let line = &content[self.order[self.results.worked].clone()];
        self.results.worked += 1;
        let row: Value = serde_json::from_slice(line).unwrap_or_default();
        let results = &mut self.results;
        let (status, body) = match answer(core, self.endpoint, &row, serial) {
            Ok((body, prompt_tokens, completion_tokens)) => {
                results.completed += 1;
                results.input_tokens += prompt_tokens;
                results.output_tokens += completion_tokens;
                (200, body)
            }
            Err(failure) => {
                results.failed += 1;
                (failure.status, json!({ "error": failure.object() }).to_string())
            }
        };
        let file = if status == 200 { &mut results.output } else { &mut results.errors };
        file.push_str(&format!(
            "{{\"id\":\"{}\",\"custom_id\":{},\"response\":{{\"status_code\":{status},\
             \"request_id\":\"{}\",\"body\":{body}}},\"error\":null}}\n",
            id("batch_req_", serial, 24),
            row["custom_id"],
            id("req_", mix(serial, 1), 32),
        ));
    }

    /// Writes the files of results. Requests that were not worked off are said to be lost.
    fn write(&mut self, core: &Core, now: Time) {
        let results = &mut self.results;
        results.is_written = true;
        let lost = match self.course.status {
            Status::Expired => {
                let message =
                    "This request could not be executed before the completion window expired.";
                ("batch_expired", message)
            }
            _ => ("batch_cancelled", "This request was not executed: the batch was cancelled."),
        };
        for range in &self.order[results.worked..] {
            let line = &self.content.as_ref().expect("there are lines")[range.clone()];
            let row: Value = serde_json::from_slice(line).unwrap_or_default();
            let row = json!({
                "id": id("batch_req_", core.serial(), 24),
                "custom_id": row["custom_id"],
                "response": null,
                "error": {"code": lost.0, "message": lost.1},
            });
            results.failed += 1;
            results.errors.push_str(&format!("{row}\n"));
        }
        let created = core.unix(now);
        let expires = self.output_life.map(|life| created + life);
        let store = |kind: &str, text: String| {
            // A batch whose requests all failed has no output file at all.
            (!text.is_empty()).then(|| {
                let name = format!("{}_{kind}.jsonl", self.id);
                let bytes = text.into_bytes();
                core.files.store(name, "batch_output", bytes, created, expires).id.clone()
            })
        };
        results.output_file = store("output", std::mem::take(&mut results.output));
        results.error_file = store("error", std::mem::take(&mut results.errors));
        if results.error_file.is_none() && core.settings.empty_error_file_id {
            results.error_file = Some(String::new());
        }
        self.content = None;
    }

    /// The object that the API shows.
    pub(super) fn object(&self, core: &Core) -> Value {
        let at = |status| self.course.reached(status).map(|at| core.unix(at));
        let window = core.settings.batch_speed.window;
        let created = self.course.reached(Status::Validating).unwrap_or_default();
        let errors = match &self.input {
            Some(Err(errors)) => json!({"object": "list", "data": errors}),
            _ => Value::Null,
        };
        let results = &self.results;
        json!({
            "id": self.id,
            "object": "batch",
            "endpoint": format!("/v1{}", self.endpoint.path()),
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": self.course.status.name(),
            "output_file_id": results.output_file,
            "error_file_id": results.error_file,
            "created_at": core.unix(created),
            "in_progress_at": at(Status::InProgress),
            "expires_at": core.unix(created + window),
            "finalizing_at": at(Status::Finalizing),
            "completed_at": at(Status::Completed),
            "failed_at": at(Status::Failed),
            "expired_at": at(Status::Expired),
            "cancelling_at": at(Status::Cancelling),
            "cancelled_at": at(Status::Cancelled),
            "request_counts": {
                "total": self.order.len(),
                "completed": results.completed,
                "failed": results.failed,
            },
            "usage": {
                "input_tokens": results.input_tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": results.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": results.input_tokens + results.output_tokens,
            },
            "metadata": self.metadata,
        })
    }
}

/// Answers the request of one line: the body, and its tokens in and out.
fn answer(
    core: &Core,
    endpoint: Endpoint,
    row: &Value,
    serial: u64,
) -> Result<(String, u64, u64), Failure> {
    let body = &row["body"];
    let demand: Demand = endpoint.check(body)?;
    let custom_id = row["custom_id"].to_string();
    let roll = unit(hash(mix(core.settings.seed, 0xBA7C4), custom_id.as_bytes()));
    if roll < core.settings.batch_line_failures {
        let message = "The server had an error while processing your request. Sorry about that!";
        return Err(Failure::new(500, "server_error", message));
    }
    let model = body["model"].as_str().or(endpoint.default_model()).unwrap_or("");
    let created = core.unix(core.now());
    let job = Job { author: &core.author, body, model, demand: &demand, created, serial };
    let made = endpoint.answer(&job);
    core.stats.billed(made.prompt_tokens, made.completion_tokens);
    let text = String::from_utf8_lossy(&made.body.bytes()).into_owned();
    Ok((text, made.prompt_tokens, made.completion_tokens))
}

/// Results come in another order than requests went.
fn shuffle(order: &mut [Range<usize>], seed: u64) {
    let mut row = Row::new(seed);
    for at in (1..order.len()).rev() {
        order.swap(at, row.below(at + 1));
    }
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_have_commas() {
        assert_eq!(grouped(900_000), "900,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
    }
}
