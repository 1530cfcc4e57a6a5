//! Streams through the client: a scripted server, and a clock that jumps.

use openai_bulk::api::{
    ChatRequest, CompletionsRequest, FinishReason, ResponseEvent, ResponsesRequest,
};
use openai_bulk::clock::{Clock, ManualClock, Stop, Time};
use openai_bulk::config::ApiKey;
use openai_bulk::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::{Answer, Scripted, StreamScript, Transport};
use openai_bulk::usage::Money;
use openai_bulk::{Client, Config, Error};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const USAGE: &str = r#"{"choices":[],"model":"gpt-4o-mini","usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;

fn text(text: &str) -> String {
    json!({"id": "c", "model": "gpt-4o-mini", "choices": [{"index": 0, "delta": {"content": text}}]})
        .to_string()
}

fn stop() -> String {
    json!({"id": "c", "model": "gpt-4o-mini",
           "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    .to_string()
}

/// Whether an error is the one that is expected.
type Expected = fn(&Error) -> bool;

/// A stream that says "Hello", with its usage.
fn hello() -> StreamScript {
    StreamScript::new().data(text("Hel")).data(text("lo")).data(stop()).data(USAGE).done()
}

fn world(server: &Scripted, change: impl FnOnce(Config) -> Config) -> (Client, ManualClock) {
    let clock = ManualClock::new();
    let server = server.clone().latency(Duration::ZERO, Arc::new(clock.clone()));
    let config = change(Config::new().api_key(ApiKey::new("sk-0123456789-abcdef").unwrap()));
    let client = Client::builder(config).transport(server).clock(clock.clone()).build().unwrap();
    (client, clock)
}

fn question() -> ChatRequest {
    ChatRequest::ask("Hello?")
}

#[test]
fn a_stream_gives_its_text_and_then_the_reply_that_a_plain_request_gives() {
    let plain = r#"{"id":"c","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
    let server = Scripted::streams([hello()]);
    server.push(Ok(Answer::new(200, plain)));
    let (client, _) = world(&server, |config| config);
    let mut stream = client.stream(&question()).unwrap();
    assert_eq!(client.gate().in_flight(), 1, "it holds its place until its end");
    let texts: Vec<String> = stream.text_deltas().map(Result::unwrap).collect();
    assert_eq!(texts, ["Hel", "lo"]);
    assert_eq!(client.gate().in_flight(), 0);
    let streamed = stream.collect_reply().unwrap();
    let plain = client.send(&question()).unwrap();
    assert_eq!(streamed.value, plain.value);
    assert_eq!(streamed.cost, plain.cost);
    assert!(streamed.cost.is_some());
    assert_eq!(streamed.finish_reason(), Some(&FinishReason::Stop));
    let asked: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(asked["stream"], true);
    assert_eq!(asked["stream_options"], json!({"include_usage": true}));
}

#[test]
fn what_the_caller_says_about_the_usage_stays() {
    let server = Scripted::streams([hello()]);
    let (client, _) = world(&server, |config| config);
    let options = json!({"include_usage": false, "include_obfuscation": false});
    client.stream(&question().set("stream_options", options.clone())).unwrap();
    let asked: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(asked["stream_options"], options);
}

#[test]
fn a_response_and_completions_are_streamed_too() {
    let created = json!({"type": "response.created", "response": {"id": "r", "output": []}});
    let delta = |text: &str| json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": text});
    let completed = json!({"type": "response.completed", "response": {"id": "r", "object": "response",
        "status": "completed", "model": "gpt-4o-mini",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}}});
    let server = Scripted::streams([StreamScript::new()
        .event("response.created", &created)
        .event("response.output_text.delta", delta("Hel"))
        .event("keepalive", json!({"type": "keepalive", "sequence_number": 3}))
        .event("response.something_new", json!({"type": "response.something_new", "x": 1}))
        .event("response.output_text.delta", delta("lo"))
        .event("response.completed", &completed)]);
    let (client, _) = world(&server, |config| config);
    let mut stream = client.stream(&ResponsesRequest::ask("Hello?")).unwrap();
    let events: Vec<ResponseEvent> = stream.by_ref().map(Result::unwrap).collect();
    assert!(
        matches!(&events[0], ResponseEvent::Created(reply) if reply.id.as_deref() == Some("r"))
    );
    assert!(matches!(&events[2], ResponseEvent::Other(value) if value["x"] == 1));
    assert!(matches!(&events[4], ResponseEvent::Completed(_)));
    let reply = stream.collect_reply().unwrap();
    assert_eq!(reply.text(), "Hello");
    assert!(reply.cost.is_some());
    let asked: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert!(asked.get("stream_options").is_none(), "this endpoint refuses them");

    let part = |text: &str, end: Value| json!({"choices": [{"index": 0, "text": text, "finish_reason": end}]});
    server.push_stream(
        StreamScript::new().data(part("a", Value::Null)).data(part("b", json!("stop"))).done(),
    );
    let mut stream = client.stream(&CompletionsRequest::new("m", "x")).unwrap();
    assert_eq!(stream.text_deltas().map(Result::unwrap).collect::<String>(), "ab");
    assert_eq!(stream.collect_reply().unwrap().text(), "ab");
}

#[test]
fn a_server_that_does_not_stream_gives_its_reply_in_one_part() {
    let server = Scripted::answers([
        Answer::new(
            200,
            r#" {"choices":[{"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#,
        ),
        Answer::new(
            200,
            r#"{"object":"response","output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}]}"#,
        ),
    ]);
    let (client, _) = world(&server, |config| config);
    let mut stream = client.stream(&question()).unwrap();
    assert_eq!(stream.text_deltas().map(Result::unwrap).collect::<Vec<_>>(), ["Hello"]);
    assert_eq!(stream.collect_reply().unwrap().text(), "Hello");
    let mut stream = client.stream(&ResponsesRequest::ask("x")).unwrap();
    assert_eq!(stream.text_deltas().map(Result::unwrap).collect::<Vec<_>>(), ["Hi"]);
}

#[test]
fn until_the_first_part_is_there_a_stream_is_tried_again() {
    let busy = r#"{"error":{"message":"busy","code":"server_is_overloaded"}}"#;
    let server = Scripted::results([
        Err(TransportError::new(Kind::Reset, true, "")),
        Ok(Answer::new(503, busy)),
    ]);
    server.push_stream(StreamScript::new().data(busy));
    server.push_stream(StreamScript::new().piece(": hello\n\n").cut());
    server.push_stream(StreamScript::new());
    server.push_stream(hello());
    let (client, clock) = world(&server, |config| config);
    let reply = client.stream(&question()).unwrap().collect_reply().unwrap();
    assert_eq!((reply.text().as_str(), reply.facts.attempts), ("Hello", 6));
    // The reset, the error in the stream, the cut and the empty stream; a 503 costs nothing.
    assert_eq!(reply.facts.maybe_billed, 4);
    assert!(clock.now() > Time::ZERO, "it waited in between");
}

#[test]
fn after_the_first_part_nothing_is_sent_again_and_what_came_is_told() {
    let begun = || StreamScript::new().data(text("Hel"));
    let error = |code: &str| format!(r#"{{"error":{{"message":"no more","code":"{code}"}}}}"#);
    let table: Vec<(StreamScript, Expected)> = vec![
        (begun().cut(), |e| matches!(e, Error::Transport(t) if t.kind == Kind::Cut)),
        // An end in order, but neither `[DONE]` nor a reason.
        (begun(), |e| matches!(e, Error::Transport(t) if t.kind == Kind::Cut)),
        (begun().data(error("rate_limit_exceeded")), Error::is_rate_limited),
        (begun().data(error("insufficient_quota")), |e| {
            e.is_out_of_quota() && e.is_fatal_for_run()
        }),
        (begun().data(error("server_error")), |e| e.status() == Some(500) && e.is_retryable()),
        (begun().event("error", error("invalid_prompt")), |e| e.status() == Some(400)),
        (begun().data("{\"choices\":"), |e| matches!(e, Error::Decode(_))),
        (begun().wait(301 * SECOND).data(text("lo")), Error::is_timeout),
    ];
    for (number, (script, is_expected)) in table.into_iter().enumerate() {
        let server = Scripted::streams([script, hello()]);
        let (client, _) = world(&server, |config| config);
        let mut stream = client.stream(&question()).unwrap();
        let mut results: Vec<_> = stream.by_ref().collect();
        let Err(Error::Stream(broken)) = results.pop().unwrap() else {
            panic!("case {number}: not a broken stream")
        };
        assert!(is_expected(&broken.cause), "case {number}: {:?}", broken.cause);
        let partial: Value = serde_json::from_str(&broken.partial).unwrap();
        assert_eq!(partial["choices"][0]["message"]["content"], "Hel", "case {number}");
        assert!(stream.next().is_none(), "nothing comes after an error");
        assert!(stream.collect_reply().is_err());
        assert_eq!(server.requests().len(), 1, "case {number}");
        assert_eq!(client.gate().in_flight(), 0);
    }
}

#[test]
fn a_failed_response_is_an_error_with_what_came() {
    let server = Scripted::streams([StreamScript::new()
        .event("x", json!({"type": "response.output_text.delta", "delta": "Hel"}))
        .event(
            "x",
            json!({"type": "response.failed", "response": {"status": "failed", "id": "r",
            "error": {"code": "server_is_overloaded", "message": "busy"}}}),
        )]);
    let (client, _) = world(&server, |config| config);
    let error = client.stream(&ResponsesRequest::ask("x")).unwrap().collect_reply().unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(503), Some("server_is_overloaded")));
    let Error::Stream(broken) = error else { panic!("{error:?}") };
    assert!(broken.partial.contains("\"Hel\""), "{}", broken.partial);
}

