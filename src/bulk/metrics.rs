//! How a run stands, as Prometheus reads it.

use super::distribution::Percentiles;
use super::snapshot::Snapshot;
use super::summary::{Limit, Status, Summary};
use crate::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the file of a run is written. Source: own choice; Prometheus asks every 15 s or more.
pub const EVERY: Duration = Duration::from_secs(5);

/// Metrics in Prometheus' text format, put together one by one.
///
/// ```
/// use openai_bulk::bulk::{Metrics, Summary};
///
/// let metrics = Metrics::new().summary(&Summary::default());
/// assert!(metrics.text().contains("openai_bulk_rows_total{result=\"succeeded\"} 0\n"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Metrics(String);

/// The labels of a value, and the value.
type Sample<'a> = (&'a [(&'a str, &'a str)], f64);

impl Metrics {
    /// None but the version of the crate.
    pub fn new() -> Metrics {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        let mut metrics = Metrics::default();
        metrics.gauge("build_info", "The version that runs.", &[(&version, 1.0)]);
        metrics
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Writes the text to `path`, whole or not at all: to a file beside it that takes its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let mut beside = path.to_owned().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let written = fs::write(&beside, &self.0).and_then(|()| fs::rename(&beside, path));
        written.map_err(|e| {
            let _ = fs::remove_file(&beside);
            Error::file("write the metrics", path, e)
        })
    }

    /// A value that may go up and down; `openai_bulk_` is put before its name.
    pub fn gauge(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        self.family(name, "gauge", help, samples);
    }

