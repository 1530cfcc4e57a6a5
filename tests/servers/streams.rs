//! Rows that ask for a stream, which end in the line that they would have without one.

use crate::program::Folder;
use crate::{Server, body, chat, server};
use serde_json::{Value, json};

/// A server, if this build of the program can stream.
fn streaming(name: &str) -> Option<Server> {
    let can = Folder::new().program().args(["ask", "--help"]).run().code == Some(0);
    if !can {
        eprintln!("skipped: this build of the program does not stream");
    }
    server(name).filter(|_| can)
}

fn streamed(mut row: Value) -> Value {
    row["body"]["stream"] = json!(true);
    row["body"]["stream_options"] = json!({"include_usage": true});
    row
}

#[test]
fn a_stream_of_llama_becomes_the_line_of_a_plain_request() {
    let Some(server) = streaming("LLAMA") else { return };
    let row = |id| {
        let mut row = chat(id, "tiny-random", "hello there", 12);
        row["body"]["temperature"] = json!(0);
        row
    };
    let lines = server.send(&[row("plain"), streamed(row("stream"))], 0, &["--concurrency", "1"]);
    let (plain, stream) = (body(&lines["plain"]), body(&lines["stream"]));
    assert_eq!(
        (&stream["object"], &plain["object"]),
        (&json!("chat.completion"), &stream["object"])
    );
    let text = |body: &Value| body["choices"][0]["message"]["content"].clone();
    assert_eq!(text(stream), text(plain));
    assert_eq!(stream["usage"]["completion_tokens"], plain["usage"]["completion_tokens"]);
}

#[test]
fn a_stream_that_is_cut_is_no_answer() {
    let Some(server) = streaming("NGINX") else { return };
    let at = |path: &str| Server { url: server.url.replace("/v1", path) };
    let rows = [streamed(chat("r", "gpt-4o-mini", "hello", 20))];
    let whole = at("/s/20/1/v1").send(&rows, 0, &[]);
    assert_eq!(body(&whole["r"])["usage"]["completion_tokens"], 20);
    let cut = at("/cut/v1").send(&rows, 3, &[]);
    assert_eq!(cut["r"]["x_run"]["attempts"], 3);
}
