//! A call whose answer is given out while it comes.

use super::attempt::{self, History, Step};
use super::gate::Permit;
use super::receive::{self, Next, Opened, Source};
use super::{Call, Dispatcher, Reply};
use crate::clock::{Stop, Time};
use crate::error::{Error, StreamError, TransportError, TransportErrorKind};
use crate::transport::Answer;
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The answer to a call, part by part.
///
/// It counts as one request in flight until its end. Dropped before that, it ends the exchange, and
/// counts as maybe billed.
pub struct CallStream {
    dispatcher: Arc<Dispatcher>,
    call: Call,
    state: State,
}

enum State {
    Open(Box<Open>),
    /// The server does not stream: all that there is came at once.
    Whole(Value, Box<Reply>),
    Ended(Box<Reply>),
    Failed,
}

/// A stream that goes on.
struct Open {
    source: Box<Source>,
    /// Parts that came before it was opened.
    first: VecDeque<Value>,
    history: History,
    permit: Permit,
    began: Time,
    within: Duration,
}

impl Dispatcher {
    /// Sends one call whose answer is streamed, and waits on the caller's thread until its first
    /// part is there that says something. As long as there is none, the call is tried again like any
    /// other.
    pub fn stream(self: &Arc<Self>, call: Call, stop: &Stop) -> Result<CallStream, Error> {
        let _hold = self.clock.hold();
        let mut history = History::begin(self, &call, self.clock.now());
        loop {
            let deadline = Some((history.deadline(), history.allowed()));
            let permit = self
                .gate
                .enter(self, &call, stop, deadline)
                .map_err(|error| history.overtaken(error))?;
            let began = attempt::begin(self, &call, &mut history);
            let within = attempt::time(self, &call, history.deadline().since(began));
            let exchange = attempt::request(self, &call, within, stop);
            let result = match receive::open(self, &exchange) {
                Opened::Whole(result) => result,
                Opened::Events(mut source) => match source.first() {
                    Err(result) => result,
                    Ok(first) => {
                        let open = Open { source, first, history, permit, began, within };
                        return Ok(CallStream::new(self, call, State::Open(Box::new(open))));
                    }
                },
            };
            let step = settle(self, &call, &mut history, permit, (began, within), result);
            match step {
                Step::Done(result) => {
                    let reply = Box::new((*result)?);
                    // It was checked that it is JSON.
                    let value = serde_json::from_slice(&reply.body).unwrap_or_default();
                    return Ok(CallStream::new(self, call, State::Whole(value, reply)));
                }
                Step::Again { after } => self.clock.sleep(after, stop),
            }
        }
    }
}

fn settle(
    dispatcher: &Dispatcher,
    call: &Call,
    history: &mut History,
    permit: Permit,
    (began, within): (Time, Duration),
    result: Result<Answer, TransportError>,
) -> Step {
    let limit = receive::allowed(&result, dispatcher.patience, within);
    let step = attempt::finish(dispatcher, call, history, permit, (began, limit), result);
    dispatcher.gate.signal().raise();
    step
}

impl CallStream {
    fn new(dispatcher: &Arc<Dispatcher>, call: Call, state: State) -> CallStream {
        // Once a part was given out, nothing is sent again.
        CallStream { dispatcher: dispatcher.clone(), call: call.once(), state }
    }

    /// Waits for the next part, which is given as it was sent; `None` is the end.
    ///
    /// # Errors
    /// [`Error::Stream`] when it breaks; nothing comes after that.
    pub fn next_part(&mut self) -> Option<Result<Value, Error>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Open(open) => self.advance(open),
            State::Whole(value, reply) => {
                self.state = State::Ended(reply);
                Some(Ok(value))
            }
            State::Ended(reply) => {
                self.state = State::Ended(reply);
                None
            }
            State::Failed => None,
        }
    }

    /// The reply, put together as if it had come at once; `None` before the end and after an error.
    pub fn into_reply(mut self) -> Option<Reply> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Ended(reply) => Some(*reply),
            open => {
                self.state = open;
                None
            }
        }
    }

    fn advance(&mut self, mut open: Box<Open>) -> Option<Result<Value, Error>> {
        let _hold = self.dispatcher.clock.hold();
        let next = match open.first.pop_front() {
            Some(first) => Next::Part(first),
            None => open.source.next(),
        };
        match next {
            Next::Part(part) => {
                self.state = State::Open(open);
                Some(Ok(part))
            }
            Next::End(result) => {
                let Open { source, mut history, permit, began, within, .. } = *open;
                match self.end(&mut history, permit, (began, within), result) {
                    Ok(reply) => {
                        self.state = State::Ended(reply);
                        None
                    }
                    Err(cause) => {
                        let error = StreamError::new(cause, source.partial().to_string());
                        Some(Err(Error::Stream(Box::new(error))))
                    }
                }
            }
        }
    }

    fn end(
        &self,
        history: &mut History,
        permit: Permit,
        times: (Time, Duration),
        result: Result<Answer, TransportError>,
    ) -> Result<Box<Reply>, Error> {
        match settle(&self.dispatcher, &self.call, history, permit, times, result) {
            Step::Done(result) => result.map(Box::new),
            Step::Again { .. } => Err(history.out_of_time()),
        }
    }
}

impl Drop for CallStream {
    fn drop(&mut self) {
        if let State::Open(open) = std::mem::replace(&mut self.state, State::Failed) {
            let Open { source, mut history, permit, began, within, .. } = *open;
            // The connection goes before the permit that stands for it.
            drop(source);
            let dropped = TransportError::new(TransportErrorKind::Interrupted, true, "");
            drop(self.end(&mut history, permit, (began, within), Err(dropped)));
        }
    }
}

impl fmt::Debug for CallStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallStream").field("group", &self.call.group).finish_non_exhaustive()
    }
}
