//! What an evaluation found.

use super::answer::SampleResult;
use super::interval::bootstrap;
use super::metrics::{Question, mean, pass_at, standard_error, vote};
use crate::usage::Money;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The version of the report's shape; it rises when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// The `k` of pass@k, as far as there are as many repeats.
const AT: [u32; 8] = [1, 2, 4, 5, 8, 10, 50, 100];

/// What an evaluation found.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Version of this shape.
    pub schema: u32,
    /// The name of the scorer.
    pub scorer: String,
    /// Repeats of each sample.
    pub epochs: u32,
    /// All samples together.
    pub overall: Score,
    /// Each group, if the data set has groups.
    pub groups: BTreeMap<String, Score>,
    /// The chance that one of so many answers is right; with more than one repeat, and where every
    /// score is 0 or 1.
    pub pass_at: BTreeMap<u32, f64>,
    /// What the most frequent answers come to; with more than two repeats.
    pub majority: Option<Majority>,
    /// Verdicts by their names, where there are more than right and wrong.
    pub labels: BTreeMap<String, u64>,
    /// Errors by kind: answers that did not come, or could not be judged.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// Tokens of all requests, with those to a grader.
    pub input_tokens: u64,
    /// Tokens of all answers.
    pub output_tokens: u64,
    /// What they cost, as far as prices are known.
    pub cost: Money,
    /// Answers whose price is not known; with any, `cost` is a lower bound.
    pub unpriced: u64,
}

/// The scores of some samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// Samples.
    pub samples: u64,
    /// Answers that were asked for: samples times repeats.
    pub asked: u64,
    /// Answers with a score.
    pub scored: u64,
    /// Answers whose score is 1.
    pub correct: u64,
    /// Answers that did not come, or could not be judged. They are not wrong, and in no mean.
    pub errors: u64,
    /// Answers that are not there yet, because the run ended early.
    pub missing: u64,
    /// Whether every score is 0 or 1.
    pub is_binary: bool,
    /// The mean score: the accuracy, where every score is 0 or 1.
    pub mean: Option<f64>,
    /// The standard error of the mean, by samples.
    pub standard_error: Option<f64>,
    /// The 95 % interval of the mean, by drawing samples again.
    pub interval: Option<(f64, f64)>,
}

/// What the most frequent answers come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Majority {
    /// Samples with an answer.
    pub samples: u64,
    /// Samples whose most frequent answer is right.
    pub correct: u64,
    /// Samples in which another answer was as frequent; the one that came first was taken.
    pub ties: u64,
}

/// Scores of some samples while they are counted.
#[derive(Debug)]
struct Group {
    questions: Vec<Question>,
    score: Score,
}

impl Default for Group {
    fn default() -> Group {
        let score = Score { is_binary: true, ..Score::default() };
        Group { questions: Vec::new(), score }
    }
}

impl Group {
    fn count(&mut self, result: Option<&SampleResult>) {
        let score = &mut self.score;
        score.asked += 1;
        match result.map(|result| (result.score, &result.error)) {
            Some((Some(value), None)) => {
                score.scored += 1;
                score.correct += u64::from(value >= 1.0);
                score.is_binary &= value == 0.0 || value == 1.0;
            }
            Some((_, Some(_))) => score.errors += 1,
            _ => score.missing += 1,
        }
    }

    fn finish(mut self, seed: u64) -> Score {
        self.score.samples = self.questions.len() as u64;
        self.score.mean = mean(&self.questions);
        self.score.standard_error = standard_error(&self.questions);
        self.score.interval = bootstrap(&self.questions, seed);
        self.score
    }
}

/// The sample whose repeats are being counted.
#[derive(Debug, Default)]
struct Open {
    id: String,
    group: Option<String>,
    question: Question,
    said: Vec<(String, bool)>,
}

/// Counts results in the order of the data set.
#[derive(Debug, Default)]
pub(super) struct Tally {
    overall: Group,
    groups: BTreeMap<String, Group>,
    open: Option<Open>,
    majority: Majority,
    report: Report,
}

