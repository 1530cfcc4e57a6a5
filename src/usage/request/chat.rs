//! Messages, and the items of the Responses API.

use serde_json::{Map, Value};

use super::count::Sum;
use super::doubt::Doubt;
use super::image::{Detail, image_tokens};
use super::picture;

// Source: OpenAI's cookbook, "How to count tokens with tiktoken".
/// Tokens around each message.
const AROUND: u64 = 3;
/// Tokens that begin the answer.
const ANSWER: u64 = 3;
/// One more where a message has a name.
const NAME: u64 = 1;
/// The one snapshot whose messages are framed by four, and shorter by one with a name.
const OLDEST: &str = "gpt-3.5-turbo-0301";

/// Bytes of a file of sound that are a second, if it is not plain samples: 128 kbit/s.
const SOUND: u64 = 16_000;
/// Bytes of plain samples that are a second: 24 kHz, two bytes each.
const SAMPLES: u64 = 48_000;
/// Tokens for a second of sound. Source: the guide to sound, one token for each 100 ms.
const SECOND: u64 = 10;
/// Tokens for a file that is not text, of which nothing is known: those of an image.
const FILE: u64 = 765;

/// The messages of a chat.
pub(super) fn messages(sum: &mut Sum<'_>, request: &Map<String, Value>) {
    if !sum.is_framing_known() {
        sum.doubts.add(Doubt::Framing);
    }
    match request.get("messages") {
        Some(Value::Array(messages)) => messages.iter().for_each(|each| message(sum, each)),
        _ => sum.doubts.add(Doubt::Kind),
    }
    sum.add(ANSWER);
    for kept in ["web_search_options", "audio", "prediction"] {
        if request.get(kept).is_some_and(Value::is_object) {
            sum.doubts.add(Doubt::Elsewhere);
        }
    }
}

fn message(sum: &mut Sum<'_>, message: &Value) {
    let Value::Object(fields) = message else {
        sum.doubts.add(Doubt::Kind);
        return sum.json(message);
    };
    let is_oldest = sum.model == OLDEST;
    sum.add(if is_oldest { AROUND + 1 } else { AROUND });
    for (name, value) in fields {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("content", content) => self::content(sum, content),
            ("name", Value::String(name)) => {
                sum.text(name);
                if is_oldest {
                    sum.tokens -= 1;
                } else {
                    sum.add(NAME);
                }
            }
            ("tool_calls", Value::Array(calls)) => {
                sum.doubts.add(Doubt::Tools);
                calls.iter().for_each(|each| call(sum, each.get("function").unwrap_or(each)));
            }
            ("function_call", value) => {
                sum.doubts.add(Doubt::Tools);
                call(sum, value);
            }
            (_, Value::String(text)) => {
                if name == "tool_call_id" {
                    sum.doubts.add(Doubt::Tools);
                }
                sum.text(text);
            }
            (_, other) => {
                sum.doubts.add(Doubt::Kind);
                sum.json(other);
            }
        }
    }
}

/// A call of a tool that the model made before.
fn call(sum: &mut Sum<'_>, call: &Value) {
    for name in ["name", "arguments", "input"] {
        match call.get(name) {
            Some(Value::String(text)) => sum.text(text),
            Some(Value::Null) | None => {}
            Some(other) => sum.json(other),
        }
    }
}

/// A message's text, or its parts.
fn content(sum: &mut Sum<'_>, content: &Value) {
    match content {
        Value::String(text) => sum.text(text),
        Value::Array(parts) => {
            for each in parts {
                match each {
                    Value::Object(fields) => part(sum, fields),
                    Value::String(text) => sum.text(text),
                    other => {
                        sum.doubts.add(Doubt::Kind);
                        sum.json(other);
                    }
                }
            }
        }
        other => {
            sum.doubts.add(Doubt::Kind);
            sum.json(other);
        }
    }
}

/// A part of a message: text, an image, a file, sound.
pub(super) fn part(sum: &mut Sum<'_>, part: &Map<String, Value>) {
    let text = |name: &str| part.get(name).and_then(Value::as_str);
    match text("type").unwrap_or_default() {
        "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => {
            sum.text(text("text").unwrap_or_default());
        }
        "refusal" => sum.text(text("refusal").unwrap_or_default()),
        "image_url" | "input_image" => image(sum, part),
        "input_audio" => sound(sum, part.get("input_audio")),
        "file" => file(sum, part.get("file").and_then(Value::as_object)),
        "input_file" => file(sum, Some(part)),
        _ => {
            sum.doubts.add(Doubt::Kind);
            match text("text") {
                Some(text) => sum.text(text),
                None => sum.json(&Value::Object(part.clone())),
            }
        }
    }
}

