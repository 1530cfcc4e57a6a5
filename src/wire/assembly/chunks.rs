use super::merge::merge;
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
    calls: Vec<Call>,
}

/// A tool that is called.
#[derive(Clone, Debug)]
struct Call {
    index: Option<u64>,
    members: Map<String, Value>,
}

impl Chunks {
    pub(super) fn push(&mut self, chunk: &Value) {
        for (key, value) in chunk.as_object().into_iter().flatten() {
            // Padding is no part of the reply.
            if key != "choices" && key != "obfuscation" && !value.is_null() {
                self.head.insert(key.clone(), value.clone());
            }
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or(0);
            self.choices.entry(index).or_default().push(choice);
        }
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
        let mut rest = choice.as_object().cloned().unwrap_or_default();
        let delta = rest.remove("delta").or_else(|| rest.remove("message"));
        // An empty reason is none.
        rest.retain(|key, value| key != "finish_reason" || value.as_str() != Some(""));
        if let Some(reason) = rest.remove("finish_reason").filter(|reason| !reason.is_null()) {
            self.rest.insert("finish_reason".into(), reason);
        }
        merge(&mut self.rest, &rest);
        if let Some(Value::Object(mut delta)) = delta {
            for call in
                delta.remove("tool_calls").as_ref().and_then(Value::as_array).into_iter().flatten()
            {
                self.call(call);
            }
            merge(self.message.get_or_insert_default(), &delta);
        }
    }

    /// Adds a piece of a call to the one that it belongs to: by its index, by its id, or, where
    /// neither is told, to the last one.
    fn call(&mut self, piece: &Value) {
        let Some(members) = piece.as_object() else { return };
        let index = piece["index"].as_u64();
        let id = piece["id"].as_str().filter(|id| !id.is_empty());
        let has_id =
            |call: &Call| id.is_some() && call.members.get("id").and_then(Value::as_str) == id;
        let known = match (index, id) {
            (Some(_), _) => self.calls.iter().position(|call| call.index == index),
            (None, Some(_)) => self.calls.iter().position(has_id),
            (None, None) => self.calls.len().checked_sub(1),
        };
        match known {
            Some(at) => merge(&mut self.calls[at].members, members),
            None => self.calls.push(Call { index, members: members.clone() }),
        }
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
        if !self.calls.is_empty() {
            // A model that only calls tools says nothing, not an empty text.
            if content.as_str() == Some("") {
                *content = Value::Null;
            }
            let mut calls = self.calls.clone();
            calls.sort_by_key(|call| call.index);
            let calls = calls.into_iter().map(|mut call| {
                call.members.remove("index");
                Value::Object(call.members)
            });
            message.insert("tool_calls".into(), calls.collect());
        }
        reply.insert("message".into(), Value::Object(message));
        Value::Object(reply)
    }
}
