//! Reads the input and the output, and adds up what is to be sent.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use super::forecast::{ASSUMED_OUTPUT, Forecast, TooLarge, forecast, too_large};
use super::kept::Kept;
use super::learned::Learned;
use super::report::{
    Estimate, ExpectedOutput, GroupEstimate, ModelEstimate, PriceSource, Rows, SCHEMA,
};
use super::sums::Sums;
use super::tally::Tally;
use super::time::{Groups, Limits};
use crate::api::{Caller, LimitGroups};
use crate::bulk::input::{Checked, DuplicateGuard, Problem, SHOWN, Source, each_row};
use crate::bulk::journal::{Index, Known, look};
use crate::bulk::question;
use crate::cache::{Request, Sample};
use crate::error::Result;
use crate::usage::{ModelLimits, Prices, RequestTokens, count_request, model_limits};
use crate::wire::row::{Format, Row, RowError};

/// Rows that are too large and told one by one.
const TOLD: usize = 1_000;

/// What a run over a file would send and cost, of which it sends nothing.
///
/// It reads the input once, with the memory of a run's check, and counts on rayon's threads.
#[derive(Debug)]
#[must_use = "call .run()"]
pub struct Survey {
    input: PathBuf,
    output: Option<PathBuf>,
    format: Format,
    skip_invalid: bool,
    expected_output: Option<u64>,
    left_out: HashSet<u64>,
    kept: Option<Arc<Caller>>,
    prices: Prices,
    limits: Limits,
    groups: LimitGroups,
}

impl Survey {
    /// A survey of `input`; `-` is standard input.
    pub fn new(input: impl Into<PathBuf>) -> Survey {
        Survey {
            input: input.into(),
            output: None,
            format: Format::default(),
            skip_invalid: false,
            expected_output: None,
            left_out: HashSet::new(),
            kept: None,
            prices: Prices::builtin(),
            limits: Limits::default(),
            groups: LimitGroups::default(),
        }
    }

    /// The output of a run that was begun: rows that it has the answer to are not counted again, and
    /// what its answers wrote tells what others will. Default: none.
    pub fn output(mut self, output: impl Into<PathBuf>) -> Survey {
        self.output = Some(output.into());
        self
    }

    /// How lines are read. Default: they say everything themselves.
    pub fn format(mut self, format: Format) -> Survey {
        self.format = format;
        self
    }

    /// Passes over lines that are not valid. Default: they are an error.
    pub fn skip_invalid(mut self, skip: bool) -> Survey {
        self.skip_invalid = skip;
        self
    }

    /// The tokens that each answer is expected to have, if its request allows so many. Default: the
    /// mean of the answers in the output, or 256.
    pub fn expected_output(mut self, tokens: Option<u64>) -> Survey {
        self.expected_output = tokens;
        self
    }

    /// Rows that are under way elsewhere, by the hashes of their ids. Default: none.
    pub fn leave_out(mut self, rows: HashSet<u64>) -> Survey {
        self.left_out = rows;
        self
    }

    /// The caller whose cache answers rows, which are then not to be sent. Default: none.
    pub fn kept(mut self, caller: Arc<Caller>) -> Survey {
        self.kept = Some(caller);
        self
    }

    /// What tokens cost, and how large requests may be. Default: the list of this crate.
    pub fn prices(mut self, prices: Prices) -> Survey {
        self.prices = prices;
        self
    }

    /// The limits of each model or group, in requests and tokens a minute. Default: none are known.
    pub fn limits(mut self, requests: Option<u64>, tokens: Option<u64>) -> Survey {
        (self.limits.requests_per_minute, self.limits.tokens_per_minute) = (requests, tokens);
        self
    }

    /// The same for a day, of which all may go at once. Default: none are known.
    pub fn daily_limits(mut self, requests: Option<u64>, tokens: Option<u64>) -> Survey {
        (self.limits.requests_per_day, self.limits.tokens_per_day) = (requests, tokens);
        self
    }

    /// Models that share their limits. Default: each has its own.
    pub fn limit_groups(mut self, groups: LimitGroups) -> Survey {
        self.groups = groups;
        self
    }

