//! A run that follows its plan.

use super::kept::{Kept, KeptShare};
use super::outlook::Outlook;
use super::plan::{Plan, plan};
use super::situation::Thresholds;
use super::steps::Going;
use super::summary::{AutoProgress, AutoSummary};
use crate::batch::{Batches, Date};
use crate::bulk::estimate::{Estimate, Survey};
use crate::bulk::journal::Fsync;
use crate::bulk::{Earlier, PlanFile, SpentFile};
use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::logs as key;
use crate::usage::{Caps, Money};
use crate::wire::row::Format;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A run over a file that sends some rows now and some by batch, as its [`plan`](AutoRun::plan)
/// says: the same input and output as a [`FileRun`](crate::bulk::FileRun), which may go on where
/// this one stopped, and the other way round.
///
/// Batches that will not be in time are cancelled, what they did is kept, and the rest is sent live.
/// No row is sent live while a batch may still answer it, unless the thresholds allow the double
/// cost. The plan is kept in `OUTPUT.plan` until every row has its line: the same run again goes on
/// with it, and with its deadline.
#[derive(Debug)]
#[must_use = "call .run() or .plan()"]
pub struct AutoRun {
    pub(super) batches: Batches,
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    pub(super) format: Format,
    pub(super) is_ordered: bool,
    pub(super) is_fresh: bool,
    pub(super) skip_invalid: bool,
    pub(super) fsync: Fsync,
    pub(super) caps: Caps,
    pub(super) thresholds: Thresholds,
    pub(super) deadline: Option<Duration>,
    pub(super) expected_output: Option<u64>,
    pub(super) metrics: Option<PathBuf>,
    pub(super) stop: Stop,
}

