//! The lines of the input, read with the memory of one.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::wire::row::{Format, Row, RowError};

/// How much is read from the system at once.
const READ: usize = 256 * 1024;

/// Where the rows come from: a file, or the standard input.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    kind: Kind,
    line_limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Can be read twice.
    File,
    /// A pipe or a device: can be read once.
    Stream,
    /// The standard input.
    Stdin,
}

impl Source {
    /// The longest line that is accepted if no other limit is set: 64 MiB.
    pub const LINE_LIMIT: usize = 64 << 20;

    /// The file at `path`, or the standard input if it is `-`.
    ///
    /// A name that ends with `.gz` is read as gzip, of one or several members.
    ///
    /// # Errors
    /// When the file is not there, is a folder, or may not be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Source> {
        let path = path.as_ref().to_owned();
        let kind = if path.as_os_str() == "-" {
            Kind::Stdin
        } else {
            kind_of(&path).map_err(|e| Error::file("read", &path, e))?
        };
        Ok(Source { path, kind, line_limit: Source::LINE_LIMIT })
    }

    /// Sets the longest line that is accepted; a longer one is an error of that row.
    ///
    /// Default: 64 MiB, in bytes.
    pub fn with_line_limit(self, bytes: usize) -> Source {
        Source { line_limit: bytes, ..self }
    }

    /// Whether it can be read only once, so that there is no first pass.
    pub fn is_stream(&self) -> bool {
        self.kind != Kind::File
    }

    /// The path, or `-`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name for messages.
    pub fn name(&self) -> String {
        match self.kind {
            Kind::Stdin => "standard input".into(),
            _ => self.path.display().to_string(),
        }
    }

    /// Its bytes, unpacked, from the first one on.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn reader(&self) -> Result<Box<dyn Read + Send>> {
        if self.kind == Kind::Stdin {
            return Ok(Box::new(io::stdin()));
        }
        let file = File::open(&self.path).map_err(|e| self.error(e))?;
        let gzip = self.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        Ok(if gzip {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ, file)))
        } else {
            Box::new(file)
        })
    }

    /// Its lines, from the first one on.
    pub fn lines(&self) -> Result<Lines> {
        Ok(self.lines_of(self.reader()?))
    }

    /// The lines of what is read from `reader` in its place, such as what was put aside of a
    /// stream and the rest of it.
    pub fn lines_of(&self, reader: Box<dyn Read + Send>) -> Lines {
        Lines {
            reader: BufReader::with_capacity(READ, reader),
            source: self.clone(),
            number: 0,
            text: Vec::new(),
        }
    }

    /// Its rows, from the first one on.
    pub fn rows<'a>(&self, format: &'a Format) -> Result<Rows<'a>> {
        Ok(Rows { lines: self.lines()?, format })
    }

    fn error(&self, e: io::Error) -> Error {
        Error::file("read", &self.path, e)
    }
}

fn kind_of(path: &Path) -> io::Result<Kind> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Ok(Kind::Stream);
    }
    File::open(path).map(|_| Kind::File)
}

/// A line that is not blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its number, from 1, and its bytes without the line end.
    Text(u64, &'a [u8]),
    /// The number of a line that is longer than the limit; its bytes were passed over.
    TooLong(u64),
}

/// The lines of a source, one after the other.
pub struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    source: Source,
    number: u64,
    text: Vec<u8>,
}

