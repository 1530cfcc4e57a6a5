//! How what was found is printed.

use super::report::{Report, Score};
use std::collections::BTreeMap;
use std::fmt;

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mean) = self.mean else { return f.write_str("nothing was scored") };
        // A share is told in percent, a mean score as it is.
        let (scale, places) = if self.is_binary { (100.0, 1) } else { (1.0, 3) };
        if self.is_binary {
            write!(f, "{} of {} ({:.2} %)", self.correct, self.scored, mean * scale)?;
        } else {
            write!(f, "{mean:.3} over {}", self.scored)?;
        }
        // Where all answers are alike, the error of the mean says nothing.
        if let Some(error) = self.standard_error.filter(|error| *error > 0.0) {
            write!(f, " ± {:.*}", places.max(2), error * scale)?;
        }
        if let Some((low, high)) = self.interval {
            write!(f, ", 95 % {:.places$} to {:.places$}", low * scale, high * scale)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.overall.is_binary { "accuracy" } else { "mean score" };
        writeln!(f, "{name:<18}{}", self.overall)?;
        for (name, score) in &self.groups {
            let gap = if name.chars().count() >= 16 { " " } else { "" };
            writeln!(f, "  {name:<16}{gap}{score}")?;
        }
        self.write_repeats(f)?;
        if !self.labels.is_empty() {
            writeln!(f, "{:<18}{}", "verdicts", listed(&self.labels))?;
        }
        self.write_doubts(f)
    }
}

impl Report {
    /// What repeats of a sample come to.
    fn write_repeats(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, chance) in &self.pass_at {
            let samples = self.pass_at_samples.get(k).copied().unwrap_or(self.overall.samples);
            let over = match samples < self.overall.samples {
                true => format!(", of {samples} samples with as many scored answers"),
                false => String::new(),
            };
            writeln!(f, "{:<18}{:.2} %{over}", format!("pass@{k}"), chance * 100.0)?;
        }
        let Some(vote) = &self.majority else { return Ok(()) };
        let share = vote.correct as f64 / vote.samples as f64 * 100.0;
        let ties = match vote.ties {
            0 => String::new(),
            ties => format!(", {ties} ties by the first answer"),
        };
        let of = format!("{} of {} ({share:.2} %)", vote.correct, vote.samples);
        writeln!(f, "{:<18}{of}{ties}", "majority vote")
    }

    /// What stands between the score and what it would be if all had gone well.
    fn write_doubts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.overall.asked;
        let kinds = listed(&self.errors_by_kind);
        for (name, count, what) in [
            ("cut short", self.cut_short, "by the limit of tokens, judged as they are"),
            ("refused", self.refused, "by the model or a filter, judged as they are"),
            ("empty", self.empty, "have no text, judged as they are"),
            ("errors", self.overall.errors, &format!("not counted as wrong: {kinds}")),
            ("missing", self.overall.missing, "have no verdict yet"),
        ] {
            if count > 0 {
                let comma = if name == "errors" { "," } else { "" };
                writeln!(f, "{name:<18}{count} of {asked}{comma} {what}")?;
            }
        }
        Ok(())
    }
}

/// Counts with their names: `3 timeout, 1 http_500`.
fn listed(counts: &BTreeMap<String, u64>) -> String {
    let all: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    all.join(", ")
}
