//! `--metrics-file` of a run by batches.

use crate::failure::Failure;
use openai_bulk::batch::{BatchProgress, PartProgress};
use openai_bulk::bulk::{Metrics, MetricsFile, Summary};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Writes where batches stand, now and then.
pub struct BatchMetrics(MetricsFile);

impl BatchMetrics {
    /// Fails now if the file cannot be written, before anything is sent.
    pub fn start(path: &Path) -> Result<BatchMetrics, Failure> {
        let mut file = MetricsFile::new(path);
        file.write(&Metrics::new(), Duration::ZERO)?;
        Ok(BatchMetrics(file))
    }

    pub fn show(&mut self, now: &BatchProgress) {
        if !self.0.is_due(now.elapsed) {
            return;
        }
        let mut summary = Summary::default();
        summary.rows.total = now.total.unwrap_or(0);
        summary.rows.done_before = now.done_before;
        (summary.rows.succeeded, summary.rows.failed) = (now.succeeded, now.failed);
        summary.wall_seconds = now.elapsed.as_secs_f64();
        let mut metrics = Metrics::new().summary(&summary).going_on();
        parts(&mut metrics, now.parts.iter().map(|part| part.state));
        // After the first time nothing of it fails.
        let _ = self.0.write(&metrics, now.elapsed);
    }

    pub fn end(mut self, run: &Summary, all: &[PartProgress]) {
        let mut metrics = Metrics::new().summary(run).ended(run.status);
        parts(&mut metrics, all.iter().map(|part| part.state));
        let _ = self.0.write(&metrics, Duration::from_secs_f64(run.wall_seconds));
    }
}

fn parts(metrics: &mut Metrics, states: impl Iterator<Item = &'static str>) {
    let mut counts = BTreeMap::<_, u64>::new();
    states.for_each(|state| *counts.entry(state).or_default() += 1);
    let labels: Vec<_> = counts.iter().map(|(state, n)| ([("state", *state)], *n as f64)).collect();
    let samples: Vec<_> = labels.iter().map(|(label, n)| (&label[..], *n)).collect();
    metrics.gauge("batch_parts", "Parts of the job by how far they have come.", &samples);
}
