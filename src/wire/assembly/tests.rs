use super::*;

/// Puts together a stream of these data.
fn assembled<T: AsRef<str>>(data: &[T]) -> (Assembly, Vec<Piece>) {
    let mut assembly = Assembly::new();
    let event = |data: &T| Event { data: data.as_ref().into(), ..Event::default() };
    let pieces = data.iter().map(|data| assembly.push(&event(data))).collect();
    (assembly, pieces)
}

fn chunk(choices: Value) -> String {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": choices,
           "usage": null, "obfuscation": "xyz"})
    .to_string()
}

fn delta(index: u64, delta: Value, finish: Value) -> String {
    chunk(json!([{"index": index, "delta": delta, "finish_reason": finish}]))
}

#[test]
fn a_chat_is_put_together_as_it_would_have_been_sent_at_once() {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11});
    let last = json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [],
                      "usage": usage});
    let (assembly, pieces) = assembled(&[
        delta(0, json!({"role": "assistant", "content": ""}), Value::Null),
        delta(1, json!({"role": "assistant", "content": ""}), Value::Null),
        delta(1, json!({"content": "B"}), Value::Null),
        delta(0, json!({"content": "Hel"}), Value::Null),
        delta(0, json!({"content": "lo", "reasoning_content": "th"}), json!("")),
        delta(0, json!({"reasoning_content": "ink"}), Value::Null),
        delta(0, json!({}), json!("stop")),
        delta(1, json!({}), json!("length")),
        last.to_string(),
        "[DONE]".into(),
    ]);
    assert!(assembly.is_done() && assembly.is_whole());
    assert_eq!(pieces.last(), Some(&Piece::Done));
    let expected = json!({
        "id": "c", "object": "chat.completion", "model": "m", "usage": usage,
        "choices": [
            {"index": 0, "finish_reason": "stop", "logprobs": null, "message": {
                "role": "assistant", "content": "Hello", "refusal": null,
                "reasoning_content": "think"}},
            {"index": 1, "finish_reason": "length", "logprobs": null, "message": {
                "role": "assistant", "content": "B", "refusal": null}},
        ],
    });
    assert_eq!(assembly.reply(), expected);
}

#[test]
fn logprobs_and_texts_of_completions_are_joined() {
    let chunk = |text: &str, token: &str, finish: Value| {
        json!({"object": "text_completion", "choices": [{"index": 0, "text": text,
            "finish_reason": finish,
            "logprobs": {"tokens": [token], "token_logprobs": [-0.5], "text_offset": [1]}}]})
        .to_string()
    };
    let (assembly, _) = assembled(&[chunk("a", "x", Value::Null), chunk("b", "y", json!("stop"))]);
    let reply = assembly.reply();
    assert_eq!(reply["object"], "text_completion");
    assert_eq!(reply["choices"][0]["text"], "ab");
    assert!(reply["choices"][0].get("message").is_none());
    assert_eq!(reply["choices"][0]["logprobs"]["tokens"], json!(["x", "y"]));
    let probe = |token: &str| {
        self::chunk(json!([{"index": 0, "delta": {"content": token},
            "logprobs": {"content": [{"token": token}], "refusal": null}}]))
    };
    let (assembly, _) = assembled(&[probe("a"), probe("b")]);
    let tokens = &assembly.reply()["choices"][0]["logprobs"]["content"];
    assert_eq!(tokens, &json!([{"token": "a"}, {"token": "b"}]));
}

/// The names and arguments of the calls in a stream of these pieces of calls.
fn calls(pieces: &[Value]) -> Vec<(String, String, String)> {
    let data: Vec<String> =
        pieces.iter().map(|piece| delta(0, json!({ "tool_calls": piece }), Value::Null)).collect();
    let reply = assembled(&data).0.reply();
    let message = &reply["choices"][0]["message"];
    assert!(message["content"].is_null());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let calls = message["tool_calls"].as_array().unwrap().iter();
    calls
        .map(|call| {
            assert!(call.get("index").is_none());
            let function = &call["function"];
            (text(&call["id"]), text(&function["name"]), text(&function["arguments"]))
        })
        .collect()
}

