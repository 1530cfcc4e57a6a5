//! Requests of each kind, against published counts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::picture::tests::png;
use super::{Doubt, RequestTokens, count_request};
use crate::usage::Encoding;
use crate::usage::tokens::tests::shared;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

fn count(url: &str, request: &Value) -> RequestTokens {
    count_request(url, None, request.to_string().as_bytes())
}

fn doubts(tokens: &RequestTokens) -> Vec<&'static str> {
    tokens.doubts.iter().map(Doubt::name).collect()
}

fn o200k(text: &str) -> u64 {
    Encoding::O200kBase.count(text)
}

#[test]
fn the_cookbooks_counts_come_out_exactly() {
    let Some(data) = shared("tokens/chat_count_cases.json") else { return };
    let mut seen = Vec::new();
    for case in data["cases"].as_array().unwrap() {
        for (model, wanted) in case["expected"].as_object().unwrap() {
            let model = model.split(' ').next().unwrap();
            let mut request = json!({"model": model, "messages": case["messages"]});
            if case.get("tools").is_some() {
                request["tools"] = case["tools"].clone();
            }
            let tokens = count(CHAT, &request);
            assert_eq!(tokens.input, wanted.as_u64().unwrap(), "{model}");
            assert!(!tokens.is_estimate(), "{model}: {:?}", tokens.doubts);
            seen.push(tokens.input);
        }
    }
    for wanted in [129, 124, 105, 101, 127] {
        assert!(seen.contains(&wanted), "{seen:?}");
    }
}

#[test]
fn functions_of_the_old_form_count_as_tools() {
    let messages = json!([{"role": "user", "content": "Weather?"}]);
    let described = json!({"name": "f", "description": "Does it.", "parameters": {"type": "object",
        "properties": {"n": {"type": "integer", "description": "How many.", "enum": [1, 2]}}}});
    let old = json!({"model": "gpt-4", "messages": messages, "functions": [described]});
    let new = json!({"model": "gpt-4", "messages": messages,
        "tools": [{"type": "function", "function": described}]});
    assert_eq!(count(CHAT, &old), count(CHAT, &new));
    let plain = count(CHAT, &json!({"model": "gpt-4", "messages": messages})).input;
    // 10 + "f:Does it" (3) + 3 + 3 - 3 + 2 * (3 + 1) + "n:integer:How many" (5) + 12
    let text =
        Encoding::Cl100kBase.count("f:Does it") + Encoding::Cl100kBase.count("n:integer:How many");
    assert_eq!(count(CHAT, &new).input, plain + 10 + 3 + 3 - 3 + 2 * 4 + 12 + text);
}

#[test]
fn what_no_rule_is_published_for_is_an_estimate_that_says_why() {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let chat = |model: &str, more: Value| {
        let mut request = json!({"model": model, "messages": messages});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        doubts(&count(CHAT, &request))
    };
    let none: [&str; 0] = [];
    assert_eq!(chat("gpt-4o", json!({})), none);
    assert_eq!(chat("ft:gpt-4o-2024-08-06:acme::1", json!({})), none);
    assert_eq!(chat("gpt-5", json!({})), ["framing"]);
    assert_eq!(chat("gpt-6-sol", json!({})), ["model", "framing"]);
    assert_eq!(chat("gpt-4o", json!({"tools": [{"type": "web_search"}]})), ["tools"]);
    assert_eq!(chat("gpt-4o", json!({"response_format": {"type": "json_object"}})), none);
    let schema =
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    assert_eq!(chat("gpt-4o", json!({"response_format": schema})), ["format"]);
    let nested = json!({"type": "function", "function": {"name": "f", "parameters": {"properties": {
        "a": {"type": "object", "properties": {"b": {"type": "string"}}}}}}});
    assert_eq!(chat("gpt-4o", json!({"tools": [nested]})), ["tools"]);
    assert_eq!(
        chat(
            "gpt-4o",
            json!({"messages": [{"role": "tool", "tool_call_id": "c", "content": "1"}]})
        ),
        ["tools"]
    );
    assert_eq!(doubts(&count(RESPONSES, &json!({"model": "gpt-4o", "input": "hi"}))), ["framing"]);
    let earlier = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": "resp_1"});
    assert_eq!(doubts(&count(RESPONSES, &earlier)), ["framing", "elsewhere"]);
}

