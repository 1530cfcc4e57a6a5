//! The program and the library against servers that others wrote.
//!
//! `tests/servers/run` installs and starts them and names them in the environment; a test whose server
//! is not named there says so and does nothing. What differs from the official API, and is borne, is
//! what these tests are about.
//!
//! - `llama` - llama.cpp's own server.
//! - `embeddings` - the same with a model for embeddings, behind a key.
//! - `ogx` - OGX, which has files and batches.
//! - `nginx` - fixed answers, delays and faults.
//! - `streams` - rows that ask for a stream, from llama.cpp and nginx.

#[allow(dead_code)] // Some of it serves other tests.
#[path = "../it/program.rs"]
mod program;

mod embeddings;
mod llama;
mod nginx;
mod ogx;
mod streams;

use openai_bulk::config::ApiKey;
use openai_bulk::{Client, Config};
use program::{Folder, Program};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The key that the embedding server takes; the others take any.
const KEY: &str = "sk-test-llama";

/// A server that was started for these tests, by the name that it has in the environment.
struct Server {
    url: String,
}

/// The server of this name, or none, and then it is said why nothing is tested.
fn server(name: &str) -> Option<Server> {
    let name = format!("OPENAI_BULK_SERVER_{name}");
    match std::env::var(&name) {
        Ok(url) if !url.is_empty() => Some(Server { url }),
        _ => {
            eprintln!("skipped: no server in {name}; tests/servers/run starts them");
            None
        }
    }
}

impl Server {
    /// The program in a folder, that sends here.
    fn program(&self, folder: &Folder, args: &[&str]) -> Program {
        let program = folder.program().arg_list(args);
        program.args(["--base-url", &self.url]).env("OPENAI_API_KEY", KEY)
    }

    /// Sends the rows of a run, and gives the lines of its output.
    fn send(&self, rows: &[Value], code: i32, args: &[&str]) -> BTreeMap<String, Value> {
        let folder = Folder::new();
        folder.write("in.jsonl", lines(rows));
        let run = self.program(&folder, &["run", "in.jsonl", "-o", "out.jsonl"]);
        run.arg_list(&["--max-retries", "2"]).arg_list(args).run().ended(code);
        let lines = folder.rows("out.jsonl");
        assert_eq!(lines.len(), rows.len());
        lines
    }

    /// A client of the library that sends here.
    fn client(&self) -> Client {
        let key = ApiKey::new(KEY).unwrap();
        Client::new(Config::new().base_url(&self.url).api_key(key)).unwrap()
    }
}

/// A row to an endpoint.
fn row(id: &str, endpoint: &str, body: Value) -> Value {
    json!({"custom_id": id, "method": "POST", "url": format!("/v1/{endpoint}"), "body": body})
}

fn chat(id: &str, model: &str, question: &str, tokens: u64) -> Value {
    let messages = json!([{"role": "user", "content": question}]);
    row(id, "chat/completions", json!({"model": model, "messages": messages, "max_tokens": tokens}))
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// The body of a row's answer, which is a success.
#[track_caller]
fn body(line: &Value) -> &Value {
    assert_eq!(
        (&line["response"]["status_code"], &line["x_run"]["ok"]),
        (&json!(200), &json!(true))
    );
    &line["response"]["body"]
}
