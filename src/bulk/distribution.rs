//! How long things took.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A distribution, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Percentiles {
    /// How many values there were.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The average.
    pub mean: f64,
    /// Half are at most this.
    pub p50: f64,
    /// Nine of ten are at most this.
    pub p90: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Counts times, in the same space however many there are.
#[derive(Clone, Debug)]
pub struct Distribution(Histogram<u64>);

impl Default for Distribution {
    fn default() -> Distribution {
        // Three digits, from a microsecond to ten days, which is more than any deadline.
        Distribution(Histogram::new_with_max(864_000_000_000, 3).expect("the bounds are valid"))
    }
}

impl Distribution {
    /// Counts a time.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(micros(time));
    }

    /// What was counted, in a few numbers.
    pub fn percentiles(&self) -> Percentiles {
        if self.0.is_empty() {
            return Percentiles::default();
        }
        let seconds = |micros: u64| micros as f64 / 1e6;
        let at = |quantile: f64| seconds(self.0.value_at_quantile(quantile));
        Percentiles {
            count: self.0.len(),
            min: seconds(self.0.min()),
            mean: self.0.mean() / 1e6,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: seconds(self.0.max()),
        }
    }

    /// How many times lie between each of `bounds`, which rise, and the next, in seconds; the
    /// first and the last count what lies outside too.
    pub fn between(&self, bounds: &[f64]) -> Vec<u64> {
        let bars = bounds.len().saturating_sub(1);
        let mut counts = vec![0; bars];
        if bars == 0 {
            return counts;
        }
        for value in self.0.iter_recorded() {
            let seconds = value.value_iterated_to() as f64 / 1e6;
            let bar = bounds.partition_point(|bound| *bound <= seconds).saturating_sub(1);
            counts[bar.min(bars - 1)] += value.count_at_value();
        }
        counts
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros().min(u64::MAX as u128) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_counted_in_one_bar() {
        let mut times = Distribution::default();
        for millis in [0, 5, 15, 16, 150, 9_000] {
            times.record(Duration::from_millis(millis));
        }
        assert_eq!(times.between(&[0.001, 0.01, 0.1, 1.0]), [2, 2, 2]);
        assert_eq!(times.between(&[0.001]), [0; 0]);
        assert_eq!(times.percentiles().count, 6);
    }
}
