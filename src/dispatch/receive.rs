//! One exchange whose answer is streamed: bytes in, parts of a reply out.

use super::Dispatcher;
use crate::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use crate::transport::{Answer, Exchange, Headers, Patience, Pieces};
use crate::wire::assembly::{Assembly, DONE, Piece, is_prelude};
use crate::wire::fault;
use crate::wire::sse::{Decoder, Event};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// The largest event that is taken: pictures come in one.
const LARGEST: usize = 128 << 20;

/// What a server began to answer.
pub(super) enum Opened {
    /// Everything at once: an error, an answer of a server that does not stream, or nothing.
    Whole(Result<Answer, TransportError>),
    /// Events.
    Events(Box<Source>),
}

/// What comes next of a stream.
pub(super) enum Next {
    /// A part of the reply, as it was sent.
    Part(Value),
    /// The end: the reply, put together as if it had come at once, or why there is none.
    End(Result<Answer, TransportError>),
}

/// A stream that is being received.
pub(super) struct Source {
    status: u16,
    headers: Headers,
    pieces: Box<dyn Pieces>,
    decoder: Decoder,
    assembly: Assembly,
    /// What came first, to be judged if no part of a reply follows.
    beginning: Vec<u8>,
}

/// Sends a request and waits until it is known how the server answers.
pub(super) fn open(dispatcher: &Dispatcher, exchange: &Exchange<'_>) -> Opened {
    match begin(dispatcher, exchange) {
        Ok(opened) => opened,
        Err(broken) => Opened::Whole(Err(broken)),
    }
}

fn begin(dispatcher: &Dispatcher, exchange: &Exchange<'_>) -> Result<Opened, TransportError> {
    let mut incoming = dispatcher.transport.stream(exchange, dispatcher.patience)?;
    if !(200..300).contains(&incoming.status) {
        return Ok(Opened::Whole(incoming.read_all()));
    }
    let mut body = Vec::new();
    let first = loop {
        match incoming.pieces.next_piece()? {
            Some(piece) => body.extend_from_slice(&piece),
            None => break None,
        }
        if let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            break Some(*first);
        }
    };
    // No event begins like this. What a server says about the type of its content may be wrong.
    if matches!(first, None | Some(b'{' | b'[' | b'<' | b'"')) {
        let mut answer = incoming.read_all()?;
        answer.body.splice(..0, body);
        return Ok(Opened::Whole(Ok(answer)));
    }
    let mut source = Source {
        status: incoming.status,
        headers: incoming.headers,
        pieces: incoming.pieces,
        decoder: Decoder::new(LARGEST),
        assembly: Assembly::new(),
        beginning: Vec::new(),
    };
    source.decode(&body)?;
    source.beginning = body;
    Ok(Opened::Events(Box::new(source)))
}

/// Sends a request and puts its stream together: for those who want the whole reply.
pub(super) fn gather(
    dispatcher: &Dispatcher,
    exchange: &Exchange<'_>,
) -> Result<Answer, TransportError> {
    let mut source = match open(dispatcher, exchange) {
        Opened::Whole(result) => return result,
        Opened::Events(source) => source,
    };
    loop {
        if let Next::End(result) = source.next() {
            // Without a stream, a response that no other try would mend is an answer too.
            return result.map(|answer| match answer.status {
                400 if answer.is_late && source.partial()["status"] == "failed" => source.answer(),
                _ => answer,
            });
        }
    }
}

/// How long an exchange that ended like this was allowed to take.
pub(super) fn allowed<T>(
    result: &Result<T, TransportError>,
    patience: Patience,
    whole: Duration,
) -> Duration {
    match result {
        Err(TransportError { kind: Kind::Timeout(TimeoutStage::Idle), .. }) => patience.idle,
        Err(TransportError { kind: Kind::Timeout(TimeoutStage::FirstByte), .. }) => {
            patience.first_byte.min(whole)
        }
        _ => whole,
    }
}

impl Source {
    /// Waits for what comes next.
    pub(super) fn next(&mut self) -> Next {
        loop {
            if self.assembly.is_done() {
                return Next::End(self.done());
            }
            while let Some(event) = self.decoder.next_event() {
                if let Some(next) = self.take(&event) {
                    return next;
                }
            }
            match self.pieces.next_piece() {
                Ok(Some(piece)) => {
                    if let Err(broken) = self.decode(&piece) {
                        return Next::End(Err(broken));
                    }
                }
                Ok(None) => return Next::End(self.ended()),
                Err(broken) => return Next::End(Err(broken)),
            }
        }
    }

    /// Waits for the first part that says something, and gives those before it too; or the end.
    pub(super) fn first(&mut self) -> Result<VecDeque<Value>, Result<Answer, TransportError>> {
        let mut parts = VecDeque::new();
        loop {
            match self.next() {
                Next::End(result) => return Err(result),
                Next::Part(part) => {
                    let is_prelude = is_prelude(&part);
                    parts.push_back(part);
                    if !is_prelude {
                        return Ok(parts);
                    }
                }
            }
        }
    }

    /// What has come of the reply so far.
    pub(super) fn partial(&self) -> Value {
        self.assembly.reply()
    }

    fn decode(&mut self, piece: &[u8]) -> Result<(), TransportError> {
        let pushed = self.decoder.push(piece);
        pushed.map_err(|e| TransportError::new(Kind::TooLarge, true, e.to_string()))
    }

    fn take(&mut self, event: &Event) -> Option<Next> {
        match self.assembly.push(event) {
            Piece::Part(part) => Some(Next::Part(part)),
            Piece::Done => Some(Next::End(self.done())),
            Piece::Nothing => None,
            Piece::Fault(body) => Some(Next::End(Ok(self.fault(&body)))),
            // It is judged as any other answer that cannot be read.
            Piece::Unreadable => {
                let answer = Answer { body: event.data.clone().into_bytes(), ..self.answer() };
                Some(Next::End(Ok(answer)))
            }
        }
    }

    /// The stream has told its end.
    fn done(&mut self) -> Result<Answer, TransportError> {
        self.pieces.finish();
        self.ended()
    }

    /// Nothing follows.
    fn ended(&mut self) -> Result<Answer, TransportError> {
        // Some servers end the connection right behind the last word.
        if let Some(data) = self.decoder.unfinished().filter(|text| text.trim() == DONE) {
            self.assembly.push(&Event { data, ..Event::default() });
        }
        if self.assembly.is_empty() {
            return Ok(Answer { body: std::mem::take(&mut self.beginning), ..self.answer() });
        }
        if self.assembly.is_whole() {
            return Ok(self.answer());
        }
        Err(TransportError::new(Kind::Cut, true, "the stream ended before its answer did"))
    }

    fn answer(&self) -> Answer {
        let body = self.assembly.reply().to_string().into_bytes();
        Answer { status: self.status, headers: self.headers.clone(), body, is_late: false }
    }

    fn fault(&self, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        let status = fault::status_in_stream(&fault::read_fault(self.status, &body));
        Answer { status, headers: self.headers.clone(), body, is_late: true }
    }
}