#[test]
fn silence_has_its_limits_and_what_lives_has_none_but_the_deadline() {
    let limits = |config: Config| {
        config
            .stream_first_byte_timeout(20 * SECOND)
            .stream_idle_timeout(10 * SECOND)
            .timeout(60 * SECOND)
            .deadline(200 * SECOND)
            .max_retries(0)
    };
    let stage = |error: &Error| match error {
        Error::Timeout(e) => Some((e.stage, e.limit)),
        Error::Stream(e) => match &e.cause {
            Error::Timeout(e) => Some((e.stage, e.limit)),
            _ => None,
        },
        _ => None,
    };
    let server = Scripted::streams([StreamScript::new().wait(21 * SECOND).data(text("a"))]);
    let (client, clock) = world(&server, limits);
    let error = client.stream(&question()).unwrap_err();
    assert_eq!(stage(&error), Some((TimeoutStage::FirstByte, 20 * SECOND)), "{error}");
    assert_eq!(clock.now(), Time::ZERO + 20 * SECOND);

    // Nineteen seconds to begin, and then nine between the parts: longer than OPENAI_TIMEOUT.
    let mut script = StreamScript::new().wait(19 * SECOND);
    for _ in 0..10 {
        script = script.data(text("a")).wait(9 * SECOND);
    }
    server.push_stream(script.clone().data(stop()).done());
    assert_eq!(client.stream(&question()).unwrap().collect_reply().unwrap().text(), "a".repeat(10));

    server.push_stream(StreamScript::new().data(text("a")).wait(11 * SECOND).data(stop()));
    let error = client.stream(&question()).unwrap().collect_reply().unwrap_err();
    assert_eq!(stage(&error), Some((TimeoutStage::Idle, 10 * SECOND)), "{error}");

    for _ in 0..20 {
        script = script.data(text("a")).wait(9 * SECOND);
    }
    server.push_stream(script);
    let begun = clock.now();
    let error = client.stream(&question()).unwrap().collect_reply().unwrap_err();
    assert_eq!(stage(&error).map(|(stage, _)| stage), Some(TimeoutStage::Deadline), "{error}");
    assert_eq!(clock.now().since(begun), 200 * SECOND);
}

