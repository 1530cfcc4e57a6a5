//! From a file of requests to a file of answers.

use super::earlier::Earlier;
use super::input::{DuplicateGuard, Source, check};
use super::journal::{Fsync, Journal, Known, Options};
use super::plan_file::PlanFile;
use super::running::{Running, Seen};
use super::snapshot::Snapshot;
use super::spent::SpentFile;
use super::summary::Summary;
use super::under_way::UnderWayFile;
use super::unpriced::Unpriced;
use crate::api::Caller;
use crate::clock::Stop;
use crate::error::Error;
use crate::usage::{Amount, Caps, Money, Purse};
use crate::wire::row::Format;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A run over a file: every row is sent, every answer written, and the output is the journal.
#[derive(Debug)]
#[must_use = "call .run()"]
pub struct FileRun {
    pub(super) caller: Arc<Caller>,
    input: PathBuf,
    output: PathBuf,
    format: Format,
    pub(super) is_ordered: bool,
    is_fresh: bool,
    pub(super) skip_invalid: bool,
    fsync: Fsync,
    pub(super) window: Option<usize>,
    caps: Caps,
    /// Rows that batches may answer; only with it, batches may be under way.
    pub(super) left_out: Option<Arc<HashSet<u64>>>,
    pub(super) leaves_failed: bool,
    keeps_plan: bool,
    pub(super) metrics: Option<PathBuf>,
    pub(super) stop: Stop,
}

