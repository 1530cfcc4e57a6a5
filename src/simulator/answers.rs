//! What the simulated model says: made up from the prompt, or looked up in a file.

use super::random::{Row, hash, mix};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;

const WORDS: &[&str] = &[
    "the", "river", "carries", "a", "small", "boat", "past", "quiet", "fields", "and", "old",
    "stone", "walls", "where", "seven", "lamps", "burn", "all", "night", "for", "those", "who",
    "walk", "home", "late", "under", "bright", "winter", "stars", "while", "one", "clock",
    "counts", "each", "hour", "in", "slow", "even", "steps", "toward", "morning", "bread", "is",
    "warm",
];

/// Questions and the answers that were once given to them.
///
/// It is read from rows of JSON with the members `question` and `answer`; others are ignored.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    exact: HashMap<String, String>,
    /// Questions by their first bytes, to find them within a longer text.
    starts: HashMap<[u8; START], Vec<String>>,
    /// Questions that are shorter than such a start.
    short: Vec<String>,
}

const START: usize = 16;

impl Answers {
    /// Reads the rows of a file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Answers> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::file("read", path, e))?;
        Answers::parse(&text, &path.display().to_string())
    }

    /// Reads the rows in `text`; `name` is what errors call it.
    pub fn parse(text: &str, name: &str) -> Result<Answers> {
        #[derive(serde::Deserialize)]
        struct Line {
            question: String,
            answer: String,
        }
        let mut answers = Answers::default();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|e| {
                let place = format!("{name}:{}", at + 1);
                Error::invalid(place, format!("not a row with `question` and `answer`: {e}"))
            })?;
            answers.insert(line.question, line.answer);
        }
        Ok(answers)
    }

    /// Adds a question and its answer.
    pub fn insert(&mut self, question: impl Into<String>, answer: impl Into<String>) {
        let question: String = question.into();
        let question = question.trim().to_owned();
        match question.as_bytes().first_chunk::<START>() {
            Some(start) => self.starts.entry(*start).or_default().push(question.clone()),
            None if question.is_empty() => {}
            None => self.short.push(question.clone()),
        }
        self.exact.insert(question, answer.into());
    }

    /// How many questions there are.
    pub fn len(&self) -> usize {
        self.exact.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }

    /// The answer to `text`: to the question that it is, or else to the longest that it holds.
    pub fn find(&self, text: &str) -> Option<&str> {
        let text = text.trim();
        if let Some(answer) = self.exact.get(text) {
            return Some(answer);
        }
        let bytes = text.as_bytes();
        let long = bytes.windows(START).enumerate().flat_map(|(at, window)| {
            let start: &[u8; START] = window.try_into().expect("a window of that size");
            let questions = self.starts.get(start).map_or(&[][..], Vec::as_slice);
            questions.iter().filter(move |question| bytes[at..].starts_with(question.as_bytes()))
        });
        let found = long.max_by_key(|question| question.len()).or_else(|| {
            let held = self.short.iter().filter(|question| text.contains(question.as_str()));
            held.max_by_key(|question| question.len())
        });
        found.and_then(|question| self.exact.get(question)).map(String::as_str)
    }
}

/// The simulated model.
pub(super) struct Author {
    pub(super) seed: u64,
    pub(super) words: RangeInclusive<usize>,
    pub(super) answers: Answers,
}

impl Author {
    /// The answer to `prompt`; `choice` counts the answers to one request.
    pub(super) fn answer(&self, prompt: &str, choice: u64) -> Cow<'_, str> {
        if !self.answers.is_empty()
            && let Some(answer) = self.answers.find(prompt)
        {
            return answer.into();
        }
        let seed = mix(hash(self.seed, prompt.as_bytes()), choice);
        let mut row = Row::new(seed);
        let (least, most) = (*self.words.start(), *self.words.end());
        let count = least + row.below((most + 1).saturating_sub(least));
        let mut text = String::with_capacity(count * 6);
        for at in 0..count.max(1) {
            let word = WORDS[row.below(WORDS.len())];
            if at == 0 {
                text.push_str(&word[..1].to_ascii_uppercase());
                text.push_str(&word[1..]);
            } else {
                text.push(' ');
                text.push_str(word);
            }
        }
        text.push('.');
        text.into()
    }
}

/// About how many tokens a text has: the usual quarter of its characters.
pub(super) fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// `text` cut to `most` tokens, and whether it had to be cut.
pub(super) fn cut(text: &str, most: Option<u64>) -> (&str, bool) {
    let Some(most) = most else { return (text, false) };
    let characters = usize::try_from(most.saturating_mul(4)).unwrap_or(usize::MAX);
    match text.char_indices().nth(characters) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// The pieces in which a text is streamed; together they are the text.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // A piece ends before the next word's space, as real tokens begin with theirs.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find(' ').map_or(rest.len(), |at| at + first);
        let (piece, more) = rest.split_at(end);
        rest = more;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(answers: Answers) -> Author {
        Author { seed: 1, words: 8..=24, answers }
    }

    #[test]
    fn an_answer_depends_on_seed_prompt_and_choice_alone() {
        let author = author(Answers::default());
        assert_eq!(author.answer("a", 0), author.answer("a", 0));
        assert_ne!(author.answer("a", 0), author.answer("b", 0));
        assert_ne!(author.answer("a", 0), author.answer("a", 1));
    }

    #[test]
    fn the_longest_question_that_a_prompt_holds_is_answered() {
        let rows = r#"{"question":"How many apples are left?","answer":"2","more":1}

{"question":"How many apples are left? Count the red ones.","answer":"3"}
{"question":"2+2?","answer":"4"}"#;
        let answers = Answers::parse(rows, "rows").unwrap();
        assert_eq!(answers.len(), 3);
        assert_eq!(answers.find("  How many apples are left?\n"), Some("2"));
        assert_eq!(answers.find("Q: How many apples are left? Count the red ones. A:"), Some("3"));
        assert_eq!(answers.find("Say: 2+2?"), Some("4"));
        assert_eq!(answers.find("How many pears?"), None);
        assert_eq!(author(answers).answer("2+2?", 5), "4");
    }

    #[test]
    fn a_row_that_is_wrong_is_named_by_its_line() {
        let said = Answers::parse("{\"question\":\"a\",\"answer\":\"b\"}\n{}", "f").unwrap_err();
        assert!(said.to_string().starts_with("f:2: "), "{said}");
    }

    #[test]
    fn the_pieces_together_are_the_text() {
        for text in ["", " ", "one", "one two  three ", "é à la"] {
            assert_eq!(pieces(text).collect::<String>(), text);
        }
        assert_eq!(pieces("one two").collect::<Vec<_>>(), ["one", " two"]);
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("ééééé", Some(1)), ("éééé", true));
        assert_eq!(cut("ab", Some(1)), ("ab", false));
        assert_eq!(cut("ab", None), ("ab", false));
    }
}
