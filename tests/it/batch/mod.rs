//! Batches, from a file to a file.
//!
//! - `flow` - every state, in virtual time.
//! - `refused` - every error of an input, and files that are odd.
//! - `doubt` - a server whose word cannot be taken.
//! - `queue` - the server's limit of enqueued tokens.
//! - `crash` - real processes that are killed before and after each step.
//! - `money` - caps over batches and live requests, and what is under way beside an output.
//! - `large` - a hundred thousand rows, and a day of waiting.

mod crash;
mod doubt;
mod flow;
mod large;
mod money;
mod queue;
mod refused;

use openai_bulk::batch::{BatchOptions, BatchRun, BatchSummary, Batches, PartLimits, Store};
use openai_bulk::clock::{Clock, ManualClock};
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::simulator::{InProcess, Simulator, SimulatorBuilder};
use openai_bulk::transport::Transport;
use openai_bulk::{Client, Error};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A folder with an input, and a server whose time is ours.
pub struct Bench {
    pub folder: TempDir,
    pub clock: ManualClock,
    pub server: InProcess,
    pub options: BatchOptions,
    pub key: &'static str,
}

pub fn bench(builder: SimulatorBuilder) -> Bench {
    let clock = ManualClock::new();
    let server = builder.clock(Arc::new(clock.clone())).log_requests(100_000).in_process();
    let mut options = BatchOptions::default();
    options.limits = few(4);
    Bench { folder: tempfile::tempdir().unwrap(), clock, server, options, key: "sk-of-the-test" }
}

pub fn simulator() -> SimulatorBuilder {
    Simulator::builder()
}

pub fn few(rows: u64) -> PartLimits {
    let mut limits = PartLimits::default();
    limits.rows = rows;
    limits
}

/// A line of input.
pub fn chat(n: usize) -> String {
    format!(
        r#"{{"custom_id":"r{n}","method":"POST","url":"/v1/chat/completions","body":{{"model":"gpt-4o-mini","max_tokens":50,"messages":[{{"role":"user","content":"question {n}?"}}]}}}}"#
    ) + "\n"
}

pub fn chats(count: usize) -> String {
    (0..count).map(chat).collect()
}

/// A client that reaches `transport`, in the time of `clock`.
pub fn client(transport: impl Transport, clock: &ManualClock, key: &str) -> Client {
    let config = Config::new().base_url("http://simulated/v1").api_key(ApiKey::new(key).unwrap());
    Client::builder(config).transport(transport).clock(clock.clone()).build().unwrap()
}

impl Bench {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, text: impl AsRef<[u8]>) -> &Bench {
        std::fs::write(self.path("in.jsonl"), text).unwrap();
        self
    }

    pub fn batches(&self) -> Batches {
        self.batches_over(self.server.clone())
    }

    pub fn batches_over(&self, transport: impl Transport) -> Batches {
        let store = Store::open(self.path("store.db")).unwrap();
        let client = client(transport, &self.clock, self.key);
        client.batches_with(store, self.options.clone()).unwrap()
    }

    pub fn job(&self) -> BatchRun {
        BatchRun::new(self.batches(), self.path("in.jsonl"), self.path("out.jsonl"))
    }

    pub fn run(&self) -> Result<BatchSummary, Error> {
        self.job().run(|_| {})
    }

    /// The lines of the output by their ids; two of one id are a failure.
    pub fn rows(&self) -> BTreeMap<String, Value> {
        rows(&std::fs::read_to_string(self.path("out.jsonl")).unwrap())
    }

    /// How many requests the server got for a method and a path.
    pub fn asked(&self, method: &str, path: &str) -> usize {
        let is_it = |r: &openai_bulk::simulator::Received| r.method == method && r.path == path;
        self.server.received().iter().filter(|each| is_it(each)).count()
    }

    /// Hours since the start.
    pub fn hours(&self) -> f64 {
        self.clock.now().since_origin().as_secs_f64() / 3_600.0
    }
}

pub fn rows(text: &str) -> BTreeMap<String, Value> {
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["custom_id"].as_str().unwrap().to_owned();
        assert!(rows.insert(id.clone(), line).is_none(), "{id} has two lines");
    }
    rows
}

/// Rows in are rows out, over all and in each part.
pub fn reconciles(summary: &BatchSummary) {
    let rows = &summary.run.rows;
    assert_eq!(
        rows.total,
        rows.done_before + rows.succeeded + rows.failed + rows.not_sent,
        "{rows:?}"
    );
    for part in &summary.parts {
        if part.is_over() {
            assert_eq!(part.rows, part.succeeded + part.failed + part.left, "{part:?}");
        }
    }
    let succeeded: u64 = summary.parts.iter().map(|part| part.succeeded).sum();
    assert!(succeeded >= rows.succeeded, "{summary:?}");
}

pub const SECOND: Duration = Duration::from_secs(1);
