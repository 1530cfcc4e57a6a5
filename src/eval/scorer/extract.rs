//! The part of a text that is its answer.

use regex::Regex;
use std::sync::LazyLock;

pub(super) fn regex(pattern: &str) -> Regex {
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

/// The number of a free answer, or a fraction: the one after `####` or in a box, or else the last one.
pub(super) fn number(text: &str) -> Option<String> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        let whole = r"(?:\d{1,3}(?:,\d{2,3})*,\d{3}|\d+)";
        regex(&format!(r"-?[$€£]?-?(?:{whole}(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+|/\d+)?"))
    });
    static BOX: LazyLock<Regex> = LazyLock::new(|| regex(r"\\boxed\{([^{}]*)\}"));
    static FRACTION: LazyLock<Regex> = LazyLock::new(|| regex(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}"));
    let text = FRACTION.replace_all(text, "$1/$2").replace('\u{2212}', "-");
    // Commas and thin blanks within numbers, as TeX has them.
    let text = text.replace("{,}", ",").replace(r"\!", "").replace(r"\,", "");
    let marked = text.rsplit_once("####").map(|(_, rest)| rest);
    let boxed = BOX.captures_iter(&text).last().and_then(|found| found.get(1));
    let first = |part: &str| NUMBER.find(part).map(|found| found.as_str().to_owned());
    let found = marked.and_then(first).or_else(|| boxed.and_then(|part| first(part.as_str())));
    let found = found.or_else(|| {
        let last = NUMBER.find_iter(&text).last()?;
        // A hyphen within a word is no sign.
        let before = text[..last.start()].chars().next_back();
        let is_joined = before.is_some_and(|c| c.is_alphanumeric() || c == ')');
        let number = last.as_str();
        Some(if is_joined { number.trim_start_matches('-') } else { number }.to_owned())
    })?;
    let plain = found.replace([',', '$', '€', '£'], "");
    // 18 and 18.00 are one answer, also where a majority is counted.
    let is_decimal = plain.contains('.') && !plain.contains(['e', 'E', '/']);
    let short = if is_decimal { plain.trim_end_matches('0').trim_end_matches('.') } else { &plain };
    Some(short.to_owned())
}

/// What the first group finds that takes part, or all that is found without a group.
pub(super) fn first_group(pattern: &Regex, text: &str) -> Option<String> {
    let found = pattern.captures(text)?;
    let group = found.iter().skip(1).flatten().next().or(found.get(0));
    group.map(|part| part.as_str().trim().to_owned())
}

/// The code of an answer: of its fenced blocks the last one that defines `entry`, or else the last
/// one; without a block, all of it. A block that was cut off reaches to the end.
pub(super) fn code<'a>(text: &'a str, entry: Option<&str>) -> &'a str {
    static BLOCK: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?s)```[A-Za-z0-9_+-]*[ \t]*\r?\n(.*?)(?:\n?[ \t]*```|$)"));
    let blocks: Vec<_> = BLOCK.captures_iter(text).filter_map(|found| found.get(1)).collect();
    let defines = |code: &str| entry.is_some_and(|entry| code.contains(&format!("def {entry}(")));
    let defining = blocks.iter().rev().find(|block| defines(block.as_str()));
    defining.or(blocks.last()).map_or(text, |block| block.as_str())
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
            ("It costs $1,234.50.", Some("1234.5")),
            ("1,2,3", Some("3")),
            ("2020,2021", Some("2021")),
            ("1,00,000", Some("100000")),
            ("18.00 or -$18.00", Some("-18")),
            ("$-5", Some("-5")),
            ("It is \u{2212}7", Some("-7")),
            ("so 3/4", Some("3/4")),
            ("$\\boxed{\\frac{1}{2}}$", Some("1/2")),
            ("\\boxed{1{,}234} in 7", Some("1234")),
            ("100", Some("100")),
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
    fn code_is_the_last_fenced_block_or_all() {
        for (text, wanted) in [
            ("x = 1", "x = 1"),
            ("Here:\n```python\nx = 1\ny = 2\n```\nDone.", "x = 1\ny = 2"),
            ("```\na\n```\n```py\nb\n```", "b"),
            ("```python\nx", "x"),
            ("```py\ndef f(x):\n  1\n```\nUse it:\n```py\nf(2)\n```", "def f(x):\n  1"),
        ] {
            assert_eq!(code(text, Some("f")), wanted, "{text:?}");
        }
        assert_eq!(code("```\ndef f():\n```\n```\nb\n```", None), "b");
    }
}
