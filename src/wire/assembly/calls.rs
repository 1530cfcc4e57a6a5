use super::merge::merge;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// The tools that an answer calls, so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// A tool that is called.
#[derive(Clone, Debug)]
struct Call {
    index: Option<u64>,
    members: Map<String, Value>,
}

/// What a piece says of the call that it belongs to; what is empty says nothing.
struct Told<'a> {
    index: Option<u64>,
    id: Option<&'a str>,
    name: Option<&'a str>,
}

impl Calls {
    /// Adds a piece to the call that it belongs to: by its index, by its id, or, where neither is
    /// told, to the last one.
    pub(super) fn push(&mut self, piece: &Value) {
        let Some(members) = piece.as_object() else { return };
        let mut members = members.clone();
        write_out(&mut members);
        let index = piece["index"].as_u64();
        let told = Told { index, id: text(&piece["id"]), name: text(&piece["function"]["name"]) };
        let found = match (told.index, told.id) {
            (Some(_), _) => self.0.iter().rposition(|call| call.index == told.index),
            (None, Some(_)) => self.0.iter().rposition(|call| call.member("id") == told.id),
            (None, None) => self.0.len().checked_sub(1),
        };
        match found.filter(|&at| !self.0[at].is_before(&told)) {
            Some(at) => merge(&mut self.0[at].members, &members),
            None => self.0.push(Call { index, members }),
        }
    }

    /// The calls as a whole answer has them; `None` if there are none.
    pub(super) fn reply(&self) -> Option<Value> {
        let mut calls = self.0.clone();
        calls.sort_by_key(|call| call.index);
        let calls = calls.into_iter().map(|mut call| {
            call.members.remove("index");
            Value::Object(call.members)
        });
        (!self.0.is_empty()).then(|| calls.collect())
    }
}

impl Call {
    fn member(&self, key: &str) -> Option<&str> {
        self.members.get(key).and_then(text)
    }

    /// Whether it is over, and a piece that seems to belong to it begins another one. Some servers
    /// give all calls the same index, or neither index nor id; others give each piece a new id, or
    /// repeat the name.
    fn is_before(&self, told: &Told<'_>) -> bool {
        let function = self.members.get("function").unwrap_or(&Value::Null);
        let (Some(known), Some(name)) = (text(&function["name"]), told.name) else { return false };
        let arguments = text(&function["arguments"]).unwrap_or_default();
        let is_complete = serde_json::from_str::<IgnoredAny>(arguments).is_ok();
        match (told.index, told.id) {
            (None, None) => name != known || is_complete,
            _ => is_complete && told.id.is_some() && told.id != self.member("id"),
        }
    }
}

/// Arguments are a JSON text; a server that sends the object itself means the same.
fn write_out(call: &mut Map<String, Value>) {
    let arguments = call.get_mut("function").and_then(|function| function.get_mut("arguments"));
    if let Some(arguments) = arguments.filter(|value| value.is_object() || value.is_array()) {
        *arguments = Value::String(arguments.to_string());
    }
}

/// A text that says something.
fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}
