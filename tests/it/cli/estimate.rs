//! What a run would cost, before it is paid.

use crate::program::{Folder, chat, chats, simulator};
use serde_json::{Value, json};

const PRICES: &str = r#"{"format":1,"as_of":"2026-01-02","source":"a test","models":{
    "gpt-4o-mini":{"max_input":50,"max_output":10,"standard":{"input":1,"output":10},
                   "batch":{"input":0.5,"output":5}}}}"#;

#[test]
fn rows_tokens_costs_and_times_are_told_side_by_side() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(100)).write("prices.json", PRICES);
    let run = |more: &[&str]| {
        let args = ["estimate", "in.jsonl", "--prices", "prices.json", "--expected-output", "4"];
        folder.program().args(args).args(more.iter().copied()).run().ended(0).stdout
    };
    let json: Value =
        serde_json::from_str(&run(&["--json", "--requests-per-minute", "50"])).unwrap();
    // "question 7?" is 4 tokens, with 7 around them.
    assert_eq!(json["tokens"]["input_tokens"], 1_100);
    assert_eq!(
        json["sums"]["output_tokens"],
        json!({"low": 100, "expected": 400, "high": 1_000, "rows_without_high": 0})
    );
    let costs = |way: &str| ["low", "expected", "high"].map(|each| json["sums"][way][each].clone());
    assert_eq!(costs("live"), ["0.0021", "0.0051", "0.0111"]);
    assert_eq!(costs("batch"), ["0.00105", "0.00255", "0.00555"]);
    assert_eq!(costs("flex"), [Value::Null, Value::Null, Value::Null]);
    assert_eq!(json["sums"]["flex"]["rows_without_price"], 100);
    assert_eq!(json["time"]["live"]["expected"], 120.0);
    assert_eq!(json["time"]["batch_at_most"], 86_400.0);
    assert_eq!(json["models"]["gpt-4o-mini"]["expected_from"], "given");
    assert_eq!((&json["schema"], &json["prices"]["as_of"]), (&json!(1), &json!("2026-01-02")));
    let table = run(&["--tokens-per-minute", "10"]);
    for part in [
        "rows              100 in all, 100 to send",
        "input tokens      1100",
        "low 100, expected 400, high 1000",
        "live   $0.0021   $0.0051   $0.0111       2h30m\n",
        "flex   unknown   unknown   unknown  at least 2h30m\n",
        "at most 24h00m",
        "flex: no price is known",
        "10 tokens a minute",
        "as of 2026-01-02; a test",
        "100 rows are too large:\n  line 1: 11 tokens with its ceiling, the limit is 10 a minute",
        "and 80 more",
    ] {
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed(&table).contains(&squeezed(part)), "`{part}` is not in\n{table}");
    }
    assert!(run(&[]).contains("time: not known without --requests-per-minute"), "{}", run(&[]));
    // A limit by the day makes days of it, as it does of a run.
    let days = run(&["--requests-per-minute", "50", "--requests-per-day", "40"]);
    for part in ["36h00m", "50 requests a minute and 40 requests a day for each model"] {
        assert!(days.contains(part), "`{part}` is not in\n{days}");
    }
    let json: Value = serde_json::from_str(&run(&["--json", "--tokens-per-day", "750"])).unwrap();
    assert_eq!(json["time"]["live"]["expected"], 86_400.0);
    assert_eq!((&json["tokens_per_day"], &json["requests_per_day"]), (&json!(750), &Value::Null));
}

#[test]
fn a_dry_run_says_the_same_and_sends_nothing() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(3) + &chat("long", &"word ".repeat(200_000)));
    let dry = folder.job().args(["--dry-run"]).to(&simulator.base_url()).run().ended(0);
    let estimate = folder.program().args(["estimate", "in.jsonl"]).run().ended(0);
    assert_eq!(dry.stdout, estimate.stdout);
    assert!(
        dry.stdout.contains("line 4: 200008 input tokens, the model takes 128000"),
        "{}",
        dry.stdout
    );
    // Neither is too much alone.
    let window = chat("w", &"word ".repeat(3_000))
        .replace("gpt-4o-mini", "gpt-4")
        .replace(r#""messages""#, r#""max_tokens":4096,"messages""#);
    folder.write("w.jsonl", window.replace("word ", "word word "));
    let told = folder.program().args(["estimate", "w.jsonl"]).run().ended(0).stdout;
    let part = "line 1: 10104 tokens with its ceiling, the model's window is 8192";
    assert!(told.contains(part), "{told}");
    folder.write("prices.json", PRICES);
    let other = folder.job().args(["--dry-run", "--prices", "prices.json"]).run().ended(0);
    assert!(other.stdout.contains("as of 2026-01-02; a test"), "{}", other.stdout);
    assert_eq!(simulator.stats().requests, 0);
    assert!(!folder.path("out.jsonl").exists());
}