    /// A value that only rises; its name should end in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        self.family(name, "counter", help, samples);
    }

    /// All that a summary tells.
    pub fn summary(mut self, summary: &Summary) -> Metrics {
        self.rows(summary);
        self.attempts(summary);
        self.models(summary);
        self.money(summary);
        self.pace(summary);
        self
    }

    /// How the run ended.
    pub fn ended(mut self, status: Status) -> Metrics {
        self.status(match status {
            Status::Finished => "finished",
            Status::Interrupted => "interrupted",
            Status::Stopped => "stopped",
            Status::Capped => "capped",
        });
        self
    }

    /// That the run goes on.
    pub fn going_on(mut self) -> Metrics {
        self.status("running");
        self
    }

    /// What only a run that goes on can tell.
    pub fn snapshot(self, now: &Snapshot) -> Metrics {
        let mut metrics = self.going_on();
        metrics.gauge("in_flight", "Requests in flight.", &[(&[], now.in_flight as f64)]);
        metrics.gauge("waiting", "Rows that wait to be tried again.", &[(&[], now.waiting as f64)]);
        let rate = now.requests_per_second;
        metrics.gauge("requests_per_second", "Attempts a second, lately.", &[(&[], rate)]);
        if let Some(most) = now.concurrency {
            let help = "Requests that may be in flight at this moment.";
            metrics.gauge("concurrency_limit", help, &[(&[], most as f64)]);
        }
        if let Some(held) = now.held {
            let cause = [("cause", held.name())];
            metrics.gauge("held", "What holds the run back at this moment.", &[(&cause, 1.0)]);
        }
        metrics
    }

    fn status(&mut self, status: &str) {
        let status = [("status", status)];
        self.gauge("run_status", "How the run stands or ended.", &[(&status, 1.0)]);
    }

    fn rows(&mut self, summary: &Summary) {
        let rows = &summary.rows;
        let one = |result| [("result", result)];
        self.counter(
            "rows_total",
            "Rows by what became of them.",
            &[
                (&one("succeeded"), rows.succeeded as f64),
                (&one("failed"), rows.failed as f64),
                (&one("done_before"), rows.done_before as f64),
            ],
        );
        let by = |who| [("by", who)];
        let help = "Rows that were answered without sending anything.";
        let (cache, twin) = (by("cache"), by("twin"));
        let unsent = [(&cache[..], rows.from_cache as f64), (&twin[..], rows.shared as f64)];
        self.counter("unsent_rows_total", help, &unsent);
        self.gauge(
            "input_rows",
            "Rows of the input, as far as known.",
            &[(&[], rows.total as f64)],
        );
        let kinds: Vec<_> =
            rows.failed_by_kind.iter().map(|(kind, n)| ([("kind", &**kind)], *n as f64)).collect();
        let samples: Vec<Sample<'_>> = kinds.iter().map(|(kind, n)| (&kind[..], *n)).collect();
        self.counter("failures_total", "Failed rows by what failed.", &samples);
    }

    fn attempts(&mut self, summary: &Summary) {
        let attempts = summary.attempts;
        let first = attempts.total.saturating_sub(attempts.retries + attempts.hedges);
        let one = |kind| [("kind", kind)];
        self.counter(
            "attempts_total",
            "Requests that were sent.",
            &[
                (&one("first"), first as f64),
                (&one("retry"), attempts.retries as f64),
                (&one("hedge"), attempts.hedges as f64),
            ],
        );
        let help = "Attempts that were refused for a rate limit.";
        self.counter("refused_total", help, &[(&[], attempts.refused as f64)]);
        let help = "Attempts that may have been billed without an answer.";
        self.counter("maybe_billed_total", help, &[(&[], attempts.maybe_billed as f64)]);
        let help = "From the first byte sent to the last byte received.";
        self.distribution("request_duration_seconds", help, &summary.server_seconds);
        let help = "What answered rows spent outside of exchanges.";
        self.distribution("wait_duration_seconds", help, &summary.waiting_seconds);
    }

    /// Answers, tokens and dollars by model and tier.
    fn models(&mut self, summary: &Summary) {
        let models = &summary.cost.by_model;
        let all: Vec<_> = models
            .iter()
            .flat_map(|(model, tiers)| tiers.iter().map(move |(tier, cost)| (model, tier, cost)))
            .map(|(model, tier, cost)| ([("model", &**model), ("tier", &**tier)], cost))
            .collect();
        let answers: Vec<Sample<'_>> =
            all.iter().map(|(labels, cost)| (&labels[..], cost.answers as f64)).collect();
        self.counter("answers_total", "Answers.", &answers);
        let dollars: Vec<Sample<'_>> =
            all.iter().map(|(labels, cost)| (&labels[..], cost.total.as_dollars())).collect();
        self.counter("cost_dollars_total", "What answers cost, as far as known.", &dollars);
        let tokens: Vec<_> = all
            .iter()
            .flat_map(|(labels, cost)| {
                let kinds = [("input", cost.input), ("output", cost.output)];
                kinds.map(|(kind, n)| ([labels[0], labels[1], ("type", kind)], n as f64))
            })
            .collect();
        let samples: Vec<Sample<'_>> = tokens.iter().map(|(labels, n)| (&labels[..], *n)).collect();
        self.counter("tokens_total", "Tokens of the answers.", &samples);
        let cached: Vec<Sample<'_>> =
            all.iter().map(|(labels, cost)| (&labels[..], cost.cached_input as f64)).collect();
        let help = "Part of the input, from the server's cache.";
        self.counter("cached_input_tokens_total", help, &cached);
        let reasoning = summary.tokens.reasoning as f64;
        self.counter("reasoning_tokens_total", "Part of the output.", &[(&[], reasoning)]);
    }

    fn money(&mut self, summary: &Summary) {
        let cost = &summary.cost;
        let help = "Answers whose price is not known.";
        self.counter("unpriced_answers_total", help, &[(&[], cost.unpriced as f64)]);
        let help = "What attempts without an answer may have cost at most.";
        let maybe = cost.maybe_billed.as_dollars();
        self.counter("maybe_billed_dollars_total", help, &[(&[], maybe)]);
        let by = |what| [("by", what)];
        let help = "What answers would have cost more, as far as known.";
        let (answers, cache, batch) = (by("kept_answers"), by("prompt_cache"), by("batch"));
        let saved = [
            (&answers[..], cost.saved_by_answers.as_dollars()),
            (&cache[..], cost.saved_by_cache.as_dollars()),
            (&batch[..], cost.saved_by_batch.as_dollars()),
        ];
        self.counter("saved_dollars_total", help, &saved);
        let Some(cap) = &cost.cap else { return };
        if let Some(most) = cap.money {
            self.gauge("cap_dollars", "The cap of money.", &[(&[], most.as_dollars())]);
            let counted = cap.counted_money.as_dollars();
            self.gauge("counted_dollars", "What counts against it.", &[(&[], counted)]);
        }
        if let Some(most) = cap.tokens {
            self.gauge("cap_tokens", "The cap of tokens.", &[(&[], most as f64)]);
            let counted = cap.counted_tokens as f64;
            self.gauge("counted_tokens", "What counts against it.", &[(&[], counted)]);
        }
    }

    fn pace(&mut self, summary: &Summary) {
        let help = "Since the start of the run.";
        self.gauge("elapsed_seconds", help, &[(&[], summary.wall_seconds)]);
        self.limits(summary, "limit_requests_per_minute", |limit| limit.requests_per_minute);
        self.limits(summary, "limit_tokens_per_minute", |limit| limit.tokens_per_minute);
        let held: Vec<_> = summary
            .held_back
            .iter()
            .map(|(cause, share)| ([("cause", &**cause)], *share))
            .collect();
        let samples: Vec<Sample<'_>> = held.iter().map(|(cause, n)| (&cause[..], *n)).collect();
        self.gauge("held_back_ratio", "The share of waiting that each cause had.", &samples);
    }

    /// One kind of limit, each in a family of its own: requests and tokens make no sum.
    fn limits(&mut self, summary: &Summary, name: &str, of: impl Fn(&Limit) -> Option<f64>) {
        let known: Vec<_> = summary
            .rate
            .limits
            .iter()
            .filter_map(|(group, limit)| Some(([("group", &**group)], of(limit)?)))
            .collect();
        let samples: Vec<Sample<'_>> = known.iter().map(|(group, n)| (&group[..], *n)).collect();
        self.gauge(name, "The limit in force, by limit group.", &samples);
    }

    fn distribution(&mut self, name: &str, help: &str, told: &Percentiles) {
        self.head(name, "summary", help);
        for (quantile, value) in
            [("0.5", told.p50), ("0.9", told.p90), ("0.95", told.p95), ("0.99", told.p99)]
        {
            // Of nothing there is no quantile; 0 would be a time.
            let value = if told.count == 0 { f64::NAN } else { value };
            self.sample(name, &[("quantile", quantile)], value);
        }
        self.sample(&format!("{name}_sum"), &[], told.mean * told.count as f64);
        self.sample(&format!("{name}_count"), &[], told.count as f64);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[Sample<'_>]) {
        if samples.is_empty() {
            return;
        }
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, labels, *value);
        }
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP openai_bulk_{name} {help}");
        let _ = writeln!(self.0, "# TYPE openai_bulk_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.0, "openai_bulk_{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let start = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{start}{label}=\"{}\"", escaped(text));
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }
}

