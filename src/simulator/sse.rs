//! The framing of server-sent events.

use serde_json::Value;

/// An event without a name, as chat completions send them.
pub(super) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event named by its type, as responses send them.
pub(super) fn event(value: &Value) -> String {
    format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap_or("message"))
}

/// The end of a stream of chat completions.
pub(super) const DONE: &str = "data: [DONE]\n\n";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line_of_data_and_an_empty_line() {
        assert_eq!(data(&json!({"a": "x\ny"})), "data: {\"a\":\"x\\ny\"}\n\n");
        let named = event(&json!({"type": "response.created"}));
        assert_eq!(named, "event: response.created\ndata: {\"type\":\"response.created\"}\n\n");
    }
}
