//! A row of a data set: what its fields hold.

use super::literal;
use super::sample::Input;
use serde_json::{Map, Value};

/// The fields of a row.
pub(super) struct Row<'a>(pub(super) &'a Map<String, Value>);

impl Row<'_> {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(text)
    }

    /// The same, without a text that is blank.
    pub(super) fn some(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.trim().is_empty())
    }

    pub(super) fn need(&self, name: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| {
            let names: Vec<_> = self.0.keys().take(12).map(|name| format!("`{name}`")).collect();
            format!("there is no text in the field `{name}`; the row has {}", names.join(", "))
        })
    }

    /// A text, or all texts of a list.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        match self.0.get(name) {
            Some(Value::Array(all)) => texts(name, all),
            _ => Ok(vec![self.need(name)?]),
        }
    }

    /// The texts of a list, which a table holds as JSON, Python or numpy prints it; none if there is
    /// no such field, or it is blank.
    pub(super) fn choices(&self, name: &str) -> Result<Vec<String>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(all)) => texts(name, all),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(Vec::new()),
            Some(Value::String(text)) => match literal::read(text) {
                Some(Value::Array(all)) => texts(name, &all),
                // As Inspect reads a table.
                _ => {
                    let by_comma = text.split(',').map(str::trim).filter(|one| !one.is_empty());
                    Ok(by_comma.map(str::to_owned).collect())
                }
            },
            Some(_) => Err(format!("the field `{name}` is no list")),
        }
    }

    /// An object, which a table holds as text.
    pub(super) fn object(&self, name: &str) -> Option<Map<String, Value>> {
        match self.0.get(name)? {
            Value::Object(object) => Some(object.clone()),
            Value::String(text) => match literal::read(text)? {
                Value::Object(object) => Some(object),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn input(&self) -> Result<Input, String> {
        let read;
        let messages = match self.0.get("input") {
            Some(Value::Array(messages)) => messages,
            Some(Value::String(text)) if text.trim_start().starts_with('[') => {
                match literal::read(text) {
                    Some(Value::Array(all)) if all.iter().all(|one| one.get("role").is_some()) => {
                        read = all;
                        &read
                    }
                    _ => return Ok(Input::Text(text.clone())),
                }
            }
            _ => return Ok(Input::Text(self.need("input")?)),
        };
        if messages.is_empty() {
            return Err("`input` has no message".to_owned());
        }
        if messages.iter().any(|one| one.get("role").is_none()) {
            return Err("a message of `input` has no role".to_owned());
        }
        Ok(Input::Messages(messages.clone()))
    }
}

fn texts(name: &str, all: &[Value]) -> Result<Vec<String>, String> {
    let wrong = || format!("the list `{name}` holds more than texts");
    all.iter().map(|one| text(one).ok_or_else(wrong)).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}