#[test]
fn calls_of_tools_are_joined_by_index_by_id_or_by_their_order() {
    let expected = |all: &[(&str, &str, &str)]| -> Vec<(String, String, String)> {
        all.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect()
    };
    // As OpenAI sends them, two at a time.
    let official = [
        json!([{"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}]),
        json!([{"index": 0, "function": {"arguments": "{\"a\""}}]),
        json!([{"index": 1, "id": "c1", "type": "function", "function": {"name": "g", "arguments": "{}"}}]),
        json!([{"index": 0, "function": {"arguments": ":1}"}}]),
    ];
    assert_eq!(calls(&official), expected(&[("c0", "f", "{\"a\":1}"), ("c1", "g", "{}")]));
    // Servers that tell id and name with each piece.
    let repeated = [
        json!([{"index": 0, "id": "c0", "function": {"name": "f", "arguments": "{"}}]),
        json!([{"index": 0, "id": "c0", "function": {"name": "f", "arguments": "}"}}]),
    ];
    assert_eq!(calls(&repeated), expected(&[("c0", "f", "{}")]));
    // Servers without an index.
    let without = [
        json!([{"id": "c0", "function": {"name": "f", "arguments": "{"}}]),
        json!([{"function": {"arguments": "}"}}]),
        json!([{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]),
    ];
    assert_eq!(calls(&without), expected(&[("c0", "f", "{}"), ("c1", "f", "{}")]));
    // Out of order.
    let late = [
        json!([{"index": 1, "id": "c1", "function": {"name": "g", "arguments": "{}"}}]),
        json!([{"index": 0, "id": "c0", "function": {"name": "f", "arguments": "{}"}}]),
    ];
    assert_eq!(calls(&late), expected(&[("c0", "f", "{}"), ("c1", "g", "{}")]));
}

#[test]
fn calls_of_servers_that_tell_them_apart_badly_are_not_mixed_up() {
    let two = [("c0", "f", "{}"), ("c1", "g", "{\"a\":1}")]
        .map(|(id, name, arguments)| (id.to_string(), name.to_string(), arguments.to_string()));
    // Gemini's and older Ollama's: each call whole, and all with the same index.
    let same_index = [
        json!([{"index": 0, "id": "c0", "function": {"name": "f", "arguments": "{}"}}]),
        json!([{"index": 0, "id": "c1", "function": {"name": "g", "arguments": "{\"a\":1}"}}]),
    ];
    assert_eq!(calls(&same_index), two);
    // Without index and id, whole and in pieces.
    let nothing = [
        json!([{"function": {"name": "f", "arguments": "{}"}},
               {"function": {"name": "f", "arguments": "{\"a\""}}]),
        json!([{"function": {"name": "f", "arguments": ":1}"}}]),
        json!([{"function": {"name": "g", "arguments": "{}"}}]),
    ];
    let names: Vec<_> = calls(&nothing).into_iter().map(|call| (call.1, call.2)).collect();
    let expected = [("f", "{}"), ("f", "{\"a\":1}"), ("g", "{}")];
    assert_eq!(names, expected.map(|(name, text)| (name.to_string(), text.to_string())));
    // Older vLLM's: a new id with each piece.
    let new_ids = [
        json!([{"index": 0, "id": "c0", "function": {"name": "f"}}]),
        json!([{"index": 0, "id": "x1", "function": {"arguments": "{\"a\""}}]),
        json!([{"index": 0, "id": "x2", "function": {"arguments": ":\"\\"}}]),
        json!([{"index": 0, "id": "x3", "function": {"arguments": "n\"}"}}]),
    ];
    let found = calls(&new_ids);
    assert_eq!((found.len(), found[0].2.as_str()), (1, "{\"a\":\"\\n\"}"));
    // An id that is empty after the first piece, a name that comes late, arguments that are no text.
    let empty_id = [
        json!([{"index": 0, "id": "c0", "function": {"arguments": ""}}]),
        json!([{"index": 0, "id": "", "function": {"name": "f", "arguments": {"a": 1}}}]),
    ];
    assert_eq!(calls(&empty_id), [("c0".into(), "f".into(), "{\"a\":1}".into())]);
}

#[test]
fn what_a_filter_says_again_with_each_part_is_kept_once_and_empty_heads_take_nothing_back() {
    // As Azure sends them: its filter speaks first, in the middle, and after the end.
    let found = |severity: &str| json!({"hate": {"filtered": false, "severity": severity}});
    let part = |head: &str, choices: Value| {
        json!({"id": head, "model": head, "created": head.len(), "object": "", "choices": choices})
            .to_string()
    };
    let (assembly, _) = assembled(&[
        json!({"id": "", "model": "", "created": 0, "object": "", "choices": [],
               "prompt_filter_results": [{"prompt_index": 0}]})
        .to_string(),
        part(
            "c",
            json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "content_filter_results": {}}]),
        ),
        part(
            "c",
            json!([{"index": 0, "delta": {"content": "Hi"}, "content_filter_results": found("safe")}]),
        ),
        part(
            "c",
            json!([{"index": 0, "delta": {"content": "!"}, "content_filter_results": found("safe")}]),
        ),
        part(
            "c",
            json!([{"index": 0, "delta": {}, "finish_reason": "stop", "content_filter_results": {}}]),
        ),
        part(
            "",
            json!([{"index": 0, "finish_reason": null, "content_filter_results": found("low")}]),
        ),
    ]);
    let reply = assembly.reply();
    assert_eq!(
        (&reply["id"], &reply["model"], &reply["created"]),
        (&json!("c"), &json!("c"), &json!(1))
    );
    assert_eq!(reply["prompt_filter_results"], json!([{"prompt_index": 0}]));
    let choice = &reply["choices"][0];
    assert_eq!(choice["content_filter_results"], found("low"));
    assert_eq!(
        (&choice["message"]["content"], &choice["finish_reason"]),
        (&json!("Hi!"), &json!("stop"))
    );
}

#[test]
fn usage_that_grows_with_each_part_is_that_of_the_last_one() {
    let part = |output: u64| {
        json!({"choices": [{"index": 0, "delta": {"content": "a"}}],
               "usage": {"prompt_tokens": 5, "completion_tokens": output,
                         "completion_tokens_details": {"reasoning_tokens": output}}})
        .to_string()
    };
    let last = json!({"choices": [], "usage": null}).to_string();
    let (assembly, _) = assembled(&[part(1), part(2), last]);
    let usage = assembly.reply()["usage"].clone();
    assert_eq!((&usage["completion_tokens"], &usage["prompt_tokens"]), (&json!(2), &json!(5)));
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 2);
}

