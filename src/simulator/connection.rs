//! One connection: requests in, answers and faults out.

use super::core::Core;
use super::failure::Failure;
use super::fault::Fault;
use super::http::Head;
use super::incoming::{Incoming, Next};
use super::response::{Body, LAST_CHUNK, Response, chunk};
use super::service::{self, Asked};
use crate::clock::Signal;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A connection and the signal that ends its waits.
pub(super) struct Connection<'a> {
    pub(super) core: &'a Core,
    pub(super) socket: &'a TcpStream,
    pub(super) signal: &'a Signal,
}

/// Whether the connection is used again.
#[derive(PartialEq)]
enum After {
    Keep,
    Close,
}

const SLOW_PIECES: usize = 20;

impl Connection<'_> {
    /// Answers requests until one side has had enough.
    pub(super) fn serve(&self) {
        // Without it, the second of two small writes waits for an acknowledgement.
        let _ = self.socket.set_nodelay(true);
        let mut incoming = Incoming::new(self.socket);
        while !self.core.is_stopped() {
            match incoming.next(service::body_limit) {
                Next::Closed => return,
                Next::Bad(why) => {
                    return self.refuse(Failure::plain(format!("Bad request: {why}.")));
                }
                Next::TooLarge { limit, size } => {
                    let message = format!(
                        "Maximum content size limit ({limit}) exceeded ({size} bytes read)"
                    );
                    return self.refuse(Failure::new(413, "server_error", message));
                }
                Next::Request(message) => {
                    let body = incoming.body(&message);
                    let said = message.head.header("x-stainless-retry-count");
                    let said = said.and_then(|count| count.parse().ok());
                    let fault = self.core.faults.choose(message.head.path(), body, said);
                    let _in_flight = self.core.stats.received(&message.head, body, fault);
                    let asked = Asked { head: &message.head, body: incoming.body(&message), fault };
                    match self.answer(&asked) {
                        Ok(After::Keep) => {}
                        _ => return,
                    }
                    incoming.discard(&message);
                }
            }
        }
    }

    fn answer(&self, asked: &Asked<'_>) -> io::Result<After> {
        if let Some(fault) = asked.fault.filter(|fault| fault.is_before_work()) {
            return self.break_off(fault);
        }
        let reply = service::respond(self.core, asked);
        self.wait(reply.latency);
        if self.core.is_stopped() {
            return Ok(After::Close);
        }
        self.core.stats.answered(reply.response.status);
        // Once a natural error has been found, the fault has nothing to spoil.
        let fault = asked.fault.filter(|_| reply.response.status < 400);
        self.send(asked.head, &reply.response, fault)
    }

    /// The faults that come instead of an answer.
    fn break_off(&self, fault: Fault) -> io::Result<After> {
        match fault {
            // A socket that may not linger is closed with a reset.
            Fault::Reset => socket2::SockRef::from(self.socket).set_linger(Some(Duration::ZERO))?,
            Fault::Garbage => self.write(b"\x16\x03\x01 this is no HTTP \x00\xff\r\n\r\n")?,
            Fault::Hang => {
                // Until the other side gives up, or the simulator stops.
                let mut some = [0; 1024];
                while matches!((&mut &*self.socket).read(&mut some), Ok(1..)) {}
            }
            _ => {}
        }
        Ok(After::Close)
    }

    fn send(&self, head: &Head, response: &Response, fault: Option<Fault>) -> io::Result<After> {
        let after = if head.keeps_alive() { After::Keep } else { After::Close };
        let close = after == After::Close;
        let length = response.body.len();
        match (fault, &response.body) {
            (Some(Fault::HalfBody), body) => {
                // What half of nothing is would not be noticed.
                let mut out = response.head(Some(length.max(2)), close);
                out.extend_from_slice(&body.bytes()[..length / 2]);
                self.write(&out)?;
                Ok(After::Close)
            }
            (Some(Fault::HalfChunked), body) => {
                let mut out = response.head(None, close);
                chunk(&mut out, &body.bytes()[..length / 2]);
                self.write(&out)?;
                Ok(After::Close)
            }
            (Some(Fault::SlowBody), body) => {
                self.write(&response.head(Some(length), close))?;
                self.drip(&body.bytes()).map(|()| after)
            }
            // An answer to HEAD has no body, whatever its headers say.
            _ if head.method() == "HEAD" => {
                self.write(&response.head(Some(length), close)).map(|()| after)
            }
            (_, Body::Events(events)) => self.stream(response, events, close).map(|()| after),
            (_, body) => {
                let mut out = response.head(Some(length), close);
                let body = body.bytes();
                // One write where it is cheap to join; large files are not copied for it.
                if body.len() < 64 << 10 {
                    out.extend_from_slice(&body);
                    self.write(&out)?;
                } else {
                    self.write(&out)?;
                    self.write(&body)?;
                }
                Ok(after)
            }
        }
    }

    fn stream(&self, response: &Response, events: &[String], close: bool) -> io::Result<()> {
        let pause = self.core.settings.stream_pause;
        let mut out = response.head(None, close);
        for event in events {
            chunk(&mut out, event.as_bytes());
            if !pause.is_zero() {
                self.write(&out)?;
                out.clear();
                self.wait(pause);
            }
        }
        out.extend_from_slice(LAST_CHUNK);
        self.write(&out)
    }

    fn drip(&self, body: &[u8]) -> io::Result<()> {
        let pause = self.core.settings.slow_body / SLOW_PIECES as u32;
        for piece in body.chunks(body.len().div_ceil(SLOW_PIECES).max(1)) {
            self.write(piece)?;
            self.wait(pause);
            if self.core.is_stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Ok(())
    }

    /// Answers what could not be read as a request, and closes.
    fn refuse(&self, failure: Failure) {
        let response = failure.respond();
        self.core.stats.answered(response.status);
        let mut out = response.head(Some(response.body.len()), true);
        out.extend_from_slice(&response.body.bytes());
        if self.write(&out).is_err() {
            return;
        }
        // Bytes that are still unread would reset the connection, and take the answer with them.
        let _ = self.socket.shutdown(Shutdown::Write);
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(500)));
        let mut some = [0; 4096];
        for _ in 0..65_536 {
            match (&mut &*self.socket).read(&mut some) {
                Ok(1..) => {}
                _ => return,
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&mut &*self.socket).write_all(bytes)
    }

    /// Waits, but not longer than the simulator runs.
    fn wait(&self, length: Duration) {
        if length.is_zero() {
            return;
        }
        let clock = &self.core.clock;
        let deadline = clock.now() + length;
        loop {
            let seen = self.signal.seen();
            if self.core.is_stopped() || clock.now() >= deadline {
                return;
            }
            clock.wait(self.signal, seen, Some(deadline));
        }
    }
}
