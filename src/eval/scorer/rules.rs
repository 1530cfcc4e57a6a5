//! The rules that compare an answer with the targets.

use super::{Verdict, extract};
use crate::error::{Error, Result};
use crate::eval::sample::Task;
use regex::Regex;

/// A rule that needs nothing but the answer and its task.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Exact,
    Normalised,
    Includes,
    Choice,
    Numeric { tolerance: f64 },
    Gsm8k,
    Pattern(Regex),
}

impl Rule {
    pub(super) fn pattern(pattern: &str) -> Result<Rule> {
        let wrong = |e: regex::Error| Error::invalid("pattern", e.to_string());
        Regex::new(pattern).map(Rule::Pattern).map_err(wrong)
    }

    pub(super) fn score(&self, answer: &str, task: &Task) -> Verdict {
        let any = |is: &dyn Fn(&str) -> bool| task.target.iter().any(|target| is(target));
        // The published rule reads a target as it reads an answer.
        let plain = |target: &str| target.trim().replace(',', "");
        let (is_correct, extracted) = match self {
            Rule::Exact => (any(&|target| target.trim() == answer.trim()), None),
            Rule::Normalised => {
                let said = normalised(answer);
                (any(&|target| normalised(target) == said), Some(said))
            }
            Rule::Includes => {
                let said = answer.to_lowercase();
                (any(&|target| said.contains(&target.trim().to_lowercase())), None)
            }
            Rule::Choice => {
                let found = extract::choice(answer, &task.choices);
                let is = |target: &str| found.as_deref() == Some(target.trim());
                (any(&is), found.clone())
            }
            Rule::Numeric { tolerance } => {
                let found = extract::number(answer);
                let is = |target: &str| {
                    let pair = found.as_deref().zip(extract::number(target));
                    pair.is_some_and(|(said, target)| is_near(said, &target, *tolerance))
                };
                (any(&is), found.clone())
            }
            Rule::Gsm8k => {
                let found = extract::gsm8k(answer);
                (any(&|target| found.as_ref() == Some(&plain(target))), found)
            }
            Rule::Pattern(pattern) => {
                let found = pattern.captures(answer);
                let found = found.and_then(|all| all.get(1).or(all.get(0)));
                let found = found.map(|part| part.as_str().trim().to_owned());
                let is = |target: &str| {
                    found
                        .as_ref()
                        .is_some_and(|said| said.to_lowercase() == target.trim().to_lowercase())
                };
                (any(&is), found.clone())
            }
        };
        Verdict::of(is_correct).from_part(extracted)
    }
}

fn is_near(said: &str, target: &str, tolerance: f64) -> bool {
    let (Ok(said), Ok(target)) = (said.parse::<f64>(), target.parse::<f64>()) else { return false };
    // What differs in the last digits of a float is the same number.
    (said - target).abs() <= tolerance.max(target.abs() * 1e-9)
}

/// Lower case, without punctuation and articles, and one blank between words.
fn normalised(text: &str) -> String {
    let text: String =
        text.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    let words = text.split_whitespace().filter(|word| !["a", "an", "the"].contains(word));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_right(rule: &Rule, answer: &str, targets: &[&str], choices: &[&str]) -> bool {
        let own = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        let task = Task { target: own(targets), choices: own(choices), ..Task::default() };
        rule.score(answer, &task).score == 1.0
    }

    #[test]
    fn each_rule_tells_right_from_wrong() {
        let numeric = |tolerance| Rule::Numeric { tolerance };
        let pattern = |text| Rule::pattern(text).unwrap();
        for (rule, answer, targets, wanted) in [
            (&Rule::Exact, " Paris\n", &["Paris"][..], true),
            (&Rule::Exact, "paris", &["Paris"], false),
            (&Rule::Exact, "four", &["4", "four"], true),
            (&Rule::Exact, "x", &[], false),
            (&Rule::Normalised, "The  Eiffel-Tower!", &["eiffel tower"], true),
            (&Rule::Normalised, "Eiffel Towers", &["eiffel tower"], false),
            (&Rule::Includes, "I think it is PARIS.", &["Paris"], true),
            (&Rule::Includes, "I think it is Rome.", &["Paris"], false),
            (&numeric(0.0), "It is 1,000.0", &["1000"], true),
            (&numeric(0.0), "It is 0.30000000000000004", &["0.3"], true),
            (&numeric(0.0), "3.1", &["3.14"], false),
            (&numeric(0.05), "3.1", &["3.14"], true),
            (&numeric(0.0), "no idea", &["3"], false),
            (&Rule::Gsm8k, "A: 2,125", &["2,125"], true),
            (&Rule::Gsm8k, "#### 18.0", &["18"], false),
            (&Rule::Gsm8k, "18", &["18"], false),
            (&pattern("(?i)color: (\\w+)"), "Color: red", &["RED"], true),
            (&pattern("[0-9]+"), "7 of 8", &["7"], true),
            (&pattern("[0-9]+"), "none", &["none"], false),
        ] {
            assert_eq!(is_right(rule, answer, targets, &[]), wanted, "{rule:?} {answer:?}");
        }
        assert!(is_right(&Rule::Choice, "The answer is B.", &["B"], &["x", "y"]));
        assert!(!is_right(&Rule::Choice, "The answer is C.", &["C"], &["x", "y"]));
        assert!(Rule::pattern("(").is_err());
    }
}
