//! An evaluation: requests out, answers judged, a report.

use super::answer::SampleResult;
use super::dataset::Dataset;
use super::files::{Files, Whole};
use super::inspect;
use super::live::{Judge, Live, Standing};
use super::plan::{self, Asked, Request, Requests};
use super::prompt::Prompt;
use super::report::{Report, Tally};
use super::scorer::{Grading, Scorer};
use super::spool::Spool;
use super::verdicts::Verdicts;
use crate::api::Caller;
use crate::bulk::{Earlier, FileRun, SpentFile, Status, Summary};
use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::usage::{Amount, Caps};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A data set, what is asked of it, and how the answers are judged.
#[derive(Clone, Debug)]
#[must_use = "call .run()"]
pub struct Evaluation {
    dataset: Dataset,
    prompt: Option<Prompt>,
    scorer: Option<Scorer>,
    epochs: u32,
    files: Files,
    inspect: Option<PathBuf>,
    is_fresh: bool,
    seed: u64,
    caps: Caps,
    stop: Stop,
}

/// One sending of requests: those of the samples, or those to a grader.
#[non_exhaustive]
pub struct Round<'a> {
    /// The file of requests; every line has an id and says all itself.
    pub input: &'a Path,
    /// The file of answers, from which the run goes on.
    pub output: &'a Path,
    /// What may be spent, less what the other round has cost.
    pub caps: Caps,
    live: Option<&'a Live>,
}

impl Round<'_> {
    /// Takes a line of answers as soon as it is written, so that it is judged while others are on
    /// their way. Lines that are not shown are judged in the end.
    pub fn seen(&self, line: &[u8]) {
        if let Some(live) = self.live {
            live.offer(line);
        }
    }

    /// How the answers turned out that were judged so far.
    pub fn standing(&self) -> Standing {
        self.live.map(Live::standing).unwrap_or_default()
    }
}

/// What an evaluation came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluated {
    /// What it found.
    pub report: Report,
    /// What the run did that asked the samples.
    pub answers: Summary,
    /// What the run did that asked the grader, if one was asked.
    pub grading: Option<Summary>,
}

impl Evaluation {
    /// An evaluation whose results are written to the file `output`, with its requests and answers
    /// beside it.
    pub fn new(dataset: Dataset, output: impl Into<PathBuf>) -> Evaluation {
        Evaluation {
            dataset,
            prompt: None,
            scorer: None,
            epochs: 1,
            files: Files::beside(&output.into()),
            inspect: None,
            is_fresh: false,
            seed: 0,
            caps: Caps::default(),
            stop: Stop::new(),
        }
    }

    /// What is asked. Default: what is usual for the data set's shape.
    pub fn prompt(mut self, prompt: Prompt) -> Evaluation {
        self.prompt = Some(prompt);
        self
    }

    /// How answers are judged. Default: as is usual for the data set's shape.
    pub fn scorer(mut self, scorer: Scorer) -> Evaluation {
        self.scorer = Some(scorer);
        self
    }

    /// How often each sample is asked. Default: once.
    pub fn epochs(mut self, epochs: u32) -> Evaluation {
        self.epochs = epochs.max(1);
        self
    }

    /// A file for Inspect, in its log format as JSON; its name may not end in `.eval`, which is the
    /// archive of the same. Default: none.
    pub fn inspect(mut self, path: impl Into<PathBuf>) -> Evaluation {
        self.inspect = Some(path.into());
        self
    }

    /// Throws away the answers that are there. Default: no.
    pub fn fresh(mut self, is_fresh: bool) -> Evaluation {
        self.is_fresh = is_fresh;
        self
    }

    /// What the draws of intervals follow. Default: 0.
    pub fn seed(mut self, seed: u64) -> Evaluation {
        self.seed = seed;
        self
    }

    /// The most that may be spent, with a grader. Default: anything.
    pub fn caps(mut self, caps: Caps) -> Evaluation {
        self.caps = caps;
        self
    }

    /// Ends it early. Default: a stop that nobody holds.
    pub fn stop(mut self, stop: &Stop) -> Evaluation {
        self.stop = stop.clone();
        self
    }

    /// Sends the requests live, and judges the answers. The same evaluation again goes on where it
    /// ended.
    ///
    /// # Errors
    /// When the data set, the prompt and the scorer do not fit, or a file cannot be read or written.
    /// Answers that fail, and a run that ended early, are no error: the report says so.
    pub fn run(&self, caller: &Arc<Caller>) -> Result<Evaluated> {
        self.run_with(caller, |round| {
            FileRun::new(caller.clone(), round.input, round.output)
                .fresh(self.is_fresh)
                .max_cost(round.caps.money)
                .max_tokens_total(round.caps.tokens)
                .stop(&self.stop)
                .run_seen(|_| {}, |line| round.seen(line))
        })
    }

