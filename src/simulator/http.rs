//! The heads of HTTP/1.1 requests, and their chunked bodies.

use std::ops::Range;

/// The first line and the headers of a request. One piece of text, and where each part lies in it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    text: String,
    method: Range<usize>,
    target: Range<usize>,
    headers: Vec<(Range<usize>, Range<usize>)>,
    /// Whether the connection stays open unless a header says otherwise.
    keeps: bool,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(usize),
    Chunked,
}

/// Where the head ends, with its empty line, if all of it is there.
pub(super) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    // The four bytes may have come in two parts.
    let from = from.saturating_sub(3);
    bytes[from..].windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4)
}

impl Head {
    /// Reads a head that ends with its empty line; an error says what is wrong.
    pub(super) fn parse(bytes: &[u8]) -> Result<Head, &'static str> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| "the head is not UTF-8")?;
        let first = text.find("\r\n").ok_or("there is no request line")?;
        let mut parts = text[..first].split(' ');
        let method = 0..parts.next().unwrap_or("").len();
        let target = method.end + 1..method.end + 1 + parts.next().unwrap_or("").len();
        let keeps = match (parts.next(), parts.next()) {
            (Some("HTTP/1.1"), None) => true,
            (Some("HTTP/1.0"), None) => false,
            _ => return Err("the request line is not one of HTTP/1.1"),
        };
        if method.is_empty() || !text[method.clone()].bytes().all(|b| b.is_ascii_uppercase()) {
            return Err("the method is not valid");
        }
        let mut headers = Vec::with_capacity(16);
        let mut at = first + 2;
        for line in text[at..].split("\r\n").take_while(|line| !line.is_empty()) {
            let colon = line.find(':').ok_or("a header has no colon")?;
            if colon == 0 || line[..colon].contains([' ', '\t']) {
                return Err("the name of a header is not valid");
            }
            let value = line[colon + 1..].trim();
            let start = at + (value.as_ptr() as usize - line.as_ptr() as usize);
            headers.push((at..at + colon, start..start + value.len()));
            at += line.len() + 2;
        }
        Ok(Head { text, method, target, headers, keeps })
    }

    pub(super) fn method(&self) -> &str {
        &self.text[self.method.clone()]
    }

    /// Path and query.
    pub(super) fn target(&self) -> &str {
        &self.text[self.target.clone()]
    }

    pub(super) fn path(&self) -> &str {
        self.target().split('?').next().unwrap_or("")
    }

    /// The value of `name` in the query, not unescaped: ids and numbers need no escapes.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target().split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(n, _)| *n == name)
            .map(|p| p.1)
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(super) fn keeps_alive(&self) -> bool {
        match self.header("connection") {
            Some(value) if value.eq_ignore_ascii_case("close") => false,
            Some(value) if value.eq_ignore_ascii_case("keep-alive") => true,
            _ => self.keeps,
        }
    }

    pub(super) fn length(&self) -> Result<Length, &'static str> {
        match (self.header("transfer-encoding"), self.header("content-length")) {
            // Both at once is how requests are smuggled past a proxy.
            (Some(_), Some(_)) => Err("there is a length as well as an encoding"),
            (Some(how), None) if how.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
            (Some(_), None) => Err("the transfer encoding is not known"),
            (None, Some(length)) if length.bytes().all(|b| b.is_ascii_digit()) => {
                length.parse().map(Length::Known).map_err(|_| "the length is not a number")
            }
            (None, Some(_)) => Err("the length is not a number"),
            (None, None) => Ok(Length::Known(0)),
        }
    }

    /// Whether the sender waits for leave to send the body.
    pub(super) fn expects_continue(&self) -> bool {
        self.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    }
}

/// Reads a chunked body piece by piece.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub(super) body: Vec<u8>,
    /// What is still to come of the chunk at hand.
    left: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Size,
    Data,
    DataEnd,
    Trailer,
    Done,
}

impl Chunks {
    /// Takes in `bytes`; says how many it used. Lines that are not complete are left.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            let line = || rest.windows(2).position(|two| two == b"\r\n");
            match self.state {
                State::Done => return Ok(at),
                State::Data => {
                    let some = self.left.min(rest.len());
                    self.body.extend_from_slice(&rest[..some]);
                    self.left -= some;
                    at += some;
                    if self.left > 0 {
                        return Ok(at);
                    }
                    self.state = State::DataEnd;
                }
                State::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(at),
                    _ => return Err("a chunk is longer than its size"),
                },
                State::Size => {
                    let Some(end) = line() else {
                        return if rest.len() > 256 { Err("a chunk has no size") } else { Ok(at) };
                    };
                    self.left = size(&rest[..end])?;
                    at += end + 2;
                    self.state = if self.left == 0 { State::Trailer } else { State::Data };
                }
                State::Trailer => {
                    let Some(end) = line() else { return Ok(at) };
                    at += end + 2;
                    if end == 0 {
                        self.state = State::Done;
                    }
                }
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}

fn size(line: &[u8]) -> Result<usize, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "the size of a chunk is not valid")?;
    let digits = text.split(';').next().unwrap_or("").trim();
    if digits.starts_with('+') {
        return Err("the size of a chunk is not valid");
    }
    usize::from_str_radix(digits, 16).map_err(|_| "the size of a chunk is not valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, &'static str> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn a_head_is_taken_apart() {
        let head = head("GET /v1/files?limit=2&after=x HTTP/1.1\r\nHost: a\r\nX-Y:  b c \r\n\r\n")
            .unwrap();
        assert_eq!((head.method(), head.path()), ("GET", "/v1/files"));
        assert_eq!((head.query("limit"), head.query("after")), (Some("2"), Some("x")));
        assert_eq!(head.header("x-y"), Some("b c"));
        assert_eq!(head.length(), Ok(Length::Known(0)));
        assert!(head.keeps_alive());
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for text in [
            "hello\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "get / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nspace : x\r\n\r\n",
        ] {
            assert!(head(text).is_err(), "{text}");
        }
        for headers in ["Content-Length: -1", "Content-Length: x", "Transfer-Encoding: gzip"] {
            let head = head(&format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n")).unwrap();
            assert!(head.length().is_err(), "{headers}");
        }
    }

    #[test]
    fn a_chunked_body_may_come_in_pieces_of_any_size() {
        let wire = b"4\r\nwiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: z\r\n\r\nNEXT";
        for step in 1..wire.len() {
            let mut chunks = Chunks::default();
            let (mut from, mut to) = (0, 0);
            while !chunks.is_done() {
                to = (to + step).min(wire.len());
                from += chunks.feed(&wire[from..to]).unwrap();
            }
            assert_eq!(chunks.body, b"wikipedia");
            assert_eq!(&wire[from..], b"NEXT");
        }
    }

    #[test]
    fn a_broken_chunk_is_refused() {
        for wire in ["x\r\n", "2\r\nabc\r\n", "-1\r\n", "+1\r\na\r\n"] {
            assert!(Chunks::default().feed(wire.as_bytes()).is_err(), "{wire}");
        }
    }
}
