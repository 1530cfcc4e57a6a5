//! An answer before it is written, and its bytes.

use std::io::Write;
use std::sync::Arc;

/// What is to be answered.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Body {
    Text(String),
    File(Arc<Vec<u8>>),
    /// Server-sent events, one piece each, sent in chunks.
    Events(Vec<String>),
}

impl Body {
    pub(super) fn len(&self) -> usize {
        match self {
            Body::Text(text) => text.len(),
            Body::File(bytes) => bytes.len(),
            Body::Events(events) => events.iter().map(String::len).sum(),
        }
    }

    /// The body in one piece.
    pub(super) fn bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Body::Text(text) => text.as_bytes().into(),
            Body::File(bytes) => bytes.as_slice().into(),
            Body::Events(events) => events.concat().into_bytes().into(),
        }
    }
}

impl Response {
    pub(super) fn json(status: u16, text: String) -> Response {
        Response {
            status,
            content_type: "application/json",
            headers: Vec::new(),
            body: Body::Text(text),
        }
    }

    pub(super) fn events(events: Vec<String>) -> Response {
        Response {
            status: 200,
            content_type: "text/event-stream; charset=utf-8",
            headers: Vec::new(),
            body: Body::Events(events),
        }
    }

    pub(super) fn file(content: Arc<Vec<u8>>) -> Response {
        Response {
            status: 200,
            content_type: "application/octet-stream",
            headers: Vec::new(),
            body: Body::File(content),
        }
    }

    pub(super) fn header(&mut self, name: &'static str, value: String) {
        self.headers.push((name, value));
    }

    /// The status line and the headers, the empty line included.
    ///
    /// `length` is the length to announce; without it the body is announced in chunks.
    pub(super) fn head(&self, length: Option<usize>, close: bool) -> Vec<u8> {
        let mut head = Vec::with_capacity(768);
        let status = self.status;
        // Writing to a vector cannot fail.
        let _ = write!(head, "HTTP/1.1 {status} {}\r\n", reason(status));
        let _ = write!(head, "content-type: {}\r\n", self.content_type);
        let _ = match length {
            Some(length) => write!(head, "content-length: {length}\r\n"),
            None => write!(head, "transfer-encoding: chunked\r\n"),
        };
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if close {
            head.extend_from_slice(b"connection: close\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Appends one chunk of the chunked encoding.
pub(super) fn chunk(out: &mut Vec<u8>, piece: &[u8]) {
    // An empty chunk would end the body.
    if piece.is_empty() {
        return;
    }
    let _ = write!(out, "{:x}\r\n", piece.len());
    out.extend_from_slice(piece);
    out.extend_from_slice(b"\r\n");
}

/// The chunk that ends a body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Payload Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}
