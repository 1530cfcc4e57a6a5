//! Rows into parts: one file of requests for each, and one that tells what its rows were.

use super::super::part::{Date, Job, Part};
use super::super::part_files::{PartFiles, RowNote};
use super::super::store::Store;
use crate::cache::Key;
use crate::error::{Error, Result};
use crate::usage::{Money, Prices, Reach};
use crate::wire::row::{ENDPOINTS, Row};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// How large a part may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartLimits {
    /// Rows. Default: 50,000, the server's limit.
    pub rows: u64,
    /// Bytes of its file. Default: 190,000,000, with room below the server's limit of 200 MB.
    pub bytes: u64,
    /// Inputs of embeddings, over all rows. Default: 50,000, the server's limit.
    pub inputs: u64,
}

impl Default for PartLimits {
    fn default() -> PartLimits {
        PartLimits { rows: 50_000, bytes: 190_000_000, inputs: 50_000 }
    }
}

/// Input tokens of a request of so many bytes, for the server's queue: one for 3.5 bytes.
///
/// Source: a token of English text has four bytes and more; the queue is guarded by a count that is
/// rather too high. What the server says goes before it.
pub(crate) fn queue_tokens(body: usize) -> u64 {
    (body as u64 * 2).div_ceil(7)
}

/// Whether rows for an endpoint can go by batch. Source: the API reference, whose list has all
/// endpoints that rows can have.
pub(crate) fn takes_batches(endpoint: &str) -> bool {
    ENDPOINTS.contains(&endpoint)
}

/// How many texts a request for embeddings holds: each entry of a list of texts or of lists.
fn inputs(url: &str, body: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    if !url.ends_with("/embeddings") {
        return 0;
    }
    let input = serde_json::from_slice::<Body<'_>>(body).ok().and_then(|body| body.input);
    let list = input.and_then(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()).ok());
    match list {
        // A list of numbers is one text as tokens.
        Some(list) if list.first().is_some_and(|first| !is_number(first)) => list.len() as u64,
        _ => 1,
    }
}

fn is_number(value: &RawValue) -> bool {
    value.get().starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

/// Gives the tokens of a model that the server's queue takes, as far as they are known.
type QueueLimit<'a> = Box<dyn Fn(&str) -> Option<u64> + 'a>;

/// Writes the rows of a job into parts, as many as are needed, and holds none of them.
///
/// Rows of one model and endpoint go together; a part is closed when the next row would be too
/// much for it.
pub(in crate::batch) struct Splitter<'a> {
    store: &'a Store,
    job: &'a Job,
    limits: PartLimits,
    prices: &'a Prices,
    /// The most tokens that a part may have, by model, as far as it is known.
    queue: QueueLimit<'a>,
    open: HashMap<(String, String), Writing>,
    done: Vec<Part>,
    next: u32,
    generation: u32,
    now: Date,
}

/// A part that is being written.
struct Writing {
    part: Part,
    files: PartFiles,
    inputs: u64,
    requests: BufWriter<File>,
    rows: BufWriter<File>,
}

