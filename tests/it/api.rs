//! Typed requests and replies against the official examples and schemas.

use openai_bulk::api::{
    ChatReply, ChatRequest, CompletionsReply, CompletionsRequest, Content, EmbeddingsReply,
    EmbeddingsRequest, FinishReason, Message, Model, ModelList, ModerationsReply,
    ModerationsRequest, Part, Request, ResponsesReply, ResponsesRequest, Role,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn data() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai"));
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}

/// The examples of an operation, or of a schema, by name.
fn examples(beginning: &str) -> Vec<(String, Value)> {
    let Some(data) = data() else { return Vec::new() };
    let mut all = Vec::new();
    for entry in fs::read_dir(data.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        if name.starts_with(beginning) {
            all.push((name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()));
        }
    }
    assert!(!all.is_empty(), "there are examples of {beginning}");
    all
}

/// A value without the fields that are null: null and absent mean the same.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn loses_nothing<T: DeserializeOwned + Serialize>(name: &str, value: &Value) {
    let typed: T = serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let back = serde_json::to_value(&typed).unwrap();
    assert_eq!(without_nulls(&back), without_nulls(value), "{name}");
}

fn check<Q: DeserializeOwned + Serialize, R: DeserializeOwned + Serialize>(operation: &str) {
    for (name, example) in examples(&format!("{operation}__")) {
        let request = &example["request"]["body"];
        if request.is_object() {
            loses_nothing::<Q>(&name, request);
        }
        let reply = &example["response"]["body"];
        if reply.is_object() && reply.get("chunks").is_none() {
            loses_nothing::<R>(&name, reply);
        }
    }
}

#[test]
fn every_official_example_is_read_and_nothing_of_it_is_lost() {
    check::<ChatRequest, ChatReply>("createChatCompletion");
    check::<ResponsesRequest, ResponsesReply>("createResponse");
    check::<EmbeddingsRequest, EmbeddingsReply>("createEmbedding");
    check::<ModerationsRequest, ModerationsReply>("createModeration");
    check::<CompletionsRequest, CompletionsReply>("createCompletion");
    check::<Value, ModelList>("listModels");
    check::<Value, Model>("retrieveModel");
}

#[test]
fn the_text_of_a_reply_is_at_hand() {
    for (name, example) in examples("createChatCompletion__0") {
        let reply: ChatReply = serde_json::from_value(example["response"]["body"].clone()).unwrap();
        assert_eq!(reply.text(), "Hello! How can I assist you today?", "{name}");
        assert_eq!(reply.finish_reason(), Some(&FinishReason::Stop));
        assert_eq!(reply.usage.unwrap().total(), 29);
    }
    for (name, example) in examples("createResponse__0") {
        let reply: ResponsesReply =
            serde_json::from_value(example["response"]["body"].clone()).unwrap();
        assert!(reply.text().starts_with("In a peaceful grove"), "{name}");
        assert_eq!(reply.usage.unwrap().output(), 87);
    }
    for (_, example) in examples("createModeration__1") {
        let reply: ModerationsReply =
            serde_json::from_value(example["response"]["body"].clone()).unwrap();
        assert!(reply.flagged());
    }
}

fn validates(schema: &str, request: &impl Request) {
    let Some(data) = data() else { return };
    let path = data.join("schemas_relaxed").join(format!("{schema}.schema.json"));
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&request.body("gpt-4o-mini").unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&body).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{body}: {errors:?}");
}

#[test]
fn what_is_sent_is_valid_by_the_official_schemas() {
    validates("CreateChatCompletionRequest", &ChatRequest::ask("Hello!"));
    let parts = vec![Part::text("What is this?"), Part::image("data:image/png;base64,AAAA")];
    let full = ChatRequest::new("gpt-4o")
        .system("Be brief.")
        .developer("Be kind.")
        .user(parts)
        .assistant("A cat.")
        .message(Message::tool("call_1", "12"))
        .temperature(0.0)
        .top_p(0.5)
        .n(2)
        .seed(7)
        .stop(["\n"])
        .max_completion_tokens(100)
        .reasoning_effort("low")
        .response_format(json!({"type": "json_object"}))
        .tools(vec![json!({"type": "function", "function": {"name": "f", "parameters": {}}})])
        .tool_choice("auto")
        .service_tier("flex")
        .top_logprobs(3)
        .set("metadata", json!({"run": "1"}));
    validates("CreateChatCompletionRequest", &full);
    let response = ResponsesRequest::ask("Hello!")
        .instructions("Be brief.")
        .max_output_tokens(100)
        .temperature(1.0)
        .store(false);
    validates("CreateResponse", &response);
    let items = json!([{"role": "user", "content": [{"type": "input_text", "text": "Hello!"}]}]);
    validates("CreateResponse", &ResponsesRequest::new("gpt-5", items));
    let embeddings =
        EmbeddingsRequest::new("text-embedding-3-small", json!(["a", "b"])).dimensions(8).base64();
    validates("CreateEmbeddingRequest", &embeddings);
    validates("CreateEmbeddingRequest", &EmbeddingsRequest::new("m", json!([[1, 2], [3]])));
    validates(
        "CreateModerationRequest",
        &ModerationsRequest::new("text").model("omni-moderation-latest"),
    );
    validates(
        "CreateCompletionRequest",
        &CompletionsRequest::new("gpt-3.5-turbo-instruct", "Say").max_tokens(7),
    );
}

