use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The steps of a response so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    /// The response as it was told last.
    response: Option<Value>,
    has_ended: bool,
    items: BTreeMap<u64, Value>,
}

impl Steps {
    pub(super) fn is_empty(&self) -> bool {
        self.response.is_none() && self.items.is_empty()
    }

    /// Whether the last event was there.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes in an event.
    pub(super) fn push(&mut self, event: &Value) {
        if event["response"].is_object() {
            self.response = Some(event["response"].clone());
        }
        let kind = event["type"].as_str().unwrap_or_default();
        let text = event["delta"].as_str().unwrap_or_default();
        match kind {
            "response.output_item.added" | "response.output_item.done" => {
                *self.item(event) = event["item"].clone();
            }
            "response.content_part.added" | "response.content_part.done" => {
                *self.part(event) = event["part"].clone();
            }
            "response.output_text.delta" => grow(self.part(event), "output_text", "text", text),
            "response.refusal.delta" => grow(self.part(event), "refusal", "refusal", text),
            "response.function_call_arguments.delta" => {
                grow(self.item(event), "function_call", "arguments", text);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.has_ended = true;
            }
            _ => {}
        }
    }

    fn item(&mut self, event: &Value) -> &mut Value {
        let index = event["output_index"].as_u64().unwrap_or(0);
        self.items.entry(index).or_default()
    }

    /// The part of a message that an event is about.
    fn part(&mut self, event: &Value) -> &mut Value {
        // No server sends parts without telling of them one after the other.
        let index = event["content_index"].as_u64().unwrap_or(0).min(1_000) as usize;
        let item = self.item(event);
        if !item.is_object() {
            *item = json!({ "type": "message", "role": "assistant", "status": "in_progress" });
        }
        if !item["content"].is_array() {
            item["content"] = json!([]);
        }
        let parts = item["content"].as_array_mut().expect("it was made one");
        if parts.len() <= index {
            parts.resize(index + 1, Value::Null);
        }
        &mut parts[index]
    }

    /// The response, with the items that it does not tell itself.
    pub(super) fn reply(&self) -> Value {
        let mut reply = self.response.clone().unwrap_or_else(|| json!({ "object": "response" }));
        let tells = reply["output"].as_array().is_some_and(|output| !output.is_empty());
        if !tells {
            reply["output"] = self.items.values().cloned().collect();
        }
        reply
    }
}

/// Lets the text under `key` go on, in an object that is made if it is not yet there.
fn grow(object: &mut Value, kind: &str, key: &str, more: &str) {
    if !object.is_object() {
        *object = json!({ "type": kind });
    }
    match &mut object[key] {
        Value::String(text) => text.push_str(more),
        other => *other = json!(more),
    }
}