/// An image: chat puts its address and detail into an object, the Responses API beside it.
fn image(sum: &mut Sum<'_>, part: &Map<String, Value>) {
    let source = part.get("image_url");
    let url = source.and_then(|source| source.as_str().or_else(|| source.get("url")?.as_str()));
    let detail = source.and_then(|source| source.get("detail")).or_else(|| part.get("detail"));
    let detail = Detail::named(detail.and_then(Value::as_str).unwrap_or("auto"));
    let size = url.and_then(picture::size_of_url);
    let (tokens, is_exact) = image_tokens(sum.model, size, detail);
    if !is_exact {
        sum.doubts.add(Doubt::Image);
    }
    sum.add(tokens);
}

fn sound(sum: &mut Sum<'_>, sound: Option<&Value>) {
    sum.doubts.add(Doubt::File);
    let text = |name: &str| sound.and_then(|sound| sound.get(name)).and_then(Value::as_str);
    // Four characters of base64 are three bytes.
    let bytes = text("data").unwrap_or_default().len() as u64 / 4 * 3;
    let second = if text("format") == Some("wav") { SAMPLES } else { SOUND };
    sum.add((bytes * SECOND).div_ceil(second));
}

fn file(sum: &mut Sum<'_>, file: Option<&Map<String, Value>>) {
    sum.doubts.add(Doubt::File);
    let data = file.and_then(|file| file.get("file_data")).and_then(Value::as_str);
    match data {
        Some(data) if data.starts_with("data:text/") => {
            // Text is given to the model as text, of about four bytes a token.
            sum.add((data.len() as u64 / 4 * 3).div_ceil(4));
        }
        _ => sum.add(FILE),
    }
}

/// A request of the Responses API.
pub(super) fn response(sum: &mut Sum<'_>, request: &Map<String, Value>) {
    // How its items are framed is not published for any model.
    sum.doubts.add(Doubt::Framing);
    if let Some(instructions) = request.get("instructions").filter(|text| !text.is_null()) {
        sum.add(AROUND + 1);
        content(sum, instructions);
    }
    match request.get("input") {
        Some(Value::String(text)) => {
            sum.add(AROUND + 1);
            sum.text(text);
        }
        Some(Value::Array(items)) => items.iter().for_each(|each| item(sum, each)),
        None | Some(Value::Null) => {}
        Some(other) => {
            sum.doubts.add(Doubt::Kind);
            sum.json(other);
        }
    }
    sum.add(ANSWER);
    for kept in ["previous_response_id", "conversation", "prompt"] {
        if request.get(kept).is_some_and(|value| !value.is_null()) {
            sum.doubts.add(Doubt::Elsewhere);
        }
    }
}

/// An item of the input: a message, a call of a tool, or its result.
fn item(sum: &mut Sum<'_>, item: &Value) {
    let Value::Object(fields) = item else {
        return match item {
            Value::String(text) => sum.text(text),
            other => {
                sum.doubts.add(Doubt::Kind);
                sum.json(other);
            }
        };
    };
    let kind = fields.get("type").and_then(Value::as_str);
    match kind.unwrap_or("message") {
        "message" => {
            sum.add(AROUND);
            sum.text(fields.get("role").and_then(Value::as_str).unwrap_or("user"));
            content(sum, fields.get("content").unwrap_or(&Value::Array(Vec::new())));
        }
        "function_call" | "custom_tool_call" => {
            sum.doubts.add(Doubt::Tools);
            sum.add(AROUND);
            call(sum, item);
        }
        "function_call_output" | "custom_tool_call_output" => {
            sum.doubts.add(Doubt::Tools);
            sum.add(AROUND);
            content(sum, fields.get("output").unwrap_or(&Value::Array(Vec::new())));
        }
        "reasoning" => {
            // What is encrypted counts as the thoughts that it holds, which nobody can see.
            sum.doubts.add(Doubt::Elsewhere);
            content(sum, fields.get("summary").unwrap_or(&Value::Array(Vec::new())));
        }
        "item_reference" => sum.doubts.add(Doubt::Elsewhere),
        "input_text" | "input_image" | "input_file" => part(sum, fields),
        _ => {
            sum.doubts.add(Doubt::Tools);
            sum.json(item);
        }
    }
}
