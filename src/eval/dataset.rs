//! A data set: the samples of a file of any shape.

use super::sample::Sample;
use super::shape::Shape;
use crate::bulk::input::{Line, Lines, Source};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The questions of a file: JSON Lines, one JSON list, CSV or TSV, also as `.gz`.
#[derive(Clone, Debug)]
pub struct Dataset {
    source: Source,
    shape: Shape,
    skip: usize,
    limit: Option<usize>,
    seed: Option<u64>,
}

impl Dataset {
    /// The rows of the file at `path`, which have this shape.
    ///
    /// # Errors
    /// When the file is not there or may not be read, or is a stream, which could be read only once.
    pub fn open(path: impl AsRef<Path>, shape: Shape) -> Result<Dataset> {
        let source = Source::open(path)?;
        if source.is_stream() {
            let message = "a data set is read again when a run goes on: write it to a file";
            return Err(Error::invalid(source.name(), message));
        }
        Ok(Dataset { source, shape, skip: 0, limit: None, seed: None })
    }

    /// Takes at most so many samples. Default: all.
    pub fn limit(mut self, samples: impl Into<Option<usize>>) -> Dataset {
        self.limit = samples.into();
        self
    }

    /// Passes over so many samples, before any are shuffled. Default: 0.
    pub fn skip(mut self, samples: usize) -> Dataset {
        self.skip = samples;
        self
    }

    /// Takes the samples in another order, which this number decides; all are then held in memory.
    /// Default: in the order of the file.
    pub fn shuffle(mut self, seed: impl Into<Option<u64>>) -> Dataset {
        self.seed = seed.into();
        self
    }

    /// The shape of its rows.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Where a row is, as it is told to people.
    pub(super) fn place(&self, row: u64) -> String {
        let is_lines = matches!(Rows::open(&self.source, &self.shape), Ok(Rows::Lines(..)));
        place(&self.source.name(), row, is_lines)
    }

    /// The samples, one after the other.
    ///
    /// # Errors
    /// When the file cannot be read. A row of another shape is an error when it is reached.
    pub fn samples(&self) -> Result<impl Iterator<Item = Result<Sample>> + use<>> {
        let (name, shape) = (self.source.name(), self.shape.clone());
        let rows = Rows::open(&self.source, &self.shape)?;
        let is_lines = matches!(rows, Rows::Lines(..));
        let rows = rows.map(move |row| {
            let (number, fields) = row?;
            let wrong = |message| Error::invalid(place(&name, number, is_lines), message);
            shape.read(number, fields).map_err(wrong)
        });
        let limit = self.limit.unwrap_or(usize::MAX);
        let rows = rows.skip(self.skip);
        let Some(seed) = self.seed else { return Ok(Box::new(rows.take(limit)) as Samples) };
        let mut all = rows.collect::<Result<Vec<_>>>()?;
        fastrand::Rng::with_seed(seed).shuffle(&mut all);
        Ok(Box::new(all.into_iter().take(limit).map(Ok)) as Samples)
    }
}

fn place(name: &str, row: u64, is_line: bool) -> String {
    if is_line { format!("{name}:{row}") } else { format!("{name}, row {row}") }
}

type Samples = Box<dyn Iterator<Item = Result<Sample>>>;

/// The rows of a file with their numbers, from 1.
enum Rows {
    Lines(Source, Lines),
    List(String, u64, VecDeque<Value>),
    Table(Box<Table>),
}

impl Rows {
    fn open(source: &Source, shape: &Shape) -> Result<Rows> {
        let name = source.path().to_string_lossy().to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        if name.ends_with(".csv") || name.ends_with(".tsv") {
            let delimiter = if name.ends_with(".tsv") { b'\t' } else { b',' };
            return Table::open(source, shape, delimiter).map(|table| Rows::Table(Box::new(table)));
        }
        let mut reader = BufReader::new(source.reader()?);
        let wrong = |e| Error::file("read", source.path(), e);
        if reader.fill_buf().map_err(wrong)?.trim_ascii_start().starts_with(b"[") {
            let mut text = String::new();
            reader.read_to_string(&mut text).map_err(wrong)?;
            let list = serde_json::from_str(&text)
                .map_err(|e| Error::invalid(source.name(), format!("not a JSON list: {e}")))?;
            return Ok(Rows::List(source.name(), 0, list));
        }
        Ok(Rows::Lines(source.clone(), source.lines()?))
    }
}

impl Iterator for Rows {
    type Item = Result<(u64, Map<String, Value>)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rows::Lines(source, lines) => match lines.next_line().transpose()? {
                Err(error) => Some(Err(error)),
                Ok(Line::TooLong(number)) => {
                    let place = place(&source.name(), number, true);
                    Some(Err(Error::invalid(place, "the line is too long")))
                }
                Ok(Line::Text(number, text)) => {
                    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
                    let row = serde_json::from_slice(text).map_err(|e| {
                        let place = place(&source.name(), number, true);
                        Error::invalid(place, format!("not a JSON object (column {})", e.column()))
                    });
                    Some(row.map(|row| (number, row)))
                }
            },
            Rows::List(name, number, rows) => {
                *number += 1;
                Some(match rows.pop_front()? {
                    Value::Object(row) => Ok((*number, row)),
                    _ => Err(Error::invalid(place(name, *number, false), "not a JSON object")),
                })
            }
            Rows::Table(table) => table.next(),
        }
    }
}

/// Rows of columns.
struct Table {
    name: String,
    reader: csv::Reader<Box<dyn Read + Send>>,
    columns: Vec<String>,
    /// The first row, where it was no header.
    first: Option<csv::StringRecord>,
    number: u64,
    /// What the rows of a file are about that names it nowhere else.
    subject: Option<String>,
}

