//! The rows of an input that are neither done nor under way, as a job.

use super::handle::short;
use super::options::Moment;
use super::part::{Job, Part};
use super::running::Running;
use super::split::Splitter;
use crate::api::Caller;
use crate::bulk::input::{DuplicateGuard, Source, check};
use crate::bulk::journal::Known;
use crate::bulk::{Repeats, Ticket, question, set_repeat, write_failure, write_line};
use crate::dispatch::Call;
use crate::error::{Error, Result};
use crate::logs as key;
use crate::usage::{Capped, Caps, Most, Prices, Reach};
use crate::wire::row::{Row, RowError, id_hash};

/// The rows that are under way, 16 bytes for each: the hash of the id, and the fingerprint.
pub(super) struct Pending(Vec<(u64, u64)>);

impl Pending {
    /// The fingerprint of the row that is under way with this id.
    fn find(&self, id_hash: u64) -> Option<u64> {
        let at = self.0.binary_search_by_key(&id_hash, |(hash, _)| *hash).ok()?;
        Some(self.0[at].1)
    }
}

impl Running {
    /// The rows that are under way in `jobs`.
    pub(super) fn pending(&mut self, jobs: &[Job]) -> Result<Pending> {
        let batches = self.run.batches.clone();
        let known = self.journal.known();
        let mut pending = Vec::new();
        for job in jobs {
            for part in batches.store().parts(job.id)? {
                if part.state.is_over() {
                    continue;
                }
                batches.files(&part).each_note(|note| {
                    let hash = id_hash(&note.custom_id);
                    if self.run.input.is_none() {
                        self.total += 1;
                        let is_done = known.find(hash, note.fingerprint) == Known::Done;
                        self.done_before += u64::from(is_done);
                    }
                    pending.push((hash, note.fingerprint));
                })?;
            }
        }
        pending.sort_unstable();
        Ok(Pending(pending))
    }

    /// Reads the input and makes a job of the rows that are neither done nor under way.
    pub(super) fn plan(
        &mut self,
        source: &Source,
        pending: &Pending,
        output: &str,
    ) -> Result<Option<Job>> {
        let batches = self.run.batches.clone();
        let steps = batches.steps();
        if !source.is_stream() {
            // Everything is looked at before anything is written.
            check(source, &self.run.format, self.run.skip_invalid, |_| {})?;
        }
        let mut job = batches.new_job(&source.name(), output);
        job.resubmits = self.run.resubmits;
        batches.store().add_job(&mut job)?;
        let result = self.fill(source, pending, &job);
        let mut parts = match result {
            Ok(parts) if !parts.is_empty() => parts,
            nothing => {
                batches.store().remove_job(job.id)?;
                return nothing.map(|_| None);
            }
        };
        job.rows = parts.iter().map(|part| part.rows).sum();
        batches.store().plan(&mut job, &mut parts)?;
        log::info!(target: "openai_bulk::batch", {key::JOB} = short(&job.name), {key::ROWS} = job.rows, {key::PARTS} = parts.len(); "the rows are in parts");
        if let Some(first) = parts.first() {
            steps.tell(first, "plan", Moment::Kept);
        }
        Ok(Some(job))
    }

