//! Whether two evaluations differ: paired, by the samples that both have.

use super::answer::SampleResult;
use super::interval::{bootstrap, sign_flips};
use super::metrics::{Question, mean, standard_error};
use super::results::Results;
use crate::error::{Error, Result};
use crate::wire::row::id_hash;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// The version of its shape; it rises when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// A difference with a smaller probability is called significant.
const LEVEL: f64 = 0.05;

/// How many missing ids are told.
const SHOWN: usize = 5;

/// How two evaluations of the same samples compare.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Version of this shape.
    pub schema: u32,
    /// Samples that were scored in both.
    pub samples: u64,
    /// The mean score of the first, over those samples.
    pub mean_a: f64,
    /// The mean score of the second.
    pub mean_b: f64,
    /// The second less the first.
    pub difference: f64,
    /// The standard error of the difference, paired by sample.
    pub standard_error: Option<f64>,
    /// The 95 % interval of the difference, by drawing samples again.
    pub interval: Option<(f64, f64)>,
    /// How likely a difference as large is if there is none: McNemar's exact test where each sample
    /// has one verdict of right or wrong in both, else a test that changes signs by chance.
    pub p_value: f64,
    /// The name of that test.
    pub test: &'static str,
    /// Who was right, where each sample has one verdict of right or wrong in both.
    pub table: Option<Table>,
    /// Samples that have an error in one of them, and so are left out.
    pub errors: u64,
    /// Samples whose right answers are not the same in both, and which so are left out: they may be
    /// questions of different data sets.
    pub other_targets: u64,
    /// Samples that only the first has.
    pub only_a: u64,
    /// Samples that only the second has.
    pub only_b: u64,
    /// The ids of the first few of those.
    pub missing: Vec<String>,
}

/// Who was right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Table {
    /// Both.
    pub both_right: u64,
    /// Only the first.
    pub only_a: u64,
    /// Only the second.
    pub only_b: u64,
    /// Neither.
    pub both_wrong: u64,
}

/// The scores of a sample in one evaluation.
#[derive(Clone, Copy, Debug, Default)]
struct Scores {
    /// A number that differs where the right answers do.
    target: u64,
    repeats: u32,
    scored: u32,
    sum: f64,
}

impl Scores {
    fn add(&mut self, result: &SampleResult) {
        self.repeats += 1;
        if let (Some(score), None) = (result.score, &result.error) {
            self.scored += 1;
            self.sum += score;
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.scored > 0).then(|| self.sum / f64::from(self.scored))
    }

    /// Whether it is one verdict of right or wrong.
    fn is_plain(&self) -> bool {
        self.repeats == 1 && (self.sum == 0.0 || self.sum == 1.0)
    }
}

/// All samples of a file, in their order, with their scores.
struct Read {
    order: Vec<(u64, String)>,
    scores: HashMap<u64, Scores>,
}

fn read(path: &Path) -> Result<Read> {
    let mut all = Read { order: Vec::new(), scores: HashMap::new() };
    for result in Results::open(path)? {
        let result = result?;
        let hash = id_hash(&result.id);
        let scores = all.scores.entry(hash).or_default();
        if scores.repeats == 0 {
            scores.target = id_hash(&result.target.join("\n"));
            all.order.push((hash, result.id.clone()));
        }
        scores.add(&result);
    }
    Ok(all)
}

/// Compares two outputs of evaluations, sample by sample; `seed` decides what is drawn by chance.
///
/// # Errors
/// When one cannot be read, or they have no sample in common that was scored in both.
pub fn compare(a: impl AsRef<Path>, b: impl AsRef<Path>, seed: u64) -> Result<Comparison> {
    let (name, a, b) = (b.as_ref().display().to_string(), read(a.as_ref())?, read(b.as_ref())?);
    let mut found = Comparison { schema: SCHEMA, ..Comparison::default() };
    let mut pairs = Vec::new();
    for (hash, id) in &a.order {
        let Some(other) = b.scores.get(hash) else {
            found.only_a += 1;
            found.miss(id);
            continue;
        };
        let scores = &a.scores[hash];
        if scores.target != other.target {
            found.other_targets += 1;
            continue;
        }
        match (scores.mean(), other.mean()) {
            (Some(_), Some(_)) => pairs.push((*scores, *other)),
            _ => found.errors += 1,
        }
    }
    for (_, id) in b.order.iter().filter(|(hash, _)| !a.scores.contains_key(hash)) {
        found.only_b += 1;
        found.miss(id);
    }
    if pairs.is_empty() {
        let message = match found.other_targets {
            0 => "it has no sample in common with the other that was scored in both",
            _ => {
                "its samples have the ids of the other's, but other right answers: compare two \
                  evaluations of one data set"
            }
        };
        return Err(Error::invalid(name, message));
    }
    found.test(&pairs, seed);
    Ok(found)
}

