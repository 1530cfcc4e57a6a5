use super::wire::{CHAT, Wire, chat, get, post, try_call};
use openai_bulk::simulator::{Answers, Simulator};
use serde_json::{Value, json};

fn start() -> Simulator {
    Simulator::start().unwrap()
}

#[test]
fn a_chat_is_answered_with_usage_that_adds_up() {
    let simulator = start();
    let mut body = chat("Hello!");
    body["n"] = json!(3);
    let answer = post(&simulator, CHAT, body);
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(answer.header("openai-version"), Some("2020-10-01"));
    let reply = answer.json();
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["choices"].as_array().unwrap().len(), 3);
    assert_ne!(
        reply["choices"][0]["message"]["content"],
        reply["choices"][1]["message"]["content"]
    );
    let usage = &reply["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap();
    assert_eq!(count("prompt_tokens") + count("completion_tokens"), count("total_tokens"));
    let stats = simulator.stats();
    assert_eq!((stats.answers, stats.status(200)), (1, 1));
    assert_eq!(stats.completion_tokens, count("completion_tokens"));
}

#[test]
fn the_same_question_gets_the_same_answer_from_another_simulator() {
    let content = || post(&start(), CHAT, chat("Why?")).json()["choices"].clone();
    assert_eq!(content(), content());
}

#[test]
fn a_streamed_chat_is_the_same_text_in_pieces() {
    let simulator = start();
    let whole = post(&simulator, CHAT, chat("Tell me")).json();
    let mut body = chat("Tell me");
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let streamed = post(&simulator, CHAT, body);
    assert!(streamed.header("content-type").unwrap().starts_with("text/event-stream"));
    let mut events = streamed.events();
    assert_eq!(events.pop().unwrap().1, "[DONE]");
    let chunks: Vec<Value> =
        events.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    let text: String =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, whole["choices"][0]["message"]["content"]);
    let (last, others) = chunks.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole["usage"]);
    assert!(others.iter().all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some()));
    assert_eq!(others.last().unwrap()["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_short_limit_cuts_the_answer() {
    let mut body = chat("Tell me");
    body["max_completion_tokens"] = json!(2);
    let reply = post(&start(), CHAT, body).json();
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    assert_eq!(reply["usage"]["completion_tokens"], 2);
}

#[test]
fn structured_outputs_and_forced_tools_follow_their_schema() {
    let simulator = start();
    let schema = json!({"type": "object", "properties": {"age": {"type": "integer"}}});
    let mut body = chat("x");
    body["response_format"] =
        json!({"type": "json_schema", "json_schema": {"name": "a", "schema": schema}});
    let reply = post(&simulator, CHAT, body).json();
    assert_eq!(reply["choices"][0]["message"]["content"], "{\"age\":1}");
    let mut body = chat("x");
    body["tools"] = json!([{"type": "function", "function": {"name": "f", "parameters": schema}}]);
    body["tool_choice"] = json!("required");
    let reply = post(&simulator, CHAT, body).json();
    let call = &reply["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({"name": "f", "arguments": "{\"age\":1}"}));
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn known_questions_get_their_known_answers() {
    let mut answers = Answers::default();
    answers.insert("How many legs has a spider?", "8");
    let simulator = Simulator::builder().answers(answers).start().unwrap();
    for text in ["How many legs has a spider?", "Think. How many legs has a spider? Now!"] {
        let reply = post(&simulator, CHAT, chat(text)).json();
        assert_eq!(reply["choices"][0]["message"]["content"], "8");
    }
}

#[test]
fn responses_are_answered_whole_and_as_typed_events() {
    let simulator = start();
    let body = json!({"model": "gpt-5", "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "Hello"}]}]});
    let whole = post(&simulator, "/v1/responses", body.clone()).json();
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("completed")));
    let mut streaming = body;
    streaming["stream"] = json!(true);
    let events = post(&simulator, "/v1/responses", streaming).events();
    let data: Vec<Value> =
        events.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    for (at, ((name, _), data)) in events.iter().zip(&data).enumerate() {
        assert_eq!(name.as_deref(), data["type"].as_str());
        assert_eq!(data["sequence_number"], at);
    }
    let text: String = data.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(text, whole["output"][0]["content"][0]["text"]);
    assert_eq!(data[0]["type"], "response.created");
    assert_eq!(data.last().unwrap()["type"], "response.completed");
    assert_eq!(data.last().unwrap()["response"]["usage"], whole["usage"]);
}

#[test]
fn embeddings_come_as_numbers_and_as_base64_of_the_same_numbers() {
    let simulator = start();
    let ask = |format: &str| {
        let body = json!({"model": "text-embedding-3-small", "input": ["a", "b"],
            "dimensions": 8, "encoding_format": format});
        post(&simulator, "/v1/embeddings", body).json()
    };
    let numbers = ask("float");
    assert_eq!(numbers["data"][1]["index"], 1);
    assert_eq!(numbers["data"][0]["embedding"].as_array().unwrap().len(), 8);
    // 32 bytes are 44 letters in base64.
    assert_eq!(ask("base64")["data"][0]["embedding"].as_str().unwrap().len(), 44);
    assert_eq!(numbers["usage"], json!({"prompt_tokens": 2, "total_tokens": 2}));
    let usual = json!({"model": "text-embedding-3-large", "input": [1, 2, 3]});
    let reply = post(&simulator, "/v1/embeddings", usual).json();
    assert_eq!(reply["data"][0]["embedding"].as_array().unwrap().len(), 3_072);
}

#[test]
fn completions_and_moderations_are_answered() {
    let simulator = start();
    let body = json!({"model": "m", "prompt": ["a", "b"], "n": 2, "max_tokens": 7});
    let reply = post(&simulator, "/v1/completions", body).json();
    assert_eq!(reply["choices"].as_array().unwrap().len(), 4);
    assert_eq!(reply["object"], "text_completion");
    let body = json!({"model": "m", "prompt": "a", "stream": true});
    assert_eq!(post(&simulator, "/v1/completions", body).events().pop().unwrap().1, "[DONE]");
    for (input, flags) in [
        (json!("I want to kill them."), vec![true]),
        (json!(["a nice day", "kill"]), vec![false, true]),
        (json!([{"type": "text", "text": "hello"}, {"type": "image_url"}]), vec![false]),
    ] {
        let reply = post(&simulator, "/v1/moderations", json!({ "input": input })).json();
        let results = reply["results"].as_array().unwrap();
        let found: Vec<_> = results.iter().map(|r| r["flagged"].as_bool().unwrap()).collect();
        assert_eq!(found, flags);
        assert_eq!(reply["model"], "omni-moderation-latest");
    }
}

#[test]
fn models_are_listed_and_unknown_ones_refused() {
    let simulator = Simulator::builder().model("only").start().unwrap();
    assert_eq!(get(&simulator, "/v1/models").json()["data"][0]["id"], "only");
    assert_eq!(get(&simulator, "/v1/models/only").json()["object"], "model");
    assert_eq!(get(&simulator, "/v1/models/other").status, 404);
    let refused = post(&simulator, CHAT, chat("x"));
    assert_eq!(refused.status, 404);
    let error = &refused.json()["error"];
    assert_eq!(error["code"], "model_not_found");
    let words = "The model `gpt-4o-mini` does not exist or you do not have access to it.";
    assert_eq!(error["message"], words);
}

#[test]
fn keys_are_checked() {
    let simulator = Simulator::builder().key("sk-right").start().unwrap();
    let ask = |header: &str| {
        let mut wire = Wire::to(&simulator);
        let head = format!("GET /v1/models HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n");
        std::io::Write::write_all(&mut wire.socket, head.as_bytes()).unwrap();
        wire.answer().unwrap()
    };
    assert_eq!(ask("Authorization: Bearer sk-right").status, 200);
    assert_eq!(ask("api-key: sk-right").status, 200);
    let wrong = ask("Authorization: Bearer sk-wrong-and-long");
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.json()["error"]["code"], "invalid_api_key");
    assert_eq!(wrong.json()["status"], 401);
    for header in ["X: y", "Authorization: Bearer ", "Authorization: Basic abc"] {
        let none = ask(header);
        assert_eq!((none.status, &none.json()["error"]["code"]), (401, &Value::Null), "{header}");
    }
}

