//! What a batch brought, joined to its rows: each row ends in exactly one outcome.
//!
//! The server's files are read twice. First each line is judged, and the best one of each row is
//! noted by its place; then those are read again and given out. So nothing but a few numbers for
//! each row is in memory, whatever the size of the answers.

use super::job::Part;
use super::split::{PartFiles, RowNote, each_line};
use crate::dispatch::{Facts, Reply};
use crate::error::{ApiError, Error, Result, Undecodable};
use crate::usage::{Cost, Prices, cost_of_answer};
use crate::wire::answer::check_answer;
use crate::wire::fault::{Class, classify, read_fault};
use crate::wire::headers::{Headers, RateReport};
use crate::wire::row::id_hash;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::path::Path;

/// How good a line is as the outcome of its row. The better one counts; of equals the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// There is no line.
    #[default]
    Missing,
    /// The row was not done: another batch may do it.
    Again,
    /// The row was done, and its answer cannot be read.
    Broken,
    /// The row was refused for good.
    Refused,
    /// An answer.
    Answer,
}

/// What became of a row.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was answered, or the server refused it with an HTTP error.
    Result(Box<Result<Reply, Error>>),
    /// It was not done, for a reason with a code.
    Undone { code: String, message: String },
}

/// What was seen besides the outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oddities {
    /// Lines that are no lines of results.
    pub(super) unreadable: u64,
    /// Lines of rows that are not in the batch.
    pub(super) unknown: u64,
    /// Lines of rows that have a better or an earlier one.
    pub(super) repeated: u64,
    /// Rows without a line.
    pub(super) missing: u64,
}

impl Oddities {
    pub(super) fn any(&self) -> bool {
        *self != Oddities::default()
    }
}

/// The best line of a row so far.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    rank: Rank,
    file: u8,
    at: u64,
}

/// Joins the lines of results to the rows of a part.
#[derive(Debug)]
pub(super) struct Joined {
    /// The rows by the hash of their id.
    index: Vec<(u64, u32)>,
    best: Vec<Best>,
    pub(super) oddities: Oddities,
}

impl Joined {
    /// Rows without any line yet.
    pub(super) fn new(notes: &[RowNote]) -> Joined {
        let mut index: Vec<_> =
            (0..).zip(notes).map(|(at, note)| (id_hash(&note.custom_id), at)).collect();
        index.sort_unstable();
        Joined { index, best: vec![Best::default(); notes.len()], oddities: Oddities::default() }
    }

    fn row(&self, custom_id: &str) -> Option<usize> {
        let hash = id_hash(custom_id);
        let at = self.index.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some(self.index[at].1 as usize)
    }

    /// Judges a line that lies at a place of a file.
    pub(super) fn look(&mut self, file: u8, at: u64, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let Some(line) = Line::read(line) else {
            self.oddities.unreadable += 1;
            return;
        };
        let Some(row) = self.row(&line.custom_id) else {
            self.oddities.unknown += 1;
            return;
        };
        let rank = line.rank();
        let best = &mut self.best[row];
        self.oddities.repeated += u64::from(best.rank != Rank::Missing);
        if rank > best.rank {
            *best = Best { rank, file, at };
        }
    }

    /// Which row the line at this place is the outcome of.
    pub(super) fn outcome_of(&self, file: u8, at: u64, line: &[u8]) -> Option<usize> {
        let row = self.row(&Line::read(line)?.custom_id)?;
        let best = &self.best[row];
        (best.rank != Rank::Missing && (best.file, best.at) == (file, at)).then_some(row)
    }

    /// How good the best line of a row is.
    pub(super) fn rank(&self, row: usize) -> Rank {
        self.best[row].rank
    }

    /// Counts the rows without a line.
    pub(super) fn close(&mut self) {
        self.oddities.missing =
            self.best.iter().filter(|best| best.rank == Rank::Missing).count() as u64;
    }
}

/// Reads the rows of a part and the files that its batch brought, and gives each row's outcome, if
/// it has a line; then the rows without one.
pub(super) fn join(
    files: &PartFiles,
    prices: &Prices,
    part: &Part,
    mut each: impl FnMut(&RowNote, usize, Rank, Option<Outcome>) -> Result<()>,
) -> Result<Oddities> {
    let mut notes = Vec::new();
    files.each_note(|note| notes.push(note))?;
    let mut joined = Joined::new(&notes);
    let sources = [files.output(), files.errors()];
    let present = || (0u8..).zip(&sources).filter(|(_, path)| path.exists());
    for (file, path) in present() {
        each_line(path, |at, line| {
            joined.look(file, at, line);
            Ok(())
        })?;
    }
    joined.close();
    for (file, path) in present() {
        give(path, |at, line| {
            let Some(row) = joined.outcome_of(file, at, line) else { return Ok(()) };
            let outcome = Line::read(line).map(|line| line.outcome(prices, &part.model));
            each(&notes[row], row, joined.rank(row), outcome)
        })?;
    }
    for (row, note) in notes.iter().enumerate() {
        if joined.rank(row) == Rank::Missing {
            each(note, row, Rank::Missing, None)?;
        }
    }
    Ok(joined.oddities)
}