    fn fill(&mut self, source: &Source, pending: &Pending, job: &Job) -> Result<Vec<Part>> {
        let batches = self.run.batches.clone();
        let steps = batches.steps();
        let prices = &steps.caller.dispatcher.prices;
        let known = self.journal.known();
        let (limits, now) = (steps.options.limits, steps.now());
        // A limit that cannot be read is no limit yet: it is asked again before a part is sent.
        let queue = |model: &str| steps.queue_limit(model).ok().flatten();
        let mut splitter = Splitter::new(batches.store(), job, limits, prices, queue, 1, now);
        let mut guard = (self.run.skip_invalid || source.is_stream()).then(DuplicateGuard::new);
        let mut repeats = Repeats::new(&steps.caller.dispatcher.cache);
        let caps = self.run.all_caps();
        let format = std::mem::take(&mut self.run.format);
        for row in source.rows(&format)? {
            self.total += 1;
            let row = row?.and_then(|row| match &mut guard {
                Some(guard) => guard.admit(&row).map(|()| row),
                None => Ok(row),
            });
            let row = match row {
                Ok(row) => row,
                Err(error) if self.run.skip_invalid => {
                    // Where only some rows go by batch, the live run tells of all lines.
                    if self.run.firsts.is_none() {
                        self.fail_line(&error)?;
                    }
                    continue;
                }
                Err(error) => return Err(error.in_file(&source.name())),
            };
            // Those that are done count too, so that a number does not depend on what is done.
            let repeat = repeats.count(row.fingerprint);
            match (known.state_of(&row), pending.find(row.id_hash)) {
                (Known::Done, _) => self.done_before += 1,
                (Known::Changed, _) => return Err(self.journal.changed(&row)),
                (_, Some(print)) if print == row.fingerprint => {}
                (_, Some(_)) => return Err(changed(&row)),
                _ if !self.run.adds => {}
                _ => {
                    let mut call = question(&steps.caller, &row);
                    call.iter_mut().for_each(|call| set_repeat(call, repeat));
                    if self.answer_from_cache(&row, call.as_ref())? || !self.takes(&row) {
                        continue;
                    }
                    check_price(caps, prices, &row).map_err(|e| e.in_file(&source.name()))?;
                    let key = call.and_then(|call| call.key(&steps.caller.dispatcher.cache));
                    splitter.add(&row, key)?;
                }
            }
        }
        let parts = splitter.finish()?;
        self.run.format = format;
        Ok(parts)
    }

    /// Writes the answer of a row that the cache has, if it does.
    fn answer_from_cache(&mut self, row: &Row, call: Option<&Call>) -> Result<bool> {
        let dispatcher = self.run.batches.steps().caller.dispatcher.clone();
        let Some(reply) = call.and_then(|call| dispatcher.recall(call)) else { return Ok(false) };
        let ticket = Ticket {
            metadata: row.metadata.clone(),
            ..Ticket::of(row.custom_id.clone(), row.line, row.fingerprint)
        };
        let (facts, result) = (reply.facts, Ok(reply));
        self.tally.count(&result, &facts);
        let mut line = Vec::new();
        write_line(&ticket, &result, &facts, Some(self.clock.date()), &mut line)?;
        self.append(&line)?;
        Ok(true)
    }

    /// Whether a new row is one of those that go by batch.
    fn takes(&mut self, row: &Row) -> bool {
        let Some(firsts) = &mut self.run.firsts else { return true };
        let model = Caller::asked(&row.url, row.model.as_deref().unwrap_or_default());
        match firsts.get_mut(&(model.to_owned(), row.url.to_string())) {
            Some(rows) if *rows > 0 => {
                *rows -= 1;
                true
            }
            _ => false,
        }
    }

    /// A line that is not a request is a failed row, under its number.
    fn fail_line(&mut self, error: &RowError) -> Result<()> {
        let custom_id: Box<str> = format!("line-{}", error.line).into();
        let ticket = Ticket::of(custom_id, error.line, 0);
        let mut line = Vec::new();
        write_failure(&ticket, "invalid_line", &error.to_string(), &mut line)?;
        self.count_failure("invalid_line");
        self.append(&line)
    }
}

/// Refuses a row of which it is not known what it may cost at most, where that is capped.
fn check_price(caps: Caps, prices: &Prices, row: &Row) -> std::result::Result<(), RowError> {
    if !caps.is_some() {
        return Ok(());
    }
    let model = row.model.as_deref().unwrap_or_default();
    let model = Caller::asked(&row.url, model);
    let reach = Reach::read(&row.body).sent_to(&row.url);
    let most = reach.most_in_batch(prices, model);
    let capped = match (caps, most) {
        (Caps { money: Some(_), .. }, Most { money: None, .. }) => Capped::Money,
        (Caps { tokens: Some(_), .. }, Most { tokens: None, .. }) => Capped::Tokens,
        _ => return Ok(()),
    };
    let why = reach.why_unknown(prices, model, capped);
    Err(RowError { line: row.line, message: format!("the cap cannot be kept in a batch: {why}") })
}

fn changed(row: &Row) -> Error {
    let message = format!(
        "the request `{}` is under way in a batch, and was another one then; give changed requests \
         other ids, or choose another output",
        row.custom_id.escape_debug()
    );
    Error::invalid(format!("line {}", row.line), message)
}
