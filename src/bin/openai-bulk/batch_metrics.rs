//! `--metrics-file` of a run by batches.

use crate::failure::Failure;
use openai_bulk::batch::{BatchProgress, BatchSummary};
use openai_bulk::bulk::metrics::EVERY;
use openai_bulk::bulk::{Metrics, Summary};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes where batches stand, now and then.
pub struct BatchMetrics {
    path: PathBuf,
    last: Option<Duration>,
}

impl BatchMetrics {
    /// Fails now if the file cannot be written, before anything is sent.
    pub fn start(path: &Path) -> Result<BatchMetrics, Failure> {
        Metrics::new().write(path)?;
        Ok(BatchMetrics { path: path.into(), last: None })
    }

    pub fn show(&mut self, now: &BatchProgress) {
        if self.last.is_some_and(|last| now.elapsed < last + EVERY) {
            return;
        }
        self.last = Some(now.elapsed);
        let mut summary = Summary::default();
        summary.rows.total = now.total.unwrap_or(0);
        summary.rows.done_before = now.done_before;
        (summary.rows.succeeded, summary.rows.failed) = (now.succeeded, now.failed);
        summary.wall_seconds = now.elapsed.as_secs_f64();
        let mut metrics = Metrics::new().summary(&summary);
        parts(&mut metrics, now.parts.iter().map(|part| part.state));
        if let Err(error) = metrics.write(&self.path) {
            log::warn!(target: "openai_bulk::run", "{error}");
        }
    }

    pub fn end(self, summary: &BatchSummary) -> Result<(), Failure> {
        let run = &summary.run;
        let mut metrics = Metrics::new().summary(run).ended(run.status);
        parts(&mut metrics, summary.parts.iter().map(|part| part.state));
        Ok(metrics.write(&self.path)?)
    }
}

fn parts(metrics: &mut Metrics, states: impl Iterator<Item = &'static str>) {
    let mut counts = BTreeMap::<_, u64>::new();
    states.for_each(|state| *counts.entry(state).or_default() += 1);
    let labels: Vec<_> = counts.iter().map(|(state, n)| ([("state", *state)], *n as f64)).collect();
    let samples: Vec<_> = labels.iter().map(|(label, n)| (&label[..], *n)).collect();
    metrics.gauge("batch_parts", "Parts of the job by how far they have come.", &samples);
}