fn give(path: &Path, each: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    each_line(path, each)
}

/// A line of results.
#[derive(Debug)]
pub(super) struct Line<'a> {
    custom_id: Cow<'a, str>,
    /// The status, the id of the request and the body, if there was a response.
    response: Option<(u16, Option<String>, Option<String>)>,
    error: Option<(String, String)>,
    /// Some bytes of it are not text.
    is_damaged: bool,
}

#[derive(Deserialize)]
struct RawLine<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawResponse<'a> {
    status_code: Option<serde_json::Value>,
    request_id: Option<serde_json::Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// What a line says, if it tells its row.
    pub(super) fn read(line: &[u8]) -> Option<Line<'static>> {
        let (text, is_damaged) = match std::str::from_utf8(line) {
            Ok(text) => (Cow::Borrowed(text), false),
            Err(_) => (String::from_utf8_lossy(line), true),
        };
        let raw: RawLine<'_> = serde_json::from_str(text.trim()).ok()?;
        let id = raw.custom_id?.get();
        let custom_id = match serde_json::from_str::<serde_json::Value>(id).ok()? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let response = raw.response.and_then(|raw| {
            let response: RawResponse<'_> = serde_json::from_str(raw.get()).ok()?;
            let status = response.status_code.as_ref().and_then(serde_json::Value::as_u64);
            let id = response.request_id.as_ref().and_then(serde_json::Value::as_str);
            let body = response.body.map(|body| unwrapped(body.get()));
            Some((u16::try_from(status.unwrap_or(0)).unwrap_or(0), id.map(str::to_owned), body))
        });
        let error = raw.error.and_then(|raw| {
            let error: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
            let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            let code = Some(text("code")).filter(|code| !code.is_empty());
            error.is_object().then(|| (code.unwrap_or_else(|| text("type")), text("message")))
        });
        Some(Line { custom_id: custom_id.into(), response, error, is_damaged })
    }

    /// How good it is as an outcome.
    pub(super) fn rank(&self) -> Rank {
        match &self.response {
            Some((200..300, _, body)) => {
                let body = body.as_deref().unwrap_or_default();
                match check_answer(body.as_bytes()) {
                    Ok(_) if !self.is_damaged && self.error.is_none() => Rank::Answer,
                    _ => Rank::Broken,
                }
            }
            Some((status @ 400.., _, body)) => {
                let body = body.as_deref().unwrap_or_default();
                let fault = read_fault(*status, body.as_bytes());
                match classify(&fault, &Headers::default()) {
                    Class::ItemFatal | Class::TooLarge { .. } => Rank::Refused,
                    _ => Rank::Again,
                }
            }
            _ => Rank::Again,
        }
    }

    /// The outcome that it is.
    fn outcome(self, prices: &Prices, asked: &str) -> Outcome {
        let Line { response, error, .. } = &self;
        let result = match (self.rank(), response, error) {
            (Rank::Answer, Some((status, id, Some(body))), _) => {
                Ok(reply(*status, id.as_deref(), body, prices, asked))
            }
            (_, Some((status @ 200..300, id, _)), _) => {
                let mut error = Undecodable::new(*status, "the batch's answer cannot be read");
                error.request_id.clone_from(id);
                Err(Error::Decode(Box::new(error)))
            }
            (_, Some((status @ 400.., id, body)), _) => {
                let fault = read_fault(*status, body.as_deref().unwrap_or_default().as_bytes());
                Err(Error::Api(Box::new(ApiError {
                    status: *status,
                    kind: fault.kind,
                    code: fault.code,
                    message: fault.message,
                    param: fault.param,
                    request_id: id.clone(),
                    attempts: 1,
                    body: body.as_deref().map(Into::into),
                    ..ApiError::default()
                })))
            }
            (_, _, Some((code, message))) if !code.is_empty() => {
                return Outcome::Undone { code: code.clone(), message: message.clone() };
            }
            _ => {
                let message = "the batch has a line for this row, and no answer in it".into();
                return Outcome::Undone { code: "no_answer".into(), message };
            }
        };
        Outcome::Result(Box::new(result))
    }
}

