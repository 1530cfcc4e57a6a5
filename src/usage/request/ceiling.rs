//! The most that may be written.

use serde_json::{Map, Value};

use super::count::Kind;

/// What a completion writes at the most where it does not say. Source: the API reference of the
/// legacy completions.
const COMPLETION: u64 = 16;

/// The most tokens of each answer, or `None` where the request says nothing, and how many answers
/// are made.
pub(super) fn ceiling(kind: Kind, request: &Map<String, Value>) -> (Option<u64>, u64) {
    let number = |name: &str| request.get(name).and_then(number);
    let answers = |name: &str| number(name).unwrap_or(1).max(1);
    match kind {
        Kind::Chat => {
            (number("max_completion_tokens").or_else(|| number("max_tokens")), answers("n"))
        }
        Kind::Responses => (number("max_output_tokens"), 1),
        Kind::Completions => {
            let prompts = match request.get("prompt") {
                Some(Value::Array(list)) if !list.iter().all(Value::is_number) => list.len() as u64,
                _ => 1,
            };
            // The server makes `best_of` answers and charges all, also if it gives fewer.
            let each = answers("n").max(answers("best_of"));
            (Some(number("max_tokens").unwrap_or(COMPLETION)), each.saturating_mul(prompts))
        }
        Kind::Embeddings | Kind::Moderations => (Some(0), 1),
        Kind::Unknown => {
            let names = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
            (names.into_iter().find_map(number), answers("n"))
        }
    }
}

/// A count that was written as any number.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
}