#[test]
fn neither_needs_a_key() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(2));
    let official = |args: &[&str]| {
        let program = folder.program().args(args.iter().copied());
        program.env("OPENAI_BASE_URL", "https://api.openai.com/v1").run()
    };
    official(&["estimate", "in.jsonl"]).ended(0);
    official(&["run", "in.jsonl", "-o", "out.jsonl", "--dry-run"]).ended(0);
    official(&["run", "in.jsonl", "-o", "out.jsonl"]).ended(1).said(&["OPENAI_API_KEY"]);
    official(&["estimate", "in.jsonl", "--requests-per-minute", "0"]).ended(1);
    official(&["tokens", "in.jsonl"]).ended(0);
}

#[test]
fn what_is_answered_is_not_paid_again() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(5));
    folder.job().to(&simulator.base_url()).run().ended(0);
    let before = folder.read("out.jsonl");
    folder.write("in.jsonl", chats(7));
    let told = |args: &[&str]| folder.job().args(args.iter().copied()).run().ended(0).stdout;
    let dry = told(&["--dry-run"]);
    for part in ["7 in all, 5 answered already, 2 to send", "the mean of the answers so far"] {
        assert!(dry.contains(part), "`{part}` is not in\n{dry}");
    }
    assert!(told(&["--dry-run", "--fresh"]).contains("7 in all, 7 to send"));
    assert_eq!(folder.read("out.jsonl"), before);
}

#[test]
fn lines_are_read_as_a_run_reads_them() {
    let folder = Folder::new();
    folder.write("in.jsonl", "{\"q\":\"one two\"}\n{\"q\":null}\n");
    let run = |more: &[&str]| {
        let template = r#"{"messages":[{"role":"user","content":"{q}?"}]}"#;
        let args = ["estimate", "in.jsonl", "--template", template, "--model", "gpt-4o", "--json"];
        folder.program().args(args).args(more.iter().copied()).run()
    };
    run(&[]).ended(1).said(&["in.jsonl:2", "null"]);
    let json: Value = serde_json::from_str(&run(&["--skip-invalid"]).ended(0).stdout).unwrap();
    assert_eq!(
        json["rows"],
        json!({"total": 2, "answered": 0, "changed": 0, "invalid": 1, "from_cache": 0, "to_send": 1, "under_way": 0})
    );
    assert_eq!(json["models"]["gpt-4o"]["input_tokens"], 10);
    folder.program().args(["estimate", "absent.jsonl"]).run().ended(1).said(&["absent.jsonl"]);
    let stream = folder.program().args(["estimate", "-", "--json"]).stdin(chats(4)).run().ended(0);
    let json: Value = serde_json::from_str(&stream.stdout).unwrap();
    assert_eq!(json["rows"]["to_send"], 4);
}

#[test]
fn a_model_without_a_price_costs_an_unknown_amount() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(2) + r#"{"prompt":"hi","id":"x"}"#);
    let run = |more: &[&str]| {
        let args = ["estimate", "in.jsonl", "--model", "nobodys-model"];
        folder.program().args(args).args(more.iter().copied()).run().ended(0).stdout
    };
    let text = run(&[]);
    for part in
        ["nobodys-model", "unknown", "more than $0.000", "live: no price is known for 1 row"]
    {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
    let json: Value = serde_json::from_str(&run(&["--json"])).unwrap();
    assert_eq!(json["models"]["nobodys-model"]["live"]["expected"], Value::Null);
    assert_eq!(json["sums"]["live"]["rows_without_price"], 1);
}
