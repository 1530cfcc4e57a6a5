//! The text of a `.env` file.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// The variables of a `.env` file; of a name that is there twice the last, as in a shell.
///
/// A `$NAME` outside single quotes stands for a variable of the process or an earlier line.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    let bytes = std::fs::read(path).map_err(|e| Error::file("read", path, e))?;
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(Error::invalid(path.display().to_string(), "not UTF-8: save it as UTF-8"));
    };
    parse(&text).map_err(|line| {
        let place = format!("{}:{line}", path.display());
        // The parser's own message quotes the line, and the line may hold a key.
        Error::invalid(place, "cannot be read: NAME=value is expected, with quotes that are closed")
    })
}

/// The variables, or the number of the line that cannot be read.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    // The end of a line is needed, or the parser takes a blank at the end for an open value.
    let text = format!("{}\n", text.trim_start_matches('\u{feff}'));
    let given = Cell::new(0);
    let mut done = 0;
    let mut vars = BTreeMap::new();
    for item in dotenvy::from_read_iter(Lines { rest: text.as_bytes(), given: &given }) {
        match item {
            Ok((name, value)) => vars.insert(name, value),
            Err(_) => return Err(first_line_with_text(&text, done)),
        };
        done = given.get();
    }
    Ok(vars)
}

/// The number of the first line after `done` lines that is not blank and no comment.
fn first_line_with_text(text: &str, done: usize) -> usize {
    let has_text = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let skipped = text.lines().skip(done).position(|line| has_text(&line));
    done + skipped.unwrap_or(0) + 1
}

/// Gives out one line at a time, so that it is known how far the parser has come.
struct Lines<'a> {
    rest: &'a [u8],
    given: &'a Cell<usize>,
}

impl Read for Lines<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.iter().position(|b| *b == b'\n').map_or(self.rest.len(), |n| n + 1);
        let (now, rest) = self.rest.split_at(line.min(buffer.len()));
        buffer[..now.len()].copy_from_slice(now);
        self.given.set(self.given.get() + usize::from(now.ends_with(b"\n")));
        self.rest = rest;
        Ok(now.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str) -> Option<String> {
        parse(text).unwrap().remove("K")
    }

    #[test]
    fn files_are_read_as_people_write_them() {
        for (text, expected) in [
            ("K=v", "v"),
            ("K=v\n", "v"),
            ("K=v\r\nL=w\r\n", "v"),
            ("\u{feff}K=v\n", "v"),
            ("export K=v", "v"),
            ("K = v ", "v"),
            ("K=v   ", "v"),
            ("K='v # w'", "v # w"),
            ("K=\"v w\" # comment", "v w"),
            ("K=v # it's a comment\n", "v"),
            ("# it's a comment\n\n  # another\nK=v", "v"),
            ("K=first\nK=v", "v"),
            ("K=v#w", "v#w"),
            ("K=sk-a_b.c=d", "sk-a_b.c=d"),
            ("K=\"a\nb\"\n", "a\nb"),
            ("K=", ""),
            ("K=\r\n", ""),
        ] {
            assert_eq!(value(text).as_deref(), Some(expected), "{text:?}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_by_its_number() {
        for (text, line) in [
            ("sk-0123456789", 1),
            ("K=v\nsk-0123456789\n", 2),
            ("\u{feff}# c\r\n\r\nK=v\r\n\r\n# c\r\nK=v w\r\n", 6),
            ("K=v\n\nL='open\nM=w\n", 3),
            ("K=v\nL=\"a\nb\"\nnonsense\n", 4),
            ("=v", 1),
        ] {
            assert_eq!(parse(text), Err(line), "{text:?}");
        }
    }

    #[test]
    fn the_message_does_not_quote_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        for text in
            ["OPENAI_API_KEY='sk-0123456789", "OPENAI_API_KEY: sk-0123456789", "sk-0123456789"]
        {
            std::fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            let message = format!("{error} {error:?}");
            assert!(!message.contains("0123") && message.contains(".env:1: "), "{message}");
        }
        std::fs::write(&path, b"K\0=\0v\0\xff\xfe").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ -~\n\r'\"\\\\#$é]{0,60}") {
            let lines = text.lines().count().max(1);
            prop_assert!(parse(&text).err().is_none_or(|line| (1..=lines).contains(&line)));
        }
    }
}
