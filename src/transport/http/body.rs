//! What comes back: a head, and a body that tells its end in one of several ways.

use super::line::Line;
use crate::transport::{Answer, Headers};
use std::io::{self, Read};
use ureq::http;
use ureq::http::header::{self, HeaderMap};

/// Reads the rest of the answer.
#[inline(never)]
pub(super) fn receive(
    response: http::Response<ureq::Body>,
    most: u64,
    line: &Line,
) -> Result<Answer, ureq::Error> {
    let (head, body) = response.into_parts();
    let body = read(body, &head, most, line)?;
    Ok(Answer { status: head.status.as_u16(), headers: kept(&head.headers), body, is_late: false })
}

fn read(
    body: ureq::Body,
    head: &http::response::Parts,
    most: u64,
    line: &Line,
) -> Result<Vec<u8>, ureq::Error> {
    let framing = Framing::of(head, &body);
    let length = framing.length;
    if length.is_some_and(|length| length > most) {
        return Err(ureq::Error::BodyExceedsLimit(most));
    }
    // What a server declares is not yet there: the first megabyte is believed, the rest grows.
    let expected = length.unwrap_or(0).min(1 << 20) as usize;
    let mut bytes = Vec::with_capacity(expected);
    let mut reader = body.into_reader().take(most.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(ureq::Error::from)?;
    if bytes.len() as u64 > most {
        return Err(ureq::Error::BodyExceedsLimit(most));
    }
    check_end(&framing, bytes.len() as u64, line)?;
    Ok(bytes)
}

/// How a body tells its end.
pub(super) struct Framing {
    length: Option<u64>,
    is_framed: bool,
}

impl Framing {
    pub(super) fn of(head: &http::response::Parts, body: &ureq::Body) -> Framing {
        let length = body.content_length();
        let is_framed = length.is_some() || head.headers.contains_key(header::TRANSFER_ENCODING);
        Framing { length, is_framed }
    }
}

/// Whether a body of `bytes` bytes is complete.
pub(super) fn check_end(framing: &Framing, bytes: u64, line: &Line) -> Result<(), ureq::Error> {
    let Framing { length, is_framed } = *framing;
    let is_broken = !is_framed && (line.progress.is_broken() || line.progress.is_stopped());
    if is_broken || length.is_some_and(|length| bytes < length) {
        let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the connection broke");
        return Err(ureq::Error::Io(cut));
    }
    Ok(())
}

/// The headers that say something about limits, retries and identity.
pub(super) fn kept(headers: &HeaderMap) -> Headers {
    let mut kept = Headers::default();
    for (name, value) in headers {
        if is_kept(name.as_str()) {
            kept.push(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        }
    }
    kept
}

fn is_kept(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "apim-request-id",
        "content-type",
        "date",
        "location",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
        "x-should-retry",
    ];
    const BEGINNINGS: &[&str] = &["openai-", "x-ms-", "x-ratelimit-"];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|each| name.starts_with(each))
}
