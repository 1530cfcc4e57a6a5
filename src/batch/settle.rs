//! The outcome of each row of a part: a line of the output, or a place in another part.

use super::options::Moment;
use super::part::{Job, Part, State};
use super::part_files::{PartFiles, RowNote};
use super::results::{Oddities, Outcome, Rank, join};
use super::running::Running;
use super::split::{Splitter, rewrite};
use super::tracked::Tracked;
use crate::bulk::journal::{Index, Known};
use crate::bulk::{SpentFile, Ticket, write_failure, write_line};
use crate::cache::Key;
use crate::dispatch::{Facts, Reply};
use crate::error::{Error, Result};
use crate::logs as key;
use crate::usage::{Amount, Money};
use crate::wire::row::id_hash;
use std::collections::HashSet;
use std::sync::Arc;

/// So many bytes are written together. Source: own choice; the answers of a part are some 50 MB, and
/// with each write the disk is waited for.
const TOGETHER: usize = 4 << 20;

/// What the outcome of a row depends on besides its line.
struct Case<'a> {
    part: &'a Part,
    /// What the output told when it was opened.
    known: Arc<Index>,
    batch: Option<Arc<str>>,
    /// Whether rows that were not done go into another batch.
    may_go_on: bool,
    /// Whether rows of a batch that was refused as a whole are sent in another way.
    leaves_refused: bool,
    /// Whether it was the last batch that a row may be in.
    is_last: bool,
    /// Whether something is capped, so that lines have to tell what they were counted for.
    is_capped: bool,
}

/// What becomes of a row.
enum End {
    /// It is answered, or refused by the server.
    Answer(Box<Result<Reply>>),
    /// It fails for a reason with a code.
    Failure { code: String, message: String },
    /// It stays to be done.
    Left,
}

/// What became of the rows of a part so far.
#[derive(Default)]
struct Sums {
    succeeded: u64,
    failed: u64,
    left: u64,
    /// Rows that go into another part, by their places.
    redo: HashSet<u64>,
    /// Rows that the server has worked off, by their lines.
    done: u64,
    used: Amount,
    /// What rows may have cost of which no line will tell.
    doubtful: Amount,
}

impl Case<'_> {
    fn end(&self, row: usize, rank: Rank, outcome: Option<Outcome>) -> End {
        let may_redo = self.may_go_on && !self.is_last;
        let ends_here = rank > Rank::Again || (self.may_go_on && self.is_last);
        let outcome = match outcome {
            Some(Outcome::Result(result)) if ends_here => return End::Answer(result),
            outcome => outcome,
        };
        let is_it = |line: Option<u64>| match line {
            None => !self.leaves_refused,
            Some(line) => line == row as u64 + 1,
        };
        if let Some(fault) = self.part.faults.iter().find(|fault| is_it(fault.line)) {
            return End::Failure { code: fault.code.clone(), message: fault.message.clone() };
        }
        match outcome {
            _ if may_redo || !self.may_go_on => End::Left,
            Some(Outcome::Undone { code, message }) => End::Failure { code, message },
            _ => End::Failure {
                code: "no_result".into(),
                message: "no batch had a line for this row".into(),
            },
        }
    }

    /// Whether a row without a line may have been paid for: the batch is gone, or the server has
    /// counted more rows than it gave lines.
    fn is_doubtful(&self, sums: &Sums) -> bool {
        let is_refused = !self.part.faults.is_empty();
        !is_refused && (self.part.is_gone || self.part.counts.completed > sums.done)
    }
}

/// The most that a row may have used.
fn most(note: &RowNote) -> Amount {
    Amount { money: note.money.unwrap_or(Money::ZERO), tokens: note.most.unwrap_or(0) }
}

impl Running {
    /// Gives each row of a part its outcome: a line of the output, or a place in another part.
    pub(super) fn settle(&mut self, job: &Job, mut part: Part, tracked: &Tracked) -> Result<()> {
        let batches = self.run.batches.clone();
        let steps = batches.steps();
        steps.tell(&part, "settle", Moment::Begun);
        let prices = steps.caller.dispatcher.prices.clone();
        let files = batches.files(&part);
        let case = Case {
            part: &part,
            known: self.journal.known(),
            batch: part.batch_id.as_deref().map(Into::into),
            may_go_on: job.resubmits && !job.is_ending && !tracked.is_recalled(part.number),
            leaves_refused: !job.resubmits,
            is_last: part.generation + 1 >= steps.options.most_batches,
            is_capped: self.run.all_caps().is_some(),
        };
        let mut sums = Sums::default();
        let oddities = join(&files, &prices, &part, |note, row, rank, outcome| {
            self.settle_row(&case, &mut sums, note, row, rank, outcome)
        })?;
        warn(&part, &oddities);
        (part.succeeded, part.failed, part.left) = (sums.succeeded, sums.failed, sums.left);
        self.journal.flush(self.clock.now())?;
        steps.tell(&part, "settle", Moment::Acted);
        // Before the part is done: a death here counts it twice, and never not at all.
        SpentFile::beside(&self.run.output).add(sums.doubtful)?;
        let mut others = self.redo(job, &part, &files, &sums.redo)?;
        part.enter(State::Done, steps.now());
        batches.store().replace(&part, &mut others)?;
        log::info!(target: "openai_bulk::batch", {key::PART} = part.number, {key::SUCCEEDED} = sums.succeeded, {key::FAILED} = sums.failed, {key::LEFT} = sums.left; "fetched -> done");
        tracked.settle(&part, sums.used, sums.doubtful);
        steps.tell(&part, "settle", Moment::Kept);
        Ok(())
    }