impl Table {
    fn open(source: &Source, shape: &Shape, delimiter: u8) -> Result<Table> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .from_reader(source.reader()?);
        let mut head = csv::StringRecord::new();
        let name = source.name();
        reader.read_record(&mut head).map_err(|e| wrong(&name, 1, &e))?;
        let mut table =
            Table { name, reader, columns: Vec::new(), first: None, number: 0, subject: None };
        // MMLU was released as files of six columns without their names, one file a subject.
        if *shape == Shape::Mmlu && head.len() == 6 && &head[5] != "answer" {
            table.columns = ["question", "A", "B", "C", "D", "answer"].map(String::from).into();
            table.first = Some(head);
            table.subject = subject(source.path());
        } else {
            let clean = |name: &str| name.trim_start_matches('\u{feff}').trim().to_owned();
            table.columns = head.iter().map(clean).collect();
        }
        Ok(table)
    }

    fn next(&mut self) -> Option<Result<(u64, Map<String, Value>)>> {
        let mut record = csv::StringRecord::new();
        match self.first.take() {
            Some(first) => record = first,
            None => match self.reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(e) => return Some(Err(wrong(&self.name, self.number + 1, &e))),
            },
        }
        self.number += 1;
        let columns = self.columns.iter().cloned();
        let mut row: Map<_, _> = columns.zip(record.iter().map(Value::from)).collect();
        if let Some(subject) = &self.subject {
            row.insert("subject".into(), subject.as_str().into());
        }
        Some(Ok((self.number, row)))
    }
}

fn wrong(name: &str, number: u64, e: &csv::Error) -> Error {
    let why = match e.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} columns, those before it {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8".to_owned(),
        _ => "the table cannot be read further".to_owned(),
    };
    Error::invalid(place(name, number, false), why)
}

/// `abstract_algebra` of `abstract_algebra_test.csv`.
fn subject(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let stem = name.split('.').next()?;
    let parts = ["_test", "_dev", "_val"];
    Some(parts.iter().find_map(|part| stem.strip_suffix(part)).unwrap_or(stem).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Fields;
    use std::fs;

    fn ids(dataset: &Dataset) -> Vec<String> {
        dataset.samples().unwrap().map(|sample| sample.unwrap().id).collect()
    }

    fn fields() -> Shape {
        Shape::Fields(Fields::default())
    }

    #[test]
    fn the_same_rows_are_read_from_each_kind_of_file() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "a.jsonl",
                "\u{feff}{\"id\":\"x\",\"target\":\"1,5\"}\n\n{\"id\":\"y\",\"target\":\"2\"}",
            ),
            ("a.json", " [{\"id\":\"x\",\"target\":\"1,5\"},\n {\"id\":\"y\",\"target\":\"2\"}]"),
            ("a.csv", "\u{feff}id,target\nx,\"1,5\"\n\"y\",2\n"),
            ("a.tsv", "id\ttarget\r\nx\t1,5\r\ny\t2\r\n"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let dataset = Dataset::open(&path, fields()).unwrap();
            let samples: Vec<_> = dataset.samples().unwrap().map(|s| s.unwrap()).collect();
            assert_eq!(samples.len(), 2, "{name}");
            assert_eq!((&*samples[0].id, &*samples[0].target[0]), ("x", "1,5"), "{name}");
            assert_eq!((&*samples[1].id, &*samples[1].target[0]), ("y", "2"), "{name}");
        }
    }

    #[test]
    fn files_of_mmlu_without_a_header_are_told_from_those_with_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("high_school_law_test.csv");
        fs::write(&path, "\"What, then?\",1,2,3,4,B\nWho?,a,b,c,d,D\n").unwrap();
        let samples: Vec<_> = Dataset::open(&path, Shape::Mmlu)
            .unwrap()
            .samples()
            .unwrap()
            .map(|s| s.unwrap())
            .collect();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[0].group.as_deref(), Some("high_school_law"));
        assert_eq!((&*samples[0].target[0], &*samples[1].target[0]), ("B", "D"));
        fs::write(&path, "question,A,B,C,D,answer\nWho?,a,b,c,d,D\n").unwrap();
        assert_eq!(ids(&Dataset::open(&path, Shape::Mmlu).unwrap()), ["1"]);
    }

    #[test]
    fn a_seed_decides_the_order_and_a_limit_the_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let rows: String = (0..50).map(|n| format!("{{\"id\":{n},\"target\":0}}\n")).collect();
        fs::write(&path, rows).unwrap();
        let open = || Dataset::open(&path, fields()).unwrap();
        assert_eq!(ids(&open().limit(3)), ["0", "1", "2"]);
        assert_eq!(ids(&open().skip(2).limit(2)), ["2", "3"]);
        let one = ids(&open().shuffle(1));
        assert_ne!(one, ids(&open()));
        assert_eq!(one, ids(&open().shuffle(1)));
        assert_ne!(one, ids(&open().shuffle(2)));
        let mut sorted: Vec<u32> = one.iter().map(|id| id.parse().unwrap()).collect();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..50));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_told_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, wanted) in [
            ("a.jsonl", "{\"target\":1}\nnope\n", "a.jsonl:2: not a JSON object"),
            (
                "b.jsonl",
                "{\"target\":1}\n{\"goal\":1}\n",
                "b.jsonl:2: there is no text in the field `target`",
            ),
            (
                "a.csv",
                "id,target\nx,1,2\n",
                "a.csv, row 1: the row has 3 columns, those before it 2",
            ),
            ("a.json", "[1]", "row 1: not a JSON object"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let dataset = Dataset::open(&path, fields()).unwrap();
            let error = dataset.samples().unwrap().find_map(Result::err).unwrap().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
