//! The rules that compare an answer with the targets.

use super::{Verdict, choice, extract};
use crate::error::{Error, Result};
use crate::eval::sample::{Task, right_choices};
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
        let (is_correct, extracted) = match self {
            Rule::Exact => (any(&|target| target.trim() == answer.trim()), None),
            Rule::Normalised => {
                let said = normalised(answer);
                (any(&|target| normalised(target) == said), Some(said))
            }
            Rule::Includes => (any(&|target| includes(answer, target)), None),
            Rule::Choice => {
                let wanted = right_choices(&task.target, &task.choices);
                let found = match wanted.len() {
                    0 | 1 => choice::choice(answer, &task.choices),
                    _ => choice::several_choices(answer, &task.choices),
                };
                let is = |target: &str| {
                    found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(target.trim()))
                };
                let is_right = match wanted.is_empty() {
                    true => any(&is),
                    false => found == Some(wanted.into_iter().collect::<Vec<_>>().join(", ")),
                };
                (is_right, found)
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
                // The published rule reads a target as it reads an answer.
                let plain = |target: &str| target.trim().replace(',', "");
                (any(&|target| found.as_ref() == Some(&plain(target))), found)
            }
            Rule::Pattern(pattern) => {
                let found = extract::first_group(pattern, answer);
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
    let (Some(said), Some(target)) = (value(said), value(target)) else { return false };
    // What differs in the last digits of a float is the same number.
    (said - target).abs() <= tolerance.max(target.abs() * 1e-9)
}

/// What a number or a fraction is worth.
fn value(number: &str) -> Option<f64> {
    let value = match number.split_once('/') {
        Some((above, below)) => above.parse::<f64>().ok()? / below.parse::<f64>().ok()?,
        None => number.parse().ok()?,
    };
    value.is_finite().then_some(value)
}

/// Whether an answer holds a target, in any case. Nothing holds an empty target but an empty answer.
fn includes(answer: &str, target: &str) -> bool {
    let (answer, target) = (answer.to_lowercase(), target.trim().to_lowercase());
    if target.is_empty() { answer.trim().is_empty() } else { answer.contains(&target) }
}

/// Lower case, without punctuation and articles, and one blank between words. Signs and points of
/// numbers stay; where nothing else is left, so does all of it.
fn normalised(text: &str) -> String {
    let chars: Vec<char> = text.trim().to_lowercase().chars().collect();
    let is = |at: Option<usize>, what: fn(char) -> bool| {
        at.and_then(|at| chars.get(at)).is_some_and(|c| what(*c))
    };
    let digit: fn(char) -> bool = |c| c.is_ascii_digit();
    let mut words = String::with_capacity(text.len());
    for (at, c) in chars.iter().enumerate() {
        let (before, after) = (at.checked_sub(1), Some(at + 1));
        match c {
            c if c.is_alphanumeric() => words.push(*c),
            ',' if is(before, digit) && is(after, digit) => {}
            '.' if is(before, digit) && is(after, digit) => words.push('.'),
            '-' | '\u{2212}' if is(after, digit) && !is(before, char::is_alphanumeric) => {
                words.push('-');
            }
            _ => words.push(' '),
        }
    }
    let kept = words.split_whitespace().filter(|word| !["a", "an", "the"].contains(word));
    let kept = kept.collect::<Vec<_>>().join(" ");
    if kept.is_empty() { chars.into_iter().collect() } else { kept }
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
            (&Rule::Normalised, "+", &["+"], true),
            (&Rule::Normalised, "!", &["+"], false),
            (&Rule::Normalised, "The", &["A"], false),
            (&Rule::Normalised, "-5", &["5"], false),
            (&Rule::Normalised, "\u{2212}5.", &["-5"], true),
            (&Rule::Normalised, "1,000", &["1000"], true),
            (&Rule::Normalised, "1.5", &["15"], false),
            (&Rule::Includes, "Anything.", &[""], false),
            (&Rule::Includes, " ", &[""], true),
            (&Rule::Includes, "I think it is PARIS.", &["Paris"], true),
            (&Rule::Includes, "I think it is Rome.", &["Paris"], false),
            (&numeric(0.0), "It is 1,000.0", &["1000"], true),
            (&numeric(0.0), "It is 0.30000000000000004", &["0.3"], true),
            (&numeric(0.0), "3.1", &["3.14"], false),
            (&numeric(0.05), "3.1", &["3.14"], true),
            (&numeric(0.0), "It is 1/4.", &["3/4"], false),
            (&numeric(0.0), "It is \\frac{3}{4}", &["0.75"], true),
            (&numeric(0.0), "1/0", &["1/0"], false),
            (&numeric(0.0), "\u{2212}4", &["-4"], true),
            (&numeric(0.0), "1, 2,3", &["123"], false),
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
    }

    #[test]
    fn several_right_choices_must_all_be_named() {
        assert!(is_right(&Rule::Choice, "The answer is B.", &["B"], &["x", "y"]));
        assert!(!is_right(&Rule::Choice, "The answer is C.", &["C"], &["x", "y"]));
        assert!(is_right(&Rule::Choice, "b", &["B"], &["x", "y"]));
        // A question whose choices are known to nobody but the one who asks.
        assert!(is_right(&Rule::Choice, "The answer is C.", &["c"], &[]));
        for (answer, targets, wanted) in [
            ("A, C", &["A", "C"][..], true),
            ("The answers are A and C.", &["A,C"], true),
            ("ANSWER: CA", &["AC"], true),
            ("A", &["A", "C"], false),
            ("A, B, C", &["A", "C"], false),
        ] {
            assert_eq!(
                is_right(&Rule::Choice, answer, targets, &["x", "y", "z"]),
                wanted,
                "{answer}"
            );
        }
    }

    #[test]
    fn a_pattern_takes_the_first_group_that_takes_part() {
        let either = Rule::pattern("x=([0-9]+)|y=([0-9]+)").unwrap();
        assert!(is_right(&either, "y=7", &["7"], &[]));
        assert!(Rule::pattern("(").is_err());
    }
}
