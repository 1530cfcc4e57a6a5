//! Answers that are read while they come.

use super::body::{Framing, check_end, kept};
use super::client::Target;
use super::fault;
use super::line::{Line, Stock};
use crate::clock::{Stage, Stop};
use crate::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use crate::transport::{Incoming, Patience, Pieces};
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use ureq::http;

/// How much is read at once: an event has a few hundred bytes.
const PIECE: usize = 4 << 10;

/// How long the end of a body is awaited after the stream has told its own.
const LINGER: Duration = Duration::from_millis(20);

/// The body of an answer that is being received.
pub(super) struct Streamed {
    reader: ureq::BodyReader<'static>,
    framing: Framing,
    bytes: u64,
    most: u64,
    /// Until the end of the exchange; it drops the connection with it.
    line: Option<Line>,
    link: Link,
}

/// What is needed to say how an exchange ended.
pub(super) struct Link {
    pub(super) stock: Arc<Stock>,
    pub(super) target: Target,
    pub(super) is_proxied: bool,
    pub(super) patience: Patience,
    pub(super) stop: Stop,
    pub(super) closing: Stop,
}

impl Link {
    fn is_aborted(&self) -> bool {
        self.stop.stage() == Stage::Abort || self.closing.stage() == Stage::Abort
    }

    /// What a failure means; `has_begun` says that a part of the body came.
    pub(super) fn judge(&self, e: ureq::Error, line: &Line, has_begun: bool) -> TransportError {
        let reached = line.progress.reached();
        let mut error = fault::judge(e, reached, &self.target.server(), self.is_proxied);
        if self.is_aborted() {
            return TransportError::new(Kind::Interrupted, error.sent, "");
        }
        if error.kind == Kind::Timeout(TimeoutStage::Body) {
            error.kind = Kind::Timeout(match has_begun {
                false => TimeoutStage::FirstByte,
                true if line.progress.is_over() => TimeoutStage::Deadline,
                true => TimeoutStage::Idle,
            });
        }
        error
    }
}

/// The answer whose head has come, with its body to be read.
pub(super) fn incoming(
    response: http::Response<ureq::Body>,
    most: u64,
    line: Line,
    link: Link,
) -> Incoming {
    let (head, body) = response.into_parts();
    let framing = Framing::of(&head, &body);
    let (status, headers) = (head.status.as_u16(), kept(&head.headers));
    let reader = body.into_reader();
    Incoming::new(
        status,
        headers,
        Streamed { reader, framing, bytes: 0, most, line: Some(line), link },
    )
}

impl Streamed {
    fn read(&mut self, line: &Line) -> Result<Option<Vec<u8>>, ureq::Error> {
        let mut piece = vec![0; PIECE];
        let read = self.reader.read(&mut piece).map_err(ureq::Error::from)?;
        self.bytes += read as u64;
        if self.bytes > self.most {
            return Err(ureq::Error::BodyExceedsLimit(self.most));
        }
        if read == 0 {
            check_end(&self.framing, self.bytes, line)?;
            return Ok(None);
        }
        piece.truncate(read);
        Ok(Some(piece))
    }
}

impl Pieces for Streamed {
    fn next_piece(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let Some(line) = self.line.take() else { return Ok(None) };
        let has_begun = self.bytes > 0;
        if has_begun {
            line.progress.allow(self.link.patience.idle);
        }
        match self.read(&line) {
            Ok(None) => {
                self.link.stock.put_back(line);
                Ok(None)
            }
            // What was in a buffer came before the interruption was seen.
            Ok(Some(_)) if self.link.is_aborted() => {
                Err(TransportError::new(Kind::Interrupted, true, ""))
            }
            Ok(piece) => {
                self.line = Some(line);
                Ok(piece)
            }
            Err(e) => Err(self.link.judge(e, &line, has_begun)),
        }
    }

    fn finish(&mut self) {
        let Some(line) = self.line.take() else { return };
        line.progress.allow(LINGER);
        if let Ok(None) = self.read(&line) {
            self.link.stock.put_back(line);
        }
    }
}
