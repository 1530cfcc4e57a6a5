//! From files to a page.

use super::page;
use super::rows::Rows;
use super::score::Score;
use super::told::Told;
use crate::bulk::input::Source;
use crate::bulk::journal::same_file;
use crate::error::{Error, Result};
use crate::usage::Prices;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why a file is not the output of a run, and which one it may be.
fn no_output(path: &Path) -> String {
    let path = path.display();
    let why =
        format!("{path} is not the output of a run: none of its lines is an answer or a failure");
    let answers = format!("{path}.answers.jsonl");
    if !Path::new(&answers).exists() {
        return why;
    }
    format!(
        "{why}; those of that evaluation are in {answers}, and its score in what `eval --summary` writes"
    )
}

/// A page about a run, made of its summary, its output, or both.
///
/// ```no_run
/// use openai_bulk::report::Report;
///
/// Report::new().summary("summary.json")?.output("answers.jsonl")?.write("report.html")?;
/// # Ok::<(), openai_bulk::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "call .write()"]
pub struct Report {
    pub(super) title: Option<String>,
    pub(super) told: Option<Told>,
    /// The run that asked a grader, of an evaluation that has one.
    pub(super) grading: Option<Told>,
    pub(super) rows: Option<Rows>,
    pub(super) score: Option<Score>,
    prices: Option<Prices>,
    sources: Vec<PathBuf>,
}

impl Report {
    /// A report of nothing.
    pub fn new() -> Report {
        Report::default()
    }

    /// What stands at the top. Default: `Run report`.
    pub fn title(mut self, title: impl Into<Option<String>>) -> Report {
        self.title = title.into();
        self
    }

    /// What answers cost, where there is no summary that tells it; to be called before the first
    /// output is read. Default: the list of this crate.
    pub fn prices(mut self, prices: Prices) -> Report {
        self.prices = Some(prices);
        self
    }

    /// Reads the summary of a run, or what an evaluation found; each may be given.
    ///
    /// # Errors
    /// When it cannot be read, or is neither.
    pub fn summary(mut self, path: impl AsRef<Path>) -> Result<Report> {
        let path = path.as_ref();
        let text = fs::read(path).map_err(|e| Error::file("read", path, e))?;
        self.take(&text).map_err(|why| {
            let message = format!("{} is not the summary of a run: {why}", path.display());
            Error::invalid("summary", message)
        })?;
        self.sources.push(path.into());
        Ok(self)
    }

    fn take(&mut self, text: &[u8]) -> std::result::Result<(), String> {
        let all: Value = serde_json::from_slice(text).map_err(|e| format!("no JSON: {e}"))?;
        let score = Score::find(&all)?;
        // An evaluation has the run that asked, and the one that graded, if any.
        let asked = all.get("rounds").and_then(|rounds| rounds.get(0));
        let run = asked.unwrap_or(&all);
        let is_run = run.get("schema").is_some() && run.get("rows").is_some();
        if !is_run && score.is_none() {
            return Err("it has no `schema` and `rows`; `run --summary FILE` and `eval --summary FILE` write one".into());
        }
        self.score = score.or(self.score.take());
        if is_run {
            let grading = all.get("rounds").and_then(|rounds| rounds.get(1));
            self.grading = grading.map(|grading| Told::read(grading.clone())).transpose()?;
            self.told = Some(Told::read(run.clone())?);
        }
        Ok(())
    }

    /// Reads the output of a run, line by line; several are taken together. A torn last line is
    /// passed over, and a name that ends with `.gz` is unpacked.
    ///
    /// # Errors
    /// When it cannot be read, or is not an output.
    pub fn output(mut self, path: impl AsRef<Path>) -> Result<Report> {
        let path = path.as_ref();
        let lines = Source::open(path)?.lines()?;
        let prices = &mut self.prices;
        let rows = self
            .rows
            .get_or_insert_with(|| Rows::new(prices.take().unwrap_or_else(Prices::builtin)));
        let before = (rows.lines(), rows.unread);
        rows.read(lines)?;
        if rows.lines() == before.0 && rows.unread > before.1 {
            return Err(Error::invalid("output", no_output(path)));
        }
        self.sources.push(path.into());
        Ok(self)
    }

    /// The page.
    pub fn html(&self) -> String {
        page::page(self)
    }

    /// Writes the page. An earlier page is replaced, any other file is left alone.
    ///
    /// # Errors
    /// When it cannot be written, or when a file of that name is not a page.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let is_source = self.sources.iter().any(|source| same_file(source, path));
        if is_source || !is_free(path) {
            let message =
                format!("{} is there and is not a report; choose another name", path.display());
            return Err(Error::invalid("report", message));
        }
        fs::write(path, self.html()).map_err(|e| Error::file("write the report", path, e))
    }
}

/// Whether nothing is lost when a file is replaced: it is not there, empty, passed on, or a page.
fn is_free(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(file) if file.is_file() && file.len() > 0 => {}
        _ => return true,
    }
    let mut start = [0; page::START.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *page::START.as_bytes()
}
