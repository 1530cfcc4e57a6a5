use serde_json::{Map, Value};

/// Members whose value is told once, or again and again, and never in pieces.
const WHOLE: &[&str] = &["id", "type", "role", "index", "object", "model", "call_id"];

/// Adds a piece to what came before it: texts go on, lists grow, objects grow by members, and
/// anything else is what was told last. Null tells nothing.
pub(super) fn merge(before: &mut Map<String, Value>, piece: &Map<String, Value>) {
    for (key, more) in piece {
        if more.is_null() {
            continue;
        }
        let Some(known) = before.get_mut(key).filter(|known| !known.is_null()) else {
            before.insert(key.clone(), more.clone());
            continue;
        };
        match (known, more) {
            (Value::String(known), Value::String(more)) => join(key, known, more),
            (Value::Array(known), Value::Array(more)) => known.extend(more.iter().cloned()),
            (Value::Object(known), Value::Object(more)) => merge(known, more),
            (known, more) => *known = more.clone(),
        }
    }
}

fn join(key: &str, known: &mut String, more: &str) {
    let is_whole = WHOLE.contains(&key);
    // Some servers tell the name of a function with each piece of its arguments.
    let is_repeated = key == "name" && known == more;
    if is_whole && !more.is_empty() {
        more.clone_into(known);
    } else if !is_whole && !is_repeated {
        known.push_str(more);
    }
}

/// Takes over a member that is told whole each time. What is empty takes back nothing: some servers
/// leave a model or a time empty in parts that speak of something else.
pub(super) fn renew(before: &mut Map<String, Value>, key: &str, told: &Value) {
    match (before.get_mut(key), told) {
        (_, Value::Null) => {}
        (None, told) => drop(before.insert(key.into(), told.clone())),
        (Some(Value::Object(known)), Value::Object(told)) => {
            told.iter().for_each(|(key, told)| renew(known, key, told));
        }
        (Some(known), told) if !is_empty(told) => *known = told.clone(),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Null => true,
        Value::Bool(_) => false,
    }
}