impl Lines {
    /// The next line that is not blank, or `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read further; a gzip file that is cut off is such a case.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            self.text.clear();
            let whole = self.read().map_err(|e| self.source.error(e))?;
            if self.text.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            if !whole {
                return Ok(Some(Line::TooLong(self.number)));
            }
            if !is_blank(self.number, &self.text) {
                let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
                return Ok(Some(Line::Text(self.number, text)));
            }
        }
    }

    /// The row or the error that the next line makes.
    fn next_row(&mut self, format: &Format) -> Result<Option<Result<Row, RowError>>> {
        let limit = self.source.line_limit;
        Ok(match self.next_line()? {
            None => None,
            Some(Line::Text(number, text)) => Some(format.parse(number, text)),
            Some(Line::TooLong(line)) => Some(Err(too_long(line, limit))),
        })
    }

    /// Reads a line into the buffer; false if it is too long.
    fn read(&mut self) -> io::Result<bool> {
        // One byte for the line end, one to see that there is more.
        let most = (self.source.line_limit as u64).saturating_add(2);
        (&mut self.reader).take(most).read_until(b'\n', &mut self.text)?;
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        if text.len() <= self.source.line_limit {
            return Ok(true);
        }
        if text.len() == self.text.len() {
            self.reader.skip_until(b'\n')?;
        }
        self.text.truncate(1);
        self.text.shrink_to(READ);
        Ok(false)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("source", &self.source).field("number", &self.number).finish()
    }
}

fn is_blank(number: u64, text: &[u8]) -> bool {
    let text = if number == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
    text.trim_ascii().is_empty()
}

pub(super) fn too_long(line: u64, limit: usize) -> RowError {
    RowError { line, message: format!("the line is longer than the limit of {limit} bytes") }
}

impl Lines {
    /// The longest line that is accepted.
    pub(super) fn limit(&self) -> usize {
        self.source.line_limit
    }
}

/// The rows of a source, one after the other.
///
/// The outer error ends the reading: the file cannot be read. The inner one is that of a row.
#[derive(Debug)]
pub struct Rows<'a> {
    lines: Lines,
    format: &'a Format,
}

impl Iterator for Rows<'_> {
    type Item = Result<Result<Row, RowError>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.lines.next_row(self.format).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn read(path: &Path, limit: usize) -> Result<Vec<(u64, Option<String>)>> {
        let mut lines = Source::open(path)?.with_line_limit(limit).lines()?;
        let mut all = Vec::new();
        while let Some(line) = lines.next_line()? {
            all.push(match line {
                Line::Text(n, text) => (n, Some(String::from_utf8_lossy(text).into_owned())),
                Line::TooLong(n) => (n, None),
            });
        }
        Ok(all)
    }

    fn line(n: u64, text: &str) -> (u64, Option<String>) {
        (n, Some(text.to_owned()))
    }

    #[test]
    fn blank_lines_count_but_are_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.jsonl");
        for (text, wanted) in [
            ("", vec![]),
            ("\n \t\r\n\n", vec![]),
            ("\u{feff}\n\u{feff}", vec![line(2, "\u{feff}")]),
            ("a\n\nb", vec![line(1, "a"), line(3, "b")]),
            ("a\r\nb\n", vec![line(1, "a\r"), line(2, "b")]),
            ("12345\n123456\n12345", vec![line(1, "12345"), (2, None), line(3, "12345")]),
            ("1234567890\n1\n", vec![(1, None), line(2, "1")]),
            ("1234567890", vec![(1, None)]),
            ("1\n123456", vec![line(1, "1"), (2, None)]),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path, 5).unwrap(), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_gzip_of_several_members_is_one_text_and_a_cut_one_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.jsonl.gz");
        let mut bytes = Vec::new();
        for part in ["a\nb", "c\nd"] {
            let mut encoder = GzEncoder::new(&mut bytes, Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            encoder.finish().unwrap();
        }
        fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path, 9).unwrap(), [line(1, "a"), line(2, "bc"), line(3, "d")]);
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert!(matches!(read(&path, 9), Err(Error::File(_))));
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("none")] {
            let e = Source::open(&path).unwrap_err();
            assert_eq!(e.to_string(), format!("cannot read {}", path.display()));
        }
        assert!(Source::open("-").unwrap().is_stream());
        assert!(!Source::open(std::env::current_exe().unwrap()).unwrap().is_stream());
    }
}