#[test]
fn wrong_bodies_are_refused_by_parameter_and_code() {
    let simulator = start();
    let message = |content: Value| json!([{"role": "user", "content": content}]);
    let with = |name: &str, value: Value| {
        let mut body = chat("x");
        body[name] = value;
        body
    };
    for (body, param, code) in [
        (json!({"messages": message(json!("x"))}), Value::Null, Value::Null),
        (with("model", json!(5)), json!("model"), json!("invalid_type")),
        (json!({"model": "m"}), json!("messages"), json!("missing_required_parameter")),
        (with("messages", json!("x")), json!("messages"), json!("invalid_type")),
        (with("messages", json!([])), json!("messages"), json!("empty_array")),
        (with("messages", message(json!(5))), json!("messages[0].content"), json!("invalid_type")),
        (
            with("messages", json!([{"role": "boss"}])),
            json!("messages[0].role"),
            json!("invalid_value"),
        ),
        (with("max_tokens", json!(-1)), json!("max_tokens"), json!("integer_below_min_value")),
        (with("temperature", json!(3)), json!("temperature"), json!("decimal_above_max_value")),
        (with("stream", json!("yes")), json!("stream"), json!("invalid_type")),
        (with("stream_options", json!({})), json!("stream_options"), Value::Null),
    ] {
        let answer = post(&simulator, CHAT, body.clone());
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.status, &error["param"], &error["code"]),
            (400, &param, &code),
            "{body}"
        );
        assert_eq!(error["type"], "invalid_request_error");
    }
    assert_eq!(try_call(&simulator, "POST", CHAT, "{not json").unwrap().status, 400);
    // A 256 KiB stack must hold what a hostile body can nest.
    assert_eq!(try_call(&simulator, "POST", CHAT, "[".repeat(100_000)).unwrap().status, 400);
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],"x":{deep}}}"#);
    assert_eq!(try_call(&simulator, "POST", CHAT, body).unwrap().status, 200);
}

#[test]
fn azure_paths_name_the_deployment() {
    let simulator = start();
    let body = json!({"messages": [{"role": "user", "content": "x"}]});
    let path = "/openai/deployments/my-gpt/chat/completions";
    let reply = post(&simulator, &format!("{path}?api-version=2024-10-21"), body.clone());
    assert_eq!(reply.json()["model"], "my-gpt");
    assert_eq!(post(&simulator, path, body).status, 404);
}

#[test]
fn a_prompt_that_is_too_long_is_refused() {
    let simulator = Simulator::builder().context_tokens(100).start().unwrap();
    let answer = post(&simulator, CHAT, chat(&"x".repeat(404)));
    assert_eq!(answer.json()["error"]["code"], "context_length_exceeded");
}
