//! Rows into parts: one file of requests for each, and one that tells what its rows were.

use super::job::{Date, Job, Part};
use super::store::Store;
use crate::error::{Error, Result};
use crate::usage::{Money, Prices, Reach};
use crate::wire::row::{ENDPOINTS, Row};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

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

/// What a part needs to know of a row when its answer comes: a line of the file `N.rows`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RowNote {
    pub(super) custom_id: Box<str>,
    pub(super) line: u64,
    pub(super) fingerprint: u64,
    /// Input tokens, estimated.
    pub(super) tokens: u64,
    #[serde(default)]
    pub(super) inputs: u64,
    /// The most that it may cost.
    pub(super) money: Option<Money>,
    /// The most tokens that it may use.
    pub(super) most: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Box<RawValue>>,
}

/// The files of a part.
#[derive(Clone, Debug)]
pub(super) struct PartFiles {
    folder: PathBuf,
    number: u32,
}

impl PartFiles {
    pub(super) fn of(store: &Store, part: &Part) -> PartFiles {
        PartFiles { folder: store.folder(part.job), number: part.number }
    }

    /// What is sent.
    pub(super) fn requests(&self) -> PathBuf {
        self.path("jsonl")
    }

    /// What its rows were.
    pub(super) fn rows(&self) -> PathBuf {
        self.path("rows")
    }

    /// What the server answered.
    pub(super) fn output(&self) -> PathBuf {
        self.path("output")
    }

    /// What the server said of those that it did not answer.
    pub(super) fn errors(&self) -> PathBuf {
        self.path("errors")
    }

    fn path(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", self.number))
    }