#[test]
fn images_count_by_the_size_that_their_data_tells() {
    let chat = |model: &str, url: &str, detail: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url, "detail": detail}});
        let text = json!({"type": "text", "text": "What is this?"});
        count(
            CHAT,
            &json!({"model": model, "messages": [{"role": "user", "content": [text, part]}]}),
        )
    };
    let around = 3 + 3 + 1 + o200k("What is this?");
    let exact = chat("gpt-4o", &png(1024, 1024), "high");
    assert_eq!((exact.input, exact.is_estimate()), (around + 765, false));
    let low = chat("gpt-4o", "https://example.com/cat.jpg", "low");
    assert_eq!((low.input, low.is_estimate()), (around + 85, false));
    let remote = chat("gpt-4o", "https://example.com/cat.jpg", "high");
    assert_eq!((remote.input, doubts(&remote)), (around + 765, vec!["image"]));
    let patches = chat("gpt-4.1-mini", &png(1024, 1024), "auto");
    assert_eq!((patches.input, doubts(&patches)), (around + 1659, vec!["framing"]));
    let part = json!({"type": "input_image", "image_url": png(2048, 4096), "detail": "high"});
    let items = json!([{"role": "user", "content": [part]}]);
    let response = count(RESPONSES, &json!({"model": "gpt-4o", "input": items}));
    assert_eq!(response.input, 3 + 3 + 1 + 1105);
}

