use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::wire::template::Template;

fn format() -> Format {
    Format { model: "gpt-d".into(), ..Format::default() }
}

fn row(format: &Format, text: &str) -> Row {
    format.parse(7, text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// The id, endpoint, model, body and metadata of a line.
fn said(format: &Format, text: &str) -> (String, String, String, String, String) {
    let row = row(format, text);
    let body = String::from_utf8(row.body.into_vec()).unwrap();
    serde_json::from_str::<serde::de::IgnoredAny>(&body).expect(&body);
    let metadata = row.metadata.map_or(String::new(), |m| m.get().to_owned());
    let model = row.model.map_or(String::new(), String::from);
    (row.custom_id.into(), row.url.into(), model, body, metadata)
}

fn wanted(parts: [&str; 5]) -> (String, String, String, String, String) {
    let [id, url, model, body, metadata] = parts.map(str::to_owned);
    (id, url, model, body, metadata)
}

#[test]
fn every_kind_of_line_becomes_a_request() {
    let chat = "/v1/chat/completions";
    for (text, parts) in [
        (
            r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}"#,
            ["a", chat, "m", r#"{"model":"m","messages":[]}"#, ""],
        ),
        (
            r#"{"body":{ "messages":[], "metadata":{"k":"v"} },"url":"https://api.openai.com/v1/chat/completions?x=1","method":"post","custom_id":"\u00e9","metadata":[1]}"#,
            [
                "é",
                chat,
                "gpt-d",
                r#"{"model":"gpt-d", "messages":[], "metadata":{"k":"v"} }"#,
                "[1]",
            ],
        ),
        (
            r#"{"custom_id":"a","url":"HTTP://localhost:1/v1/responses/","body":{}}"#,
            ["a", "/v1/responses", "gpt-d", r#"{"model":"gpt-d"}"#, ""],
        ),
        (
            r#"{"custom_id":"a","url":"/v1/moderations","body":{"input":"x"}}"#,
            ["a", "/v1/moderations", "", r#"{"input":"x"}"#, ""],
        ),
        (
            r#"{"custom_id":"a","body":{"input":"x","stream":false}}"#,
            ["a", "/v1/responses", "gpt-d", r#"{"model":"gpt-d","input":"x","stream":false}"#, ""],
        ),
        (
            r#" {"model":"m", "messages" : [1e400]} "#,
            ["line-7", chat, "m", r#"{"model":"m", "messages" : [1e400]}"#, ""],
        ),
        (
            r#"{"metadata":{"row": 1},"messages":[],"custom_id":"c","x":1.0}"#,
            ["c", chat, "gpt-d", r#"{"model":"gpt-d","messages":[],"x":1.0}"#, r#"{"row": 1}"#],
        ),
        (
            r#"{"model":"text-embedding-3-small","input":["a"]}"#,
            [
                "line-7",
                "/v1/embeddings",
                "text-embedding-3-small",
                r#"{"model":"text-embedding-3-small","input":["a"]}"#,
                "",
            ],
        ),
        (
            r#"{"model":"text-moderation-latest","input":"a"}"#,
            [
                "line-7",
                "/v1/moderations",
                "text-moderation-latest",
                r#"{"model":"text-moderation-latest","input":"a"}"#,
                "",
            ],
        ),
        (
            r#"{"model":"gpt-5","input":"a"}"#,
            ["line-7", "/v1/responses", "gpt-5", r#"{"model":"gpt-5","input":"a"}"#, ""],
        ),
        (
            r#"{"model":"davinci-002","prompt":"a"}"#,
            [
                "line-7",
                "/v1/completions",
                "davinci-002",
                r#"{"model":"davinci-002","prompt":"a"}"#,
                "",
            ],
        ),
        (
            r#"{"prompt":{"id":"pmpt_1"}}"#,
            [
                "line-7",
                "/v1/responses",
                "gpt-d",
                r#"{"model":"gpt-d","prompt":{"id":"pmpt_1"}}"#,
                "",
            ],
        ),
        (
            r#"{"prompt":"say \"a\"","id":17,"metadata":null}"#,
            [
                "17",
                chat,
                "gpt-d",
                r#"{"model":"gpt-d","messages":[{"role":"user","content":"say \"a\""}]}"#,
                "null",
            ],
        ),
        (
            r#"{"prompt":"a","id":1,"custom_id":"c"}"#,
            [
                "c",
                chat,
                "gpt-d",
                r#"{"model":"gpt-d","messages":[{"role":"user","content":"a"}]}"#,
                "",
            ],
        ),
    ] {
        assert_eq!(said(&format(), text), wanted(parts), "{text}");
    }
}

#[test]
fn a_prompt_goes_where_the_settings_say() {
    let system = Some("Be \"brief\".".to_owned());
    for (endpoint, body) in [
        (
            None,
            r#"{"model":"gpt-d","messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"a"}]}"#,
        ),
        (Some("/v1/responses"), r#"{"model":"gpt-d","instructions":"Be \"brief\".","input":"a"}"#),
        (Some("/v1/completions"), r#"{"model":"gpt-d","prompt":"a"}"#),
        (Some("/v1/embeddings"), r#"{"model":"gpt-d","input":"a"}"#),
        (Some("/v1/moderations"), r#"{"input":"a"}"#),
    ] {
        let format =
            Format { system: system.clone(), endpoint: endpoint.map(Into::into), ..format() };
        let url = endpoint.unwrap_or("/v1/chat/completions");
        let model = if endpoint == Some("/v1/moderations") { "" } else { "gpt-d" };
        assert_eq!(said(&format, r#"{"prompt":"a"}"#), wanted(["line-7", url, model, body, ""]));
    }
    let format = Format { endpoint: Some("/v1/responses".into()), ..format() };
    let body = r#"{"model":"own","input":"a"}"#;
    assert_eq!(
        said(&format, r#"{"prompt":"a","model":"own"}"#),
        wanted(["line-7", "/v1/responses", "own", body, ""])
    );
}

#[test]
fn a_template_makes_requests_of_rows_of_fields() {
    let bare =
        r#"{"messages":[{"role":"user","content":"Q: {q}"}],"n":"{n}","metadata":{"of":"{q}"}}"#;
    let batch =
        r#"{"custom_id":"q-{n}","url":"/v1/embeddings","body":{"model":"e","input":"{q}"}}"#;
    let plain = r#"{"custom_id":"{n}","input":"{q}"}"#;
    for (template, text, parts) in [
        (
            bare,
            r#"{"q":"why?","n":2,"id":"own"}"#,
            [
                "own",
                "/v1/chat/completions",
                "gpt-d",
                r#"{"model":"gpt-d","messages":[{"role":"user","content":"Q: why?"}],"n":2}"#,
                r#"{"of":"why?"}"#,
            ],
        ),
        (
            batch,
            r#"{"q":"why?","n":2,"id":"own","metadata":5}"#,
            ["q-2", "/v1/embeddings", "e", r#"{"model":"e","input":"why?"}"#, "5"],
        ),
        (
            plain,
            r#"{"q":[1],"n":2}"#,
            ["2", "/v1/responses", "gpt-d", r#"{"model":"gpt-d","input":[1]}"#, ""],
        ),
        (
            r#"{"prompt":"{q}"}"#,
            r#"{"q":"a"}"#,
            [
                "line-7",
                "/v1/chat/completions",
                "gpt-d",
                r#"{"model":"gpt-d","messages":[{"role":"user","content":"a"}]}"#,
                "",
            ],
        ),
    ] {
        let format = Format { template: Some(Template::parse(template).unwrap()), ..format() };
        assert_eq!(said(&format, text), wanted(parts), "{text}");
    }
}

#[test]
fn a_line_that_is_no_request_is_told_by_what_is_wrong() {
    let secret = "SECRET";
    for (text, message) in [
        ("", "the line is blank"),
        (r#"{"a":"SECRET""#, "not valid JSON: EOF while parsing an object (column 13)"),
        (r#"{"a":SECRET}"#, "not valid JSON: expected value (column 6)"),
        (r#"{"a":1} SECRET"#, "not valid JSON: trailing characters (column 9)"),
        (r#"["SECRET"]"#, "not a JSON object but a list: each line is one object"),
        (r#""SECRET""#, "not a JSON object but text: each line is one object"),
        ("[", "not a JSON object but a list: each line is one object"),
        ("\"SECRET", "not valid JSON: EOF while parsing a string (column 7)"),
        ("  {\"a\" SECRET}", "not valid JSON: expected `:` (column 8)"),
        ("17", "not a JSON object but a number: each line is one object"),
        ("SECRET", "not valid JSON: expected value (column 1)"),
        (r#"{"\ud800":1}"#, "not valid JSON: a key is not valid text"),
        (
            r#"{"text":"SECRET"}"#,
            "not a request: it has none of `body`, `messages`, `input` and `prompt`, only `text`; --template makes requests of such rows",
        ),
        (r#"{"custom_id":"a","method":"POST","url":"/v1/responses"}"#, "`body` is missing"),
        (
            r#"{"url":"/v1/responses","body":{}}"#,
            "`custom_id` is missing: it joins the answer to this line",
        ),
        (r#"{"custom_id":5,"url":"/v1/responses","body":{}}"#, "`custom_id` is a number, not text"),
        (r#"{"custom_id":"","url":"/v1/responses","body":{}}"#, "`custom_id` is empty"),
        (
            r#"{"custom_id":"\udc00","url":"/v1/responses","body":{}}"#,
            "`custom_id` is not valid text",
        ),
        (
            r#"{"custom_id":"a","method":"GET","url":"/v1/responses","body":{}}"#,
            "`method` is `GET`, only POST is sent",
        ),
        (
            r#"{"custom_id":"a","url":"/v1/images","body":{}}"#,
            "`url` is `/v1/images`; rows can be sent to /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/completions, /v1/moderations",
        ),
        (
            r#"{"custom_id":"a","url":"/v1/responses","body":"SECRET"}"#,
            "`body` is text, not an object",
        ),
        (
            r#"{"custom_id":"a","url":"/v1/embeddings","body":{"input":"SECRET","stream":true}}"#,
            "`stream` is true: what /v1/embeddings answers cannot be streamed",
        ),
        (
            r#"{"custom_id":"a","body":{"x":"SECRET"}}"#,
            "`url` is missing, and the body does not tell it",
        ),
        (r#"{"messages":[],"model":5}"#, "`model` is a number, not text"),
        (r#"{"messages":[],"model":""}"#, "`model` is empty"),
        (r#"{"messages":[],"custom_id":5}"#, "`custom_id` is a number, not text"),
        (
            r#"{"prompt":"SECRET","temperature":0}"#,
            "unknown field `temperature` beside `prompt`; --template makes requests of rows with fields of your own",
        ),
        (r#"{"prompt":["SECRET"]}"#, "`prompt` is a list, not text"),
        (r#"{"prompt":"SECRET","id":null}"#, "`id` is null, not text or a number"),
        (r#"{"prompt":"SECRET","id":""}"#, "`id` is empty"),
    ] {
        let e = format().parse(7, text.as_bytes()).expect_err(text);
        assert_eq!((e.line, &*e.message), (7, message), "{text}");
        assert!(!e.to_string().contains(secret));
    }
    let none = Format::default().parse(1, br#"{"prompt":"a"}"#).unwrap_err();
    assert_eq!(none.message, "no model: set one for rows that are only a prompt");
    let odd = Format { endpoint: Some("/v1/files".into()), ..format() };
    assert!(odd.parse(1, br#"{"prompt":"a"}"#).unwrap_err().message.starts_with("the endpoint is"));
}

#[test]
fn the_bytes_around_a_line_are_judged() {
    let text = br#"{"prompt":"a"}"#;
    let with = |before: &[u8], after: &[u8]| [before, text, after].concat();
    assert!(format().parse(1, &with(b"\xef\xbb\xbf", b"\r\n")).is_ok());
    assert!(format().parse(2, &with(b" \t", b" \r")).is_ok());
    for (line, text, message) in [
        (2, with(b"\xef\xbb\xbf", b""), "not valid JSON: expected value (column 1)"),
        (2, b"{\"prompt\":\"\xff\"}".to_vec(), "not valid UTF-8 (column 12)"),
        (1, b"\xff\xfe{\0".to_vec(), "the text is UTF-16; save it as UTF-8"),
    ] {
        assert_eq!(format().parse(line, &text).unwrap_err().message, message);
    }
}

#[test]
fn a_fingerprint_is_of_what_is_sent_and_of_nothing_else() {
    let of = |text: &str| row(&format(), text).fingerprint;
    let base =
        of(r#"{"custom_id":"a","url":"/v1/responses","body":{"model":"gpt-d","input":"é"}}"#);
    for same in [
        r#"{"body":{"input" : "\u00e9"},"url":"https://x/v1/responses","custom_id":"b","method":"POST"}"#,
        r#"{"input":"é","metadata":{"a":1},"custom_id":"c"}"#,
    ] {
        assert_eq!(of(same), base, "{same}");
    }
    for other in [
        r#"{"custom_id":"a","url":"/v1/embeddings","body":{"model":"gpt-d","input":"é"}}"#,
        r#"{"custom_id":"a","url":"/v1/responses","body":{"model":"gpt-e","input":"é"}}"#,
        r#"{"custom_id":"a","url":"/v1/responses","body":{"model":"gpt-d","input":"e"}}"#,
    ] {
        assert_ne!(of(other), base, "{other}");
    }
    // What is in the journals of earlier versions has to be found again.
    assert_eq!(fingerprint_hex(base), "324ba1f817f3cb04");
    assert_eq!(fingerprint_hex(id_hash("request-1")), "82545c8a03147d96");
}

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
        any::<String>().prop_map(|s| serde_json::Value::from(s).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[nrtbf/\"\\\\]|[ a-z\u{e9}\u{1f600}{}\\[\\]:,])*\"",
    ];
    let key =
        prop_oneof![Just("\"k\"".to_owned()), Just("\"a\\u0062\"".to_owned()), "\"[a-z]{0,3}\""];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let member = (key.clone(), "[ \t]{0,2}", inner.clone());
        prop_oneof![
            (prop::collection::vec(inner, 0..4), "[ \t]{0,2}")
                .prop_map(|(items, space)| format!("[{}]", items.join(&format!("{space},")))),
            prop::collection::vec(member, 0..4).prop_map(|members| {
                let each = members.iter().map(|(k, space, v)| format!("{k}{space}:{space}{v}"));
                format!("{{{}}}", each.collect::<Vec<_>>().join(" ,"))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_passes_byte_for_byte(value in json_text(), model in any::<bool>()) {
        let named = if model { r#""model":"m","# } else { "" };
        let body = format!(r#"{{{named}"x" : {value},"x":{value} }}"#);
        let sent = if model { body.clone() } else { body.replacen('{', r#"{"model":"gpt-d","#, 1) };
        let line = format!(r#"{{"custom_id":"a","url":"/v1/responses","body": {body}}}"#);
        let row = row(&format(), &line);
        prop_assert_eq!(std::str::from_utf8(&row.body).unwrap(), &sent);

        let bare = format!(r#"{{"input":{value} ,{}"#, &body[1..]);
        let sent = if model { bare.clone() } else { bare.replacen('{', r#"{"model":"gpt-d","#, 1) };
        let row = self::row(&format(), &bare);
        prop_assert_eq!(std::str::from_utf8(&row.body).unwrap(), &sent);
    }

    #[test]
    fn no_line_makes_the_reader_panic(text in prop::collection::vec(any::<u8>(), 0..80), line in 1u64..3) {
        let _ = format().parse(line, &text);
        let _ = read_output(&text);
        let _ = Template::parse(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn an_output_line_is_one_line_and_reads_back(
        id in any::<String>(), status in 0u16..1000, body in json_text(), broken in any::<Vec<u8>>(),
        valid in any::<bool>(), ok in any::<bool>(), fingerprint in any::<u64>(), line in any::<u64>(),
    ) {
        let body = if valid { format!("{{\r\n\"x\": {body}\n}}").into_bytes() } else { broken };
        let output = OutputLine {
            id: "batch_req_1",
            custom_id: &id,
            response: Some(Response { status_code: status, request_id: Some("req\n1"), body: Body::Any(&body) }),
            error: None,
            x_run: &json!({"fingerprint": fingerprint_hex(fingerprint), "line": line, "ok": ok}),
        };
        let mut out = b"before\n".to_vec();
        output.write(&mut out).unwrap();
        let text = &out[7..];
        prop_assert_eq!(text.iter().filter(|b| matches!(b, b'\n' | b'\r')).count(), 1);
        prop_assert_eq!(text.last(), Some(&b'\n'));
        let read = read_output(text).unwrap();
        prop_assert_eq!(&read.custom_id, &id);
        prop_assert_eq!(read.fingerprint, Some(fingerprint));
        prop_assert_eq!(read.line, Some(line));
        prop_assert_eq!(read.ok, ok && (200..300).contains(&status));
        for cut in 0..text.len() - 1 {
            prop_assert_eq!(read_output(&text[..cut]), None);
        }
    }
}

#[test]
fn the_lines_of_the_batch_api_are_read() {
    let of = |text: &str| read_output(text.as_bytes()).map(|o| (o.ok, o.status_code));
    for (text, wanted) in [
        (
            r#"{"id":"b","custom_id":"a","response":{"status_code":200,"request_id":"r","body":{}},"error":null}"#,
            Some((true, Some(200))),
        ),
        (
            r#"{"id":"b","custom_id":"a","response":{"status_code":400,"body":{"error":{}}},"error":null}"#,
            Some((false, Some(400))),
        ),
        (
            r#"{"id":"b","custom_id":"a","response":null,"error":{"code":"batch_expired","message":"m"}}"#,
            Some((false, None)),
        ),
        (
            r#"{"custom_id":"a","response":{"status_code":200},"error":{"code":"x"}}"#,
            Some((false, Some(200))),
        ),
        (
            r#"{"custom_id":"a","response":{"status_code":200},"x_run":{"ok":false}}"#,
            Some((false, Some(200))),
        ),
        (r#"{"custom_id":"a","response":{"status_code":0}}"#, Some((false, Some(0)))),
        (r#"{"custom_id":"a","url":"/v1/responses","method":"POST","body":{}}"#, None),
        (r#"{"custom_id":"a","response":{"status_code":200},"x_run":{"fingerprint":"zz"}}"#, None),
        (r#"{"response":null}"#, None),
        ("{}", None),
        ("[]", None),
    ] {
        assert_eq!(of(text), wanted, "{text}");
    }
    assert_eq!(read_output(b"{\"custom_id\":\"a\",\"x\":\"\xff\",\"response\":null}"), None);
}

#[test]
fn what_cannot_be_written_leaves_the_buffer_alone() {
    let odd = std::collections::BTreeMap::from([(vec![1], 1)]);
    let output =
        OutputLine { id: "", custom_id: "", response: None, error: Some(("c", "m")), x_run: &odd };
    let mut out = b"x".to_vec();
    assert!(output.write(&mut out).is_err());
    assert_eq!(out, b"x");
}

#[test]
fn a_row_may_ask_for_a_stream_unless_it_goes_into_a_batch() {
    let line = r#"{"custom_id":"a","url":"/v1/responses","body":{"input":"x","stream":true}}"#;
    let read = |format: &Format, line: &str| format.parse(1, line.as_bytes());
    assert!(read(&format(), line).unwrap().is_streamed);
    assert!(read(&format(), r#"{"messages":[],"stream": true}"#).unwrap().is_streamed);
    assert!(!read(&format(), r#"{"messages":[],"stream":false}"#).unwrap().is_streamed);
    assert!(!read(&format(), r#"{"prompt":"x"}"#).unwrap().is_streamed);
    let batch = Format { no_streams: true, ..format() };
    let error = read(&batch, line).unwrap_err();
    assert!(error.message.contains("a batch cannot stream; leave it out"), "{error}");
}