/// A label's value: the names of models come from servers.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A file that metrics are written to now and then.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    last: Option<Duration>,
}

impl MetricsFile {
    /// The file at `path`; nothing is written yet.
    pub fn new(path: impl Into<PathBuf>) -> MetricsFile {
        MetricsFile { path: path.into(), last: None }
    }

    /// Whether it is time to write again, so long after the start.
    pub fn is_due(&self, elapsed: Duration) -> bool {
        self.last.is_none_or(|last| elapsed >= last + EVERY)
    }

    /// Writes, so long after the start.
    ///
    /// # Errors
    /// When it cannot be written the first time; later, the log is told and the run goes on.
    pub fn write(&mut self, metrics: &Metrics, elapsed: Duration) -> Result<(), Error> {
        let is_first = self.last.replace(elapsed).is_none();
        match metrics.write(&self.path) {
            Err(error) if !is_first => {
                let name = self.path.display();
                log::warn!(target: "openai_bulk::run", {crate::logs::ERROR_MESSAGE}:% = error; "{name} could not be written");
                Ok(())
            }
            written => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::ModelCost;
    use crate::usage::Money;

    #[test]
    fn labels_are_escaped_and_amounts_are_dollars() {
        let mut summary = Summary::default();
        let mut cost = ModelCost::default();
        (cost.answers, cost.output) = (3, 70);
        cost.total = Money::parse("0.25").unwrap();
        let tiers = [("standard".to_owned(), cost)].into();
        summary.cost.by_model.insert("a\"b\\c\nd".into(), tiers);
        let text = Metrics::new().summary(&summary).text().to_owned();
        let labels = r#"{model="a\"b\\c\nd",tier="standard""#;
        assert!(
            text.contains(&format!("openai_bulk_cost_dollars_total{labels}}} 0.25\n")),
            "{text}"
        );
        let output = format!("openai_bulk_tokens_total{labels},type=\"output\"}} 70\n");
        assert!(text.contains(&output), "{text}");
        assert!(
            !text.contains("openai_bulk_failures_total"),
            "a family without values is left out"
        );
    }

    #[test]
    fn what_was_saved_is_told_and_of_nothing_there_is_no_time() {
        let mut summary = Summary::default();
        (summary.rows.from_cache, summary.rows.shared) = (7, 2);
        summary.cost.saved_by_answers = Money::parse("0.5").unwrap();
        let limit = Limit { requests_per_minute: Some(60.0), tokens_per_minute: None };
        summary.rate.limits.insert("m".into(), limit);
        let text = Metrics::new().summary(&summary).text().to_owned();
        for line in [
            "openai_bulk_unsent_rows_total{by=\"cache\"} 7",
            "openai_bulk_unsent_rows_total{by=\"twin\"} 2",
            "openai_bulk_saved_dollars_total{by=\"kept_answers\"} 0.5",
            "openai_bulk_limit_requests_per_minute{group=\"m\"} 60",
            "openai_bulk_request_duration_seconds{quantile=\"0.5\"} NaN",
            "openai_bulk_request_duration_seconds_count 0",
        ] {
            assert!(text.lines().any(|each| each == line), "{line}\n{text}");
        }
        assert!(!text.contains("limit_tokens_per_minute"));
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.prom");
        let mut file = MetricsFile::new(path.clone());
        assert!(file.is_due(Duration::ZERO));
        file.write(&Metrics::new(), Duration::ZERO).unwrap();
        assert!(!file.is_due(EVERY / 2) && file.is_due(EVERY));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(fs::read_to_string(&path).unwrap().starts_with("# HELP openai_bulk_build_info"));
        let mut nowhere = MetricsFile::new(folder.path().join("none/m.prom"));
        assert!(matches!(nowhere.write(&Metrics::new(), Duration::ZERO), Err(Error::File(_))));
        nowhere.write(&Metrics::new(), EVERY).expect("a run goes on without its metrics");
    }
}
