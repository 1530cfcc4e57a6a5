//! Requests in which a model may call tools: what is said, and how it goes on.

use super::message::{Message, Role, ToolCall};
use super::open::Extra;
use super::{ChatReply, ChatRequest, OutputItem, Request, ResponsesReply, ResponsesRequest};
use super::{Tool, Usage};
use serde_json::{Value, json};
use std::fmt;

/// A request in which the model may call tools; see `Client::tools`.
pub trait ToolRequest: Request<Reply: Clone + fmt::Debug> + Clone + fmt::Debug {
    /// What is said: messages of a chat, items of a response.
    type Said: Clone + fmt::Debug;

    /// The same request with these tools too.
    #[doc(hidden)]
    fn with_tools(self, tools: &[&Tool]) -> Self;

    /// What was said before the first turn.
    #[doc(hidden)]
    fn said(&self) -> Vec<Self::Said>;

    /// The same request after all that was said, the results of the last turn at the end.
    #[doc(hidden)]
    fn go_on(self, said: &[Self::Said], results: usize) -> Self;

    /// What the model said in a turn.
    #[doc(hidden)]
    fn heard(reply: &Self::Reply) -> Vec<Self::Said>;

    /// The tools that it calls in it.
    #[doc(hidden)]
    fn calls(reply: &Self::Reply) -> Vec<Wanted>;

    /// The result of a call.
    #[doc(hidden)]
    fn result(call: &Wanted, text: String) -> Self::Said;

    /// The tokens of a turn.
    #[doc(hidden)]
    fn usage(reply: &Self::Reply) -> Option<&Usage>;
}

/// A call that a model wants to be made.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The kind of item that it is, for responses.
    kind: String,
    /// The id that its result refers to.
    id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

impl ToolRequest for ChatRequest {
    type Said = Message;

    fn with_tools(mut self, tools: &[&Tool]) -> ChatRequest {
        add_tools(&mut self.extra, tools, Tool::for_chat);
        self
    }

    fn said(&self) -> Vec<Message> {
        self.messages.clone()
    }

    fn go_on(mut self, said: &[Message], _: usize) -> ChatRequest {
        relax(&mut self.extra);
        self.messages = said.to_vec();
        self
    }

    fn heard(reply: &ChatReply) -> Vec<Message> {
        // Not every server says who speaks.
        let said = reply.message().cloned().unwrap_or_default();
        vec![Message { role: Role::Assistant, ..said }]
    }

    fn calls(reply: &ChatReply) -> Vec<Wanted> {
        let calls = reply.message().and_then(|message| message.tool_calls.as_deref());
        let wanted = |call: &ToolCall| {
            let function = call.function.clone().unwrap_or_default();
            Wanted {
                kind: call.kind.clone().unwrap_or_default(),
                id: call.id.clone().unwrap_or_default(),
                name: function.name,
                arguments: function.arguments,
            }
        };
        calls.unwrap_or_default().iter().map(wanted).collect()
    }

    fn result(call: &Wanted, text: String) -> Message {
        Message::tool(call.id.as_str(), text)
    }

    fn usage(reply: &ChatReply) -> Option<&Usage> {
        reply.usage.as_ref()
    }
}

/// Nothing is left to the server's memory: each turn has all items of those before it, reasoning
/// included, so that servers that keep no responses work too.
impl ToolRequest for ResponsesRequest {
    type Said = Value;

    fn with_tools(mut self, tools: &[&Tool]) -> ResponsesRequest {
        add_tools(&mut self.extra, tools, Tool::for_responses);
        self
    }

    fn said(&self) -> Vec<Value> {
        match &self.input {
            Value::Null => Vec::new(),
            Value::Array(items) => items.clone(),
            Value::String(text) => vec![json!({"role": "user", "content": text})],
            item => vec![item.clone()],
        }
    }

    fn go_on(mut self, said: &[Value], results: usize) -> ResponsesRequest {
        relax(&mut self.extra);
        let is_kept = self.extra.contains_key("conversation");
        self.input = if is_kept {
            // The server adds to a conversation what it says itself.
            said[said.len() - results..].into()
        } else if self.extra.get("store") == Some(&Value::Bool(false)) {
            said.iter().filter_map(unstored).collect()
        } else {
            said.into()
        };
        self
    }

    fn heard(reply: &ResponsesReply) -> Vec<Value> {
        reply.output.iter().map(|item| json!(item)).collect()
    }

    fn calls(reply: &ResponsesReply) -> Vec<Wanted> {
        let is_call = |item: &&OutputItem| {
            ["function_call", "custom_tool_call"].contains(&item.kind.as_str())
        };
        let wanted = |item: &OutputItem| Wanted {
            kind: item.kind.clone(),
            id: item.call_id.clone().or_else(|| item.id.clone()).unwrap_or_default(),
            name: item.name.clone().unwrap_or_default(),
            arguments: item.arguments.clone().unwrap_or_default(),
        };
        reply.output.iter().filter(is_call).map(wanted).collect()
    }

    fn result(call: &Wanted, text: String) -> Value {
        json!({"type": format!("{}_output", call.kind), "call_id": call.id, "output": text})
    }

    fn usage(reply: &ResponsesReply) -> Option<&Usage> {
        reply.usage.as_ref()
    }
}

/// An item as a server takes it that was told to keep nothing: its id refers to nothing there, and
/// reasoning is only understood if it came in its sealed form.
fn unstored(item: &Value) -> Option<Value> {
    if item["type"] == "reasoning" {
        return item["encrypted_content"].is_string().then(|| item.clone());
    }
    let mut item = item.clone();
    if let Some(members) = item.as_object_mut() {
        members.remove("id");
    }
    Some(item)
}

fn add_tools(extra: &mut Extra, tools: &[&Tool], form: fn(&Tool) -> Value) {
    if tools.is_empty() {
        return;
    }
    let all = extra.entry("tools").or_insert(Value::Null);
    if !all.is_array() {
        *all = json!([]);
    }
    all.as_array_mut().into_iter().for_each(|all| all.extend(tools.iter().map(|tool| form(tool))));
}

/// What forces a call would force another one in each turn, without end.
fn relax(extra: &mut Extra) {
    let forces = match extra.get("tool_choice") {
        Some(Value::String(choice)) => choice == "required",
        Some(Value::Object(choice)) => {
            choice.get("type").is_some_and(|kind| kind != "allowed_tools")
        }
        _ => false,
    };
    if forces {
        extra.remove("tool_choice");
    }
}
