//! The part of a text that is its answer.

use crate::eval::sample::letter;
use regex::Regex;
use std::sync::LazyLock;

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}

/// The number of a GSM8K solution: the first after `####`, as its authors read it. Without that
/// mark, the last line `A: `, in which their models gave their answers.
pub(super) fn gsm8k(text: &str) -> Option<String> {
    static MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"#### (-?[0-9.,]+)"));
    static LINE: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^A: (-?[0-9.,]+)"));
    let marked = MARK.captures(text).or_else(|| LINE.captures_iter(text).last());
    marked.map(|found| found[1].replace(',', ""))
}

/// The number of a free answer: the one after `####` or in a box, or else the last one.
pub(super) fn number(text: &str) -> Option<String> {
    static NUMBER: LazyLock<Regex> =
        LazyLock::new(|| regex(r"-?[$€£]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"));
    static BOX: LazyLock<Regex> = LazyLock::new(|| regex(r"\\boxed\{([^{}]*)\}"));
    let marked = text.rsplit_once("####").map(|(_, rest)| rest);
    let boxed = BOX.captures_iter(text).last().and_then(|found| found.get(1));
    let first = |part: &str| NUMBER.find(part).map(|found| found.as_str().to_owned());
    let found = marked.and_then(first).or_else(|| boxed.and_then(|part| first(part.as_str())));
    let found = found.or_else(|| {
        let last = NUMBER.find_iter(text).last()?;
        // A hyphen within a word is no sign.
        let before = text[..last.start()].chars().next_back();
        let is_joined = before.is_some_and(|c| c.is_alphanumeric() || c == ')');
        let number = last.as_str();
        Some(if is_joined { number.trim_start_matches('-') } else { number }.to_owned())
    })?;
    Some(found.replace([',', '$', '€', '£'], ""))
}

/// The letter of the choice that an answer names.
pub(super) fn choice(text: &str, choices: &[String]) -> Option<String> {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        regex(
            r"(?i:answer|choice|option)(?i:\s+is)?\s*:?[\s*_(\[$]*(?:\\boxed\{)?([A-Z])(?:[^A-Za-z]|$)",
        )
    });
    static ALONE: LazyLock<Regex> =
        LazyLock::new(|| regex(r"^[\s*_(\[$]*(?:\\boxed\{)?([A-Za-z])(?:[^A-Za-z']|$)"));
    static BOX: LazyLock<Regex> = LazyLock::new(|| regex(r"\\boxed\{\s*(?:\\text\{)?([A-Z])\b"));
    let is_choice = |found: &String| (0..choices.len()).any(|at| letter(at) == *found);
    let last = |pattern: &Regex| {
        let found = pattern.captures_iter(text).last()?;
        Some(found[1].to_ascii_uppercase()).filter(is_choice)
    };
    let whole = text.trim();
    let same = || {
        let mut equal = choices.iter().map(|one| one.trim().eq_ignore_ascii_case(whole));
        equal.position(|is| is).map(letter)
    };
    // `A dog` begins with an article and not with a choice.
    let is_word = |found: &String| found == "A" && whole.starts_with("A ") && whole.len() > 2;
    same()
        .or_else(|| last(&SAID))
        .or_else(|| last(&BOX))
        .or_else(|| last(&ALONE).filter(|found| !is_word(found)))
}

/// The code of an answer: its last block that is fenced, or all of it.
pub(super) fn code(text: &str) -> &str {
    static BLOCK: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?s)```[A-Za-z0-9_+-]*[ \t]*\r?\n(.*?)\n?[ \t]*```"));
    let last = BLOCK.captures_iter(text).last();
    last.and_then(|found| found.get(1)).map_or(text, |code| code.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gsm8k_reads_the_mark_as_it_was_published() {
        for (text, wanted) in [
            ("so\n#### 72", Some("72")),
            ("#### 1,450,000", Some("1450000")),
            ("#### -3.5 dollars", Some("-3.5")),
            ("#### 10\n#### 20", Some("10")),
            ("#### $5", None),
            ("####5", None),
            ("A: 26", Some("26")),
            ("A: 5\nthen\nA: 90,000", Some("90000")),
            ("A: 1/5", Some("1")),
            ("#### 3\nA: 4", Some("3")),
            ("BA: 4", None),
            ("the answer is 7", None),
            ("", None),
        ] {
            assert_eq!(gsm8k(text).as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn the_number_of_a_free_answer_is_the_marked_or_the_last_one() {
        for (text, wanted) in [
            ("It costs $1,234.50.", Some("1234.50")),
            ("from 3 to 5", Some("5")),
            ("It is -4", Some("-4")),
            ("10-4", Some("4")),
            ("It is (2)-1", Some("1")),
            ("\\boxed{42} of 50", Some("42")),
            ("#### $18 of 20", Some("18")),
            ("1.5e-3", Some("1.5e-3")),
            (".5", Some(".5")),
            ("18.", Some("18")),
            ("none", None),
        ] {
            assert_eq!(number(text).as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_choice_is_named_in_many_ways() {
        let choices = ["Paris", "Rome", "A dog", "Bonn"].map(String::from);
        for (text, wanted) in [
            ("B", Some("B")),
            ("b.", Some("B")),
            ("(C)", Some("C")),
            ("**D**", Some("D")),
            ("B) Rome", Some("B")),
            ("ANSWER: B", Some("B")),
            ("I thought A. But the answer is (D).", Some("D")),
            ("The correct answer is **C**.", Some("C")),
            ("The answer is $\\boxed{B}$", Some("B")),
            ("So $\\boxed{\\text{B}}$", Some("B")),
            ("rome", Some("B")),
            ("A dog", Some("C")),
            ("A city of France", None),
            ("E", None),
            ("Answer: Bonn is", None),
            ("I don't know", None),
            ("", None),
        ] {
            assert_eq!(choice(text, &choices).as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn code_is_the_last_fenced_block_or_all() {
        for (text, wanted) in [
            ("x = 1", "x = 1"),
            ("Here:\n```python\nx = 1\ny = 2\n```\nDone.", "x = 1\ny = 2"),
            ("```\na\n```\n```py\nb\n```", "b"),
            ("```python\nx", "```python\nx"),
        ] {
            assert_eq!(code(text), wanted, "{text:?}");
        }
    }
}
