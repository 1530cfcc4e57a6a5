//! What an evaluation found.

use super::answer::SampleResult;
use super::interval::{bootstrap, of_extreme};
use super::metrics::{Question, mean, pass_at, standard_error, vote};
use super::scorer::Scorer;
use crate::usage::Money;
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// Samples with so many scored answers, over which `pass_at` is taken.
    pub pass_at_samples: BTreeMap<u32, u64>,
    /// What the most frequent answers come to; with more than two repeats, and where the scorer takes
    /// a part of the text for the answer.
    pub majority: Option<Majority>,
    /// Verdicts by their names, where there are more than right and wrong.
    pub labels: BTreeMap<String, u64>,
    /// Errors by kind: answers that did not come, or could not be judged.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// Answers that the limit of tokens cut short. They are judged as they are.
    pub cut_short: u64,
    /// Answers in which the model refused, or a filter did. They are judged as they are.
    pub refused: u64,
    /// Answers without a text. They are judged as they are.
    pub empty: u64,
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
    /// The 95 % interval of the mean, by drawing samples again; where all are right or all wrong, the
    /// exact one of the binomial distribution.
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
        let scored = self.questions.iter().filter(|one| one.scored > 0).count();
        self.score.interval = match self.score.mean {
            Some(mean) if self.score.is_binary && (mean == 0.0 || mean == 1.0) => {
                Some(of_extreme(scored, mean == 1.0))
            }
            _ => bootstrap(&self.questions, seed),
        };
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
    /// Whether a part of some answer was taken for it.
    has_parts: bool,
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
        self.report.count(result);
        self.has_parts |= result.extracted.is_some();
        if let (None, Some(score), Some(open)) = (&result.error, result.score, &mut self.open) {
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

    pub(super) fn finish(mut self, scorer: &Scorer, epochs: u32, seed: u64) -> Report {
        self.close();
        let name = scorer.name().to_owned();
        let mut report = Report { schema: SCHEMA, scorer: name, epochs, ..self.report };
        if epochs > 1 && self.overall.score.is_binary {
            let all = AT.into_iter().filter(|k| *k < epochs).chain([epochs]);
            let known = all.filter_map(|k| Some((k, pass_at(&self.overall.questions, k)?)));
            for (k, (chance, samples)) in known {
                report.pass_at.insert(k, chance);
                report.pass_at_samples.insert(k, samples);
            }
        }
        let has_votes = self.has_parts || scorer.names_answers();
        let is_told = has_votes && epochs > 2 && self.majority.samples > 0;
        report.majority = is_told.then_some(self.majority);
        report.overall = self.overall.finish(seed);
        report.groups =
            self.groups.into_iter().map(|(name, group)| (name, group.finish(seed))).collect();
        report
    }
}

impl Report {
    /// Counts what is told of answers besides their scores.
    fn count(&mut self, result: &SampleResult) {
        self.input_tokens = self.input_tokens.saturating_add(result.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(result.output_tokens);
        self.cost += result.cost.unwrap_or(Money::ZERO);
        self.unpriced += u64::from(result.answer.is_some() && result.cost.is_none());
        if let Some(label) = &result.label {
            *self.labels.entry(label.clone()).or_default() += 1;
        }
        if let Some(error) = &result.error {
            *self.errors_by_kind.entry(error.kind.clone()).or_default() += 1;
        }
        let ended = |why: &str| result.finish_reason.as_deref() == Some(why);
        self.cut_short += u64::from(ended("length"));
        self.refused += u64::from(ended("refusal") || ended("content_filter"));
        let is_empty = result.answer.as_ref().is_some_and(|answer| answer.trim().is_empty());
        self.empty += u64::from(is_empty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Grading;
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
        let report = tally.finish(&Scorer::exact(), 1, 0);
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
        let report = tally.finish(&Scorer::exact(), 3, 0);
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
        let text = tally.finish(&Scorer::graded(Grading::usual()), 2, 0).to_string();
        assert!(text.starts_with("mean score        0.750 over 2 ± 0.250, 95 % 0.500"), "{text}");
        assert!(!text.contains("pass@"), "{text}");
    }

    #[test]
    fn all_right_or_all_wrong_is_not_certain() {
        let text = |score: f64| {
            let mut tally = Tally::default();
            for id in ["a", "b", "c", "d", "e"] {
                tally.add(id, Some("g"), Some(&scored(score, "x")));
            }
            tally.finish(&Scorer::exact(), 1, 0).to_string()
        };
        assert!(text(0.0).contains("0 of 5 (0.00 %), 95 % 0.0 to 52.2\n"), "{}", text(0.0));
        assert!(text(1.0).contains("5 of 5 (100.00 %), 95 % 47.8 to 100.0\n"), "{}", text(1.0));
    }

    #[test]
    fn pass_at_k_tells_over_how_many_samples_it_is_taken() {
        let mut tally = Tally::default();
        for (id, results) in
            [("a", [scored(1.0, "1"), failed()]), ("b", [scored(0.0, "2"), scored(1.0, "1")])]
        {
            results.iter().for_each(|result| tally.add(id, None, Some(result)));
        }
        let text = tally.finish(&Scorer::exact(), 2, 0).to_string();
        assert!(text.contains("pass@1            75.00 %\n"), "{text}");
        assert!(
            text.contains("pass@2            100.00 %, of 1 samples with as many scored answers"),
            "{text}"
        );
    }

    #[test]
    fn a_majority_is_told_only_where_answers_can_be_the_same() {
        let majority = |scorer: &Scorer, part: Option<&str>| {
            let mut tally = Tally::default();
            for n in 0..3 {
                let extracted = part.map(str::to_owned);
                let result = SampleResult { extracted, ..scored(1.0, &format!("text {n}")) };
                tally.add("a", None, Some(&result));
            }
            tally.finish(scorer, 3, 0).majority.is_some()
        };
        assert!(!majority(&Scorer::includes(), None));
        assert!(!majority(&Scorer::graded(Grading::usual()), None));
        assert!(majority(&Scorer::includes(), Some("B")));
        assert!(majority(&Scorer::gsm8k(), None));
    }

    #[test]
    fn answers_that_were_cut_short_refused_or_empty_are_told() {
        let mut tally = Tally::default();
        for (id, answer, why) in [
            ("a", "so 4", "length"),
            ("b", "no", "refusal"),
            ("c", " ", "stop"),
            ("d", "5", "stop"),
        ] {
            let finish_reason = Some(why.to_owned());
            tally.add(id, None, Some(&SampleResult { finish_reason, ..scored(0.0, answer) }));
        }
        let text = tally.finish(&Scorer::exact(), 1, 0).to_string();
        for part in [
            "cut short         1 of 4 by",
            "refused           1 of 4 by",
            "empty             1 of 4 have",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