impl FileRun {
    /// A run from `input` to `output`; `-` is standard input or output.
    pub fn new(
        caller: Arc<Caller>,
        input: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> FileRun {
        FileRun {
            format: Format { model: caller.default_model().into(), ..Format::default() },
            caller,
            input: input.into(),
            output: output.into(),
            is_ordered: false,
            is_fresh: false,
            skip_invalid: false,
            fsync: Fsync::Interval(Duration::from_secs(1)),
            window: None,
            caps: Caps::default(),
            left_out: None,
            leaves_failed: false,
            keeps_plan: false,
            metrics: None,
            stop: Stop::new(),
        }
    }

    /// How lines are read. Default: they say everything but the model themselves.
    pub fn format(mut self, format: Format) -> FileRun {
        self.format = format;
        self
    }

    /// Leaves the output in the order of the input. Default: no.
    pub fn ordered(mut self, is_ordered: bool) -> FileRun {
        self.is_ordered = is_ordered;
        self
    }

    /// Throws away what the output holds. Default: no.
    pub fn fresh(mut self, is_fresh: bool) -> FileRun {
        self.is_fresh = is_fresh;
        self
    }

    /// Turns lines that are not valid into failed rows. Default: they are an error.
    pub fn skip_invalid(mut self, skip: bool) -> FileRun {
        self.skip_invalid = skip;
        self
    }

    /// When answers are forced to the disk. Default: once a second.
    pub fn fsync(mut self, fsync: Fsync) -> FileRun {
        self.fsync = fsync;
        self
    }

    /// How many rows may be inside at once. Default: four times the concurrency limit, and at
    /// least 256.
    pub fn window(mut self, rows: usize) -> FileRun {
        self.window = Some(rows);
        self
    }

    /// The most that the run may cost, in US dollars: together with what the answers cost that the
    /// output holds already, and with what attempts may have cost that brought no answer. The run
    /// ends when what is left does not fit; see [`Status::Capped`](super::Status::Capped). Default: none; the client's own
    /// cap counts in any case.
    pub fn max_cost(mut self, most: impl Into<Option<Money>>) -> FileRun {
        self.caps.money = most.into();
        self
    }

    /// The most tokens that the run may use, read and written together; as
    /// [`max_cost`](FileRun::max_cost). Default: none.
    pub fn max_tokens_total(mut self, most: impl Into<Option<u64>>) -> FileRun {
        self.caps.tokens = most.into();
        self
    }

    /// Leaves out the rows whose ids have these hashes ([`id_hash`](crate::wire::row::id_hash)):
    /// batches answer them. They are told as not sent. The run goes on beside batches for its
    /// output, so these have to be all rows that are under way there. Default: none, and a run is
    /// refused while batches are under way.
    pub fn leave_out(mut self, rows: Arc<HashSet<u64>>) -> FileRun {
        self.left_out = Some(rows);
        self
    }

    /// Leaves rows as they are that the output tells as failed. They are told as not sent. Default:
    /// no, they are sent again.
    pub fn leave_failed(mut self, leaves: bool) -> FileRun {
        self.leaves_failed = leaves;
        self
    }

    /// Leaves the plan beside the output, of which the run is a step.
    pub(crate) fn keep_plan(mut self) -> FileRun {
        self.keeps_plan = true;
        self
    }

    /// Writes how the run stands to this file, as Prometheus reads it: at its start, every
    /// [`EVERY`](super::metrics::EVERY) and at its end. Default: none.
    pub fn metrics_file(mut self, path: impl Into<PathBuf>) -> FileRun {
        self.metrics = Some(path.into());
        self
    }

    /// Ends the run early. Default: a stop that nobody holds.
    pub fn stop(mut self, stop: &Stop) -> FileRun {
        self.stop = stop.clone();
        self
    }

    /// Does the run; `show` is called ten times a second with where it stands.
    ///
    /// # Errors
    /// When a file cannot be read or written, a line is not valid, or batches for the output are under
    /// way (see [`BatchRun`](crate::batch::BatchRun)): then nothing more is sent, and the output is
    /// valid. A run that the user or the server ended is no error; its summary
    /// says so.
    pub fn run(self, show: impl FnMut(&Snapshot)) -> Result<Summary, Error> {
        self.begin(show, None)
    }

    /// The same; `seen` is called with each line of output after it was written, and must not take
    /// long, because the next ones wait.
    ///
    /// # Errors
    /// As for [`run`](FileRun::run).
    pub fn run_seen(
        self,
        show: impl FnMut(&Snapshot),
        mut seen: impl FnMut(&[u8]),
    ) -> Result<Summary, Error> {
        self.begin(show, Some(&mut seen))
    }

    fn begin(
        mut self,
        mut show: impl FnMut(&Snapshot),
        seen: Option<&mut Seen<'_>>,
    ) -> Result<Summary, Error> {
        let source = Source::open(&self.input)?;
        if super::journal::same_file(&self.input, &self.output) {
            let message = format!("{} is the input; choose another output", self.output.display());
            return Err(Error::invalid("output", message));
        }
        self.refuse_batches()?;
        let mut opened = self.open(&source)?;
        // Once more, because no other run can begin from here on.
        self.refuse_batches()?;
        opened.journal.probe()?;
        if !self.keeps_plan && !opened.journal.is_sink() {
            PlanFile::beside(&self.output).remove()?;
        }
        let format = std::mem::take(&mut self.format);
        let mut running =
            Running::start(&self, source, format, opened, seen.map(|seen| seen as &mut Seen<'_>))?;
        running.go(&mut show);
        running.end(&mut show)
    }

    /// Refuses to send rows that are under way in batches, unless those are known and left out.
    fn refuse_batches(&self) -> Result<(), Error> {
        match self.left_out {
            Some(_) => Ok(()),
            None => UnderWayFile::beside(&self.output).refuse(),
        }
    }

    /// What the run may spend, less what its output has cost already.
    pub(super) fn purse(&self, journal: &Journal) -> Result<(Option<Arc<Purse>>, Earlier), Error> {
        let file = SpentFile::beside(&self.output);
        if self.is_fresh && !journal.is_sink() {
            file.remove()?;
        }
        let dispatcher = &self.caller.dispatcher;
        if !self.caps.is_some() {
            if !journal.is_sink() {
                let read = || Earlier::read(&self.output, &dispatcher.prices, self.caps);
                file.try_set_aside(|| Ok(read()?.amount));
            }
            return Ok((None, Earlier::default()));
        }
        let purse = Purse::new(self.caps, dispatcher.purse.clone());
        if journal.is_sink() {
            return Ok((Some(purse), Earlier::default()));
        }
        let earlier = Earlier::read(&self.output, &dispatcher.prices, self.caps)?;
        purse.count_earlier(file.read(earlier.amount)?);
        purse.mark(file.writer(purse.standing().taken())?);
        Ok((Some(purse), earlier))
    }

    /// Writes down what counts against the cap as far as the output does not tell it.
    pub(super) fn end_spending(&self, purse: &Purse) -> Result<(), Error> {
        let prices = &self.caller.dispatcher.prices;
        let told = Earlier::read(&self.output, prices, Caps::default())?.amount;
        SpentFile::beside(&self.output).end(purse.standing().taken(), told)
    }

    /// The caps that a row has to be known for: those of the run and of the client.
    pub(super) fn all_caps(&self) -> Caps {
        let client = self.caller.dispatcher.purse.as_ref();
        let client = client.map(|purse| purse.standing().caps).unwrap_or_default();
        Caps { money: self.caps.money.or(client.money), tokens: self.caps.tokens.or(client.tokens) }
    }

    /// Opens the output and checks the whole input against it, before anything is sent.
    fn open(&self, source: &Source) -> Result<Opened, Error> {
        let options =
            || Options { fresh: self.is_fresh, fsync: self.fsync, input: Some(self.input.clone()) };
        if source.is_stream() {
            let journal = Journal::open(&self.output, options())?;
            return Ok(Opened { journal, total: None, most: None });
        }
        if self.is_fresh {
            // The old answers go only when the input is known to be good.
            let mut unpriced = Unpriced::new(&self.caller, self.all_caps());
            let checked = check(source, &self.format, self.skip_invalid, |row| unpriced.look(row))?;
            let most = unpriced.refuse(&source.name())?;
            let journal = Journal::open(&self.output, options())?;
            return Ok(Opened { journal, total: Some(checked.rows + checked.total()), most });
        }
        let journal = Journal::open(&self.output, options())?;
        let known = journal.known();
        let mut changed = None;
        let mut unpriced = Unpriced::new(&self.caller, self.all_caps());
        // Where lines are skipped, a row with the id of an earlier one is never compared.
        let mut guard = self.skip_invalid.then(DuplicateGuard::new);
        let checked = check(source, &self.format, self.skip_invalid, |row| {
            let is_first = guard.as_mut().is_none_or(|guard| guard.admit(row).is_ok());
            if is_first && changed.is_none() && known.state_of(row) == Known::Changed {
                changed = Some(journal.changed(row));
            }
            if known.state_of(row) != Known::Done {
                unpriced.look(row);
            }
        })?;
        let most = unpriced.refuse(&source.name())?;
        match changed {
            Some(error) => Err(error),
            None => Ok(Opened { journal, total: Some(checked.rows + checked.total()), most }),
        }
    }
}

/// The output, and what the check of the input told.
pub(super) struct Opened {
    pub(super) journal: Journal,
    /// Rows of the input; unknown of a stream.
    pub(super) total: Option<u64>,
    /// The most that the rows may use that are to be sent, if something is capped.
    pub(super) most: Option<Amount>,
}