impl AutoRun {
    /// A run from `input` to `output`, which must be files.
    pub fn new(batches: Batches, input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> AutoRun {
        let model = batches.caller().default_model().to_owned();
        AutoRun {
            batches,
            input: input.into(),
            output: output.into(),
            format: Format { model, no_streams: true, ..Format::default() },
            is_ordered: false,
            is_fresh: false,
            skip_invalid: false,
            fsync: Fsync::Interval(Duration::from_secs(1)),
            caps: Caps::default(),
            thresholds: Thresholds::default(),
            deadline: None,
            expected_output: None,
            metrics: None,
            stop: Stop::new(),
        }
    }

    /// How lines are read. Default: they say everything but the model themselves.
    pub fn format(mut self, format: Format) -> AutoRun {
        self.format = Format { no_streams: true, ..format };
        self
    }

    /// Leaves the output in the order of the input. Default: no.
    pub fn ordered(mut self, is_ordered: bool) -> AutoRun {
        self.is_ordered = is_ordered;
        self
    }

    /// Throws away what the output holds, the plan that was begun among it. Default: no.
    pub fn fresh(mut self, is_fresh: bool) -> AutoRun {
        self.is_fresh = is_fresh;
        self
    }

    /// Turns lines that are not valid into failed rows. Default: they are an error.
    pub fn skip_invalid(mut self, skip: bool) -> AutoRun {
        self.skip_invalid = skip;
        self
    }

    /// When answers are forced to the disk. Default: once a second, and with each batch.
    pub fn fsync(mut self, fsync: Fsync) -> AutoRun {
        self.fsync = fsync;
        self
    }

    /// The most that the run may cost, live and by batch together; as
    /// [`FileRun::max_cost`](crate::bulk::FileRun::max_cost). Default: none.
    pub fn max_cost(mut self, most: impl Into<Option<Money>>) -> AutoRun {
        self.caps.money = most.into();
        self
    }

    /// The most tokens that the run may use. Default: none.
    pub fn max_tokens_total(mut self, most: impl Into<Option<u64>>) -> AutoRun {
        self.caps.tokens = most.into();
        self
    }

    /// By what the plan decides. Default: as [`Thresholds`] says.
    pub fn thresholds(mut self, thresholds: Thresholds) -> AutoRun {
        self.thresholds = thresholds;
        self
    }

    /// The time in which all rows are to be done, from the first start of the run. Default: none,
    /// and everything goes by batch that is cheaper so.
    pub fn deadline(mut self, time: impl Into<Option<Duration>>) -> AutoRun {
        self.deadline = time.into();
        self
    }

    /// The tokens that each answer is expected to have. Default: as
    /// [`Survey::expected_output`](crate::bulk::estimate::Survey::expected_output).
    pub fn expected_output(mut self, tokens: Option<u64>) -> AutoRun {
        self.expected_output = tokens;
        self
    }

    /// Writes how live rows stand to this file; as
    /// [`FileRun::metrics_file`](crate::bulk::FileRun::metrics_file). Default: none.
    pub fn metrics_file(mut self, path: Option<&Path>) -> AutoRun {
        self.metrics = path.map(Path::to_owned);
        self
    }

    /// Ends the run early; batches at the server go on, and the next run fetches them. Default: a
    /// stop that nobody holds.
    pub fn stop(mut self, stop: &Stop) -> AutoRun {
        self.stop = stop.clone();
        self
    }

    /// What the run would do from now on, of which nothing is done; `show` gets the number of rows
    /// that were read so far.
    ///
    /// # Errors
    /// When a file or the store cannot be read, or a line is not valid.
    pub fn plan(&self, show: impl FnMut(u64)) -> Result<Plan> {
        let kept = if self.is_fresh { None } else { Kept::read(&PlanFile::beside(&self.output))? };
        let estimate = self.survey(show)?;
        let begun = kept.as_ref().map_or(self.now(), |kept| kept.begun);
        let mut plan = self.plan_of(&estimate, begun)?;
        plan.from_cache = estimate.rows.from_cache;
        plan.begun_seconds_ago = kept.map(|kept| self.seconds_since(kept.begun));
        Ok(plan)
    }

    /// Does the run; `show` is called with where it stands.
    ///
    /// # Errors
    /// As for [`FileRun::run`](crate::bulk::FileRun::run) and
    /// [`BatchRun::run`](crate::batch::BatchRun::run).
    pub fn run(self, mut show: impl FnMut(AutoProgress<'_>)) -> Result<AutoSummary> {
        self.check()?;
        let file = PlanFile::beside(&self.output);
        if self.is_fresh {
            if let Some(job) = self.batches.jobs_for(&self.output)?.first() {
                let message = format!(
                    "batches for it are under way; end them first with `batch cancel {}`",
                    &job.name[..job.name.len().min(8)]
                );
                return Err(Error::invalid("output", message));
            }
            file.remove()?;
        }
        let kept = match Kept::read(&file)? {
            Some(kept) => {
                show(AutoProgress::GoesOn { seconds_ago: self.seconds_since(kept.begun) });
                kept
            }
            None => self.begin(&file, &mut show)?,
        };
        Going::new(&self, kept, &file).go(&mut show)
    }

    fn check(&self) -> Result<()> {
        if self.input.as_os_str() == "-" {
            let message = "a plan reads it more than once: it must be a file";
            return Err(Error::invalid("input", message));
        }
        if self.output.as_os_str() == "-" {
            let message = "batches take up to a day: the output must be a file";
            return Err(Error::invalid("output", message));
        }
        Ok(())
    }

    /// Plans, and writes the plan down before anything is sent.
    fn begin(&self, file: &PlanFile, show: &mut impl FnMut(AutoProgress<'_>)) -> Result<Kept> {
        let begun = self.now();
        let estimate = self.survey(|_| {})?;
        let plan = self.plan_of(&estimate, begun)?;
        let shares = plan.shares.iter().zip(&estimate.groups).map(|(share, group)| {
            let tokens = group.input_tokens.saturating_add(group.sums.output_tokens.expected);
            KeptShare {
                model: share.model.clone(),
                endpoint: share.endpoint.clone(),
                batch_rows: share.batch_rows,
                row_tokens: tokens / group.rows.max(1),
                batch_time: share.batch_time,
            }
        });
        let kept = Kept::new(begun, &plan, shares.collect());
        log::info!(target: "openai_bulk::hybrid", {key::LIVE_ROWS} = plan.live_rows(), {key::BATCH_ROWS} = plan.batch_rows(), {key::VERDICT}:? = plan.verdict; "planned");
        show(AutoProgress::Planned(&plan));
        if plan.live_rows() + plan.batch_rows() > 0 {
            kept.write(file)?;
        }
        Ok(kept)
    }

    pub(super) fn now(&self) -> Date {
        let date = self.batches.caller().dispatcher.clock.date();
        date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as Date
    }

    pub(super) fn seconds_since(&self, begun: Date) -> f64 {
        self.now().saturating_sub(begun) as f64 / 1_000.0
    }

    /// The time that is left of the deadline of a run that was begun then.
    pub(super) fn left(&self, begun: Date) -> Option<Duration> {
        let past = Duration::from_millis(self.now().saturating_sub(begun));
        self.deadline.map(|deadline| deadline.saturating_sub(past))
    }

    fn survey(&self, show: impl FnMut(u64)) -> Result<Estimate> {
        let dispatcher = &self.batches.caller().dispatcher;
        let mut survey = Survey::new(&self.input)
            .format(self.format.clone())
            .skip_invalid(self.skip_invalid)
            .expected_output(self.expected_output)
            .prices((*dispatcher.prices).clone())
            .limit_groups(self.batches.caller().groups().clone())
            .leave_out(self.batches.rows_under_way(&self.output)?);
        if !self.is_fresh {
            survey = survey.output(&self.output);
        }
        if dispatcher.cache.is_on() {
            survey = survey.kept(self.batches.caller().clone());
        }
        survey.run(show)
    }

    fn plan_of(&self, estimate: &Estimate, begun: Date) -> Result<Plan> {
        let caller = self.batches.caller();
        let outlook = Outlook {
            batches: &self.batches,
            limits: caller.dispatcher.gate.limits(),
            groups: caller.groups().clone(),
        };
        let situation = outlook.situation(estimate, self.left(begun), self.money_left()?)?;
        Ok(plan(&situation, &self.thresholds))
    }

    /// What of the cap is left, by what the output tells of its cost, and by what batches under way
    /// may cost at most.
    fn money_left(&self) -> Result<Option<Money>> {
        let Some(cap) = self.caps.money else { return Ok(None) };
        let cap = cap.less(self.batches.most_under_way(&self.output)?.money);
        if self.is_fresh || !self.output.exists() {
            return Ok(Some(cap));
        }
        let prices = &self.batches.caller().dispatcher.prices;
        let told = Earlier::read(&self.output, prices, Caps::default())?.amount;
        Ok(Some(cap.less(SpentFile::beside(&self.output).read(told)?.money)))
    }
}
