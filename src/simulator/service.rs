//! From a request to its answer.

use super::check;
use super::core::Core;
use super::endpoint::{Endpoint, Job};
use super::failure::Failure;
use super::fault::{Fault, wrong_key};
use super::http::Head;
use super::limits::token_cost;
use super::random::{id, mix};
use super::response::{Body, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// A request and what has been decided about it.
pub(super) struct Asked<'a> {
    pub(super) head: &'a Head,
    pub(super) body: &'a [u8],
    pub(super) fault: Option<Fault>,
}

/// An answer and the time that it takes to think of it.
pub(super) struct Reply {
    pub(super) response: Response,
    pub(super) latency: Duration,
}

/// Where a path leads, and the deployment that it names.
enum Route<'a> {
    Model(Endpoint, Option<&'a str>),
    Files(Vec<&'a str>),
    Batches(Vec<&'a str>),
    Models(Vec<&'a str>),
    Unknown,
}

const DEPLOYMENTS: &str = "/openai/deployments/";

fn route(path: &str) -> Route<'_> {
    if let Some(rest) = path.strip_prefix(DEPLOYMENTS) {
        return match rest.split_once('/').map(|(name, _)| (name, Endpoint::at(&rest[name.len()..])))
        {
            Some((name, Some(endpoint))) if !name.is_empty() => Route::Model(endpoint, Some(name)),
            _ => Route::Unknown,
        };
    }
    let Some(path) = path.strip_prefix("/openai").unwrap_or(path).strip_prefix("/v1") else {
        return Route::Unknown;
    };
    if let Some(endpoint) = Endpoint::at(path) {
        return Route::Model(endpoint, None);
    }
    let mut segments = path.split('/').skip(1);
    match segments.next() {
        Some("files") => Route::Files(segments.collect()),
        Some("batches") => Route::Batches(segments.collect()),
        Some("models") => Route::Models(segments.collect()),
        _ => Route::Unknown,
    }
}

/// The most bytes that the body of a request may have.
pub(super) fn body_limit(head: &Head) -> usize {
    let is_upload = matches!(route(head.path()), Route::Files(_));
    if is_upload { 512 << 20 } else { 64 << 20 }
}

/// The answer to a path or a method that does not exist.
pub(super) fn unknown(head: &Head) -> Failure {
    let (method, path) = (head.method(), head.path());
    let known = matches!(route(path), Route::Model(..));
    if known && method != "POST" {
        let message = format!("Not allowed to {method} on {path}.");
        return Failure::new(405, "invalid_request_error", message).code("method_not_supported");
    }
    Failure::new(404, "invalid_request_error", format!("Invalid URL ({method} {path})"))
}

/// Answers a request.
pub(super) fn respond(core: &Core, asked: &Asked<'_>) -> Reply {
    let mut headers = Vec::new();
    let mut latency = Duration::ZERO;
    let serial = core.serial();
    let made = work(core, asked, serial, &mut headers, &mut latency);
    let mut response = made.unwrap_or_else(|failure| failure.respond());
    if let Some(fault) = asked.fault
        && response.status < 400
    {
        spoil(&mut response, fault);
    }
    if core.settings.rate_limit_headers {
        response.headers.append(&mut headers);
    }
    response.header("x-request-id", id("req_", mix(serial, 2), 32));
    response.header("openai-processing-ms", latency.as_millis().to_string());
    response.header("openai-organization", core.settings.organization.clone());
    response.header("openai-version", "2020-10-01".into());
    Reply { response, latency }
}

type Headers = Vec<(&'static str, String)>;

fn work(
    core: &Core,
    asked: &Asked<'_>,
    serial: u64,
    headers: &mut Headers,
    latency: &mut Duration,
) -> Result<Response, Failure> {
    let head = asked.head;
    let route = route(head.path());
    if matches!(route, Route::Unknown) {
        return Err(unknown(head));
    }
    authorize(core, head)?;
    if let Route::Model(endpoint, deployment) = route {
        if head.method() != "POST" {
            return Err(unknown(head));
        }
        if deployment.is_some() && head.query("api-version").is_none() {
            return Err(
                Failure::new(404, "invalid_request_error", "Resource not found").code("404")
            );
        }
        return ask_model(core, asked, endpoint, deployment, serial, headers, latency);
    }
    planned(core, asked.fault, "the model")?;
    match route {
        Route::Files(rest) => {
            core.batches.tick(core);
            core.files.respond(head, &rest, asked.body, core.unix(core.now()))
        }
        Route::Batches(rest) => core.batches.respond(core, head, &rest, asked.body),
        Route::Models(rest) => models(core, head, &rest),
        Route::Model(..) | Route::Unknown => Err(unknown(head)),
    }
}

/// Checks the key: `Authorization: Bearer`, or `api-key` as Azure wants it.
fn authorize(core: &Core, head: &Head) -> Result<(), Failure> {
    let bearer = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = bearer.or_else(|| head.header("api-key")).unwrap_or("").trim();
    if key.is_empty() {
        let message = "You didn't provide an API key: send it in an Authorization header, as in \
                       Authorization: Bearer YOUR_KEY.";
        return Err(Failure::new(401, "invalid_request_error", message));
    }
    let keys = &core.settings.keys;
    if keys.is_empty() || keys.iter().any(|each| each == key) {
        Ok(())
    } else {
        Err(wrong_key(key))
    }
}

/// The error that the fault of this request stands for.
fn planned(core: &Core, fault: Option<Fault>, model: &str) -> Result<(), Failure> {
    let wait = core.settings.fault_retry_after;
    match fault.and_then(|fault| fault.failure(model, &core.settings.organization, wait)) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn ask_model(
    core: &Core,
    asked: &Asked<'_>,
    endpoint: Endpoint,
    deployment: Option<&str>,
    serial: u64,
    headers: &mut Headers,
    latency: &mut Duration,
) -> Result<Response, Failure> {
    let body = check::object(asked.body)?;
    let model = match deployment
        .or(check::given(&body, "model").map_or(endpoint.default_model(), |_| None))
    {
        Some(model) => model,
        None => check::model(&body)?,
    };
    if !core.knows(model) {
        return Err(Failure::no_model(model));
    }
    let demand = endpoint.check(&body);
    // Requests that turn out to be wrong are charged like others.
    let cost = demand.as_ref().map_or(0, |demand| {
        token_cost(demand.characters, demand.max_tokens.unwrap_or(0), demand.choices)
    });
    let admission = core.limiter.admit(model, cost, &core.settings.organization, core.now());
    *headers = admission.headers;
    if let Some(refusal) = admission.refusal {
        return Err(refusal);
    }
    let demand = demand?;
    let context = core.settings.context_tokens;
    let tokens = demand.characters.div_ceil(4);
    if context.is_some_and(|most| tokens > most) {
        return Err(too_long(context.unwrap_or(0), tokens));
    }
    planned(core, asked.fault, model)?;
    *latency = core.settings.latency.draw(core.settings.seed, serial);
    let created = core.unix(core.now());
    let job = Job { author: &core.author, body: &body, model, demand: &demand, created, serial };
    let made = endpoint.answer(&job);
    core.stats.billed(made.prompt_tokens, made.completion_tokens);
    Ok(match made.body {
        Body::Events(events) => Response::events(events),
        Body::Text(text) => Response::json(200, text),
        Body::File(file) => Response::file(file),
    })
}

fn too_long(most: u64, tokens: u64) -> Failure {
    let message = format!(
        "This model's maximum context length is {most} tokens. However, your messages resulted in \
         {tokens} tokens. Please reduce the length of the messages."
    );
    Failure::bad("messages", "context_length_exceeded", message)
}

fn models(core: &Core, head: &Head, rest: &[&str]) -> Result<Response, Failure> {
    let show = |model: &str| json!({"id": model, "object": "model", "created": 1_686_935_002, "owned_by": "openai"});
    let named: &[String] = &core.settings.models;
    let usual = ["gpt-4o-mini", "gpt-4o", "gpt-5", "text-embedding-3-small"];
    match (head.method(), rest) {
        ("GET", []) => {
            let all: Vec<Value> = if named.is_empty() {
                usual.iter().map(|model| show(model)).collect()
            } else {
                named.iter().map(|model| show(model)).collect()
            };
            Ok(Response::json(200, json!({"object": "list", "data": all}).to_string()))
        }
        ("GET", [model]) if core.knows(model) => Ok(Response::json(200, show(model).to_string())),
        ("GET", [model]) => Err(Failure::no_model(model)),
        _ => Err(unknown(head)),
    }
}

/// Puts something else in the place of a good answer.
fn spoil(response: &mut Response, fault: Fault) {
    let error = json!({
        "message": "The server had an error while processing your request. Sorry about that!",
        "type": "server_error", "param": null, "code": null,
    });
    match fault {
        Fault::BadGateway => {
            let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
                        <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";
            *response = Response::json(502, page.into());
            response.content_type = "text/html";
        }
        Fault::NotJson => response.body = Body::Text("this is <not> JSON {".into()),
        Fault::Empty => response.body = Body::Text(String::new()),
        Fault::ErrorObject => match &mut response.body {
            // A stream that has begun says what went wrong in an event, and ends.
            Body::Events(events) => {
                events.truncate(events.len() / 2);
                let named = events.first().is_some_and(|event| event.starts_with("event: "));
                events.push(if named {
                    let number = events.len();
                    let event = json!({"type": "error", "sequence_number": number, "error": error});
                    super::sse::event(&event)
                } else {
                    super::sse::data(&json!({ "error": error }))
                });
            }
            body => *body = Body::Text(json!({ "error": error }).to_string()),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_the_real_ones_do() {
        assert!(matches!(route("/v1/chat/completions"), Route::Model(Endpoint::Chat, None)));
        assert!(matches!(route("/openai/v1/embeddings"), Route::Model(Endpoint::Embeddings, None)));
        assert!(matches!(
            route("/openai/deployments/my-gpt/chat/completions"),
            Route::Model(Endpoint::Chat, Some("my-gpt"))
        ));
        assert!(
            matches!(route("/v1/files/x/content"), Route::Files(rest) if rest == ["x", "content"])
        );
        for path in ["/", "/v1", "/v2/files", "/openai/deployments//chat/completions", "/v1/audio"]
        {
            assert!(matches!(route(path), Route::Unknown), "{path}");
        }
    }
}
