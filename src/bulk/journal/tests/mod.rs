//! What the journal promises, and that it keeps it when the disk does not.
//!
//! - `opening` - which files are taken, and by whom.
//! - `crash` - torn, flipped, refused: what survives.
//! - `compaction` - one line for each row, whatever happens meanwhile.

mod compaction;
mod crash;
mod opening;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use tempfile::TempDir;

use super::file::{Fault, Seam};
use super::*;
use crate::clock::Time;
use crate::wire::row::{Body, Format, OutputLine, Response, Row, fingerprint_hex, read_output};

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { folder: tempfile::tempdir().unwrap() }
    }

    fn holding(bytes: &[u8]) -> Scene {
        let scene = Scene::new();
        fs::write(scene.path(), bytes).unwrap();
        scene
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("out.jsonl")
    }

    fn partial(&self) -> PathBuf {
        self.folder.path().join("out.jsonl.partial")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn open(&self) -> Journal {
        Journal::open(self.path(), Options::default()).unwrap()
    }

    fn open_with(&self, seam: &Seam, fsync: Fsync) -> crate::Result<Journal> {
        let options = Options { fsync, ..Options::default() };
        Journal::open_with(&self.path(), options, seam.clone())
    }

    /// What the file holds: id, whether answered, and line of each row.
    fn rows(&self) -> Vec<(String, bool, u64)> {
        let bytes = self.bytes();
        let line = |text: &[u8]| {
            let output = read_output(text).expect("only whole lines");
            (output.custom_id.to_string(), output.ok, output.line.unwrap_or(0))
        };
        bytes.split_inclusive(|b| *b == b'\n').map(line).collect()
    }
}

/// The row of input line `n`.
fn row(n: u64) -> Row {
    changed_row(n, "")
}

fn changed_row(n: u64, text: &str) -> Row {
    let format = Format { model: "m".into(), ..Format::default() };
    format.parse(n, format!("{{\"prompt\":\"say {n}{text}\"}}").as_bytes()).unwrap()
}

/// The line of output for input line `n`.
fn line(n: u64, ok: bool) -> Vec<u8> {
    line_with(n, ok, "answer")
}

fn line_with(n: u64, ok: bool, answer: &str) -> Vec<u8> {
    let row = row(n);
    let body = json!({"choices": [{"message": {"content": format!("{answer} {n}")}}]}).to_string();
    let status_code = if ok { 200 } else { 500 };
    let mut out = Vec::new();
    OutputLine {
        id: &format!("batch_req_{n}"),
        custom_id: &row.custom_id,
        response: Some(Response {
            status_code,
            request_id: None,
            body: Body::Any(body.as_bytes()),
        }),
        error: None,
        x_run: &json!({"fingerprint": fingerprint_hex(row.fingerprint), "line": n, "ok": ok}),
    }
    .write(&mut out)
    .unwrap();
    out
}

fn seam(
    fault: impl FnMut(super::file::Op, usize) -> std::io::Result<usize> + Send + 'static,
) -> Seam {
    let fault: Arc<Mutex<Fault>> = Arc::new(Mutex::new(fault));
    Seam { fault: Some(fault) }
}

fn files(folder: &Path) -> Vec<String> {
    let entry = |e: std::io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(entry).collect();
    names.sort();
    names
}

const NOW: Time = Time::ZERO;
