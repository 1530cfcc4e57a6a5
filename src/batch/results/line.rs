//! A line of results, judged.

use crate::dispatch::{Facts, Reply};
use crate::error::{ApiError, Error, Result, Undecodable};
use crate::usage::{Cost, Prices, cost_of_answer};
use crate::wire::answer::check_answer;
use crate::wire::fault::{Class, classify, read_fault};
use crate::wire::headers::{Headers, RateReport};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// How good a line is as the outcome of its row. The better one counts; of equals the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::batch) enum Rank {
    /// There is no line.
    #[default]
    Missing,
    /// The row was not done: another batch may do it.
    Again,
    /// The row was done, and its answer cannot be read.
    Broken,
    /// The row was refused for good.
    Refused,
    /// An answer.
    Answer,
}

/// What became of a row.
#[derive(Debug)]
pub(in crate::batch) enum Outcome {
    /// It was answered, or the server refused it with an HTTP error.
    Result(Box<Result<Reply, Error>>),
    /// It was not done, for a reason with a code.
    Undone { code: String, message: String },
}

/// A line of results.
#[derive(Debug)]
pub(in crate::batch) struct Line<'a> {
    pub(super) custom_id: Cow<'a, str>,
    /// The status, the id of the request and the body, if there was a response.
    response: Option<(u16, Option<String>, Option<String>)>,
    error: Option<(String, String)>,
    /// Some bytes of it are not text.
    is_damaged: bool,
}

#[derive(Deserialize)]
struct RawLine<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawResponse<'a> {
    status_code: Option<serde_json::Value>,
    request_id: Option<serde_json::Value>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// What a line says, if it tells its row.
    pub(in crate::batch) fn read(line: &[u8]) -> Option<Line<'static>> {
        let (text, is_damaged) = match std::str::from_utf8(line) {
            Ok(text) => (Cow::Borrowed(text), false),
            Err(_) => (String::from_utf8_lossy(line), true),
        };
        let raw: RawLine<'_> = serde_json::from_str(text.trim()).ok()?;
        let id = raw.custom_id?.get();
        let custom_id = match serde_json::from_str::<serde_json::Value>(id).ok()? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let response = raw.response.and_then(|raw| {
            let response: RawResponse<'_> = serde_json::from_str(raw.get()).ok()?;
            let id = response.request_id.as_ref().and_then(serde_json::Value::as_str);
            let body = response.body.map(|body| unwrapped(body.get()));
            let status = status_of(response.status_code.as_ref(), body.as_deref());
            Some((status, id.map(str::to_owned), body))
        });
        let error = raw.error.and_then(|raw| {
            let error: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
            let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
            let code = Some(text("code")).filter(|code| !code.is_empty());
            error.is_object().then(|| (code.unwrap_or_else(|| text("type")), text("message")))
        });
        Some(Line { custom_id: custom_id.into(), response, error, is_damaged })
    }

    /// How good it is as an outcome.
    pub(in crate::batch) fn rank(&self) -> Rank {
        match &self.response {
            Some((200..300, _, body)) => {
                let body = body.as_deref().unwrap_or_default();
                match check_answer(body.as_bytes()) {
                    Ok(_) if !self.is_damaged && self.error.is_none() => Rank::Answer,
                    _ => Rank::Broken,
                }
            }
            Some((status @ 400.., _, body)) => {
                let body = body.as_deref().unwrap_or_default();
                let fault = read_fault(*status, body.as_bytes());
                match classify(&fault, &Headers::default()) {
                    Class::ItemFatal | Class::TooLarge { .. } => Rank::Refused,
                    _ => Rank::Again,
                }
            }
            _ => Rank::Again,
        }
    }

    /// The outcome that it is.
    pub(super) fn outcome(self, prices: &Prices, asked: &str) -> Outcome {
        let Line { response, error, .. } = &self;
        let result = match (self.rank(), response, error) {
            (Rank::Answer, Some((status, id, Some(body))), _) => {
                Ok(reply(*status, id.as_deref(), body, prices, asked))
            }
            (_, Some((status @ 200..300, id, _)), _) => {
                let mut error = Undecodable::new(*status, "the batch's answer cannot be read");
                error.request_id.clone_from(id);
                Err(Error::Decode(Box::new(error)))
            }
            (_, Some((status @ 400.., id, body)), _) => {
                let fault = read_fault(*status, body.as_deref().unwrap_or_default().as_bytes());
                Err(Error::Api(Box::new(ApiError {
                    status: *status,
                    kind: fault.kind,
                    code: fault.code,
                    message: fault.message,
                    param: fault.param,
                    request_id: id.clone(),
                    attempts: 1,
                    body: body.as_deref().map(Into::into),
                    ..ApiError::default()
                })))
            }
            (_, _, Some((code, message))) if !code.is_empty() => {
                return Outcome::Undone { code: code.clone(), message: message.clone() };
            }
            _ => {
                let message = "the batch has a line for this row, and no answer in it".into();
                return Outcome::Undone { code: "no_answer".into(), message };
            }
        };
        Outcome::Result(Box::new(result))
    }
}

/// The status of a response; 0 if it has none. Some servers write it as a text, and some write none
/// for an answer.
fn status_of(told: Option<&serde_json::Value>, body: Option<&str>) -> u16 {
    let number = told.and_then(|told| match told {
        serde_json::Value::String(text) => text.parse().ok(),
        told => told.as_u64(),
    });
    match (number, body) {
        (Some(number), _) => u16::try_from(number).unwrap_or(0),
        (None, Some(body))
            if check_answer(body.as_bytes()).is_ok_and(|peek| peek.usage.is_some()) =>
        {
            200
        }
        _ => 0,
    }
}

/// A body as JSON. Some servers write it as a text that holds the JSON.
fn unwrapped(body: &str) -> String {
    match serde_json::from_str::<String>(body) {
        Ok(text) if text.trim_start().starts_with('{') => text,
        _ => body.to_owned(),
    }
}

fn reply(status: u16, id: Option<&str>, body: &str, prices: &Prices, asked: &str) -> Reply {
    let peek = check_answer(body.as_bytes()).unwrap_or_default();
    let cost: Option<Cost> = cost_of_answer(prices, &peek, asked, true);
    Reply {
        status,
        body: body.as_bytes().to_vec(),
        request_id: id.map(Into::into),
        asked: peek.model.is_none().then(|| asked.into()),
        peek,
        report: RateReport::default(),
        cost,
        counted: None,
        facts: Facts::default(),
    }
}