    /// Does it; `show` gets the number of rows that were read so far.
    ///
    /// # Errors
    /// When a file cannot be read, the output is not one, or lines are not valid.
    pub fn run(self, mut show: impl FnMut(u64)) -> Result<Estimate> {
        let source = Source::open(&self.input)?;
        let mut learned = Learned::default();
        let known = match &self.output {
            Some(output) => look(output, |line| learned.add(line))?,
            None => Index::default(),
        };
        let knowing = Knowing { survey: &self, learned, models: Mutex::default() };
        let mut adding = Adding::default();
        let mut kept = self.kept.as_deref().map(Kept::new);
        each_row(
            source.lines()?,
            &self.format,
            |row| knowing.judge(row, &known),
            |row| {
                adding.add(row, &self.groups, kept.as_mut());
                show(adding.rows.total);
            },
        )?;
        let checked = adding.checked(&source.name());
        if checked.total() > 0 && !self.skip_invalid {
            return Err(checked.error(&source.name()));
        }
        Ok(adding.estimate(&knowing))
    }
}

/// What is known of a model.
#[derive(Clone, Copy, Debug)]
struct About {
    limits: ModelLimits,
    expected: u64,
    from: ExpectedOutput,
}

/// What rows are judged by, on several threads.
struct Knowing<'a> {
    survey: &'a Survey,
    learned: Learned,
    models: Mutex<HashMap<Box<str>, About>>,
}

/// A row and what became of it.
pub(super) struct Judged {
    line: u64,
    custom_id: Box<str>,
    id_hash: u64,
    pub(super) fingerprint: u64,
    pub(super) fate: Fate,
}

pub(super) enum Fate {
    Answered,
    Changed,
    UnderWay,
    Send(Box<Counted>),
}

/// A row that is to be sent, if the cache has no answer to it.
pub(super) struct Counted {
    /// What it asks, if its answer may be in the cache.
    pub(super) question: Option<(Request, Sample)>,
    model: Box<str>,
    url: Box<str>,
    bytes: u64,
    tokens: RequestTokens,
    forecast: Forecast,
    too_large: Option<TooLarge>,
}

impl Knowing<'_> {
    fn judge(&self, row: Row, known: &Index) -> Judged {
        let fate = match known.state_of(&row) {
            Known::Done => Fate::Answered,
            Known::Changed => Fate::Changed,
            _ if self.survey.left_out.contains(&row.id_hash) => Fate::UnderWay,
            Known::New | Known::Failed => Fate::Send(Box::new(self.count(&row))),
        };
        let Row { line, custom_id, id_hash, fingerprint, .. } = row;
        Judged { line, custom_id, id_hash, fingerprint, fate }
    }

    fn count(&self, row: &Row) -> Counted {
        let model = row.model.clone().unwrap_or_else(|| default_model(&row.url).into());
        let tokens = count_request(&row.url, Some(&model), &row.body);
        let about = self.about(&model);
        let prices = &self.survey.prices;
        let call = self.survey.kept.as_deref().and_then(|caller| {
            let call = question(caller, row)?;
            Some((call.request(&caller.dispatcher.cache)?, call.sample?))
        });
        Counted {
            question: call,
            forecast: forecast(prices, &model, about.limits, &tokens, about.expected),
            too_large: too_large(
                row.line,
                &row.url,
                about.limits,
                &tokens,
                self.survey.limits.tokens_per_minute,
            ),
            url: (&*row.url).into(),
            bytes: row.body.len() as u64,
            model,
            tokens,
        }
    }

    fn about(&self, model: &str) -> About {
        if let Some(about) = self.models.lock().get(model) {
            return *about;
        }
        let (expected, from) = match (self.survey.expected_output, self.learned.mean(model)) {
            (Some(given), _) => (given, ExpectedOutput::Given),
            (None, Some(mean)) => (mean, ExpectedOutput::Learned),
            (None, None) => (ASSUMED_OUTPUT, ExpectedOutput::Assumed),
        };
        let about = About { limits: model_limits(&self.survey.prices, model), expected, from };
        self.models.lock().insert(model.into(), about);
        about
    }
}

/// The model that the server takes where a request names none. Source: the API reference.
fn default_model(url: &str) -> &'static str {
    if url.ends_with("/moderations") { "omni-moderation-latest" } else { "" }
}

/// What was read so far.
#[derive(Default)]
struct Adding {
    rows: Rows,
    duplicates: u64,
    problems: Vec<RowError>,
    guard: DuplicateGuard,
    tally: Tally,
    sums: Sums,
    from_cache: Sums,
    models: HashMap<Box<str>, (u64, u64, Sums)>,
    by_endpoint: BTreeMap<(Box<str>, Box<str>), GroupEstimate>,
    groups: Groups,
    rows_too_large: u64,
    too_large: Vec<TooLarge>,
}