/// A body as JSON. Some servers write it as a text that holds the JSON.
fn unwrapped(body: &str) -> String {
    match serde_json::from_str::<String>(body) {
        Ok(text) if text.trim_start().starts_with('{') => text,
        _ => body.to_owned(),
    }
}

fn reply(status: u16, id: Option<&str>, body: &str, prices: &Prices, asked: &str) -> Reply {
    let peek = check_answer(body.as_bytes()).unwrap_or_default();
    let cost: Option<Cost> = cost_of_answer(prices, &peek, asked, true);
    Reply {
        status,
        body: body.as_bytes().to_vec(),
        request_id: id.map(Into::into),
        asked: peek.model.is_none().then(|| asked.into()),
        peek,
        report: RateReport::default(),
        cost,
        counted: None,
        facts: Facts::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(id: &str) -> RowNote {
        RowNote {
            custom_id: id.into(),
            line: 1,
            fingerprint: 1,
            tokens: 1,
            inputs: 0,
            money: None,
            most: None,
            metadata: None,
        }
    }

    fn rank(line: &str) -> Option<Rank> {
        Line::read(line.as_bytes()).map(|line| line.rank())
    }

    const GOOD: &str = r#"{"id":"chatcmpl-1","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

    fn line(id: &str, status: u16, body: &str) -> String {
        format!(
            r#"{{"id":"b","custom_id":"{id}","response":{{"status_code":{status},"request_id":"r","body":{body}}},"error":null}}"#
        )
    }

    #[test]
    fn every_kind_of_line_is_judged() {
        let undone = |code: &str| {
            format!(
                r#"{{"custom_id":"a","response":null,"error":{{"code":"{code}","message":"m"}}}}"#
            )
        };
        let fault = r#"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
        for (text, expected) in [
            (line("a", 200, GOOD), Some(Rank::Answer)),
            (line("a", 400, fault), Some(Rank::Refused)),
            (line("a", 404, "{}"), Some(Rank::Refused)),
            (line("a", 429, "{}"), Some(Rank::Again)),
            (line("a", 500, "null"), Some(Rank::Again)),
            // 2,000 completed, and a status that is none.
            (line("a", 0, "{}"), Some(Rank::Again)),
            (line("a", 200, "\"\""), Some(Rank::Broken)),
            (line("a", 200, "null"), Some(Rank::Broken)),
            (line("a", 200, r#"{"error":{"message":"x"}}"#), Some(Rank::Broken)),
            (undone("batch_expired"), Some(Rank::Again)),
            (undone("batch_cancelled"), Some(Rank::Again)),
            (undone("request_timeout"), Some(Rank::Again)),
            (r#"{"custom_id":"a","response":null,"error":null}"#.into(), Some(Rank::Again)),
            (r#"{"custom_id":"a"}"#.into(), Some(Rank::Again)),
            (r#"{"custom_id":7,"response":null}"#.into(), Some(Rank::Again)),
            (r#"{"response":null,"error":null}"#.into(), None),
            (line("a", 200, GOOD)[..60].into(), None),
            ("<html>502</html>".into(), None),
            ("[]".into(), None),
        ] {
            assert_eq!(rank(&text), expected, "{text}");
        }
    }

    #[test]
    fn lines_of_servers_that_write_them_in_their_own_way_are_understood() {
        // OGX writes the body as a text, and an error with its type alone.
        let body = serde_json::to_string(GOOD).unwrap();
        let outcome = |text: &str| {
            Line::read(text.as_bytes()).unwrap().outcome(&Prices::builtin(), "gpt-4o-mini")
        };
        let Outcome::Result(answer) = outcome(&line("a", 200, &body)) else { panic!("it is one") };
        assert_eq!(answer.unwrap().body, GOOD.as_bytes());
        let failed =
            r#"{"id":"b","custom_id":"a","error":{"type":"request_failed","message":"too long"}}"#;
        assert_eq!(rank(failed), Some(Rank::Again));
        let Outcome::Undone { code, message } = outcome(failed) else { panic!("it was not done") };
        assert_eq!((code.as_str(), message.as_str()), ("request_failed", "too long"));
    }

    #[test]
    fn an_answer_with_bytes_that_are_no_text_is_broken_and_not_lost() {
        let mut bytes = line("a", 200, &GOOD.replace("chatcmpl", "@")).into_bytes();
        let at = bytes.iter().position(|b| *b == b'@').unwrap();
        bytes[at] = 0xff;
        assert_eq!(Line::read(&bytes).unwrap().rank(), Rank::Broken);
    }

    #[test]
    fn the_lines_of_the_real_batch_api_are_understood() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/batch_lines.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: the shared data is not here");
            return;
        };
        let known: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut seen = 0;
        for (name, expected) in [
            ("output_success", Rank::Answer),
            ("error_file_http_error", Rank::Refused),
            ("error_file_expired", Rank::Again),
        ] {
            for line in known[name].as_array().unwrap() {
                assert_eq!(rank(&line.to_string()), Some(expected), "{line}");
                seen += 1;
            }
        }
        assert!(seen >= 5);
    }

    #[test]
    fn the_better_line_counts_and_of_equals_the_first() {
        let mut joined = Joined::new(&[note("a"), note("b")]);
        let expired = r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}"#;
        joined.look(0, 0, expired.as_bytes());
        joined.look(0, 100, line("a", 200, GOOD).as_bytes());
        joined.look(1, 0, line("a", 200, GOOD).as_bytes());
        joined.look(1, 50, line("z", 200, GOOD).as_bytes());
        joined.look(1, 90, b"{torn");
        joined.close();
        assert_eq!(joined.outcome_of(0, 0, expired.as_bytes()), None);
        assert_eq!(joined.outcome_of(0, 100, line("a", 200, GOOD).as_bytes()), Some(0));
        assert_eq!(joined.outcome_of(1, 0, line("a", 200, GOOD).as_bytes()), None);
        let odd = joined.oddities;
        assert_eq!((odd.repeated, odd.unknown, odd.unreadable, odd.missing), (2, 1, 1, 1));
    }

    #[test]
    fn the_cost_of_an_answer_is_that_of_a_batch() {
        let text = line("a", 200, &GOOD.replace(":1,", ":1000000,"));
        let outcome =
            Line::read(text.as_bytes()).unwrap().outcome(&Prices::builtin(), "gpt-4o-mini");
        let Outcome::Result(result) = outcome else { panic!("{outcome:?}") };
        let cost = result.unwrap().cost.unwrap();
        assert_eq!(cost.tier, crate::usage::Tier::Batch);
        assert!(cost.saved_by_batch > crate::usage::Money::ZERO);
    }

    /// A line as a bad server might write it.
    fn any_line(rows: usize) -> impl Strategy<Value = Vec<u8>> {
        let id = 0..rows + 2;
        (id, 0usize..10, 1usize..400).prop_map(|(id, kind, cut)| {
            let id = format!("r{id}");
            let text = match kind {
                0..=2 => line(&id, 200, GOOD),
                3 => line(&id, 400, "{}"),
                4 => line(&id, 500, "{}"),
                5 => line(&id, 200, "\"\""),
                6 => format!(
                    r#"{{"custom_id":"{id}","response":null,"error":{{"code":"batch_expired"}}}}"#
                ),
                7 => "not a line".into(),
                8 => String::new(),
                _ => {
                    let mut text = line(&id, 200, GOOD);
                    text.truncate(cut.min(text.len()));
                    text
                }
            };
            text.into_bytes()
        })
    }

    proptest! {
        #[test]
        fn each_row_has_exactly_one_outcome_whatever_the_server_writes(
            rows in 1usize..12,
            seed in proptest::collection::vec(any_line(12), 0..60),
            divide in 0usize..60,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = super::super::store::Store::in_memory(folder.path()).unwrap();
            let mut job = super::super::job::Job { name: "j".into(), ..Default::default() };
            store.add_job(&mut job).unwrap();
            let part = Part { job: job.id, number: 1, model: "gpt-4o".into(), ..Part::default() };
            let files = PartFiles::of(&store, &part);
            let notes: String = (0..rows)
                .map(|n| serde_json::to_string(&note(&format!("r{n}"))).unwrap() + "\n")
                .collect();
            std::fs::write(files.rows(), notes).unwrap();
            let divide = divide.min(seed.len());
            std::fs::write(files.output(), seed[..divide].join(&b'\n')).unwrap();
            std::fs::write(files.errors(), seed[divide..].join(&b'\n')).unwrap();
            let mut seen = vec![0; rows];
            let mut ranks = vec![Rank::Missing; rows];
            join(&files, &Prices::builtin(), &part, |note, row, rank, outcome| {
                assert_eq!(&*note.custom_id, format!("r{row}"));
                assert_eq!(outcome.is_none(), rank == Rank::Missing);
                seen[row] += 1;
                ranks[row] = rank;
                Ok(())
            }).unwrap();
            prop_assert!(seen.iter().all(|&count| count == 1), "{:?}", seen);
            // Nothing better was passed over.
            for text in &seed {
                let Some(line) = Line::read(text) else { continue };
                let row: usize = line.custom_id[1..].parse().unwrap();
                if row < rows {
                    prop_assert!(ranks[row] >= line.rank());
                }
            }
        }
    }
}