    /// Removes them from this machine.
    pub(super) fn remove(&self) -> Result<()> {
        for path in [self.requests(), self.rows(), self.output(), self.errors()] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives each row's note in their order.
    pub(super) fn each_note(&self, mut each: impl FnMut(RowNote)) -> Result<()> {
        let path = self.rows();
        let broken = |why: String| {
            Error::invalid("store", format!("{} cannot be read: {why}", self.rows().display()))
        };
        each_line(&path, |_, line| {
            each(serde_json::from_slice(line).map_err(|e| broken(e.to_string()))?);
            Ok(())
        })
    }
}

/// Gives every line of a file with the place where it begins, without its line end.
pub(super) fn each_line(path: &Path, mut each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let failed = |e| Error::file("read", path, e);
    let mut reader = BufReader::with_capacity(256 << 10, File::open(path).map_err(failed)?);
    let (mut line, mut at) = (Vec::new(), 0);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(failed)? as u64;
        if read == 0 {
            return Ok(());
        }
        each(at, line.strip_suffix(b"\n").unwrap_or(&line))?;
        at += read;
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
pub(super) struct Splitter<'a> {
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
    pub(super) fn new(
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
    pub(super) fn generation(mut self, generation: u32) -> Splitter<'a> {
        self.generation = generation;
        self
    }

    /// Adds a row of the input.
    pub(super) fn add(&mut self, row: &Row) -> Result<()> {
        let model = row.model.as_deref().unwrap_or_default();
        let reach = Reach::read(&row.body);
        let asked = crate::api::Caller::asked(&row.url, model);
        let note = RowNote {
            custom_id: row.custom_id.clone(),
            line: row.line,
            fingerprint: row.fingerprint,
            tokens: queue_tokens(row.body.len()),
            inputs: inputs(&row.url, &row.body),
            money: reach.cost(self.prices, asked, true),
            most: reach.tokens(self.prices, asked),
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
    pub(super) fn put(
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
    pub(super) fn finish(mut self) -> Result<Vec<Part>> {
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

/// Writes some rows of a part into new parts: those for which `takes` says so, by their place in
/// the part.
pub(super) fn rewrite(
    files: &PartFiles,
    part: &Part,
    splitter: &mut Splitter<'_>,
    mut takes: impl FnMut(u64) -> bool,
) -> Result<()> {
    let path = files.requests();
    let mut requests = BufReader::with_capacity(
        256 << 10,
        File::open(&path).map_err(|e| Error::file("read", &path, e))?,
    );
    let (mut at, mut line, mut result) = (0, Vec::new(), Ok(()));
    files.each_note(|note| {
        line.clear();
        if result.is_ok() {
            result = match requests.read_until(b'\n', &mut line) {
                Err(e) => Err(Error::file("read", &path, e)),
                Ok(_) if takes(at) => splitter.put(&part.model, &part.endpoint, &note, &line),
                Ok(_) => Ok(()),
            };
        }
        at += 1;
    })?;
    result
}

/// The limits under which a part becomes at least two.
pub(super) fn half(part: &Part, limits: PartLimits) -> PartLimits {
    PartLimits { rows: part.rows.div_ceil(2).min(limits.rows), ..limits }
}

/// Writes all rows of a part into new ones; see [`half`].
pub(super) fn divide(
    files: &PartFiles,
    part: &Part,
    mut splitter: Splitter<'_>,
) -> Result<Vec<Part>> {
    rewrite(files, part, &mut splitter, |_| true)?;
    splitter.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::row::Format;
    use proptest::prelude::*;
    use tempfile::TempDir;

    struct Bench {
        _folder: TempDir,
        store: Store,
        job: Job,
        prices: Prices,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory(folder.path().join("files")).unwrap();
        let mut job = Job { name: "j".into(), ..Job::default() };
        store.add_job(&mut job).unwrap();
        Bench { _folder: folder, store, job, prices: Prices::builtin() }
    }

    impl Bench {
        fn split(&self, lines: &[String], limits: PartLimits, queue: Option<u64>) -> Vec<Part> {
            let (store, job, prices) = (&self.store, &self.job, &self.prices);
            let mut splitter = Splitter::new(store, job, limits, prices, |_| queue, 1, 9);
            let format = Format::default();
            for (at, line) in (1..).zip(lines) {
                splitter.add(&format.parse(at, line.as_bytes()).unwrap()).unwrap();
            }
            splitter.finish().unwrap()
        }

        fn ids(&self, part: &Part) -> Vec<String> {
            let files = PartFiles::of(&self.store, part);
            let (mut noted, mut sent) = (Vec::new(), Vec::new());
            files.each_note(|note| noted.push(note.custom_id.into_string())).unwrap();
            each_line(&files.requests(), |_, line| {
                let line: serde_json::Value = serde_json::from_slice(line).unwrap();
                sent.push(line["custom_id"].as_str().unwrap().to_owned());
                Ok(())
            })
            .unwrap();
            assert_eq!(noted, sent, "notes and requests go together");
            noted
        }
    }

    fn chat(id: usize, model: &str, text: &str) -> String {
        format!(
            r#"{{"custom_id":"r{id}","url":"/v1/chat/completions","body":{{"model":"{model}","max_tokens":5,"messages":[{{"role":"user","content":"{text}"}}]}}}}"#
        )
    }

    fn embed(id: usize, input: &str) -> String {
        format!(
            r#"{{"custom_id":"r{id}","url":"/v1/embeddings","body":{{"model":"text-embedding-3-small","input":{input}}}}}"#
        )
    }

    fn few(rows: u64) -> PartLimits {
        PartLimits { rows, ..PartLimits::default() }
    }

    #[test]
    fn models_and_endpoints_do_not_mix_and_rows_keep_their_order() {
        let bench = bench();
        let lines = [
            chat(0, "gpt-4o", "a"),
            chat(1, "gpt-4o-mini", "b"),
            embed(2, "\"c\""),
            chat(3, "gpt-4o", "d"),
        ];
        let parts = bench.split(&lines, few(10), None);
        let found: Vec<_> =
            parts.iter().map(|p| (p.number, p.model.as_str(), p.rows, bench.ids(p))).collect();
        assert_eq!(
            found,
            [
                (1, "gpt-4o", 2, vec!["r0".into(), "r3".into()]),
                (2, "gpt-4o-mini", 1, vec!["r1".into()]),
                (3, "text-embedding-3-small", 1, vec!["r2".into()]),
            ]
        );
    }

    #[test]
    fn a_part_is_closed_before_any_limit_is_passed() {
        let bench = bench();
        let lines: Vec<_> = (0..10).map(|n| chat(n, "gpt-4o", "hello")).collect();
        let sizes = |limits, queue| -> Vec<u64> {
            bench.split(&lines, limits, queue).iter().map(|part| part.rows).collect()
        };
        assert_eq!(sizes(few(4), None), [4, 4, 2]);
        let one = bench.split(&lines[..1], few(1), None)[0].clone();
        let bytes = PartLimits { bytes: one.bytes * 3, ..PartLimits::default() };
        assert_eq!(sizes(bytes, None), [3, 3, 3, 1]);
        assert_eq!(sizes(PartLimits::default(), Some(one.tokens * 5)), [5, 5]);
        // A row that is too large for any part has one of its own.
        assert_eq!(sizes(PartLimits::default(), Some(one.tokens - 1)), [1; 10]);
    }

    #[test]
    fn inputs_of_embeddings_are_counted_over_all_rows() {
        let bench = bench();
        let limits = PartLimits { inputs: 5, ..PartLimits::default() };
        let lines = [
            embed(0, r#"["a","b","c"]"#),
            embed(1, r#"["d","e"]"#),
            embed(2, "\"one\""),
            embed(3, "[1,2,3,4,5,6,7]"),
            embed(4, "[[1,2],[3]]"),
        ];
        let rows: Vec<_> = bench.split(&lines, limits, None).iter().map(|p| p.rows).collect();
        assert_eq!(rows, [2, 3]);
    }

    #[test]
    fn the_file_holds_what_the_server_wants_byte_for_byte() {
        let bench = bench();
        let line = r#"{"custom_id":"ä\"\u00e9","body":{"model":"gpt-4o","messages":[],"n":1.0},"metadata":{"x":[1]}}"#;
        let part = bench.split(&[line.into()], few(5), None).remove(0);
        let files = PartFiles::of(&bench.store, &part);
        let text = fs::read_to_string(files.requests()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"custom_id":"ä\"é","method":"POST","url":"/v1/chat/completions","#,
                r#""body":{"model":"gpt-4o","messages":[],"n":1.0}}"#,
                "\n"
            )
        );
        assert_eq!(part.bytes, text.len() as u64);
        let mut metadata = None;
        files.each_note(|note| metadata = note.metadata).unwrap();
        assert_eq!(metadata.unwrap().get(), r#"{"x":[1]}"#);
    }

    #[test]
    fn what_a_part_may_cost_is_the_sum_of_its_rows_at_the_price_of_batches() {
        let bench = bench();
        let lines: Vec<_> = (0..3).map(|n| chat(n, "gpt-4o", "hi")).collect();
        let one = bench.split(&lines[..1], few(9), None)[0].clone();
        let all = bench.split(&lines, few(9), None)[0].clone();
        let single = one.most_money.unwrap();
        assert!(single > Money::ZERO);
        assert_eq!(all.most_money, Some(single.times(3)));
        let unknown = bench.split(&[chat(0, "nobody-knows", "hi")], few(9), None);
        assert_eq!(unknown[0].most_money, None);
    }

    proptest! {
        #[test]
        fn halves_hold_every_row_once_and_keep_the_order(rows in 2usize..40, queue in 20u64..400) {
            let bench = bench();
            let lines: Vec<_> = (0..rows).map(|n| chat(n, "gpt-4o", &"x".repeat(n * 7 % 50))).collect();
            let part = bench.split(&lines, few(100), None).remove(0);
            let limits = half(&part, few(100));
            let (store, job, prices) = (&bench.store, &bench.job, &bench.prices);
            let splitter = Splitter::new(store, job, limits, prices, |_| Some(queue), 2, 1);
            let files = PartFiles::of(store, &part);
            let halves = divide(&files, &part, splitter).unwrap();
            prop_assert!(halves.len() >= 2);
            for half in &halves {
                prop_assert!(half.rows <= part.rows.div_ceil(2));
                prop_assert!(half.rows == 1 || half.tokens <= queue);
            }
            let ids: Vec<_> = halves.iter().flat_map(|half| bench.ids(half)).collect();
            prop_assert_eq!(ids, bench.ids(&part));
            let tokens: u64 = halves.iter().map(|half| half.tokens).sum();
            prop_assert_eq!(tokens, part.tokens);
        }
    }
}