impl Adding {
    fn add(
        &mut self,
        row: Result<Judged, RowError>,
        groups: &LimitGroups,
        kept: Option<&mut Kept<'_>>,
    ) {
        self.rows.total += 1;
        let row = match row {
            Ok(row) => row,
            Err(problem) => return self.pass_over(problem),
        };
        if let Err(problem) = self.guard.admit_id(row.line, &row.custom_id, row.id_hash) {
            self.duplicates += 1;
            return self.pass_over(problem);
        }
        let is_kept = kept.is_some_and(|kept| kept.has(&row));
        match row.fate {
            Fate::Send(counted) if is_kept => {
                self.rows.from_cache += 1;
                self.from_cache.add(&counted.forecast);
            }
            Fate::Answered => self.rows.answered += 1,
            Fate::Changed => self.rows.changed += 1,
            Fate::UnderWay => self.rows.under_way += 1,
            Fate::Send(counted) => {
                self.rows.to_send += 1;
                self.send(row.line, &counted, groups.group(&counted.model));
            }
        }
    }

    fn pass_over(&mut self, problem: RowError) {
        self.rows.invalid += 1;
        if self.problems.len() < SHOWN {
            self.problems.push(problem);
        }
    }

    fn send(&mut self, line: u64, row: &Counted, group: Arc<str>) {
        self.tally.add(line, &row.model, &row.tokens);
        self.sums.add(&row.forecast);
        let (rows, input, sums) = match self.models.get_mut(&row.model) {
            Some(model) => model,
            None => self.models.entry(row.model.clone()).or_default(),
        };
        *rows += 1;
        *input = input.saturating_add(row.tokens.input);
        sums.add(&row.forecast);
        let key = (row.model.clone(), row.url.clone());
        let both = self.by_endpoint.entry(key).or_insert_with(|| GroupEstimate {
            model: row.model.to_string(),
            endpoint: row.url.to_string(),
            ..GroupEstimate::default()
        });
        both.rows += 1;
        both.input_tokens = both.input_tokens.saturating_add(row.tokens.input);
        both.bytes += row.bytes;
        both.sums.add(&row.forecast);
        self.groups.add(group, row.tokens.input, row.forecast.output);
        if let Some(too_large) = row.too_large {
            self.rows_too_large += 1;
            if self.too_large.len() < TOLD {
                self.too_large.push(too_large);
            }
        }
    }

    fn checked(&mut self, name: &str) -> Checked {
        let problem = |error| Problem { file: name.to_owned(), error };
        Checked {
            rows: self.rows.total - self.rows.invalid,
            invalid: self.rows.invalid - self.duplicates,
            duplicates: self.duplicates,
            problems: std::mem::take(&mut self.problems).into_iter().map(problem).collect(),
        }
    }

    fn estimate(self, knowing: &Knowing<'_>) -> Estimate {
        let survey = knowing.survey;
        let model = |(name, (rows, input_tokens, sums)): (Box<str>, (u64, u64, Sums))| {
            let about = knowing.about(&name);
            let has_fees = survey.prices.model(&name).is_some_and(|model| model.has_fees);
            let estimate = ModelEstimate {
                rows,
                input_tokens,
                expected_output: about.expected,
                expected_from: about.from,
                has_fees,
                sums,
            };
            (name.into(), estimate)
        };
        Estimate {
            schema: SCHEMA,
            rows: self.rows,
            tokens: self.tally,
            sums: self.sums,
            from_cache: self.from_cache,
            models: self.models.into_iter().map(model).collect(),
            groups: self.by_endpoint.into_values().collect(),
            time: self.groups.time(&survey.limits),
            requests_per_minute: survey.limits.requests_per_minute,
            tokens_per_minute: survey.limits.tokens_per_minute,
            requests_per_day: survey.limits.requests_per_day,
            tokens_per_day: survey.limits.tokens_per_day,
            rows_too_large: self.rows_too_large,
            too_large: self.too_large,
            prices: PriceSource {
                as_of: survey.prices.as_of().map(str::to_owned),
                sources: survey.prices.sources().map(str::to_owned).collect(),
            },
        }
    }
}