    /// The same, with `send` doing the rounds in its own way, such as by batches.
    ///
    /// # Errors
    /// As for [`run`](Evaluation::run), and those of `send`.
    pub fn run_with<E: From<Error>>(
        &self,
        caller: &Arc<Caller>,
        mut send: impl FnMut(&Round<'_>) -> Result<Summary, E>,
    ) -> Result<Evaluated, E> {
        let files = &self.files;
        let scorer = match &self.scorer {
            Some(scorer) => scorer.clone(),
            None => Scorer::of(self.dataset.shape())?,
        };
        self.plan(caller.default_model())?;
        // What cannot be written in the end is told before anything is paid for.
        self.inspect.as_deref().map_or(Ok(()), inspect::check)?;
        for path in [Some(&files.results), self.inspect.as_ref()].into_iter().flatten() {
            Whole::create(path)?;
        }
        let prices = caller.dispatcher.prices.clone();
        let judge = Judge { scorer, prices };
        let live = Live::start(judge.clone(), &files.results)?;
        let round = Round {
            input: &files.requests,
            output: &files.answers,
            caps: match self.is_fresh {
                // What was spent before is thrown away with what it gave.
                true => self.caps,
                false => self.caps_beside(&files.grading, caller)?,
            },
            live: Some(&live),
        };
        let answers = send(&round)?;
        let mut spool = live.finish(&files.answers)?;
        let mut grading = None;
        if let Some(how) = judge.scorer.grading() {
            let model = caller.default_model();
            if answers.status == Status::Finished && self.plan_grading(how, &mut spool, model)? > 0
            {
                let round = Round {
                    input: &files.grading_requests,
                    output: &files.grading,
                    caps: self.caps_beside(&files.answers, caller)?,
                    live: None,
                };
                grading = Some(send(&round)?);
            }
        }
        let date = caller.dispatcher.clock.date();
        let report = self.collect(&judge, spool, &answers, date)?;
        Ok(Evaluated { report, answers, grading })
    }

    fn plan(&self, model: &str) -> Result<()> {
        let shape = self.dataset.shape();
        let usual;
        let prompt = match &self.prompt {
            Some(prompt) => prompt,
            None => {
                usual = Prompt::of(shape)?;
                &usual
            }
        };
        prompt.fits(shape)?;
        plan::write(&self.dataset, prompt, self.epochs, model, &self.files.requests)
    }

    /// The caps, less what the round of another output has spent.
    fn caps_beside(&self, other: &Path, caller: &Caller) -> Result<Caps> {
        if !self.caps.is_some() || !other.exists() {
            return Ok(self.caps);
        }
        let told = Earlier::read(other, &caller.dispatcher.prices, self.caps)?.amount;
        let spent: Amount = SpentFile::beside(other).read(told)?;
        Ok(Caps {
            money: self.caps.money.map(|most| most.less(spent.money)),
            tokens: self.caps.tokens.map(|most| most.saturating_sub(spent.tokens)),
        })
    }

    /// Writes a request to the grader for each answer, and gives their number.
    fn plan_grading(&self, how: &Grading, spool: &mut Spool, model: &str) -> Result<u64> {
        let mut out = Whole::create(&self.files.grading_requests)?;
        let mut count = 0;
        for asked in Requests::open(&self.files.requests)? {
            let asked = asked?;
            let result = spool.get(asked.id_hash())?;
            let Some(answer) = result.and_then(|result| result.answer) else { continue };
            let body = how.body(&asked.question(), &answer, &asked.task, model)?;
            let (id, url) = (asked.task.custom_id(), "/v1/chat/completions");
            out.line(&Request::new(&id, url, &body, &asked.task))?;
            count += 1;
        }
        out.finish()?;
        Ok(count)
    }

    /// Puts the results in order, and counts them.
    fn collect(
        &self,
        judge: &Judge,
        mut spool: Spool,
        summary: &Summary,
        date: SystemTime,
    ) -> Result<Report> {
        let verdicts = match judge.scorer.grading() {
            Some(how) => Some(Verdicts::read(&self.files.grading, how, &judge.prices)?),
            None => None,
        };
        let mut tally = Tally::default();
        let mut results = Whole::create(&self.files.results)?;
        for asked in Requests::open(&self.files.requests)? {
            let asked = asked?;
            let result = self.result(judge, &mut spool, verdicts.as_ref(), &asked)?;
            tally.add(&asked.task.id, asked.task.group.as_deref(), result.as_ref());
            if let Some(result) = &result {
                results.line(result)?;
            }
        }
        let report = tally.finish(&judge.scorer, self.epochs, self.seed);
        results.finish()?;
        if let Some(path) = &self.inspect {
            let log = inspect::Log { report: &report, dataset: &self.dataset, summary, date };
            log.write(path, &self.files)?;
        }
        Ok(report)
    }

    /// The result of what was asked, with its verdict.
    fn result(
        &self,
        judge: &Judge,
        spool: &mut Spool,
        verdicts: Option<&Verdicts>,
        asked: &Asked,
    ) -> Result<Option<SampleResult>> {
        let id_hash = asked.id_hash();
        let Some(mut result) = spool.get(id_hash)? else { return Ok(None) };
        if !spool.is_of(id_hash, &asked.task) {
            // The data set says something else than when this was asked.
            judge.judge(&mut result, &asked.task);
        }
        result.target.clone_from(&asked.task.target);
        result.group.clone_from(&asked.task.group);
        if let Some(verdicts) = verdicts {
            verdicts.apply(id_hash, &mut result);
        }
        Ok(Some(result))
    }
}
