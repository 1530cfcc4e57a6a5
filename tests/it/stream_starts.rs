//! How streams begin: what says nothing yet, and what servers send that others would not.

use openai_bulk::api::{ChatRequest, ResponseEvent, ResponsesRequest};
use openai_bulk::bulk::ParSend;
use openai_bulk::clock::ManualClock;
use openai_bulk::config::ApiKey;
use openai_bulk::transport::{Answer, Scripted, StreamScript};
use openai_bulk::{Client, Config, Error};
use serde_json::{Value, json};

fn client(server: &Scripted) -> Client {
    let config = Config::new().api_key(ApiKey::new("sk-for-tests").unwrap());
    Client::builder(config).transport(server.clone()).clock(ManualClock::new()).build().unwrap()
}

fn delta(delta: Value) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": delta}]})
}

fn end() -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

/// A stream that says who speaks, and nothing yet.
fn begun() -> StreamScript {
    let filter = json!({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]});
    StreamScript::new().data(filter).data(delta(json!({"role": "assistant", "content": ""})))
}

fn hello() -> StreamScript {
    begun().data(delta(json!({"content": "Hello"}))).data(end()).done()
}

#[test]
fn a_chat_that_breaks_before_it_says_anything_is_tried_again() {
    let busy = json!({"error": {"message": "busy", "code": "server_error"}});
    let server = Scripted::streams([
        begun().data(busy),
        begun().cut(),
        // Its last word, and nothing before it.
        StreamScript::new().done(),
        hello(),
    ]);
    let client = client(&server);
    let mut stream = client.stream(&ChatRequest::ask("x")).unwrap();
    assert_eq!(server.requests().len(), 4);
    // What was held back until then is given all the same.
    let parts: Vec<_> = stream.by_ref().map(Result::unwrap).collect();
    assert_eq!(parts.len(), 4);
    assert!(parts[0].extra.contains_key("prompt_filter_results"));
    let reply = stream.collect_reply().unwrap();
    assert_eq!((reply.text().as_str(), reply.facts.attempts), ("Hello", 4));
}

#[test]
fn a_response_that_fails_before_it_says_anything_is_tried_again() {
    let created =
        json!({"type": "response.created", "response": {"id": "r", "status": "in_progress"}});
    let failed = json!({"type": "response.failed", "response": {"id": "r", "status": "failed",
        "error": {"code": "server_error", "message": "busy"}}});
    let text = json!({"type": "response.output_text.delta", "delta": "Hi"});
    let done = json!({"type": "response.completed", "response": {"id": "r", "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]}});
    let begun = || StreamScript::new().event("response.created", &created);
    let server = Scripted::streams([
        begun().event("response.failed", &failed),
        begun().event("response.output_text.delta", &text).event("response.completed", &done),
    ]);
    let client = client(&server);
    let mut stream = client.stream(&ResponsesRequest::ask("x")).unwrap();
    assert!(matches!(stream.next(), Some(Ok(ResponseEvent::Created(_)))));
    let reply = stream.collect_reply().unwrap();
    assert_eq!((reply.text().as_str(), reply.facts.attempts), ("Hi", 2));
}

#[test]
fn a_response_that_only_a_last_word_of_chats_ends_is_cut() {
    let text = json!({"type": "response.output_text.delta", "delta": "Hi"});
    let server = Scripted::streams([StreamScript::new().event("x", &text).done()]);
    let error = client(&server).stream(&ResponsesRequest::ask("x")).unwrap().collect_reply();
    let Err(Error::Stream(broken)) = error else { panic!("{error:?}") };
    assert!(broken.partial.contains("\"Hi\""), "{}", broken.partial);
}

#[test]
fn parts_that_are_not_quite_like_the_official_ones_are_read() {
    let call = json!({"function": {"name": "f", "arguments": {"a": 1}}});
    let odd = json!({"choices": [{"delta": {"role": null, "content": null, "tool_calls": [call]},
                                  "finish_reason": ""}], "usage": "none", "created": 1.5});
    let server = Scripted::streams([StreamScript::new().data(&odd).data(end()).done()]);
    let mut stream = client(&server).stream(&ChatRequest::ask("x")).unwrap();
    let part = stream.next().unwrap().unwrap();
    let choice = &part.choices[0];
    assert_eq!(choice.delta.tool_calls[0].function.arguments.as_deref(), Some("{\"a\":1}"));
    assert_eq!((&choice.finish_reason, &part.usage), (&None, &None));
    let reply = stream.collect_reply().unwrap();
    let calls = reply.message().unwrap().tool_calls.as_ref().unwrap();
    assert_eq!(calls[0].function.as_ref().unwrap().arguments, "{\"a\":1}");
}

#[test]
fn replies_that_are_not_quite_like_the_official_ones_are_read() {
    let calls = json!([{"id": 7, "function": {"name": "f", "arguments": {"a": 1}}},
                       {"function": {"name": null, "arguments": null}}]);
    let odd = json!({"choices": [{"message": {"role": null, "content": null, "refusal": "",
                                  "tool_calls": calls}, "finish_reason": ""}], "usage": []});
    let item = json!({"type": "function_call", "name": "f", "arguments": {"a": 1}});
    let server = Scripted::answers([
        Answer::new(200, odd.to_string()),
        Answer::new(200, json!({"output": [item], "usage": 3}).to_string()),
    ]);
    let client = client(&server);
    let reply = client.send(&ChatRequest::ask("x")).unwrap();
    let calls = reply.message().unwrap().tool_calls.as_ref().unwrap();
    assert_eq!(calls[0].function.as_ref().unwrap().arguments, "{\"a\":1}");
    assert_eq!(calls[1].function.as_ref().unwrap().arguments, "");
    assert_eq!((reply.refusal(), reply.finish_reason()), (None, None));
    let reply = client.send(&ResponsesRequest::ask("x")).unwrap();
    assert_eq!(reply.output[0].arguments.as_deref(), Some("{\"a\":1}"));
}

#[test]
fn a_body_that_is_no_stream_is_told_as_what_it_is() {
    let server = Scripted::streams([StreamScript::new().piece("upstream connect error")]);
    let config = Config::new().api_key(ApiKey::new("sk-for-tests").unwrap()).max_retries(0);
    let client = Client::builder(config).transport(server).clock(ManualClock::new());
    let error = client.build().unwrap().stream(&ChatRequest::ask("x")).unwrap_err();
    assert!(error.to_string().contains("not a JSON object"), "{error}");
}

#[test]
fn deep_json_fits_on_the_stack_of_a_worker() {
    // The deepest that is read at all; where serde_json keeps the order of members, it takes more.
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let body = format!(r#"{{"error":{{"message":"no","param":{deep}}}}}"#);
    let server = Scripted::rule(move |_| Ok(Answer::new(400, body.as_str())));
    let ask = |_: &u32| ChatRequest::ask("x");
    let told =
        [0].par_send(client(&server).bulk(), ask).map(|_, reply| reply.unwrap_err().status());
    assert_eq!(told, [Some(400)]);
}
