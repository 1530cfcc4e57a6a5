//! The files of the simulated account.

use super::failure::Failure;
use super::http::Head;
use super::multipart;
use super::random::{id, mix};
use super::response::Response;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// Thirty days, after which batch files go away.
const BATCH_FILE_LIFE: u64 = 30 * 86_400;

const PURPOSES: &[&str] = &["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

/// A file that was uploaded or made by a batch.
#[derive(Debug)]
pub(super) struct StoredFile {
    pub(super) id: String,
    pub(super) filename: String,
    pub(super) purpose: String,
    pub(super) created: u64,
    pub(super) expires: Option<u64>,
    pub(super) content: Arc<Vec<u8>>,
}

/// All files, oldest first.
pub(super) struct Files {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    serial: u64,
    all: Vec<Arc<StoredFile>>,
}

impl StoredFile {
    fn object(&self) -> Value {
        json!({
            "id": self.id,
            "object": "file",
            "bytes": self.content.len(),
            "created_at": self.created,
            "expires_at": self.expires,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": null,
        })
    }
}

impl Files {
    pub(super) fn new(seed: u64) -> Files {
        Files { seed: mix(seed, 0xF11E), state: Mutex::default() }
    }

    /// Keeps a new file.
    pub(super) fn store(
        &self,
        filename: String,
        purpose: &str,
        content: Vec<u8>,
        created: u64,
        expires: Option<u64>,
    ) -> Arc<StoredFile> {
        let mut state = self.state.lock();
        state.serial += 1;
        let file = Arc::new(StoredFile {
            id: id("file-", mix(self.seed, state.serial), 22),
            filename,
            purpose: purpose.into(),
            created,
            expires,
            content: Arc::new(content),
        });
        state.all.push(file.clone());
        file
    }

    pub(super) fn get(&self, id: &str, now: u64) -> Option<Arc<StoredFile>> {
        let state = self.state.lock();
        let file = state.all.iter().rev().find(|file| file.id == id)?;
        file.expires.is_none_or(|at| now < at).then(|| file.clone())
    }

    /// Answers a request to `/files`; `rest` is what follows in the path.
    pub(super) fn respond(
        &self,
        head: &Head,
        rest: &[&str],
        body: &[u8],
        now: u64,
    ) -> Result<Response, Failure> {
        match (head.method(), rest) {
            ("POST", []) => self.upload(head, body, now),
            ("GET", []) => self.list(head, now),
            ("GET", [id]) => {
                self.known(id, now).map(|file| Response::json(200, file.object().to_string()))
            }
            ("GET", [id, "content"]) => {
                self.known(id, now).map(|file| Response::file(file.content.clone()))
            }
            ("DELETE", [id]) => {
                let file = self.known(id, now)?;
                self.state.lock().all.retain(|each| each.id != file.id);
                let body = json!({"id": file.id, "object": "file", "deleted": true});
                Ok(Response::json(200, body.to_string()))
            }
            _ => Err(super::service::unknown(head)),
        }
    }

    fn known(&self, id: &str, now: u64) -> Result<Arc<StoredFile>, Failure> {
        self.get(id, now).ok_or_else(|| {
            let message = format!("No such File object: {id}");
            Failure::new(404, "invalid_request_error", message).param("id")
        })
    }

    fn upload(&self, head: &Head, body: &[u8], now: u64) -> Result<Response, Failure> {
        let boundary = head.header("content-type").and_then(multipart::boundary);
        let Some(boundary) = boundary else {
            return Err(Failure::plain("Expected a body of multipart/form-data."));
        };
        let parts = multipart::parse(body, boundary)
            .map_err(|why| Failure::plain(format!("Could not parse multipart form: {why}.")))?;
        let field = |name: &str| parts.iter().find(|part| part.name == name);
        let text = |name: &str| {
            field(name).and_then(|part| std::str::from_utf8(&body[part.content.clone()]).ok())
        };
        let file = field("file").ok_or_else(|| Failure::missing("file"))?;
        let purpose = text("purpose").ok_or_else(|| Failure::missing("purpose"))?;
        if !PURPOSES.contains(&purpose) {
            return Err(super::check::not_one_of("purpose", purpose, PURPOSES));
        }
        let filename = file.filename.clone().unwrap_or_else(|| "file".into());
        let content = &body[file.content.clone()];
        if purpose == "batch" && !could_be_a_batch(&filename, content) {
            return Ok(not_a_batch());
        }
        let asked = match text("expires_after[seconds]") {
            Some(seconds) => Some(life(seconds)?),
            None => (purpose == "batch").then_some(BATCH_FILE_LIFE),
        };
        let expires = asked.map(|life| now + life);
        let file = self.store(filename, purpose, content.to_vec(), now, expires);
        Ok(Response::json(200, file.object().to_string()))
    }

    fn list(&self, head: &Head, now: u64) -> Result<Response, Failure> {
        let limit = limit(head, 10_000, 10_000)?;
        let mut all = self.state.lock().all.clone();
        all.retain(|file| file.expires.is_none_or(|at| now < at));
        if let Some(purpose) = head.query("purpose") {
            all.retain(|file| file.purpose == purpose);
        }
        if head.query("order") != Some("asc") {
            all.reverse();
        }
        page(&all, head.query("after"), limit, |file| (&file.id, file.object()))
    }
}

fn life(seconds: &str) -> Result<u64, Failure> {
    match seconds.parse() {
        Ok(seconds @ 3_600..=2_592_000) => Ok(seconds),
        _ => {
            let message =
                "Invalid 'expires_after.seconds': expected a value between 3600 and 2592000.";
            Err(Failure::bad("expires_after.seconds", "invalid_value", message))
        }
    }
}

/// Whether the upload of a batch is accepted.
///
/// A file with a broken line is accepted and fails later, as a batch; only one without any line of
/// JSON is refused at once.
fn could_be_a_batch(filename: &str, content: &[u8]) -> bool {
    let is_json = |line: &[u8]| {
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
    };
    filename.ends_with(".jsonl") && content.split(|byte| *byte == b'\n').any(is_json)
}

/// The one error that says itself twice.
fn not_a_batch() -> Response {
    let failure = Failure::plain("Invalid file format for Batch API. Must be .jsonl");
    let detail = json!({"message": failure.message, "code": null});
    Response::json(400, json!({"error": failure.object(), "detail": detail}).to_string())
}

/// The `limit` of a list.
pub(super) fn limit(head: &Head, default: usize, most: usize) -> Result<usize, Failure> {
    match head.query("limit").map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
        Some(Ok(limit)) if limit > most => {
            let message = format!(
                "Invalid 'limit': integer above maximum value. Expected a value <= {most}, but got \
                 {limit} instead."
            );
            Err(Failure::bad("limit", "integer_above_max_value", message))
        }
        Some(_) => {
            let message = "Invalid 'limit': integer below minimum value. Expected a value >= 1.";
            Err(Failure::bad("limit", "integer_below_min_value", message))
        }
    }
}

/// One page of a list: what follows `after`, up to `limit` entries.
pub(super) fn page<T>(
    all: &[T],
    after: Option<&str>,
    limit: usize,
    show: impl Fn(&T) -> (&str, Value),
) -> Result<Response, Failure> {
    let start = match after {
        None => 0,
        Some(after) => match all.iter().position(|each| show(each).0 == after) {
            Some(at) => at + 1,
            None => {
                let message = format!("Invalid 'after': no object with id '{after}'.");
                return Err(Failure::bad("after", "invalid_value", message));
            }
        },
    };
    let shown: Vec<_> = all[start..].iter().take(limit).map(&show).collect();
    let body = json!({
        "object": "list",
        "first_id": shown.first().map(|(id, _)| id),
        "last_id": shown.last().map(|(id, _)| id),
        "has_more": start + shown.len() < all.len(),
        "data": shown.iter().map(|(_, object)| object).collect::<Vec<_>>(),
    });
    Ok(Response::json(200, body.to_string()))
}