#[test]
fn a_stream_without_done_is_whole_if_it_says_why_it_ended() {
    for script in [
        StreamScript::new().data(text("Hello")).data(stop()),
        StreamScript::new().data(text("Hello")).data(stop()).piece("data: [DONE]"),
        StreamScript::new().data(text("Hello")).piece("data: [DONE]\n"),
    ] {
        let (client, _) = world(&Scripted::streams([script]), |config| config);
        assert_eq!(client.stream(&question()).unwrap().collect_reply().unwrap().text(), "Hello");
    }
}

#[test]
fn a_stream_that_is_dropped_gives_its_place_back_and_counts_as_maybe_billed() {
    let cap = Money::parse("1.00").unwrap();
    let server = Scripted::streams([hello(), hello()]);
    let (client, _) = world(&server, |config| config.max_cost(cap));
    let request = question().max_completion_tokens(1000);
    let mut stream = client.stream(&request).unwrap();
    assert!(stream.next().unwrap().is_ok());
    assert_eq!(client.spending().unwrap().counted().money, Money::ZERO);
    drop(stream);
    assert_eq!(client.gate().in_flight(), 0);
    let dropped = client.spending().unwrap();
    // What it may have cost at most is counted.
    assert!(dropped.counted().money > Money::ZERO && dropped.counted().tokens >= 1000);
    let reply = client.stream(&request).unwrap().collect_reply().unwrap();
    let spent = client.spending().unwrap().counted().money;
    let cost = reply.cost.unwrap().total;
    assert_eq!(spent, dropped.counted().money + cost, "a whole stream counts what it used");
}

