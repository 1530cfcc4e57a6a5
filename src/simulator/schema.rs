//! An example of a JSON schema, for answers that must follow one.

use serde_json::{Map, Value, json};

/// A value that fits `schema`, with `text` where it asks for text.
pub(super) fn example(schema: &Value, text: &str) -> Value {
    of(schema, schema, text, 0)
}

fn of(schema: &Value, root: &Value, text: &str, depth: usize) -> Value {
    // A schema may refer to itself.
    if depth > 16 {
        return Value::Null;
    }
    let inner = |schema: &Value| of(schema, root, text, depth + 1);
    if let Some(target) = schema["$ref"].as_str() {
        let target = root.pointer(target.trim_start_matches('#'));
        return target.map_or(Value::Null, inner);
    }
    for (name, from) in [("const", None), ("enum", Some(0))] {
        if let Some(value) = schema.get(name) {
            return from.map_or_else(|| value.clone(), |at: usize| value[at].clone());
        }
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[name].get(0) {
            return inner(first);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => json!(text),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(1).min(100);
            (0..least).map(|_| inner(&schema["items"])).collect()
        }
        _ => {
            let members = schema["properties"].as_object();
            let made: Map<_, _> =
                members.into_iter().flatten().map(|(name, s)| (name.clone(), inner(s))).collect();
            Value::Object(made)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_has_each_member_in_its_type() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": ["integer", "null"]},
                "kind": {"enum": ["a", "b"]},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
            },
            "$defs": {"tag": {"type": "boolean"}},
        });
        let wanted = json!({"name": "x", "age": 1, "kind": "a", "tags": [true]});
        assert_eq!(example(&schema, "x"), wanted);
    }

    #[test]
    fn a_schema_that_holds_itself_comes_to_an_end() {
        let schema = json!({"properties": {"next": {"$ref": "#"}}});
        assert!(example(&schema, "x")["next"].is_object());
    }
}
