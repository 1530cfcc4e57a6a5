use super::derive::{JsonSchema, strict_schema};
use crate::api::caller::{Caller, Response};
use crate::api::{
    ChatReply, ChatRequest, FinishReason, Request, ResponsesReply, ResponsesRequest, Usage, sealed,
};
use crate::clock::Stop;
use crate::error::{Error, Result};
use crate::transport::Method;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::marker::PhantomData;

/// An answer that was asked for in the form of a type; of several answers, the first.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Structured<T> {
    /// What came of it.
    pub outcome: Outcome<T>,
    /// Tokens of all tries together.
    pub usage: Option<Usage>,
    /// How often it was asked for: more than once where an answer was cut and a larger one allowed.
    pub tries: u32,
}

/// What came of a request for a value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome<T> {
    /// The value.
    Value(T),
    /// The model does not answer; it says why.
    Refusal(String),
    /// The answer reached the limit of tokens; what there is of it.
    Cut(String),
    /// A filter left out a part of the answer; what there is of it.
    Filtered(String),
    /// The answer is complete and not a value of the type. Strict mode rules that out, but not every
    /// server keeps to it.
    Invalid {
        /// The answer.
        text: String,
        /// Why it is no value.
        error: String,
    },
}

impl<T> Structured<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match &self.outcome {
            Outcome::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T> Outcome<T> {
    /// What a complete text is.
    fn read(text: String) -> Outcome<T>
    where
        T: DeserializeOwned,
    {
        match serde_json::from_str(&text) {
            Ok(value) => Outcome::Value(value),
            Err(_) if text.trim().is_empty() => {
                Outcome::Invalid { text, error: "the answer has no text".into() }
            }
            Err(e) => Outcome::Invalid { text, error: e.to_string() },
        }
    }
}

/// A request whose answer can have the form of a type.
pub trait Structurable: Request + Clone {
    /// The same request, for an answer of this form.
    #[doc(hidden)]
    fn formed(self, name: &str, schema: Value) -> Self;

    /// The tokens that its answer may have, if that is limited.
    #[doc(hidden)]
    fn ceiling(&self) -> Option<u64>;

    /// The same request under another limit of tokens.
    #[doc(hidden)]
    fn raised(self, ceiling: u64) -> Self;

    /// What came of it, and its tokens.
    #[doc(hidden)]
    fn outcome<T: DeserializeOwned>(reply: &Self::Reply) -> (Outcome<T>, Option<Usage>);
}

impl Structurable for ChatRequest {
    fn formed(self, name: &str, schema: Value) -> ChatRequest {
        let schema = json!({"name": name, "schema": schema, "strict": true});
        self.response_format(json!({"type": "json_schema", "json_schema": schema}))
    }

    fn ceiling(&self) -> Option<u64> {
        let stated = |field: &str| self.extra.get(field).and_then(Value::as_u64);
        stated("max_completion_tokens").or_else(|| stated("max_tokens"))
    }

    fn raised(self, ceiling: u64) -> ChatRequest {
        match self.extra.contains_key("max_completion_tokens") {
            true => self.max_completion_tokens(ceiling),
            false => self.max_tokens(ceiling),
        }
    }

    fn outcome<T: DeserializeOwned>(reply: &ChatReply) -> (Outcome<T>, Option<Usage>) {
        let text = reply.text();
        let refusal = reply.refusal().filter(|text| !text.is_empty());
        let outcome = match (refusal, reply.finish_reason()) {
            (Some(refusal), _) => Outcome::Refusal(refusal.into()),
            (None, Some(FinishReason::Length)) => Outcome::Cut(text),
            (None, Some(FinishReason::ContentFilter)) => Outcome::Filtered(text),
            _ => Outcome::read(text),
        };
        (outcome, reply.usage.clone())
    }
}

impl Structurable for ResponsesRequest {
    fn formed(self, name: &str, schema: Value) -> ResponsesRequest {
        let mut text = self.extra.get("text").cloned().unwrap_or_else(|| json!({}));
        text["format"] =
            json!({"type": "json_schema", "name": name, "schema": schema, "strict": true});
        self.set("text", text)
    }

    fn ceiling(&self) -> Option<u64> {
        self.extra.get("max_output_tokens").and_then(Value::as_u64)
    }

    fn raised(self, ceiling: u64) -> ResponsesRequest {
        self.max_output_tokens(ceiling)
    }

    fn outcome<T: DeserializeOwned>(reply: &ResponsesReply) -> (Outcome<T>, Option<Usage>) {
        let text = reply.text();
        let why = reply.incomplete_details.as_ref().and_then(|details| details["reason"].as_str());
        let failure = reply.error.as_ref().filter(|_| reply.status.as_deref() == Some("failed"));
        let outcome = match (reply.refusal(), reply.is_incomplete(), why) {
            _ if failure.is_some_and(|error| !error.is_null()) => {
                let said = failure.and_then(|error| error["message"].as_str());
                let error = said.unwrap_or("the server gives no reason");
                Outcome::Invalid { text, error: format!("the response failed: {error}") }
            }
            (Some(refusal), _, _) => Outcome::Refusal(refusal.into()),
            (None, true, Some("content_filter")) => Outcome::Filtered(text),
            (None, true, _) => Outcome::Cut(text),
            (None, false, _) => Outcome::read(text),
        };
        (outcome, reply.usage.clone())
    }
}

/// A request for an answer in the form of `T`; see [`ChatRequest::structured`].
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct StructuredRequest<R, T> {
    request: R,
    retry_cut: Option<u64>,
    form: PhantomData<fn() -> T>,
}

impl<R: Structurable, T: JsonSchema + DeserializeOwned> StructuredRequest<R, T> {
    fn new(request: R) -> StructuredRequest<R, T> {
        StructuredRequest { request, retry_cut: None, form: PhantomData }
    }