impl Comparison {
    fn miss(&mut self, id: &str) {
        if self.missing.len() < SHOWN {
            self.missing.push(id.to_owned());
        }
    }

    fn test(&mut self, pairs: &[(Scores, Scores)], seed: u64) {
        let means: Vec<_> = pairs
            .iter()
            .map(|(a, b)| (a.mean().unwrap_or_default(), b.mean().unwrap_or_default()))
            .collect();
        let count = pairs.len() as f64;
        self.samples = pairs.len() as u64;
        self.mean_a = means.iter().map(|(a, _)| a).sum::<f64>() / count;
        self.mean_b = means.iter().map(|(_, b)| b).sum::<f64>() / count;
        let one = |(a, b): &(f64, f64)| Question { scored: 1, right: 0, sum: b - a };
        let differences: Vec<_> = means.iter().map(one).collect();
        self.difference = mean(&differences).unwrap_or_default();
        self.standard_error = standard_error(&differences);
        self.interval = bootstrap(&differences, seed);
        if pairs.iter().all(|(a, b)| a.is_plain() && b.is_plain()) {
            let table = Table::of(&means);
            self.p_value = mcnemar(table.only_a, table.only_b);
            self.table = Some(table);
            self.test = "McNemar's exact test";
        } else {
            let differences: Vec<_> = differences.iter().map(|one| one.sum).collect();
            self.p_value = sign_flips(&differences, seed);
            self.test = "sign changes by chance";
        }
    }

    /// Whether the difference is more than chance explains, at the level of 5 %.
    pub fn is_significant(&self) -> bool {
        self.p_value < LEVEL
    }
}

impl Table {
    fn of(means: &[(f64, f64)]) -> Table {
        let mut table = Table::default();
        for pair in means {
            match *pair {
                (1.0, 1.0) => table.both_right += 1,
                (1.0, _) => table.only_a += 1,
                (_, 1.0) => table.only_b += 1,
                _ => table.both_wrong += 1,
            }
        }
        table
    }
}

