use serde_json::Value;

/// Whether a part only says that an answer begins. As long as no other has come, nothing is lost
/// where the request is sent again.
///
/// What waits in the background of a server tells its id at once: that is no prelude.
pub fn is_prelude(part: &Value) -> bool {
    match part["type"].as_str() {
        Some("response.created" | "response.in_progress") => {
            part["response"]["background"] != Value::Bool(true)
        }
        Some(kind) if kind.starts_with("response.") => false,
        _ => part["choices"].as_array().is_some_and(|choices| choices.iter().all(is_silent)),
    }
}

/// Whether nothing is said in a part of an answer but who speaks, or what a filter found.
fn is_silent(choice: &Value) -> bool {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let delta = choice["delta"].as_object().into_iter().flatten();
    let is_silent = delta.filter(|(key, _)| *key != "role").all(|(_, value)| !says(value));
    let others = ["text", "message", "finish_reason"];
    is_silent && !others.iter().any(|key| says(&choice[*key]))
}
