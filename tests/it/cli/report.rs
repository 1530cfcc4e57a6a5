//! A page about a run.

use crate::program::{Folder, chats, simulator};
use std::io::Write;

#[test]
fn a_run_leaves_what_a_page_needs() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(10).replace("\"r7\"", "\"<script>7\""));
    folder.job().args(["--summary", "s.json"]).to(&simulator.base_url()).run().ended(0);
    let line = &folder.lines("out.jsonl")[0]["x_run"];
    assert!(line["ended"].as_f64().unwrap() > 1.7e9, "{line}");
    let summary: serde_json::Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    let points = summary["timeline"]["points"].as_array().unwrap();
    assert_eq!((&points.last().unwrap()["rows"], &summary["schema"]), (&10.into(), &1.into()));
    let report =
        |more: &[&str]| folder.program().args(["report", "-o", "r.html"]).arg_list(more).run();
    report(&["out.jsonl", "--summary", "s.json", "--title", "My run"])
        .ended(0)
        .said(&["wrote r.html"]);
    let page = folder.read("r.html");
    for part in
        ["<h1>My run</h1>", "10 answered", "Slowest rows", "Cost", "gpt-4o-mini", "&lt;script&gt;7"]
    {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
    assert!(!page.contains("question 7?") && !page.contains("<script"));
    // A page of a packed output is that of the output.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(folder.read("out.jsonl").as_bytes()).unwrap();
    std::fs::write(folder.path("out.jsonl.gz"), packed.finish().unwrap()).unwrap();
    report(&["out.jsonl.gz"]).ended(0);
    assert!(folder.read("r.html").contains("10 answered"));
    // Each alone says what is missing.
    report(&["out.jsonl"]).ended(0);
    assert!(folder.read("r.html").contains("Without a summary"));
    report(&["--summary", "s.json"]).ended(0);
    assert!(folder.read("r.html").contains("Without the output"));
}

#[test]
fn an_evaluation_leaves_what_a_page_needs() {
    let (folder, simulator) = (Folder::new(), simulator());
    let row = |n: usize| format!("{{\"text\":\"Say {n}.\",\"target\":\"e\",\"kind\":\"<k>\"}}\n");
    folder.write("in.jsonl", (0..9).map(row).collect::<String>());
    let eval = ["eval", "--dataset", "in.jsonl", "--prompt", "{text}", "--group", "kind"];
    let eval = folder.program().args(eval).args(["-o", "out.jsonl", "--summary", "s.json"]);
    eval.to(&simulator.base_url()).run().ended(0);
    let wrong = folder.program().args(["report", "out.jsonl", "-o", "r.html"]).run().ended(1);
    wrong.said(&["not the output of a run", "out.jsonl.answers.jsonl", "eval --summary"]);
    let report = ["report", "out.jsonl.answers.jsonl", "--summary", "s.json", "-o", "r.html"];
    folder.program().args(report).run().ended(0);
    let page = folder.read("r.html");
    for part in [
        "Accuracy by includes",
        "66.4\u{a0}% to 100\u{a0}%",
        "100\u{a0}% of 9\u{a0}answers",
        "&lt;k&gt;",
        "9 answered",
        "How long rows took",
        "Slowest rows",
        "gpt-4o-mini",
    ] {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
}

#[test]
fn the_run_of_a_grader_is_shown_beside_the_one_that_asked() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.csv", "text,target\nSay it.,a\nSay more.,b\nSay all.,c\n");
    let eval = ["eval", "--dataset", "in.csv", "--prompt", "{text}", "--scorer", "graded"];
    let grader = ["--grader-model", "gpt-4.1", "-o", "out.jsonl", "--summary", "s.json"];
    folder.program().args(eval).args(grader).to(&simulator.base_url()).run().ended(3);
    folder.program().args(["report", "--summary", "s.json", "-o", "r.html"]).run().ended(0);
    let page = folder.read("r.html");
    for part in ["<h2>Grading</h2>", "<dt>Cost of grading</dt>", "gpt-4.1"] {
        assert!(page.contains(part), "`{part}` is not in {page}");
    }
}

#[test]
fn a_page_is_made_of_files_of_a_run_and_replaces_no_other_file() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(2)).write("s.json", "{}");
    let report = |args: &[&str]| folder.program().args(["report"]).arg_list(args).run();
    report(&["-o", "r.html"]).ended(2);
    report(&["in.jsonl", "-o", "r.html"]).ended(1).said(&["in.jsonl is not the output of a run"]);
    report(&["--summary", "s.json", "-o", "r.html"]).ended(1).said(&["not the summary of a run"]);
    report(&["gone.jsonl", "-o", "r.html"]).ended(1).said(&["gone.jsonl"]);
    folder.write(
        "out.jsonl",
        r#"{"custom_id":"a","response":null,"error":{"code":"timeout","message":"late"}}"#,
    );
    report(&["out.jsonl", "-o", "in.jsonl"])
        .ended(1)
        .said(&["in.jsonl is there and is not a report"]);
    assert_eq!(folder.read("in.jsonl"), chats(2));
}
