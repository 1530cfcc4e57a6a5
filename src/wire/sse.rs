//! Server-sent events, read piece by piece however they are split.

use std::collections::VecDeque;
use std::fmt;

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The name that `event:` gives it, if it does.
    pub name: Option<Box<str>>,
    /// What the `data:` lines say, one below the other.
    pub data: String,
    /// The id that was given last, by this event or by one before it.
    pub id: Option<Box<str>>,
    /// Milliseconds after which the server wants to be asked again, if this event says so.
    pub retry: Option<u64>,
}

/// Reads events from bytes: lines end with LF, CR or CRLF, and pieces may be split anywhere.
///
/// ```
/// use openai_bulk::wire::sse::Decoder;
///
/// let mut decoder = Decoder::new(1 << 20);
/// decoder.push(b"data: {\"a\":").unwrap();
/// assert!(decoder.next_event().is_none());
/// decoder.push(b"1}\r\n\r\ndata: [DONE]").unwrap();
/// assert_eq!(decoder.next_event().unwrap().data, "{\"a\":1}");
/// // It has no empty line behind it: the stream was cut there, or ends without one.
/// assert!(decoder.next_event().is_none());
/// assert_eq!(decoder.unfinished().as_deref(), Some("[DONE]"));
/// ```
#[derive(Debug)]
pub struct Decoder {
    most: usize,
    /// The line that is not yet complete.
    line: Vec<u8>,
    /// The last byte ended a line as CR: an LF right behind it belongs to the same end.
    is_after_cr: bool,
    is_first_line: bool,
    /// The event that is not yet complete.
    data: Option<Vec<u8>>,
    name: Option<Box<str>>,
    id: Option<Box<str>>,
    retry: Option<u64>,
    ready: VecDeque<Event>,
}

/// An event that is larger than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// How many bytes were allowed.
    pub most: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an event of the stream is larger than {} bytes", self.most)
    }
}

impl std::error::Error for TooLarge {}

impl Decoder {
    /// One for a stream whose events have at most `most` bytes each.
    pub fn new(most: usize) -> Decoder {
        Decoder {
            most,
            line: Vec::new(),
            is_after_cr: false,
            is_first_line: true,
            data: None,
            name: None,
            id: None,
            retry: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes in the next piece of the stream.
    ///
    /// # Errors
    /// When an event is larger than allowed. The events before it can still be taken.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.is_after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
            if held + part.len() > self.most {
                return Err(TooLarge { most: self.most });
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.is_after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line();
        }
        Ok(())
    }

    /// The next event that is complete.
    pub fn next_event(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }

    /// The data of an event that was begun and has no empty line behind it: at the end of a stream
    /// it does not count, because nobody can tell whether it is whole.
    pub fn unfinished(&self) -> Option<String> {
        let line = match field(&self.line) {
            Some((b"data", value)) => Some(value),
            _ => None,
        };
        let parts: Vec<&[u8]> = self.data.as_deref().into_iter().chain(line).collect();
        (!parts.is_empty()).then(|| String::from_utf8_lossy(&parts.join(&b'\n')).into_owned())
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_first_line) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            self.end_event();
        } else if let Some((name, value)) = field(&line) {
            let text = || String::from_utf8_lossy(value).into_owned();
            match name {
                b"data" => match &mut self.data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(value);
                    }
                    None => self.data = Some(value.to_vec()),
                },
                b"event" => self.name = (!value.is_empty()).then(|| text().into()),
                b"id" if !value.contains(&0) => self.id = Some(text().into()),
                b"retry" if value.iter().all(u8::is_ascii_digit) => {
                    self.retry = text().parse().ok()
                }
                _ => {}
            }
        }
        // The room of a line is used again.
        line.clear();
        self.line = line;
    }

    fn end_event(&mut self) {
        let (name, retry) = (self.name.take(), self.retry.take());
        // Without data it is no event.
        if let Some(data) = self.data.take() {
            let data = String::from_utf8(data)
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
            self.ready.push_back(Event { name, data, id: self.id.clone(), retry });
        }
    }
}

