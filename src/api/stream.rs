//! Replies that are read while they come.

use super::caller::{Response, read};
use super::chunk::ChatChunk;
use super::step::ResponseEvent;
use super::{Caller, ChatRequest, CompletionsReply, CompletionsRequest, Request, ResponsesRequest};
use crate::clock::Stop;
use crate::dispatch::CallStream;
use crate::error::{Error, Undecodable};
use crate::wire::streaming;
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;

/// A request whose reply can be streamed.
pub trait StreamRequest: Request {
    /// A part of the reply.
    type Part: Send + 'static;

    /// Reads a part.
    #[doc(hidden)]
    fn part(value: Value) -> Result<Self::Part, serde_json::Error>;

    /// How the text of the first answer goes on with a part, if it does.
    fn text_of(part: &Self::Part) -> Option<String>;
}

impl StreamRequest for ChatRequest {
    type Part = ChatChunk;

    fn part(value: Value) -> Result<ChatChunk, serde_json::Error> {
        serde_json::from_value(value)
    }

    fn text_of(part: &ChatChunk) -> Option<String> {
        part.text().map(str::to_owned)
    }
}

impl StreamRequest for ResponsesRequest {
    type Part = ResponseEvent;

    fn part(value: Value) -> Result<ResponseEvent, serde_json::Error> {
        Ok(ResponseEvent::read(value))
    }

    fn text_of(part: &ResponseEvent) -> Option<String> {
        part.text()
    }
}

impl StreamRequest for CompletionsRequest {
    /// A part has the form of the whole.
    type Part = CompletionsReply;

    fn part(value: Value) -> Result<CompletionsReply, serde_json::Error> {
        serde_json::from_value(value)
    }

    fn text_of(part: &CompletionsReply) -> Option<String> {
        let first = part.choices.iter().find(|choice| choice.index.unwrap_or(0) == 0)?;
        first.text.clone().filter(|text| !text.is_empty())
    }
}

/// The reply to a request, part by part as it comes.
///
/// It blocks while it waits. It counts as one request in flight, and what it took is settled at its
/// end. Dropped before that, it ends the exchange; the tokens so far may be billed all the same.
pub struct Stream<R: StreamRequest> {
    inner: CallStream,
    request: PhantomData<fn() -> R>,
}

/// A chat that is streamed.
pub type ChatStream = Stream<ChatRequest>;
/// A response that is streamed.
pub type ResponsesStream = Stream<ResponsesRequest>;
/// Completions that are streamed.
pub type CompletionsStream = Stream<CompletionsRequest>;

impl<R: StreamRequest> Stream<R> {
    /// The text of the first answer, piece by piece.
    pub fn text_deltas(&mut self) -> impl Iterator<Item = Result<String, Error>> {
        self.filter_map(|part| part.map(|part| R::text_of(&part)).transpose())
    }

    /// Waits for the end, and gives the reply as if it had come at once, with what it took. Parts
    /// that were taken before are in it too.
    ///
    /// # Errors
    /// When the stream breaks, or broke before.
    pub fn collect_reply(mut self) -> Result<Response<R::Reply>, Error> {
        while let Some(part) = self.inner.next_part() {
            part?;
        }
        match self.inner.into_reply() {
            Some(reply) => read(reply),
            None => {
                let told = "the stream broke, as its error said";
                Err(Error::Decode(Box::new(Undecodable::new(200, told))))
            }
        }
    }
}

impl<R: StreamRequest> Iterator for Stream<R> {
    type Item = Result<R::Part, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.inner.next_part()?;
        Some(part.and_then(|value| {
            R::part(value).map_err(|e| {
                let told = format!("a part of the stream cannot be read: {e}");
                Error::Decode(Box::new(Undecodable::new(200, told)))
            })
        }))
    }
}

impl<R: StreamRequest> fmt::Debug for Stream<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("inner", &self.inner).finish()
    }
}

impl Caller {
    /// Sends a typed request whose reply is streamed, and waits on this thread for its first part.
    pub fn stream<R: StreamRequest>(&self, request: &R, stop: &Stop) -> Result<Stream<R>, Error> {
        let mut call = self.call(request)?.streamed();
        call.body = streaming::ask(&request.path(), &call.body).into();
        let inner = self.dispatcher.stream(call, stop)?;
        Ok(Stream { inner, request: PhantomData })
    }
}
