//! The batches of the simulated account.

use super::batch::Batch;
use super::batch_state::Status;
use super::check;
use super::core::Core;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::files::{limit, page};
use super::http::Head;
use super::random::{id, mix};
use super::response::Response;
use parking_lot::Mutex;
use serde_json::Value;

const ENDPOINTS: &[&str] = &[
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
];

/// All batches, oldest first.
#[derive(Default)]
pub(super) struct Batches(Mutex<Vec<Batch>>);

impl Batches {
    /// Brings every batch to where it stands now; nothing else moves them on.
    pub(super) fn tick(&self, core: &Core) {
        tick(&mut self.0.lock(), core);
    }

    /// Answers a request to `/batches`; `rest` is what follows in the path.
    pub(super) fn respond(
        &self,
        core: &Core,
        head: &Head,
        rest: &[&str],
        body: &[u8],
    ) -> Result<Response, Failure> {
        let all = &mut *self.0.lock();
        tick(all, core);
        let show = |batch: &Batch| Ok(Response::json(200, batch.object(core).to_string()));
        match (head.method(), rest) {
            ("POST", []) => {
                let batch = create(core, body)?;
                let response = show(&batch);
                all.push(batch);
                response
            }
            ("GET", []) => {
                let newest_first: Vec<_> = all.iter().rev().collect();
                let limit = limit(head, 20, 100)?;
                page(&newest_first, head.query("after"), limit, |batch| {
                    (&batch.id, batch.object(core))
                })
            }
            ("GET", [id]) => show(&all[find(all, id)?]),
            ("POST", [id, "cancel"]) => {
                let at = find(all, id)?;
                let batch = &mut all[at];
                if !batch.course.cancel(core.now()) {
                    let status = batch.course.status.name();
                    let message = format!("Cannot cancel a batch with status '{status}'.");
                    return Err(Failure::new(409, "invalid_request_error", message));
                }
                show(batch)
            }
            _ => Err(super::service::unknown(head)),
        }
    }
}

fn find(all: &[Batch], id: &str) -> Result<usize, Failure> {
    all.iter().position(|batch| batch.id == id).ok_or_else(|| {
        let message = format!("No batch found with id '{id}'.");
        Failure::new(404, "invalid_request_error", message)
    })
}

fn tick(all: &mut [Batch], core: &Core) {
    let now = core.now();
    for at in 0..all.len() {
        if all[at].course.status.is_final() {
            continue;
        }
        let mut held: Vec<(String, u64)> = Vec::new();
        if all[at].course.status == Status::Validating && core.settings.enqueued_tokens.is_some() {
            let others = all.iter().filter_map(Batch::enqueued);
            held = others.map(|(model, tokens)| (model.to_owned(), tokens)).collect();
        }
        let enqueued = |model: &str| {
            held.iter().filter(|(each, _)| each == model).map(|(_, tokens)| tokens).sum()
        };
        all[at].advance(core, &enqueued, now);
    }
}

fn create(core: &Core, body: &[u8]) -> Result<Batch, Failure> {
    let body = check::object(body)?;
    for name in ["input_file_id", "endpoint", "completion_window"] {
        if check::string(&body, name)?.is_none() {
            return Err(Failure::missing(name));
        }
    }
    let path = body["endpoint"].as_str().unwrap_or("");
    let endpoint = ENDPOINTS.contains(&path).then(|| Endpoint::at(&path[3..])).flatten();
    let Some(endpoint) = endpoint else {
        return Err(check::not_one_of("endpoint", path, ENDPOINTS));
    };
    let window = body["completion_window"].as_str().unwrap_or("");
    if window != "24h" {
        let message = format!("Invalid value: '{window}'. Supported values are: '24h'.");
        return Err(Failure::bad("completion_window", "invalid_value", message));
    }
    check_metadata(&body["metadata"])?;
    let now = core.now();
    let file_id = body["input_file_id"].as_str().unwrap_or("").to_owned();
    let content = core.files.get(&file_id, core.unix(now)).map(|file| file.content.clone());
    let id = id("batch_", mix(core.settings.seed, core.serial()), 32);
    let mut batch = Batch::new(id, endpoint, file_id, content, now);
    batch.metadata = body["metadata"].clone();
    batch.output_life = body["output_expires_after"]["seconds"].as_u64();
    Ok(batch)
}

fn check_metadata(metadata: &Value) -> Result<(), Failure> {
    let pairs = match metadata {
        Value::Null => return Ok(()),
        Value::Object(pairs) => pairs,
        other => return Err(Failure::wrong_type("metadata", "an object", other)),
    };
    for (name, value) in pairs {
        if !value.is_string() {
            return Err(Failure::wrong_type(&format!("metadata.{name}"), "a string", value));
        }
    }
    if pairs.len() > 16 {
        let message = format!(
            "Invalid 'metadata': too many properties. Expected an object with at most 16 \
             properties, but got an object with {} properties instead.",
            pairs.len()
        );
        return Err(Failure::bad("metadata", "object_above_max_properties", message));
    }
    Ok(())
}
