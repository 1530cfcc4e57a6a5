//! Answers that are read while they come.

use super::{Answer, Headers};
use crate::error::TransportError;
use std::fmt;
use std::time::Duration;

/// How long a server may be silent while it streams an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the beginning of the exchange to the first byte of the answer's body.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { first_byte: Duration::from_secs(600), idle: Duration::from_secs(300) }
    }
}

/// The body of an answer, piece by piece. Dropped before its end, it ends the exchange.
pub trait Pieces: Send {
    /// Waits for the next piece; `None` is the end, in order.
    ///
    /// # Errors
    /// When the exchange broke, or the server was silent for too long. Nothing comes after that.
    fn next_piece(&mut self) -> Result<Option<Vec<u8>>, TransportError>;

    /// Says that nothing more is wanted, because what came told its own end. What is left of the
    /// body is read if it is at hand, so that the connection can serve another exchange.
    ///
    /// Default: nothing.
    fn finish(&mut self) {}
}

/// An answer whose body is still to come.
pub struct Incoming {
    /// HTTP status.
    pub status: u16,
    /// The headers, as in [`Answer::headers`].
    pub headers: Headers,
    /// The body.
    pub pieces: Box<dyn Pieces>,
}

impl Incoming {
    /// An answer whose body comes as `pieces`.
    pub fn new(status: u16, headers: Headers, pieces: impl Pieces + 'static) -> Incoming {
        Incoming { status, headers, pieces: Box::new(pieces) }
    }

    /// An answer whose body is there in one piece.
    pub fn whole(answer: Answer) -> Incoming {
        Incoming::new(answer.status, answer.headers, Whole(Some(answer.body)))
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    /// When it broke before its end.
    pub fn read_all(mut self) -> Result<Answer, TransportError> {
        let mut answer = Answer { status: self.status, headers: self.headers, ..Answer::default() };
        while let Some(piece) = self.pieces.next_piece()? {
            answer.body.extend_from_slice(&piece);
        }
        Ok(answer)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A body that is there.
struct Whole(Option<Vec<u8>>);

impl Pieces for Whole {
    fn next_piece(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        Ok(self.0.take())
    }
}
