//! Bodies of requests whose answer is streamed.

use super::row::Members;

/// The paths whose answers can be streamed end in one of these.
const STREAMED: &[&str] = &["/chat/completions", "/completions", "/responses"];

/// Whether what is sent to `path` can be answered by a stream.
pub fn can_stream(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    STREAMED.iter().any(|end| path.ends_with(end))
}

/// The body of a request to `path` that asks for a stream, and for its usage where that has to be
/// asked for. What the body says itself about `stream_options` stays as it is.
///
/// A body that is no JSON object is left as it is: the server says what is wrong with it.
pub fn ask(path: &str, body: &[u8]) -> Vec<u8> {
    let Some(text) = std::str::from_utf8(body).ok() else { return body.to_vec() };
    let Ok(members) = Members::parse(text) else { return body.to_vec() };
    let says = |key: &str, value: &str| members.get(key).is_some_and(|said| said.get() == value);
    let is_missing = |key: &str| !members.has(key) || says(key, "null");
    let mut added = Vec::new();
    if !says("stream", "true") {
        added.push(("stream", "true"));
    }
    // Responses tell their usage without being asked, and refuse the option.
    if !path.contains("/responses") && is_missing("stream_options") {
        added.push(("stream_options", r#"{"include_usage":true}"#));
    }
    let replaced: Vec<&str> = added.iter().map(|(key, _)| *key).collect();
    let rest = if replaced.iter().any(|key| members.has(key)) {
        members.without(&replaced)
    } else {
        text.trim_ascii().to_owned()
    };
    let rest = rest.strip_prefix('{').unwrap_or(&rest).trim_ascii_start();
    let mut asked = String::from("{");
    for (key, value) in added {
        asked.push_str(&format!(r#""{key}":{value},"#));
    }
    if rest.starts_with('}') && asked.len() > 1 {
        asked.pop();
    }
    (asked + rest).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_asked_for_with_its_usage_and_what_was_said_stays() {
        const CHAT: &str = "/v1/chat/completions";
        for (path, body, asked) in [
            (
                CHAT,
                r#"{"a":1}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true},"a":1}"#,
            ),
            (CHAT, "{}", r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
            (
                CHAT,
                r#" {"a":1,"stream":true} "#,
                r#"{"stream_options":{"include_usage":true},"a":1,"stream":true}"#,
            ),
            (
                CHAT,
                r#"{"stream":false,"a":1,"stream_options":null}"#,
                r#"{"stream":true,"stream_options":{"include_usage":true},"a":1}"#,
            ),
            (
                CHAT,
                r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
                r#"{"stream":true,"stream_options":{"include_usage":false}}"#,
            ),
            ("/v1/responses", r#"{"input":"x"}"#, r#"{"stream":true,"input":"x"}"#),
            (CHAT, "[1]", "[1]"),
        ] {
            assert_eq!(String::from_utf8(ask(path, body.as_bytes())).unwrap(), asked, "{body}");
        }
    }

    #[test]
    fn only_what_writes_text_can_be_streamed() {
        assert!(can_stream("/v1/chat/completions") && can_stream("/v1/responses?x=1"));
        assert!(!can_stream("/v1/embeddings") && !can_stream("/v1/moderations"));
    }
}