impl Tally {
    /// Counts the result of a repeat of a sample; none if it is not there.
    pub(super) fn add(&mut self, id: &str, group: Option<&str>, result: Option<&SampleResult>) {
        if self.open.as_ref().is_none_or(|open| open.id != id) {
            self.close();
            let group = group.map(str::to_owned);
            self.open = Some(Open { id: id.to_owned(), group, ..Open::default() });
        }
        self.overall.count(result);
        if let Some(group) = group {
            self.groups.entry(group.to_owned()).or_default().count(result);
        }
        let Some(result) = result else { return };
        let report = &mut self.report;
        report.input_tokens = report.input_tokens.saturating_add(result.input_tokens);
        report.output_tokens = report.output_tokens.saturating_add(result.output_tokens);
        report.cost += result.cost.unwrap_or(Money::ZERO);
        report.unpriced += u64::from(result.answer.is_some() && result.cost.is_none());
        if let Some(label) = &result.label {
            *report.labels.entry(label.clone()).or_default() += 1;
        }
        if let Some(error) = &result.error {
            *report.errors_by_kind.entry(error.kind.clone()).or_default() += 1;
        } else if let (Some(score), Some(open)) = (result.score, &mut self.open) {
            let is_right = score >= 1.0;
            open.question.scored += 1;
            open.question.right += u32::from(is_right);
            open.question.sum += score;
            let said = result.extracted.as_deref().or(result.answer.as_deref()).unwrap_or_default();
            open.said.push((said.trim().to_owned(), is_right));
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        self.overall.questions.push(open.question);
        if let Some(group) = open.group.and_then(|group| self.groups.get_mut(&group)) {
            group.questions.push(open.question);
        }
        if let Some(vote) = vote(&open.said) {
            self.majority.samples += 1;
            self.majority.correct += u64::from(vote.is_right);
            self.majority.ties += u64::from(vote.is_tied);
        }
    }

    pub(super) fn finish(mut self, scorer: &str, epochs: u32, seed: u64) -> Report {
        self.close();
        let mut report = Report { schema: SCHEMA, scorer: scorer.into(), epochs, ..self.report };
        if epochs > 1 && self.overall.score.is_binary {
            let all = AT.into_iter().filter(|k| *k < epochs).chain([epochs]);
            let known = all.filter_map(|k| Some((k, pass_at(&self.overall.questions, k)?)));
            report.pass_at = known.collect();
        }
        report.majority = (epochs > 2 && self.majority.samples > 0).then_some(self.majority);
        report.overall = self.overall.finish(seed);
        report.groups =
            self.groups.into_iter().map(|(name, group)| (name, group.finish(seed))).collect();
        report
    }
}

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
        if let Some(error) = self.standard_error {
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
            writeln!(
                f,
                "  {name:<16}{}{score}",
                if name.chars().count() >= 16 { " " } else { "" }
            )?;
        }
        for (k, chance) in &self.pass_at {
            writeln!(f, "{:<18}{:.2} %", format!("pass@{k}"), chance * 100.0)?;
        }
        if let Some(vote) = &self.majority {
            let share = vote.correct as f64 / vote.samples as f64 * 100.0;
            let ties = match vote.ties {
                0 => String::new(),
                ties => format!(", {ties} ties by the first answer"),
            };
            let of = format!("{} of {} ({share:.2} %)", vote.correct, vote.samples);
            writeln!(f, "{:<18}{of}{ties}", "majority vote")?;
        }
        if !self.labels.is_empty() {
            let all: Vec<_> = self.labels.iter().map(|(label, n)| format!("{n} {label}")).collect();
            writeln!(f, "{:<18}{}", "verdicts", all.join(", "))?;
        }
        if self.overall.errors > 0 {
            let kinds: Vec<_> =
                self.errors_by_kind.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            let (errors, asked) = (self.overall.errors, self.overall.asked);
            let kinds = kinds.join(", ");
            writeln!(f, "{:<18}{errors} of {asked}, not counted as wrong: {kinds}", "errors")?;
        }
        if self.overall.missing > 0 {
            let (missing, asked) = (self.overall.missing, self.overall.asked);
            writeln!(f, "{:<18}{missing} of {asked} have no verdict yet", "missing")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::answer::Fault;

    fn scored(score: f64, said: &str) -> SampleResult {
        SampleResult { score: Some(score), answer: Some(said.into()), ..SampleResult::default() }
    }

    fn failed() -> SampleResult {
        let error = Some(Fault { kind: "timeout".into(), message: String::new() });
        SampleResult { error, ..SampleResult::default() }
    }

    #[test]
    fn errors_and_missing_answers_are_no_wrong_ones() {
        let mut tally = Tally::default();
        tally.add("a", Some("x"), Some(&scored(1.0, "1")));
        tally.add("b", Some("x"), Some(&failed()));
        tally.add("c", Some("y"), None);
        tally.add("d", Some("y"), Some(&scored(0.0, "2")));
        let report = tally.finish("exact", 1, 0);
        let all = &report.overall;
        assert_eq!((all.samples, all.asked, all.scored, all.correct), (4, 4, 2, 1));
        assert_eq!((all.errors, all.missing, all.mean), (1, 1, Some(0.5)));
        assert_eq!((report.groups["x"].mean, report.groups["y"].mean), (Some(1.0), Some(0.0)));
        let text = report.to_string();
        assert!(
            text.starts_with("accuracy          1 of 2 (50.00 %) ± 50.00, 95 % 0.0 to 100.0\n"),
            "{text}"
        );
        assert!(text.contains("1 of 4, not counted as wrong: 1 timeout"), "{text}");
        assert!(text.contains("1 of 4 have no verdict yet"), "{text}");
    }

    #[test]
    fn repeats_give_pass_at_k_and_a_majority() {
        let mut tally = Tally::default();
        for (id, answers) in
            [("a", ["1", "2", "1"]), ("b", ["2", "2", "1"]), ("c", ["1", "2", "3"])]
        {
            for said in answers {
                let score = f64::from(u8::from(said == "1"));
                tally.add(id, None, Some(&scored(score, said)));
            }
        }
        let report = tally.finish("exact", 3, 0);
        assert_eq!(report.overall.samples, 3);
        let vote = report.majority.unwrap();
        assert_eq!((vote.samples, vote.correct, vote.ties), (3, 2, 1));
        assert!((report.pass_at[&1] - 4.0 / 9.0).abs() < 1e-12);
        assert_eq!(report.pass_at[&3], 1.0);
    }

    #[test]
    fn graded_scores_are_told_as_a_mean() {
        let mut tally = Tally::default();
        for (id, score) in [("a", 0.5), ("b", 1.0)] {
            tally.add(id, None, Some(&scored(score, "x")));
        }
        let text = tally.finish("graded", 2, 0).to_string();
        assert!(text.starts_with("mean score        0.750 over 2 ± 0.250, 95 % 0.500"), "{text}");
        assert!(!text.contains("pass@"), "{text}");
    }
}