    /// Asks again where the answer was cut, for up to twice the tokens each time and `most` in the
    /// end; each of these requests is billed, and what they took is told together. It needs a request
    /// that states its limit, and counts against the retries of the settings. Only
    /// `Client::send_structured` does so; sent in bulk, a cut answer is given as it is. Default: it is
    /// given as it is.
    pub fn retry_cut(mut self, most: u64) -> StructuredRequest<R, T> {
        self.retry_cut = Some(most);
        self
    }

    /// The request as it is sent.
    ///
    /// # Errors
    /// When the API cannot express the type; see [`strict_schema`].
    pub fn request(&self) -> Result<R> {
        let (name, schema) = strict_schema::<T>()?;
        Ok(self.request.clone().formed(&name, schema))
    }
}

impl<R: Structurable, T> sealed::Sealed for StructuredRequest<R, T> {}

/// It can be sent like any other request, in bulk too.
impl<R, T> Request for StructuredRequest<R, T>
where
    R: Structurable,
    T: JsonSchema + DeserializeOwned + Send + 'static,
{
    type Reply = Structured<T>;

    fn method(&self) -> Method {
        self.request.method()
    }

    fn path(&self) -> Cow<'_, str> {
        self.request.path()
    }

    fn model(&self) -> Option<&str> {
        self.request.model()
    }

    fn body(&self, default_model: &str) -> Result<Vec<u8>> {
        self.request()?.body(default_model)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Structured<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Structured<T>, D::Error> {
        let reply = Value::deserialize(json)?;
        let is_response = reply["object"] == "response" || reply.get("output").is_some();
        let (outcome, usage) = if is_response {
            ResponsesRequest::outcome(
                &ResponsesReply::deserialize(reply).map_err(D::Error::custom)?,
            )
        } else {
            ChatRequest::outcome(&ChatReply::deserialize(reply).map_err(D::Error::custom)?)
        };
        Ok(Structured { outcome, usage, tries: 1 })
    }
}

impl ChatRequest {
    /// Wants an answer in the form of `T`, in strict mode. Send it with `Client::send_structured`, or
    /// in bulk like any other request.
    pub fn structured<T: JsonSchema + DeserializeOwned>(self) -> StructuredRequest<ChatRequest, T> {
        StructuredRequest::new(self)
    }
}

impl ResponsesRequest {
    /// Wants an answer in the form of `T`, in strict mode. Send it with `Client::send_structured`, or
    /// in bulk like any other request.
    pub fn structured<T: JsonSchema + DeserializeOwned>(
        self,
    ) -> StructuredRequest<ResponsesRequest, T> {
        StructuredRequest::new(self)
    }
}

/// The next limit of tokens for an answer that was cut, if there is one.
fn raise(ceiling: Option<u64>, most: Option<u64>) -> Option<u64> {
    let (ceiling, most) = (ceiling?, most?);
    (ceiling < most).then(|| ceiling.saturating_mul(2).clamp(1, most))
}

impl Caller {
    /// Sends a request for a value, and again while its answer is cut and may be larger.
    pub fn send_structured<R: Structurable, T: JsonSchema + DeserializeOwned>(
        &self,
        wanted: &StructuredRequest<R, T>,
        stop: &Stop,
    ) -> Result<Response<Structured<T>>, Error> {
        let mut request = wanted.request()?;
        let mut tries = 1;
        let mut before: Option<(Response<()>, Usage)> = None;
        loop {
            let reply = self.send(&request, stop)?;
            let (outcome, mut usage) = R::outcome(&reply.value);
            let larger = raise(request.ceiling(), wanted.retry_cut)
                .filter(|_| tries <= self.dispatcher.rules.max_retries);
            let mut reply = reply.with(());
            if let Some((earlier, tokens)) = before.take() {
                reply = reply.after(&earlier);
                usage = Some(tokens.plus(usage.as_ref()));
            }
            match (&outcome, larger) {
                (Outcome::Cut(_), Some(ceiling)) => {
                    request = request.raised(ceiling);
                    before = Some((reply, usage.unwrap_or_default()));
                    tries += 1;
                }
                _ => return Ok(reply.with(Structured { outcome, usage, tries })),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_doubled_until_the_most_and_never_without_one() {
        for (ceiling, most, next) in [
            (Some(100), Some(1000), Some(200)),
            (Some(600), Some(1000), Some(1000)),
            (Some(1000), Some(1000), None),
            (Some(0), Some(1000), Some(1)),
            (Some(100), None, None),
            (None, Some(1000), None),
            (Some(u64::MAX - 1), Some(u64::MAX), Some(u64::MAX)),
        ] {
            assert_eq!(raise(ceiling, most), next, "{ceiling:?} of {most:?}");
        }
    }
}
