//! The choice that an answer names.

use super::extract::regex;
use crate::eval::sample::letter;
use regex::Regex;
use std::sync::LazyLock;

/// What may stand between a word and its letter: blanks, colons, quotes, marks of bold text.
const BETWEEN: &str = r#"[\s*_:=(\[{$"'`>-]*"#;

/// Where an answer says which choice it takes, the surest first.
static SAID: LazyLock<[Regex; 6]> = LazyLock::new(|| {
    let is = r"(?i:\s+(?:is|was|be|would\s+be|should\s+be|must\s+be|will\s+be))?";
    let letter = r"(?:\\boxed\{\s*)?(?:\\text\{)?([A-Z])(?:[^A-Za-z]|$)";
    [
        regex(&format!(r"(?i:\banswers?){is}{BETWEEN}{letter}")),
        regex(r"\\boxed\{\s*(?:\\text\{)?([A-Z])\b"),
        regex(&format!(r"(?i:\b(?:choice|option|letter)){is}{BETWEEN}{letter}")),
        // A line with nothing but a letter.
        regex(r#"(?m)^[\s*_(\[$"'`]*([A-Za-z])[\s*_)\].$"'`]*$"#),
        // A small letter is sure only where nothing follows.
        regex(&format!(r"(?im:\banswer){is}{BETWEEN}([a-z])\)?[.\s*_]*$")),
        regex(r#"^[\s*_(\[$"'`]*(?:\\boxed\{)?([A-Za-z])(?:[^A-Za-z']|$)"#),
    ]
});

/// The letter of the choice that an answer names.
pub(super) fn choice(text: &str, choices: &[String]) -> Option<String> {
    let whole = text.trim();
    let same = choices.iter().position(|one| one.trim().eq_ignore_ascii_case(whole));
    if let Some(at) = same {
        return Some(letter(at));
    }
    SAID.iter().enumerate().find_map(|(at, pattern)| {
        let found = pattern.captures_iter(text).map(|found| found[1].to_ascii_uppercase());
        let found = found.filter(|found| is_choice(found, choices)).last()?;
        // What begins with a letter alone may be a word.
        (at + 1 < SAID.len() || !is_word(whole)).then_some(found)
    })
}

/// The letters of all choices that an answer names, as in `A, C`.
pub(super) fn several_choices(text: &str, choices: &[String]) -> Option<String> {
    static ANSWER: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)\banswers?\b(?:\s+(?:is|are))?"));
    let start = ANSWER.find_iter(text).last().map_or(0, |found| found.end());
    let words = text[start..].split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let mut found = std::collections::BTreeSet::new();
    for word in words.filter(|word| *word != "and") {
        let letters: Vec<_> = word.chars().map(String::from).collect();
        if !letters.iter().all(|one| is_choice(one, choices)) {
            break;
        }
        found.extend(letters);
    }
    (!found.is_empty()).then(|| found.into_iter().collect::<Vec<_>>().join(", "))
}

/// Whether it is the letter of a choice; of choices that are not known, any letter is.
fn is_choice(found: &str, choices: &[String]) -> bool {
    let count = if choices.is_empty() { 26 } else { choices.len() };
    (0..count).any(|at| letter(at) == found)
}

/// Whether a text begins with a word of one letter: `A dog`, `I think`, but not `A is right`.
fn is_word(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let (Some(first), Some(second)) = (words.next(), words.next()) else { return false };
    let is_other = ["is", "because", "since", "-", "–", "—"].contains(&second);
    ["A", "a", "I", "i"].contains(&first) && !is_other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_named_in_many_ways() {
        let choices = ["Paris", "Rome", "A dog", "Bonn"].map(String::from);
        for (text, wanted) in [
            ("B", Some("B")),
            ("b.", Some("B")),
            ("(C)", Some("C")),
            ("**D**", Some("D")),
            ("B) Rome", Some("B")),
            ("B. Rome\n\nParis is another.", Some("B")),
            ("ANSWER: B", Some("B")),
            ("I thought A. But the answer is (D).", Some("D")),
            ("The correct answer is **C**.", Some("C")),
            ("**Answer**: B", Some("B")),
            ("**Answer:** B. Rome", Some("B")),
            ("<answer>B</answer>", Some("B")),
            (r#"{"answer": "B"}"#, Some("B")),
            ("Answer: Option B", Some("B")),
            ("The answer should be B", Some("B")),
            ("the answer is b.", Some("B")),
            ("the answer is a city", None),
            ("The answer is B. Option A is wrong.", Some("B")),
            ("Answer: B\nI am sure.", Some("B")),
            ("The answer is B, and my answer: I stay with it", Some("B")),
            ("Let me think.\nIt is in Italy.\n\nB", Some("B")),
            ("The answer is $\\boxed{B}$", Some("B")),
            ("So $\\boxed{\\text{B}}$", Some("B")),
            ("rome", Some("B")),
            ("A dog", Some("C")),
            ("A is right", Some("A")),
            ("A city of France", None),
            ("E", None),
            ("Answer: Bonn is", None),
            ("I don't know", None),
            ("", None),
        ] {
            assert_eq!(choice(text, &choices).as_deref(), wanted, "{text:?}");
        }
        let many: Vec<_> = (0..10).map(|n| format!("choice number {n}")).collect();
        assert_eq!(choice("I think that is hard", &many), None);
        assert_eq!(choice("I", &many).as_deref(), Some("I"));
        assert_eq!(choice("Answer: H", &[]).as_deref(), Some("H"));
    }
}
