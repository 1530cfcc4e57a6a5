//! Reads requests from a connection.

use super::http::{Chunks, Head, Length, head_end};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;

const START: usize = 4 << 10;
const STEP: usize = 256 << 10;
const MOST_OF_A_HEAD: usize = 64 << 10;

/// The reading side of a connection.
pub(super) struct Incoming<'a> {
    socket: &'a TcpStream,
    buffer: Vec<u8>,
    /// How much of the buffer holds bytes of the connection.
    filled: usize,
}

/// What came next.
pub(super) enum Next {
    Request(Message),
    /// The other side has closed, or broke off within a request.
    Closed,
    /// This is not HTTP.
    Bad(&'static str),
    /// The body is larger than this limit.
    TooLarge {
        limit: usize,
        size: usize,
    },
}

/// A request in the buffer.
pub(super) struct Message {
    pub(super) head: Head,
    body: Range<usize>,
    /// The body, if it had to be put together from chunks.
    joined: Option<Vec<u8>>,
    end: usize,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(socket: &'a TcpStream) -> Incoming<'a> {
        Incoming { socket, buffer: vec![0; START], filled: 0 }
    }

    /// Waits for the next request; `limit` says how large its body may be.
    pub(super) fn next(&mut self, limit: impl Fn(&Head) -> usize) -> Next {
        match self.read(limit) {
            Ok(next) => next,
            Err(_) => Next::Closed,
        }
    }

    fn read(&mut self, limit: impl Fn(&Head) -> usize) -> io::Result<Next> {
        let mut looked = 0;
        let end = loop {
            if let Some(end) = head_end(&self.buffer[..self.filled], looked) {
                break end;
            }
            if self.filled > MOST_OF_A_HEAD {
                return Ok(Next::Bad("the head is too long"));
            }
            looked = self.filled;
            if self.more(START)? == 0 {
                return Ok(Next::Closed);
            }
        };
        let head = match Head::parse(&self.buffer[..end]) {
            Ok(head) => head,
            Err(why) => return Ok(Next::Bad(why)),
        };
        let length = match head.length() {
            Ok(length) => length,
            Err(why) => return Ok(Next::Bad(why)),
        };
        let limit = limit(&head);
        if let Length::Known(size) = length
            && size > limit
        {
            return Ok(Next::TooLarge { limit, size });
        }
        if head.expects_continue() && self.filled == end && length != Length::Known(0) {
            (&mut &*self.socket).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match length {
            Length::Known(size) => self.whole(head, end, size),
            Length::Chunked => self.chunked(head, end, limit),
        }
    }

    fn whole(&mut self, head: Head, start: usize, size: usize) -> io::Result<Next> {
        let end = start + size;
        while self.filled < end {
            if self.more(end - self.filled)? == 0 {
                return Ok(Next::Closed);
            }
        }
        Ok(Next::Request(Message { head, body: start..end, joined: None, end }))
    }

    fn chunked(&mut self, head: Head, start: usize, limit: usize) -> io::Result<Next> {
        let mut chunks = Chunks::default();
        let mut at = start;
        loop {
            match chunks.feed(&self.buffer[at..self.filled]) {
                Ok(used) => at += used,
                Err(why) => return Ok(Next::Bad(why)),
            }
            if chunks.body.len() > limit {
                return Ok(Next::TooLarge { limit, size: chunks.body.len() });
            }
            if chunks.is_done() {
                let joined = Some(chunks.body);
                return Ok(Next::Request(Message { head, body: start..start, joined, end: at }));
            }
            // What has been joined need not be kept twice.
            if at > start + STEP {
                self.remove(start..at);
                at = start;
            }
            if self.more(START)? == 0 {
                return Ok(Next::Closed);
            }
        }
    }

    pub(super) fn body<'b>(&'b self, message: &'b Message) -> &'b [u8] {
        match &message.joined {
            Some(body) => body,
            None => &self.buffer[message.body.clone()],
        }
    }

    /// Makes room for the request after `message`.
    pub(super) fn discard(&mut self, message: &Message) {
        self.remove(0..message.end);
        if self.buffer.len() > STEP && self.filled < START {
            self.buffer.truncate(START);
            self.buffer.shrink_to_fit();
        }
    }

    fn remove(&mut self, range: Range<usize>) {
        let gone = range.len();
        self.buffer.copy_within(range.end..self.filled, range.start);
        self.filled -= gone;
    }

    /// Reads more bytes, of which `wanted` are known to come; 0 if the other side has closed.
    fn more(&mut self, wanted: usize) -> io::Result<usize> {
        if self.filled == self.buffer.len() {
            // A length that is only claimed must not cost memory.
            let room = wanted.clamp(START, STEP.max(self.filled));
            self.buffer.resize(self.filled + room, 0);
        }
        loop {
            match (&mut &*self.socket).read(&mut self.buffer[self.filled..]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(some) => {
                    self.filled += some;
                    return Ok(some);
                }
            }
        }
    }
}
