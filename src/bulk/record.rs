//! The line of output that a row ends in.

use super::feeder::Ticket;
use super::summary::kind;
use crate::dispatch::{AnsweredBy, Facts, Reply};
use crate::error::{ApiError, Error};
use crate::logs as key;
use crate::usage::Money;
use crate::wire::row::{Body, OutputLine, Response, fingerprint_hex};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::time::{SystemTime, UNIX_EPOCH};

/// What this crate adds to a line of the Batch API, under `x_run`.
#[derive(Default, Serialize)]
struct Run<'a> {
    ok: bool,
    line: u64,
    fingerprint: String,
    attempts: u32,
    refusals: u32,
    maybe_billed: u32,
    latency_ms: f64,
    waiting_ms: f64,
    /// Unix time of its end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe_cost: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maybe_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
}

/// Adds the line of a row that failed with a code of nobody's but the server's to `out`.
pub(crate) fn write_failure(
    row: &Ticket,
    code: &str,
    message: &str,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let run = Run {
        line: row.line,
        fingerprint: fingerprint_hex(row.fingerprint),
        batch: row.batch.as_deref(),
        metadata: row.metadata.as_deref(),
        ..Run::default()
    };
    let id = format!("batch_req_{:016x}", row.id_hash);
    let error = Some((code, message));
    OutputLine { id: &id, custom_id: &row.custom_id, response: None, error, x_run: &run }.write(out)
}

/// Adds the line of a row to `out`; `ended` is when its answer came, where this run saw it come.
pub(crate) fn write(
    row: &Ticket,
    result: &Result<Reply, Error>,
    facts: &Facts,
    ended: Option<SystemTime>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let millis = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let reply = result.as_ref().ok();
    let counted = reply.and_then(|reply| reply.counted.as_deref());
    let is_doubtful = facts.maybe_billed > 0;
    let run = Run {
        ok: result.is_ok(),
        line: row.line,
        fingerprint: fingerprint_hex(row.fingerprint),
        attempts: facts.attempts,
        refusals: facts.refusals,
        maybe_billed: facts.maybe_billed,
        latency_ms: millis(facts.latency),
        waiting_ms: millis(facts.waited),
        ended: ended.map(unix),
        cached: facts.answered_by == AnsweredBy::Cache,
        shared: facts.answered_by == AnsweredBy::Twin,
        asked: reply.and_then(|reply| reply.asked.as_deref()),
        counted_cost: counted.map(|amount| amount.money),
        counted_tokens: counted.map(|amount| amount.tokens),
        maybe_cost: is_doubtful.then_some(facts.maybe_cost),
        maybe_tokens: is_doubtful.then_some(facts.maybe_tokens),
        batch: row.batch.as_deref(),
        metadata: row.metadata.as_deref(),
    };
    let id = format!("batch_req_{:016x}", row.id_hash);
    let mut line =
        OutputLine { id: &id, custom_id: &row.custom_id, response: None, error: None, x_run: &run };
    match result {
        Ok(reply) => {
            line.response = Some(Response {
                status_code: reply.status,
                request_id: reply.request_id.as_deref(),
                body: Body::Json(&reply.body),
            });
            line.write(out)
        }
        // As the Batch API tells HTTP errors: in the response, with its body as it came.
        Err(Error::Api(e) | Error::RateLimit(e)) => {
            let body = match &e.body {
                Some(body) => body.clone().into_boxed_bytes(),
                None => envelope(e),
            };
            line.response = Some(Response {
                status_code: e.status,
                request_id: e.request_id.as_deref(),
                body: Body::Any(&body),
            });
            line.write(out)
        }
        Err(error) => {
            let (code, message) = (kind(error), error.to_string());
            line.error = Some((&code, &message));
            line.write(out)
        }
    }
}

/// An error that did not come as JSON, in the shape in which it should have.
fn envelope(e: &ApiError) -> Box<[u8]> {
    json!({ "error": { "message": e.message, "type": e.kind, "param": e.param, "code": e.code } })
        .to_string()
        .into_bytes()
        .into()
}

/// A date in seconds, to the millisecond.
pub(super) fn unix(date: SystemTime) -> f64 {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1e3).round() / 1e3
}

/// Tells the log of the end of a row.
pub(super) fn tell_log(tag: &Ticket, result: &Result<Reply, Error>, facts: &Facts) {
    const TARGET: &str = "openai_bulk::row";
    match result {
        Ok(reply) => log::debug!(
            target: TARGET,
            {key::LINE} = tag.line, {key::REQUEST_MODEL} = &*tag.asked,
            {key::RESPONSE_MODEL} = reply.peek.model.as_deref(), {key::ATTEMPT} = facts.attempts,
            {key::DURATION} = facts.latency.as_secs_f64(), {key::WAIT} = facts.waited.as_secs_f64();
            "row answered"
        ),
        Err(error) => log::debug!(
            target: TARGET,
            {key::LINE} = tag.line, {key::REQUEST_MODEL} = &*tag.asked,
            {key::ATTEMPT} = facts.attempts, {key::WAIT} = facts.waited.as_secs_f64(),
            {key::ERROR_TYPE} = kind(error).as_str();
            "row not answered"
        ),
    }
}
