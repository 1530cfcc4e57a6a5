//! A streamed answer of the scripted server.

use super::{Answer, Headers, Incoming, Patience, Pieces};
use crate::clock::{Clock, Stage, Stop, Time};
use crate::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

/// An answer of a [`Scripted`](super::Scripted) server that comes piece by piece.
///
/// ```
/// use openai_bulk::transport::StreamScript;
/// use std::time::Duration;
///
/// let stream = StreamScript::new()
///     .data(r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#)
///     .wait(Duration::from_secs(30))
///     .data(r#"{"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}"#)
///     .done();
/// ```
#[derive(Clone, Debug)]
pub struct StreamScript {
    status: u16,
    headers: Headers,
    steps: VecDeque<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Piece(Vec<u8>),
    Wait(Duration),
    Fail(TransportError),
}

impl Default for StreamScript {
    fn default() -> StreamScript {
        let mut headers = Headers::default();
        headers.push("content-type", "text/event-stream");
        StreamScript { status: 200, headers, steps: VecDeque::new() }
    }
}

impl StreamScript {
    /// A stream without events.
    pub fn new() -> StreamScript {
        StreamScript::default()
    }

    /// The HTTP status. Default: 200.
    pub fn status(mut self, status: u16) -> StreamScript {
        self.status = status;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> StreamScript {
        self.headers.push(name, value);
        self
    }

    /// Adds bytes that arrive together.
    pub fn piece(mut self, bytes: impl Into<Vec<u8>>) -> StreamScript {
        self.steps.push_back(Step::Piece(bytes.into()));
        self
    }

    /// Adds an event without a name, as chat has them.
    pub fn data(self, data: impl Display) -> StreamScript {
        self.piece(format!("data: {data}\n\n"))
    }

    /// Adds an event with a name, as responses have them.
    pub fn event(self, name: &str, data: impl Display) -> StreamScript {
        self.piece(format!("event: {name}\ndata: {data}\n\n"))
    }

    /// Adds the end of a chat, `[DONE]`.
    pub fn done(self) -> StreamScript {
        self.data(crate::wire::assembly::DONE)
    }

    /// Lets the server be silent for a time of its clock; see
    /// [`Scripted::latency`](super::Scripted::latency).
    pub fn wait(mut self, length: Duration) -> StreamScript {
        self.steps.push_back(Step::Wait(length));
        self
    }

    /// Cuts the connection here.
    pub fn cut(self) -> StreamScript {
        self.fail(TransportError::new(Kind::Cut, true, "as the script says"))
    }

    /// Breaks here in any way.
    pub fn fail(mut self, error: TransportError) -> StreamScript {
        self.steps.push_back(Step::Fail(error));
        self
    }

    /// Plays it to a client that waits no longer than `patience`, and until `ends` at most.
    pub(super) fn play(
        self,
        clock: Option<Arc<dyn Clock>>,
        stop: &Stop,
        patience: Patience,
        within: Duration,
    ) -> Incoming {
        let ends = clock.as_ref().map_or(Time::NEVER, |clock| clock.now() + within);
        let play =
            Play { steps: self.steps, clock, stop: stop.clone(), patience, ends, is_first: true };
        Incoming::new(self.status, self.headers, play)
    }

    /// What a client gets that waits for the whole.
    pub(super) fn whole(
        self,
        clock: Option<Arc<dyn Clock>>,
        stop: &Stop,
        within: Duration,
    ) -> Result<Answer, TransportError> {
        let patience = Patience { first_byte: within, idle: within };
        self.play(clock, stop, patience, within).read_all()
    }
}

/// A stream that is being played.
struct Play {
    steps: VecDeque<Step>,
    clock: Option<Arc<dyn Clock>>,
    stop: Stop,
    patience: Patience,
    ends: Time,
    is_first: bool,
}

impl Play {
    /// Is silent for `length`, as far as the client has the patience for it.
    fn wait(&self, length: Duration, waited: &mut Duration) -> Result<(), TransportError> {
        let Some(clock) = &self.clock else { return Ok(()) };
        let (limit, stage) = match self.is_first {
            true => (self.patience.first_byte, TimeoutStage::FirstByte),
            false => (self.patience.idle, TimeoutStage::Idle),
        };
        let left = self.ends.since(clock.now());
        let (most, stage) = match limit.saturating_sub(*waited) {
            rest if rest <= left => (rest, stage),
            _ => (left, TimeoutStage::Deadline),
        };
        clock.sleep(length.min(most), &self.stop);
        *waited += length;
        if length > most && self.stop.stage() != Stage::Abort {
            return Err(TransportError::new(Kind::Timeout(stage), true, "the script is silent"));
        }
        Ok(())
    }
}

impl Pieces for Play {
    fn next_piece(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let mut waited = Duration::ZERO;
        loop {
            if self.stop.stage() == Stage::Abort {
                return Err(TransportError::new(Kind::Interrupted, true, ""));
            }
            match self.steps.pop_front() {
                None => return Ok(None),
                Some(Step::Wait(length)) => self.wait(length, &mut waited)?,
                Some(Step::Fail(error)) => return Err(error),
                Some(Step::Piece(piece)) => {
                    self.is_first = false;
                    return Ok(Some(piece));
                }
            }
        }
    }
}