/// How likely it is that chance splits the samples in which the two differ as unevenly: the exact
/// binomial test of both sides.
fn mcnemar(only_a: u64, only_b: u64) -> f64 {
    let (few, all) = (only_a.min(only_b), only_a + only_b);
    // Logarithms, because 2^all is too large for any float.
    let mut term = -(all as f64) * std::f64::consts::LN_2;
    let mut sum = term.exp();
    for i in 0..few {
        term += ((all - i) as f64).ln() - ((i + 1) as f64).ln();
        sum += term.exp();
    }
    (2.0 * sum).min(1.0)
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |value: f64| format!("{:.2} %", value * 100.0);
        writeln!(f, "{:<18}{}", "samples in both", self.samples)?;
        writeln!(f, "{:<18}{}", "A", percent(self.mean_a))?;
        writeln!(f, "{:<18}{}", "B", percent(self.mean_b))?;
        write!(f, "{:<18}{:+.2} points", "B less A", self.difference * 100.0)?;
        if let Some(error) = self.standard_error {
            write!(f, " ± {:.2}", error * 100.0)?;
        }
        if let Some((low, high)) = self.interval {
            write!(f, ", 95 % {:+.1} to {:+.1}", low * 100.0, high * 100.0)?;
        }
        writeln!(f)?;
        if let Some(table) = &self.table {
            let Table { both_right, only_a, only_b, both_wrong } = table;
            let text = format!(
                "both {both_right}, only A {only_a}, only B {only_b}, neither {both_wrong}"
            );
            writeln!(f, "{:<18}{text}", "right")?;
        }
        if self.errors > 0 {
            writeln!(f, "{:<18}{} samples, left out", "errors", self.errors)?;
        }
        if self.other_targets > 0 {
            let text = format!("{} samples, left out", self.other_targets);
            writeln!(f, "{:<18}{text}", "other targets")?;
        }
        if self.only_a + self.only_b > 0 {
            let more = self.only_a + self.only_b - self.missing.len() as u64;
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let ids = self.missing.join(", ");
            let text = format!("{} only in A, {} only in B: {ids}{rest}", self.only_a, self.only_b);
            writeln!(f, "{:<18}{text}", "not paired")?;
        }
        let p = match self.p_value {
            p if p < 0.0001 => "p < 0.0001".to_owned(),
            p => format!("p = {p:.4}"),
        };
        let (better, worse) = if self.difference > 0.0 { ("B", "A") } else { ("A", "B") };
        match self.is_significant() {
            true => writeln!(f, "{better} is better than {worse} ({p}, {})", self.test),
            false => writeln!(f, "no significant difference ({p}, {})", self.test),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_has_known_values() {
        for (only_a, only_b, wanted) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021_484_375),
            (9, 1, 0.021_484_375),
            (0, 6, 0.031_25),
            (10, 20, 0.098_737_15),
        ] {
            let p = mcnemar(only_a, only_b);
            assert!((p - wanted).abs() < 1e-7, "{only_a} {only_b}: {p}");
        }
        let many = mcnemar(4_000_000, 4_000_500);
        assert!(many > 0.8 && many < 0.9, "{many}");
    }

    fn file(folder: &Path, name: &str, lines: &[(&str, u32, Option<f64>)]) -> std::path::PathBuf {
        let path = folder.join(name);
        let text: String = lines
            .iter()
            .map(|(id, epoch, score)| {
                let result = SampleResult {
                    id: id.to_string(),
                    epoch: *epoch,
                    score: *score,
                    ..SampleResult::default()
                };
                serde_json::to_string(&result).unwrap() + "\n"
            })
            .collect();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn samples_are_paired_by_their_ids() {
        let folder = tempfile::tempdir().unwrap();
        let (yes, no) = (Some(1.0), Some(0.0));
        let a = [("1", 1, yes), ("2", 1, yes), ("3", 1, no), ("4", 1, None), ("x", 1, yes)];
        let b = [("3", 1, no), ("2", 1, no), ("1", 1, yes), ("4", 1, yes), ("y", 1, no)];
        let (a, b) = (file(folder.path(), "a", &a), file(folder.path(), "b", &b));
        let found = compare(&a, &b, 0).unwrap();
        assert_eq!((found.samples, found.errors, found.only_a, found.only_b), (3, 1, 1, 1));
        assert_eq!(found.missing, ["x", "y"]);
        let wanted = Table { both_right: 1, only_a: 1, only_b: 0, both_wrong: 1 };
        assert_eq!(found.table, Some(wanted));
        assert!((found.difference + 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.p_value, 1.0);
        assert!(found.to_string().contains("1 only in A, 1 only in B: x, y"));
        let same = compare(&a, &a, 0).unwrap();
        assert_eq!((same.difference, same.p_value, same.is_significant()), (0.0, 1.0, false));
    }

    #[test]
    fn graded_scores_and_repeats_are_compared_by_their_means() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let with = |score: f64| -> Vec<_> {
            names.iter().flat_map(|id| [(&**id, 1, Some(score)), (&**id, 2, Some(score))]).collect()
        };
        let a = file(folder.path(), "a", &with(0.25));
        let b = file(folder.path(), "b", &with(0.75));
        let found = compare(&a, &b, 0).unwrap();
        assert_eq!((found.samples, found.difference, found.table), (20, 0.5, None));
        assert!(found.is_significant() && found.to_string().contains("B is better than A"));
    }

    #[test]
    fn files_that_cannot_be_compared_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a", &[("1", 1, Some(1.0))]);
        let b = file(folder.path(), "b", &[("2", 1, Some(1.0))]);
        assert!(compare(&a, &b, 0).unwrap_err().to_string().contains("no sample in common"));
        let with = |name: &str, target: &str| {
            let result = |id: &str, target: &str| {
                let (id, target) = (id.to_owned(), vec![target.to_owned()]);
                SampleResult { id, epoch: 1, target, score: Some(1.0), ..SampleResult::default() }
            };
            let lines = [result("1", target), result("2", "same")];
            let path = folder.path().join(name);
            let lines = lines.map(|line| serde_json::to_string(&line).unwrap());
            std::fs::write(&path, lines.join("\n")).unwrap();
            path
        };
        let found = compare(with("c", "x"), with("d", "y"), 0).unwrap();
        assert_eq!((found.samples, found.other_targets), (1, 1));
        assert!(found.to_string().contains("1 samples, left out"), "{found}");
        let error = compare(&a, with("d", "y"), 0).unwrap_err().to_string();
        assert!(error.contains("two evaluations of one data set"), "{error}");
        std::fs::write(&b, "{\"id\":\"batch_req\",\"custom_id\":\"1\"}\n").unwrap();
        assert!(compare(&a, &b, 0).unwrap_err().to_string().contains("give the file of `eval -o`"));
    }
}
