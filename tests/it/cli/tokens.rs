//! Counting without sending.

use crate::program::{Finished, Folder, Program, chat, chats};
use serde_json::{Value, json};

fn tokens(folder: &Folder, args: &[&str]) -> Program {
    folder.program().args(["tokens"]).args(args.iter().copied())
}

fn told(finished: Finished) -> Value {
    serde_json::from_str(&finished.ended(0).stdout).unwrap()
}

#[test]
fn a_text_has_one_count_by_the_vocabulary_of_the_model() {
    let folder = Folder::new();
    folder.write("text.txt", "お誕生日おめでとう<|endoftext|>");
    for (args, wanted) in [
        (vec!["text.txt", "--model", "gpt-4"], "16\n"),
        (vec!["text.txt", "--encoding", "cl100k_base"], "16\n"),
        (vec!["text.txt", "--encoding", "gpt2"], "21\n"),
    ] {
        let finished = tokens(&folder, &args).run().ended(0);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), (wanted, ""), "{args:?}");
    }
    assert_eq!(tokens(&folder, &[]).stdin("").run().ended(0).stdout, "0\n");
}

#[test]
fn the_numbers_of_the_tokens_are_those_of_tiktoken() {
    let folder = Folder::new();
    let ids = ["-", "--encoding", "cl100k_base", "--ids"];
    let finished = tokens(&folder, &ids).stdin("tiktoken is great!").run().ended(0);
    assert_eq!(finished.stdout, "83 1609 5963 374 2294 0\n");
    let json = tokens(&folder, &["--ids", "--json", "--model", "gpt-4"]).stdin("hello world");
    assert_eq!(
        told(json.run()),
        json!({"schema": 1, "kind": "text", "model": "gpt-4", "encoding": "cl100k_base",
            "tokens": 2, "ids": [15339, 1917], "estimate": false})
    );
}

#[test]
fn a_model_that_nobody_knows_is_counted_as_an_estimate() {
    let folder = Folder::new();
    let run = |model| tokens(&folder, &["--model", model, "--json"]).stdin("hello world").run();
    let unknown = run("gpt-6-sol").said(&["gpt-6-sol", "estimate", "o200k_base"]);
    assert_eq!(told(unknown)["estimate"], true);
    assert_eq!(told(run("gpt-5-2025-08-07"))["estimate"], false);
    tokens(&folder, &["--encoding", "klingon"]).stdin("x").run().ended(2).said(&["o200k_base"]);
}

#[test]
fn the_requests_of_a_file_are_counted_by_model() {
    let folder = Folder::new();
    let bare = r#"{"model":"text-embedding-3-small","input":["hello world","hello"]}"#;
    let prompt = r#"{"prompt":"hello","id":3}"#;
    folder.write("in.jsonl", chat("a", "hi") + bare + "\n\n" + prompt + "\n");
    let json = told(tokens(&folder, &["in.jsonl", "--json", "--model", "gpt-5"]).run());
    // 3 around the message, 1 for its role, 3 for the answer.
    assert_eq!(json["models"]["gpt-4o-mini"]["input_tokens"], 8);
    assert_eq!(json["models"]["gpt-4o-mini"]["estimated_rows"], 0);
    assert_eq!(json["models"]["text-embedding-3-small"]["input_tokens"], 3);
    assert_eq!(json["models"]["gpt-5"]["doubts"], json!({"framing": 1}));
    assert_eq!(
        (&json["rows"], &json["input_tokens"], &json["schema"]),
        (&json!(3), &json!(19), &json!(1))
    );
    let table = tokens(&folder, &["in.jsonl", "--model", "gpt-5"]).run().ended(0).stdout;
    for part in [
        "gpt-4o-mini             o200k_base ",
        "total",
        "~19",
        "1 framing",
        "longest: line 1 with 8",
    ] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
}

#[test]
fn what_a_file_is_can_be_seen_or_said() {
    let folder = Folder::new();
    let kind = |args: &[&str], text: &str| {
        told(tokens(&folder, &[args, &["--json"]].concat()).stdin(text).run())["kind"].clone()
    };
    assert_eq!(kind(&[], &chats(2)), "requests");
    assert_eq!(kind(&["--as", "text"], &chats(2)), "text");
    assert_eq!(kind(&["--ids"], &chats(2)), "text");
    assert_eq!(kind(&[], "{\"a\":1}\n"), "text");
    assert_eq!(kind(&["--template", r#"{"input":"{a}"}"#], "{\"a\":1}\n"), "requests");
    folder.write("rows.jsonl", "{\"a\":1}\n");
    tokens(&folder, &["rows.jsonl"]).run().ended(1).said(&["rows.jsonl", "line 1", "--as text"]);
    let skipped = tokens(&folder, &["rows.jsonl", "--skip-invalid", "--json"]).run();
    assert_eq!(told(skipped)["invalid"], 1);
    tokens(&folder, &["--as", "requests", "--ids"]).stdin("{}").run().ended(2);
}

#[test]
fn text_that_is_not_utf_8_says_what_to_do() {
    let folder = Folder::new();
    folder
        .write("latin.txt", b"caf\xe9!")
        .write("wide.txt", b"\xff\xfea\0")
        .write("cut.txt", b"a\xe2\x82");
    let run = |name: &str| tokens(&folder, &[name]).run().ended(1);
    run("latin.txt").said(&["latin.txt", "byte 4", "iconv"]);
    run("wide.txt").said(&["UTF-16", "iconv"]);
    run("cut.txt").said(&["byte 2"]);
    run("absent.txt").said(&["cannot read absent.txt"]);
}

#[test]
fn a_long_text_is_counted_in_parts() {
    let folder = Folder::new();
    let text = "Ships float. 船は浮く。".repeat(400_000);
    folder.write("long.txt", &text);
    let one = openai_bulk::usage::Encoding::Cl100kBase.count(&text);
    let finished = tokens(&folder, &["long.txt", "--model", "gpt-4"]).run().ended(0);
    assert_eq!(finished.stdout, format!("{one}\n"));
}