#[test]
fn an_event_of_another_kind_is_no_part_of_a_chat() {
    let text = delta(0, json!({"content": "a"}), json!("stop"));
    let strange = r#"{"type":"billing","id":"other","model":"other","cost":3}"#;
    let (assembly, pieces) = assembled(&[strange, &text, r#"{"id":"x"}"#]);
    assert_eq!((&pieces[0], &pieces[2]), (&Piece::Nothing, &Piece::Nothing));
    assert_eq!(assembly.reply()["id"], "c");
    assert!(assembly.reply().get("cost").is_none());
    assert!(assembled(&[strange]).0.is_empty());
}

#[test]
fn the_last_word_of_chats_ends_no_response() {
    let begun = r#"{"type":"response.output_text.delta","delta":"Hel"}"#;
    let (assembly, _) = assembled(&[begun, DONE]);
    assert!(assembly.is_done() && !assembly.is_whole());
    assert!(assembled(&[DONE]).0.is_empty());
}

#[test]
fn parts_that_say_nothing_yet_are_told_from_those_that_do() {
    let of = |delta: Value| json!({"choices": [{"index": 0, "delta": delta}]});
    for part in [
        json!({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
        of(json!({"role": "assistant", "content": "", "refusal": null, "tool_calls": []})),
        json!({"choices": [{"text": "", "finish_reason": null}]}),
        json!({"type": "response.created", "response": {"background": false}}),
        json!({"type": "response.in_progress", "response": {}}),
    ] {
        assert!(is_prelude(&part), "{part}");
    }
    for part in [
        of(json!({"content": "a"})),
        of(json!({"content": "", "reasoning_content": "a"})),
        of(json!({"tool_calls": [{"index": 0}]})),
        of(json!({"refusal": "No"})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [{"index": 0, "message": {"content": "a"}}]}),
        json!({"choices": [{"text": "a"}]}),
        json!({"type": "response.created", "response": {"background": true}}),
        json!({"type": "response.output_item.added"}),
        json!({"type": "response.something_new"}),
    ] {
        assert!(!is_prelude(&part), "{part}");
    }
}

#[test]
fn every_form_of_error_in_a_stream_is_one() {
    let message = |piece: &Piece| match piece {
        Piece::Fault(fault) => {
            crate::wire::fault::read_fault(200, fault.to_string().as_bytes()).message
        }
        other => panic!("{other:?}"),
    };
    for data in [
        r#"{"error":{"message":"busy","code":"server_error"}}"#,
        r#"{"error":"busy"}"#,
        r#"{"id":"x","choices":[{"index":0,"finish_reason":"error"}],"error":{"message":"busy"}}"#,
        r#"{"object":"error","message":"busy","code":400}"#,
        r#"{"type":"error","code":"x","message":"busy","sequence_number":1}"#,
        r#"{"type":"error","sequence_number":2,"error":{"code":"x","message":"busy"}}"#,
        r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"x","message":"busy"}}}"#,
    ] {
        assert_eq!(message(&assembled(&[data]).1[0]), "busy", "{data}");
    }
    for data in ["busy", r#"{"message":"busy"}"#] {
        let event = Event { name: Some("error".into()), data: data.into(), ..Event::default() };
        assert_eq!(message(&Assembly::new().push(&event)), "busy", "{data}");
    }
}