    fn settle_row(
        &mut self,
        case: &Case<'_>,
        sums: &mut Sums,
        note: &RowNote,
        row: usize,
        rank: Rank,
        outcome: Option<Outcome>,
    ) -> Result<()> {
        sums.done += u64::from(matches!(rank, Rank::Answer | Rank::Broken));
        if case.known.find(id_hash(&note.custom_id), note.fingerprint) == Known::Done {
            // A death between the output and the store: it was counted with the output.
            sums.succeeded += 1;
            return Ok(());
        }
        if rank == Rank::Missing && case.is_doubtful(sums) {
            sums.doubtful = sums.doubtful.plus(most(note));
        }
        let ticket = Ticket {
            metadata: note.metadata.clone(),
            batch: case.batch.clone(),
            ..Ticket::of(note.custom_id.clone(), note.line, note.fingerprint)
        };
        let mut line = std::mem::take(&mut self.buffer);
        line.clear();
        match case.end(row, rank, outcome) {
            End::Answer(mut result) => {
                let facts = sums.pay(note, &mut result, case.is_capped);
                self.keep(note, &result);
                self.tally.count(&result, &facts);
                write_line(&ticket, &result, &facts, None, &mut line)?;
            }
            End::Failure { code, message } => {
                sums.failed += 1;
                self.count_failure(&code);
                write_failure(&ticket, &code, &message, &mut line)?;
            }
            End::Left => {
                sums.left += 1;
                if case.may_go_on {
                    sums.redo.insert(row as u64);
                }
            }
        }
        if !line.is_empty() {
            self.append(&line)?;
        }
        self.buffer = line;
        Ok(())
    }

    /// Keeps the answer of a row in the cache, under what was written down when it was sent.
    fn keep(&self, note: &RowNote, result: &Result<Reply>) {
        let key = note.kept_as.as_deref().and_then(Key::from_hex);
        if let (Some(key), Ok(reply)) = (key, result) {
            let dispatcher = &self.run.batches.steps().caller.dispatcher;
            dispatcher.keep_under(&key, reply.status, reply.request_id.as_deref(), &reply.body);
        }
    }

    /// Adds a line to the output, and writes what has come together.
    pub(super) fn append(&mut self, line: &[u8]) -> Result<()> {
        self.journal.append(line)?;
        if self.journal.unwritten() < TOGETHER {
            return Ok(());
        }
        self.journal.flush(self.clock.now())
    }

    pub(super) fn count_failure(&mut self, code: &str) {
        self.tally.rows.failed += 1;
        *self.tally.rows.failed_by_kind.entry(code.to_owned()).or_default() += 1;
    }

    /// The rows that go into another part, as parts that are not in the store yet.
    fn redo(
        &self,
        job: &Job,
        part: &Part,
        files: &PartFiles,
        rows: &HashSet<u64>,
    ) -> Result<Vec<Part>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let batches = &self.run.batches;
        let (steps, prices) = (batches.steps(), &batches.steps().caller.dispatcher.prices);
        let parts = batches.store().parts(job.id)?;
        let next = parts.iter().map(|part| part.number).max().unwrap_or(0) + 1;
        let queue = steps.queue_limit(&part.model)?;
        let (limits, now) = (steps.options.limits, steps.now());
        let store = batches.store();
        let splitter = Splitter::new(store, job, limits, prices, move |_| queue, next, now);
        let mut splitter = splitter.generation(part.generation + 1);
        rewrite(files, part, &mut splitter, |row| rows.contains(&row))?;
        splitter.finish()
    }
}

impl Sums {
    /// Counts what a row used; where its answer does not tell, it is what it may have used at most.
    /// Gives what its line has to tell besides the answer.
    fn pay(&mut self, note: &RowNote, result: &mut Result<Reply>, is_capped: bool) -> Facts {
        let held = most(note);
        match result {
            Ok(reply) => {
                self.succeeded += 1;
                let usage = reply.peek.usage.as_ref();
                let used = Amount {
                    money: reply.cost.map_or(held.money, |cost| cost.total),
                    tokens: usage.map_or(held.tokens, |usage| usage.total),
                };
                if is_capped && (reply.cost.is_none() || usage.is_none()) {
                    reply.counted = Some(Box::new(used));
                }
                self.used = self.used.plus(used);
                Facts::default()
            }
            // It was worked off, and its answer cannot be read.
            Err(Error::Decode(_)) => {
                self.failed += 1;
                self.used = self.used.plus(held);
                Facts {
                    maybe_billed: 1,
                    maybe_cost: held.money,
                    maybe_tokens: held.tokens,
                    maybe_unpriced: u32::from(note.money.is_none()),
                    ..Facts::default()
                }
            }
            Err(_) => {
                self.failed += 1;
                Facts::default()
            }
        }
    }
}

fn warn(part: &Part, oddities: &Oddities) {
    if oddities.any() && part.faults.is_empty() {
        log::warn!(target: "openai_bulk::batch", {key::PART} = part.number, {key::UNREADABLE} = oddities.unreadable, {key::UNKNOWN} = oddities.unknown, {key::REPEATED} = oddities.repeated, {key::MISSING} = oddities.missing; "lines of the results are odd");
    }
}
