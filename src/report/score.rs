//! What an evaluation tells.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What an evaluation tells: the score of all samples, and of each group.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Score {
    pub(super) scorer: String,
    pub(super) overall: Group,
    pub(super) groups: BTreeMap<String, Group>,
}

/// The score of some samples. Answers that did not come or could not be judged are not in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Group {
    pub(super) samples: u64,
    /// Answers with a score.
    pub(super) scored: u64,
    pub(super) errors: u64,
    /// Answers that are not there yet.
    pub(super) missing: u64,
    /// Whether every score is 0 or 1, so that the mean is the accuracy.
    pub(super) is_binary: bool,
    pub(super) mean: Option<f64>,
    pub(super) standard_error: Option<f64>,
    /// Where the mean lies with 95 % confidence.
    pub(super) interval: Option<(f64, f64)>,
}

impl Score {
    /// Finds an evaluation: the whole of a file, or a part of a summary.
    pub(super) fn find(all: &Value) -> Result<Option<Score>, String> {
        let inside = all.get("evaluation").or(all.get("score"));
        let Some(found) =
            [Some(all), inside].into_iter().flatten().find(|one| one.get("overall").is_some())
        else {
            return Ok(None);
        };
        Score::deserialize(found).map(Some).map_err(|e| format!("its evaluation: {e}"))
    }
}

impl Group {
    /// The ends of what the mean is uncertain by: the interval, or else two standard errors.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        let mean = self.mean?;
        let around = self.standard_error.map(|error| (mean - 1.96 * error, mean + 1.96 * error));
        self.interval.or(around)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_evaluation_is_a_file_or_a_part_of_a_summary() {
        let group = json!({"samples": 40, "scored": 38, "errors": 2, "is_binary": true, "mean": 0.75,
            "standard_error": 0.02, "interval": [0.7, 0.8], "later": 1});
        let whole = json!({"schema": 1, "scorer": "exact", "overall": group,
            "groups": {"easy": {"mean": 0.9, "standard_error": 0.05}, "none": {"mean": null}}});
        for all in [whole.clone(), json!({"rows": {}, "evaluation": whole})] {
            let score = Score::find(&all).unwrap().unwrap();
            assert_eq!((score.overall.mean, score.overall.ends()), (Some(0.75), Some((0.7, 0.8))));
            assert_eq!((score.overall.scored, score.overall.errors), (38, 2));
            let (low, high) = score.groups["easy"].ends().unwrap();
            assert!((low - 0.802).abs() < 1e-9 && (high - 0.998).abs() < 1e-9);
            assert_eq!(score.groups["none"].ends(), None);
        }
        assert!(Score::find(&json!({"rows": {}, "score": 7})).unwrap().is_none());
        assert!(Score::find(&json!({"overall": {"mean": "high"}})).is_err());
    }
}