#[test]
fn a_request_that_cannot_be_valid_is_refused_before_it_is_sent() {
    let refused = |result: openai_bulk::Result<Vec<u8>>| {
        assert!(matches!(result, Err(openai_bulk::Error::Validation(_))));
    };
    refused(ChatRequest::new("m").body("d"));
    refused(ChatRequest::ask("q").set("stream", true).body("d"));
    refused(ResponsesRequest::ask("").body("d"));
    refused(ResponsesRequest::ask(json!([])).body("d"));
    refused(EmbeddingsRequest::new("m", json!(["a", ""])).body("d"));
    refused(ModerationsRequest::new(Value::Null).body("d"));
    refused(CompletionsRequest::new("m", Value::Null).body("d"));
    refused(openai_bulk::api::RetrieveModel::new("../files").body("d"));
}

#[test]
fn the_default_model_is_filled_in_and_no_field_is_sent_twice() {
    let body = ChatRequest::ask("q").set("brand_new", json!({"a": 1})).body("gpt-x").unwrap();
    let text = String::from_utf8(body).unwrap();
    assert_eq!(text.matches("\"model\"").count(), 1);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["model"], &value["brand_new"]["a"]), (&json!("gpt-x"), &json!(1)));
}

#[test]
fn replies_of_servers_that_are_only_similar_are_read() {
    let nothing: ChatReply = serde_json::from_str("{}").unwrap();
    assert_eq!(
        (nothing.text(), nothing.refusal(), nothing.usage.is_none()),
        (String::new(), None, true)
    );
    let nulls = json!({"id": null, "created": null, "model": null, "choices": null, "usage": null});
    let _: ChatReply = serde_json::from_value(nulls).unwrap();
    let odd = json!({
        "id": 17, "created": 1.7e9, "model": "m", "timings": {"ms": 3}, "service_tier": "golden",
        "choices": [{"index": 0, "finish_reason": "tired", "message": {
            "role": "oracle", "content": null, "reasoning_content": "hm", "tool_calls": null,
        }}],
        "usage": {"prompt_tokens": 3.0, "completion_tokens": null, "total_tokens": -1, "cost": 0.1},
    });
    let reply: ChatReply = serde_json::from_value(odd).unwrap();
    assert_eq!(reply.id.as_deref(), Some("17"));
    assert_eq!(reply.message().unwrap().role, Role::Other("oracle".into()));
    assert_eq!(reply.finish_reason(), Some(&FinishReason::Other("tired".into())));
    assert_eq!(reply.usage.as_ref().unwrap().total(), 3);
    assert_eq!(reply.extra["timings"]["ms"], 3);
    assert_eq!(reply.message().unwrap().extra["reasoning_content"], "hm");
    let parts = json!({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"type": "new", "x": 1}]}}]});
    let reply: ChatReply = serde_json::from_value(parts).unwrap();
    assert!(
        matches!(&reply.message().unwrap().content, Some(Content::Parts(parts)) if parts.len() == 2)
    );
    assert_eq!(reply.text(), "a");
    let _: ResponsesReply =
        serde_json::from_value(json!({"output": [{"type": "new"}, {}], "status": "odd"})).unwrap();
    let _: ModerationsReply = serde_json::from_value(
        json!({"results": [{"flagged": null, "categories": {"illicit": null}}]}),
    )
    .unwrap();
    let _: ModelList =
        serde_json::from_value(json!({"data": [{"id": "m", "created": null}]})).unwrap();
}

#[test]
fn embeddings_are_read_as_numbers_and_as_base64() {
    let numbers = json!({"data": [{"index": 0, "embedding": [0.5, -2]}, {"index": 1, "embedding": "AAAAPwAAAMA="}]});
    let reply: EmbeddingsReply = serde_json::from_value(numbers).unwrap();
    assert_eq!(reply.vectors().unwrap(), [[0.5, -2.0], [0.5, -2.0]]);
    for bad in [json!("AAA="), json!("!"), json!({}), json!(["x"])] {
        let reply: EmbeddingsReply =
            serde_json::from_value(json!({"data": [{"embedding": bad}]})).unwrap();
        assert!(reply.vectors().is_err());
    }
}
