//! What a summary tells.

use crate::bulk::{Status, Summary};
use serde::Deserialize;
use serde_json::Value;

/// What a summary tells, of whichever way the rows went.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) run: Summary,
    /// How the run ended, in the summary's word.
    pub(super) status: String,
    /// Its batches.
    pub(super) parts: Vec<Part>,
}

/// A batch of a run.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    pub(super) part: u32,
    pub(super) model: String,
    pub(super) state: String,
    pub(super) rows: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) left: u64,
    pub(super) age_seconds: Option<u64>,
    pub(super) trouble: Option<String>,
}

impl Told {
    /// Reads a summary. What it has and this version does not know is passed over.
    pub(super) fn read(mut all: Value) -> Result<Told, String> {
        let status = all.get("status").and_then(Value::as_str).unwrap_or_default().to_owned();
        // A later version may end in ways that this one has no name for.
        if let Some(fields) = all.as_object_mut()
            && fields.get("status").is_some_and(|status| Status::deserialize(status).is_err())
        {
            fields.remove("status");
        }
        let parts = all.get("parts").map(Vec::<Part>::deserialize);
        let parts = parts.transpose().map_err(|e| format!("`parts`: {e}"))?.unwrap_or_default();
        let run = Summary::deserialize(&all).map_err(|e| e.to_string())?;
        Ok(Told { run, status, parts })
    }
}