/// The name and the value of a line; none for a comment.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    match line.iter().position(|byte| *byte == b':') {
        Some(0) => None,
        Some(at) => {
            let value = &line[at + 1..];
            Some((&line[..at], value.strip_prefix(b" ").unwrap_or(value)))
        }
        None => Some((line, b"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(pieces: &[&[u8]]) -> (Vec<Event>, Option<String>) {
        let mut decoder = Decoder::new(1 << 20);
        for piece in pieces {
            decoder.push(piece).unwrap();
        }
        let events = std::iter::from_fn(|| decoder.next_event()).collect();
        (events, decoder.unfinished())
    }

    fn data(text: &str) -> Vec<String> {
        decode(&[text.as_bytes()]).0.into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn every_form_of_line_and_end_is_read() {
        let cases: &[(&str, &[&str])] = &[
            ("data: a\n\n", &["a"]),
            ("data: a\r\n\r\n", &["a"]),
            ("data: a\r\r", &["a"]),
            ("data: a\r\n\rdata: b\n\r\n", &["a", "b"]),
            ("data:a\n\n", &["a"]),
            ("data:  a\n\n", &[" a"]),
            ("data\n\n", &[""]),
            ("data:\n\n", &[""]),
            ("data: a\ndata: b\ndata\ndata: c\n\n", &["a\nb\n\nc"]),
            (": a comment\n\n:\ndata: a\n: another\n\n", &["a"]),
            ("\u{feff}data: a\n\n", &["a"]),
            ("data: a\n\n\u{feff}data: b\n\n", &["a"]),
            ("unknown: x\ndata: a\nx\n\n", &["a"]),
            ("event: ping\n\ndata: a\n\n", &["a"]),
            ("\n\n\ndata: a\n\n\n\n", &["a"]),
            ("data: a: b\n\n", &["a: b"]),
            ("data: \u{2028}\u{85}x\n\n", &["\u{2028}\u{85}x"]),
            ("Data: a\n\n", &[]),
            (" data: a\n\n", &[]),
            ("data: a\n", &[]),
            ("data: a", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(data(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn names_ids_and_times_belong_to_their_event() {
        let text = "id: 7\nevent: delta\nretry: 1500\ndata: a\n\nretry: soon\nevent:\ndata: b\n\n\
                    id: a\0b\nevent: old\nevent: new\ndata: c\n\nid\ndata: d\n\n";
        let events = decode(&[text.as_bytes()]).0;
        let seen: Vec<_> = events
            .iter()
            .map(|e| (e.name.as_deref(), e.data.as_str(), e.id.as_deref(), e.retry))
            .collect();
        assert_eq!(
            seen,
            [
                (Some("delta"), "a", Some("7"), Some(1500)),
                (None, "b", Some("7"), None),
                (Some("new"), "c", Some("7"), None),
                (None, "d", Some(""), None),
            ]
        );
    }

    #[test]
    fn an_event_without_its_empty_line_is_told_and_does_not_count() {
        for (text, rest) in [
            ("data: a\n\n", None),
            ("data: a\n\ndata: [DONE]", Some("[DONE]")),
            ("data: a\n\ndata: [DONE]\n", Some("[DONE]")),
            ("data: a\n\ndata: b\ndata: c", Some("b\nc")),
            ("data: a\n\n: bye", None),
            ("data: a\n\nevent: x", None),
        ] {
            let (events, unfinished) = decode(&[text.as_bytes()]);
            assert_eq!((events.len(), unfinished.as_deref()), (1, rest), "{text:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_end_the_stream() {
        let (events, _) = decode(&[b"data: a\xffb\n\ndata: c\n\n"]);
        assert_eq!(events[0].data, "a\u{fffd}b");
        assert_eq!(events[1].data, "c");
    }

    #[test]
    fn an_event_beyond_the_limit_is_refused_and_those_before_it_are_kept() {
        let mut decoder = Decoder::new(20);
        let long = [b"data: ok\n\ndata: ", &[b'x'; 40][..]].concat();
        assert_eq!(decoder.push(&long), Err(TooLarge { most: 20 }));
        assert_eq!(decoder.next_event().unwrap().data, "ok");
        let mut decoder = Decoder::new(20);
        let many = "data: 0123456789\n".repeat(3);
        assert!(decoder.push(many.as_bytes()).is_err(), "many lines of one event count together");
    }

    proptest! {
        #[test]
        fn however_a_stream_is_split_it_has_the_same_events(
            lines in proptest::collection::vec("(data|event|id|retry|:|)(: ?)?[a-zü€😀 :{}]{0,6}", 0..12),
            ends in proptest::collection::vec(prop_oneof!["\n", "\r", "\r\n"], 12),
            blanks in proptest::collection::vec(any::<bool>(), 12),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
        ) {
            let mut text = String::new();
            for (at, line) in lines.iter().enumerate() {
                text.push_str(line);
                text.push_str(&ends[at]);
                if blanks[at] {
                    text.push_str(&ends[at]);
                }
            }
            let bytes = text.as_bytes();
            let whole = decode(&[bytes]);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            prop_assert_eq!(&decode(&pieces), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&decode(&single), &whole);
        }
    }
}
