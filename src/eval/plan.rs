//! The requests of an evaluation, written as `run` takes them.

use super::dataset::Dataset;
use super::files::Whole;
use super::prompt::Prompt;
use super::sample::Task;
use crate::bulk::input::{Line, Lines, Source};
use crate::error::{Error, Result};
use crate::wire::row::id_hash;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// Writes a request for each sample and epoch.
///
/// The same data set, prompt and epochs make the same bytes, so that a run over them goes on.
pub(super) fn write(
    dataset: &Dataset,
    prompt: &Prompt,
    epochs: u32,
    model: &str,
    path: &Path,
) -> Result<()> {
    let mut out = Whole::create(path)?;
    // The row that each request is of: two of one id would share an answer.
    let mut rows = HashMap::new();
    for sample in dataset.samples()? {
        let sample = sample?;
        let wrong = |message| Error::invalid(dataset.place(sample.row), message);
        let body = prompt.body(&sample, model).map_err(wrong)?;
        for epoch in 1..=epochs.max(1) {
            let task = Task::new(&sample, epoch);
            let id = task.custom_id();
            if let Some(first) = rows.insert(id_hash(&id), sample.row) {
                return Err(wrong(format!(
                    "`{id}` is the id of row {first} too: give one of them another id, or name the \
                     field that has ids with --id"
                )));
            }
            out.line(&Request::new(&id, prompt.url(), &body, &task))?;
        }
    }
    if rows.is_empty() {
        let name = dataset.path().display().to_string();
        return Err(Error::invalid(name, "the data set has no samples, or all are left out"));
    }
    out.finish()
}

/// A line of requests.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    custom_id: &'a str,
    method: &'static str,
    url: &'a str,
    body: &'a Value,
    metadata: Value,
}

impl<'a> Request<'a> {
    pub(super) fn new(
        custom_id: &'a str,
        url: &'a str,
        body: &'a Value,
        task: &Task,
    ) -> Request<'a> {
        Request { custom_id, method: "POST", url, body, metadata: json!(task) }
    }
}

/// What was asked, read from a line of requests.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    custom_id: String,
    body: Body,
    #[serde(rename = "metadata")]
    pub(super) task: Task,
}

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    model: String,
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    input: Vec<Value>,
}

impl Asked {
    pub(super) fn id_hash(&self) -> u64 {
        id_hash(&self.custom_id)
    }

    pub(super) fn model(&self) -> &str {
        &self.body.model
    }

    pub(super) fn messages(&self) -> &[Value] {
        if self.body.messages.is_empty() { &self.body.input } else { &self.body.messages }
    }

    /// The text of the last message of the user.
    pub(super) fn question(&self) -> String {
        let users = self.messages().iter().rev().find(|message| message["role"] == "user");
        match users.map(|message| &message["content"]) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => {
                parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
            }
            _ => String::new(),
        }
    }
}

/// The requests that were written, one after the other.
pub(super) struct Requests(Lines, String);

impl Requests {
    pub(super) fn open(path: &Path) -> Result<Requests> {
        let source = Source::open(path)?;
        Ok(Requests(source.lines()?, source.name()))
    }
}

impl Iterator for Requests {
    type Item = Result<Asked>;

    fn next(&mut self) -> Option<Result<Asked>> {
        let Requests(lines, name) = self;
        let (number, asked) = match lines.next_line().transpose()? {
            Err(error) => return Some(Err(error)),
            Ok(Line::Text(number, text)) => (number, serde_json::from_slice(text).ok()),
            Ok(Line::TooLong(number)) => (number, None),
        };
        let wrong = || Error::invalid(format!("{name}:{number}"), "not a request of an evaluation");
        Some(asked.ok_or_else(wrong))
    }
}