impl<'a> Splitter<'a> {
    /// A splitter whose first part has the number `next`.
    pub(in crate::batch) fn new(
        store: &'a Store,
        job: &'a Job,
        limits: PartLimits,
        prices: &'a Prices,
        queue: impl Fn(&str) -> Option<u64> + 'a,
        next: u32,
        now: Date,
    ) -> Splitter<'a> {
        Splitter {
            store,
            job,
            limits,
            prices,
            queue: Box::new(queue),
            open: HashMap::new(),
            done: Vec::new(),
            next,
            generation: 0,
            now,
        }
    }

    /// The parts get rows that were in so many parts before.
    pub(in crate::batch) fn generation(mut self, generation: u32) -> Splitter<'a> {
        self.generation = generation;
        self
    }

    /// Adds a row of the input, whose answer is kept under a key, if it is.
    pub(in crate::batch) fn add(&mut self, row: &Row, key: Option<Key>) -> Result<()> {
        let model = row.model.as_deref().unwrap_or_default();
        let reach = Reach::read(&row.body).sent_to(&row.url);
        let most = reach.most_in_batch(self.prices, crate::api::Caller::asked(&row.url, model));
        let note = RowNote {
            custom_id: row.custom_id.clone(),
            line: row.line,
            fingerprint: row.fingerprint,
            tokens: queue_tokens(row.body.len()),
            inputs: inputs(&row.url, &row.body),
            money: most.money,
            most: most.tokens,
            kept_as: key.map(|key| key.to_hex().into()),
            metadata: row.metadata.clone(),
        };
        let mut line = Vec::with_capacity(row.body.len() + 128);
        line.extend_from_slice(b"{\"custom_id\":");
        let text = |line: &mut Vec<u8>, text: &str| {
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(line, text);
        };
        text(&mut line, &row.custom_id);
        line.extend_from_slice(b",\"method\":\"POST\",\"url\":");
        text(&mut line, &row.url);
        line.extend_from_slice(b",\"body\":");
        // The input has each row on one line, so that there is no line end within.
        line.extend_from_slice(&row.body);
        line.extend_from_slice(b"}\n");
        self.put(model, &row.url, &note, &line)
    }

    /// Adds a row as it lies in the file of another part.
    pub(in crate::batch) fn put(
        &mut self,
        model: &str,
        url: &str,
        note: &RowNote,
        line: &[u8],
    ) -> Result<()> {
        let key = (model.to_owned(), url.to_owned());
        let queue = (self.queue)(model);
        if let Some(open) = self.open.get(&key)
            && !open.takes(note, line.len() as u64, &self.limits, queue)
        {
            let full = self.open.remove(&key).expect("it was just there");
            self.done.push(full.close()?);
        }
        if !self.open.contains_key(&key) {
            let writing = self.begin(model, url)?;
            self.open.insert(key.clone(), writing);
        }
        self.open.get_mut(&key).expect("it was just put there").put(note, line)
    }

    fn begin(&mut self, model: &str, url: &str) -> Result<Writing> {
        let number = self.next;
        self.next += 1;
        let part = Part {
            job: self.job.id,
            number,
            generation: self.generation,
            model: model.into(),
            endpoint: url.into(),
            mark: format!("{}-{number}", self.job.name),
            changed: self.now,
            most_money: Some(Money::ZERO),
            most_tokens: Some(0),
            ..Part::default()
        };
        let files = PartFiles::of(self.store, &part);
        let create = |path: PathBuf| match File::create(&path) {
            Ok(file) => Ok(BufWriter::with_capacity(256 << 10, file)),
            Err(e) => Err(Error::file("write", path, e)),
        };
        let (requests, rows) = (create(files.requests())?, create(files.rows())?);
        Ok(Writing { part, files, inputs: 0, requests, rows })
    }

    /// The parts, each with its files safe on the disk. They are not in the store yet.
    pub(in crate::batch) fn finish(mut self) -> Result<Vec<Part>> {
        let open = std::mem::take(&mut self.open);
        for writing in open.into_values() {
            self.done.push(writing.close()?);
        }
        self.done.sort_by_key(|part| part.number);
        Ok(self.done)
    }
}

impl Writing {
    fn takes(&self, note: &RowNote, bytes: u64, limits: &PartLimits, queue: Option<u64>) -> bool {
        self.part.rows < limits.rows
            && self.part.bytes + bytes <= limits.bytes
            && self.inputs + note.inputs <= limits.inputs
            && queue.is_none_or(|most| self.part.tokens + note.tokens <= most)
    }

    fn put(&mut self, note: &RowNote, line: &[u8]) -> Result<()> {
        self.requests
            .write_all(line)
            .map_err(|e| Error::file("write", self.files.requests(), e))?;
        serde_json::to_writer(&mut self.rows, note)
            .map_err(io::Error::from)
            .and_then(|()| self.rows.write_all(b"\n"))
            .map_err(|e| Error::file("write", self.files.rows(), e))?;
        let part = &mut self.part;
        part.rows += 1;
        part.bytes += line.len() as u64;
        part.tokens += note.tokens;
        part.most_money = part.most_money.zip(note.money).map(|(sum, one)| sum + one);
        part.most_tokens =
            part.most_tokens.zip(note.most).map(|(sum, one)| sum.saturating_add(one));
        self.inputs += note.inputs;
        Ok(())
    }

    fn close(self) -> Result<Part> {
        let sync = |writer: BufWriter<File>, path: PathBuf| {
            let synced = writer.into_inner().map_err(io::IntoInnerError::into_error);
            synced.and_then(|file| file.sync_all()).map_err(|e| Error::file("write", path, e))
        };
        sync(self.requests, self.files.requests())?;
        sync(self.rows, self.files.rows())?;
        Ok(self.part)
    }
}
