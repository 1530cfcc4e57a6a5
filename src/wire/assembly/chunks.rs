use super::calls::Calls;
use super::merge::{merge, renew};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The chunks of a chat, or of completions, so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    /// The members of the reply that are told whole.
    head: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
}

/// One of the answers.
#[derive(Clone, Debug, Default)]
struct Choice {
    /// Its members but for the message.
    rest: Map<String, Value>,
    /// The message of a chat; completions have none.
    message: Option<Map<String, Value>>,
    calls: Calls,
}

impl Chunks {
    pub(super) fn push(&mut self, chunk: &Value) {
        for (key, value) in chunk.as_object().into_iter().flatten() {
            // Padding is no part of the reply.
            if key != "choices" && key != "obfuscation" {
                renew(&mut self.head, key, value);
            }
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or(0);
            self.choices.entry(index).or_default().push(choice);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.choices.is_empty()
    }

    /// Whether each answer has said why it ended.
    pub(super) fn is_finished(&self) -> bool {
        let is_ended = |choice: &Choice| choice.rest.contains_key("finish_reason");
        !self.choices.is_empty() && self.choices.values().all(is_ended)
    }

    pub(super) fn reply(&self) -> Value {
        let mut reply = self.head.clone();
        if reply.get("object").is_some_and(|object| object == "chat.completion.chunk") {
            reply.insert("object".into(), json!("chat.completion"));
        }
        let choices = self.choices.iter().map(|(index, choice)| choice.reply(*index));
        reply.insert("choices".into(), choices.collect());
        Value::Object(reply)
    }
}

impl Choice {
    fn push(&mut self, choice: &Value) {
        for (key, value) in choice.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("delta" | "message", Value::Object(delta)) => self.say(delta),
                ("delta" | "message" | "index", _) => {}
                // An empty reason is none.
                ("finish_reason", Value::Null) => {}
                ("finish_reason", Value::String(reason)) if reason.is_empty() => {}
                ("text" | "logprobs", value) => {
                    merge(&mut self.rest, &Map::from_iter([(key.clone(), value.clone())]));
                }
                // Anything else, such as what a filter found, is told anew each time.
                (key, value) => renew(&mut self.rest, key, value),
            }
        }
    }

    /// Lets the message go on.
    fn say(&mut self, delta: &Map<String, Value>) {
        let mut delta = delta.clone();
        let calls = delta.remove("tool_calls");
        calls.iter().filter_map(Value::as_array).flatten().for_each(|call| self.calls.push(call));
        merge(self.message.get_or_insert_default(), &delta);
    }

    fn reply(&self, index: u64) -> Value {
        let mut reply = self.rest.clone();
        reply.insert("index".into(), json!(index));
        reply.entry("finish_reason").or_insert(Value::Null);
        reply.entry("logprobs").or_insert(Value::Null);
        let Some(message) = &self.message else { return Value::Object(reply) };
        let mut message = message.clone();
        message.entry("role").or_insert_with(|| json!("assistant"));
        message.entry("refusal").or_insert(Value::Null);
        let content = message.entry("content").or_insert(Value::Null);
        if let Some(calls) = self.calls.reply() {
            // A model that only calls tools says nothing, not an empty text.
            if content.as_str() == Some("") {
                *content = Value::Null;
            }
            message.insert("tool_calls".into(), calls);
        }
        reply.insert("message".into(), Value::Object(message));
        Value::Object(reply)
    }
}