#[test]
fn what_is_new_or_empty_does_not_end_a_stream_and_what_is_garbled_does() {
    let of = |name: Option<&str>, data: &str| {
        let event = Event { name: name.map(Into::into), data: data.into(), ..Event::default() };
        Assembly::new().push(&event)
    };
    assert_eq!(of(None, ""), Piece::Nothing);
    assert_eq!(of(Some("ping"), "OK"), Piece::Nothing);
    assert_eq!(of(None, r#"{"type":"keepalive","sequence_number":3}"#), Piece::Nothing);
    assert!(matches!(of(None, r#"{"error":null,"choices":[]}"#), Piece::Part(_)));
    assert!(matches!(of(None, r#"{"type":"response.brand_new","x":1}"#), Piece::Part(_)));
    assert_eq!(of(None, "{\"choices\":"), Piece::Unreadable);
    assert_eq!(of(None, "7"), Piece::Unreadable);
}

#[test]
fn a_chat_without_its_end_is_whole_only_if_each_answer_ended() {
    let mut data = vec![delta(0, json!({"content": "a"}), Value::Null)];
    assert!(!assembled(&data).0.is_whole());
    data.push(delta(0, json!({}), json!("stop")));
    let assembly = assembled(&data).0;
    assert!(assembly.is_whole() && !assembly.is_done());
    data.push(delta(1, json!({"content": "b"}), Value::Null));
    assert!(!assembled(&data).0.is_whole(), "another answer goes on");
    assert!(!Assembly::new().is_whole());
}

#[test]
fn a_response_is_the_one_of_its_last_event_and_before_that_what_came() {
    let steps = [
        r#"{"type":"response.created","response":{"id":"r","object":"response","output":[],"status":"in_progress"}}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}"#,
        r#"{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hel"}"#,
        r#"{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"lo"}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{}"}"#,
    ];
    let (assembly, _) = assembled(&steps);
    assert!(!assembly.is_whole());
    let reply = assembly.reply();
    assert_eq!(reply["id"], "r");
    assert_eq!(reply["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(reply["output"][1]["arguments"], "{}");
    let last = r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hello!"}]}]}}"#;
    let (assembly, _) = assembled(&[&steps[..], &[last]].concat());
    assert!(assembly.is_done() && assembly.is_whole());
    assert_eq!(assembly.reply()["output"][0]["content"][0]["text"], "Hello!");
    // A server that leaves out at the end what it has told before.
    let bare =
        r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[]}}"#;
    let (assembly, _) = assembled(&[&steps[..], &[bare]].concat());
    assert_eq!(assembly.reply()["status"], "completed");
    assert_eq!(assembly.reply()["output"][0]["content"][0]["text"], "Hello");
}

#[test]
fn the_official_examples_are_put_together() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/");
    let Ok(text) = std::fs::read_to_string(format!("{root}chat_stream_include_usage.sse")) else {
        eprintln!("skipped: {root} is not here");
        return;
    };
    let mut decoder = crate::wire::sse::Decoder::new(1 << 20);
    decoder.push(text.as_bytes()).unwrap();
    let mut assembly = Assembly::new();
    while let Some(event) = decoder.next_event() {
        assembly.push(&event);
    }
    assert!(assembly.is_done());
    assert_eq!(assembly.reply()["choices"][0]["message"]["content"], "Hello");
    assert_eq!(assembly.reply()["usage"]["total_tokens"], 10);
    let path = format!("{root}examples/createResponse__5_streaming.json");
    let example: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let events = example["response"]["body"].as_array().unwrap();
    let data: Vec<String> = events.iter().map(|event| event["data"].to_string()).collect();
    let (assembly, _) = assembled(&data);
    assert!(assembly.is_done());
    assert_eq!(assembly.reply()["status"], "completed");
    // What was put together on the way is what the end tells.
    let (mut early, _) = assembled(&data[..data.len() - 1]);
    let text = |reply: Value| reply["output"][0]["content"][0]["text"].clone();
    assert_eq!(text(early.reply()), text(assembly.reply()));
    early.push(&Event { data: data.last().unwrap().clone(), ..Event::default() });
    assert_eq!(early.reply(), assembly.reply());
}
