//! Functions, and the form of the answer.

use serde_json::{Map, Value};

use super::count::Sum;
use super::doubt::Doubt;

// Source: OpenAI's cookbook, "How to count tokens with tiktoken".
/// Tokens around a function: for `gpt-4o` and later, and before.
const FUNCTION: [u64; 2] = [7, 10];
/// Once where a function has parameters.
const PARAMETERS: u64 = 3;
/// Around each parameter.
const PARAMETER: u64 = 3;
/// Once less where a parameter has its values listed.
const VALUES: u64 = 3;
/// Around each of these values.
const VALUE: u64 = 3;
/// Once after all functions.
const END: u64 = 12;

/// Parts of a schema that no rule is published for; their text is counted.
const DEEP: [&str; 7] = ["properties", "items", "anyOf", "oneOf", "allOf", "$ref", "const"];

/// The tools of a chat or of a response, and the form of its answer.
pub(super) fn tools(sum: &mut Sum<'_>, request: &Map<String, Value>) {
    let list =
        |name: &str| request.get(name).and_then(Value::as_array).map_or(&[][..], |list| list);
    let (tools, functions) = (list("tools"), list("functions"));
    if !sum.is_framing_known() && tools.len() + functions.len() > 0 {
        sum.doubts.add(Doubt::Tools);
    }
    tools.iter().for_each(|tool| self::tool(sum, tool));
    functions.iter().for_each(|each| function(sum, each));
    if tools.len() + functions.len() > 0 {
        sum.add(END);
    }
    for choice in ["tool_choice", "function_call"] {
        if request.get(choice).is_some_and(Value::is_object) {
            sum.doubts.add(Doubt::Tools);
        }
    }
    let format = request.get("response_format");
    form(sum, format.or_else(|| request.get("text")?.get("format")));
}

fn tool(sum: &mut Sum<'_>, tool: &Value) {
    let is_function = tool.get("type").and_then(Value::as_str) == Some("function");
    match tool.get("function") {
        Some(described) if is_function => function(sum, described),
        // The Responses API has no second object.
        _ if is_function => function(sum, tool),
        _ => {
            sum.doubts.add(Doubt::Tools);
            sum.json(tool);
        }
    }
}

fn function(sum: &mut Sum<'_>, function: &Value) {
    sum.add(if sum.is_new() { FUNCTION[0] } else { FUNCTION[1] });
    sum.text(&format!("{}:{}", text(function, "name"), description(function)));
    let schema = function.get("parameters");
    let Some(parameters) = schema.and_then(|schema| schema.get("properties")?.as_object()) else {
        return;
    };
    if schema.is_some_and(|schema| schema.get("$defs").is_some()) {
        sum.doubts.add(Doubt::Tools);
        sum.json(&schema.map_or(Value::Null, |schema| schema["$defs"].clone()));
    }
    if !parameters.is_empty() {
        sum.add(PARAMETERS);
    }
    parameters.iter().for_each(|(name, about)| parameter(sum, name, about));
}

fn parameter(sum: &mut Sum<'_>, name: &str, about: &Value) {
    sum.add(PARAMETER);
    if let Some(values) = about.get("enum").and_then(Value::as_array) {
        sum.tokens = sum.tokens.saturating_sub(VALUES);
        for value in values {
            sum.add(VALUE);
            match value {
                Value::String(text) => sum.text(text),
                other => sum.json(other),
            }
        }
    }
    let kind = match about.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(other) => {
            sum.doubts.add(Doubt::Tools);
            other.to_string()
        }
        None => String::new(),
    };
    sum.text(&format!("{name}:{kind}:{}", description(about)));
    for deep in DEEP {
        if let Some(schema) = about.get(deep) {
            sum.doubts.add(Doubt::Tools);
            sum.json(schema);
        }
    }
}

/// The description without one stop at its end.
fn description(of: &Value) -> &str {
    let text = text(of, "description");
    text.strip_suffix('.').unwrap_or(text)
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The form that is asked of the answer: chat puts the schema into an object of its own.
fn form(sum: &mut Sum<'_>, format: Option<&Value>) {
    let Some(format) = format else { return };
    if text(format, "type") != "json_schema" {
        return;
    }
    sum.doubts.add(Doubt::Format);
    let described = format.get("json_schema").unwrap_or(format);
    sum.text(text(described, "name"));
    sum.text(text(described, "description"));
    if let Some(schema) = described.get("schema") {
        sum.json(schema);
    }
}