#[test]
fn a_cap_holds_for_streams() {
    let server = Scripted::streams([hello()]);
    let (client, _) = world(&server, |config| config.max_cost(Money::parse("0.000001").unwrap()));
    let error = client.stream(&question().max_completion_tokens(1000)).unwrap_err();
    assert!(matches!(error, Error::OverCap(_)), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn an_abort_is_told_as_one() {
    let server = Scripted::streams([hello()]);
    let (client, _) = world(&server, |config| config);
    let stop = Stop::new();
    let mut stream = client.stream_until(&question(), &stop).unwrap();
    assert!(stream.next().unwrap().is_ok());
    stop.abort();
    assert!(stream.next().unwrap().unwrap_err().is_cancelled());
    assert_eq!(client.gate().in_flight(), 0);
    assert!(client.stream_until(&question(), &stop).unwrap_err().is_cancelled());
}

#[test]
fn the_key_is_in_no_error_of_a_stream() {
    let said = r#"{"error":{"message":"bad key sk-0123456789-abcdef","code":"invalid_api_key"}}"#;
    let server = Scripted::streams([StreamScript::new().data(text("a")).data(said)]);
    let (client, _) = world(&server, |config| config);
    let error = client.stream(&question()).unwrap().collect_reply().unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert!(error.to_string().contains("[key]") && !format!("{error:?}").contains("sk-0123456789"));
}

#[test]
fn a_scripted_stream_is_a_whole_answer_to_those_who_do_not_stream() {
    let server = Scripted::streams([StreamScript::new().data("a").data("b")]);
    let stop = Stop::new();
    let request = openai_bulk::transport::Exchange::new(
        openai_bulk::transport::Method::Post,
        "http://a/",
        b"{}",
        SECOND,
        &stop,
    );
    assert_eq!(server.exchange(&request).unwrap().body, b"data: a\n\ndata: b\n\n");
}