#[test]
fn a_response_counts_instructions_items_tools_and_form() {
    let plain = count(RESPONSES, &json!({"model": "gpt-5", "input": "Hi there"}));
    let item = json!([{"role": "user", "content": [{"type": "input_text", "text": "Hi there"}]}]);
    assert_eq!(plain.input, count(RESPONSES, &json!({"model": "gpt-5", "input": item})).input);
    assert_eq!(plain.input, 3 + 3 + 1 + 2);
    let with = |more: Value| {
        let mut request = json!({"model": "gpt-5", "input": "Hi there"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        count(RESPONSES, &request).input - plain.input
    };
    assert_eq!(with(json!({"instructions": "Be brief."})), 4 + o200k("Be brief."));
    let function =
        json!({"type": "function", "name": "f", "description": "Does", "parameters": {}});
    assert_eq!(with(json!({"tools": [function]})), 7 + o200k("f:Does") + 12);
    let format =
        json!({"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}});
    assert_eq!(with(json!({"text": format})), 1 + o200k(r#"{"type":"object"}"#));
    let call = json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"},
        {"type": "function_call_output", "call_id": "c", "output": "two"}]);
    let calls = count(RESPONSES, &json!({"model": "gpt-5", "input": call}));
    assert_eq!(calls.input, 3 + 3 + o200k("f") + o200k("{\"a\":1}") + 3 + o200k("two"));
}

#[test]
fn embeddings_take_texts_and_numbers() {
    let model = "text-embedding-3-small";
    for (input, wanted) in [
        (json!("hello world"), (2, 2, 1)),
        (json!(["hello world", "hello"]), (3, 2, 2)),
        (json!([1, 2, 3]), (3, 3, 1)),
        (json!([[1, 2, 3], [4]]), (4, 3, 2)),
        (json!([]), (0, 0, 0)),
    ] {
        let tokens = count("/v1/embeddings", &json!({"model": model, "input": input}));
        assert_eq!((tokens.input, tokens.longest, tokens.inputs), wanted, "{input}");
        assert_eq!(tokens.ceiling(), Some(0));
        assert!(!tokens.is_estimate(), "{input}");
    }
}

#[test]
fn completions_and_moderations_take_prompts_alone() {
    let url = "/v1/completions";
    let model = "gpt-3.5-turbo-instruct";
    let tokens = count(url, &json!({"model": model, "prompt": "hello world"}));
    assert_eq!((tokens.input, tokens.ceiling(), tokens.is_estimate()), (2, Some(16), false));
    let several = json!({"model": model, "prompt": ["hello", "hello world"], "n": 2, "best_of": 5, "max_tokens": 7});
    let tokens = count(url, &several);
    assert_eq!((tokens.input, tokens.answers, tokens.ceiling()), (3, 10, Some(70)));
    assert_eq!(count(url, &json!({"model": model})).input, 1);
    let moderation = json!({"input": ["hello", {"type": "text", "text": "world"}]});
    let tokens = count("/v1/moderations", &moderation);
    assert_eq!((tokens.input, tokens.ceiling()), (2, Some(0)));
}

#[test]
fn the_ceiling_is_what_all_answers_may_have_together() {
    let chat = |more: &str| {
        let body = format!(r#"{{"messages":[]{more}}}"#);
        count_request(CHAT, Some("gpt-4o"), body.as_bytes()).ceiling()
    };
    assert_eq!(chat(""), None);
    assert_eq!(chat(r#","max_tokens":100"#), Some(100));
    assert_eq!(chat(r#","max_tokens":100,"max_completion_tokens":50,"n":3"#), Some(150));
    assert_eq!(chat(r#","max_tokens":1e2"#), Some(100));
    assert_eq!(chat(r#","max_tokens":null,"n":-4"#), None);
    assert_eq!(chat(r#","max_tokens":"many""#), None);
    assert_eq!(
        chat(r#","max_tokens":18446744073709551615,"n":18446744073709551615"#),
        Some(u64::MAX)
    );
    let response = json!({"input": "x", "max_output_tokens": 9, "n": 4});
    assert_eq!(count(RESPONSES, &response).ceiling(), Some(9));
}

#[test]
fn without_an_endpoint_the_body_tells_its_kind() {
    let messages = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(count("", &messages), count(CHAT, &messages));
    assert_eq!(count("https://x/v1/chat/completions", &messages), count(CHAT, &messages));
    let embed = json!({"model": "text-embedding-3-small", "input": "hi"});
    assert_eq!(count("/elsewhere", &embed), count("/v1/embeddings", &embed));
    let response = json!({"model": "gpt-5", "input": "hi"});
    assert_eq!(count("", &response), count(RESPONSES, &response));
    assert_eq!(doubts(&count("", &json!({"model": "gpt-4o"}))), ["kind"]);
}

#[test]
fn what_is_not_a_request_is_counted_as_text() {
    let deep = format!(r#"{{"messages":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for body in ["", "null", "[1,2]", "not json", "{\"messages\":", &deep] {
        let tokens = count_request(CHAT, Some("gpt-4o"), body.as_bytes());
        assert_eq!((tokens.input, doubts(&tokens)), (o200k(body), vec!["kind"]), "{}", body.len());
    }
    assert!(count_request(CHAT, None, b"\xff\xfe").is_estimate());
}

fn value() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "messages",
        "input",
        "prompt",
        "instructions",
        "tools",
        "functions",
        "function",
        "content",
        "role",
        "name",
        "type",
        "text",
        "image_url",
        "url",
        "detail",
        "input_audio",
        "data",
        "file",
        "file_data",
        "parameters",
        "properties",
        "enum",
        "response_format",
        "format",
        "json_schema",
        "schema",
        "tool_calls",
        "function_call",
        "arguments",
        "output",
        "summary",
        "max_tokens",
        "max_output_tokens",
        "n",
        "best_of",
        "suffix",
        "model",
        "$defs",
        "tool_choice",
        "unknown",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "text",
            "image_url",
            "input_image",
            "input_text",
            "function",
            "function_call",
            "message",
            "json_schema",
            "input_audio",
            "file",
            "reasoning",
            "data:image/png;base64,iVBORw0KGgo=",
            "gpt-4o",
            "gpt-3.5-turbo-0301",
            "user",
            "wav",
            "",
        ])
        .prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_survived_at_every_endpoint(request in value(), at in 0usize..6) {
        let url = crate::wire::row::ENDPOINTS.get(at).copied().unwrap_or("");
        let tokens = count(url, &request);
        prop_assert!(tokens.longest <= tokens.input);
    }

    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..60)) {
        count_request(CHAT, None, &body);
    }
}
