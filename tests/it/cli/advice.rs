//! Likely mistakes, and what is said to do about them.

use crate::program::{Folder, chats, simulator};
use openai_bulk::simulator::Simulator;

#[test]
fn whoever_makes_a_likely_mistake_is_told_what_to_do() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(2)).write("bad.env", "OPENAI_API_KEY='sk-01234567");
    std::fs::create_dir(folder.path("folder")).unwrap();
    let run = ["run", "in.jsonl", "-o", "out.jsonl"];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["run", "missing.jsonl", "-o", "out.jsonl"], 1, "the current folder is"),
        (vec!["run", "folder", "-o", "out.jsonl"], 1, "-> name a file in it"),
        (vec!["run", "in.jsonl", "-o", "folder"], 1, "such as folder/answers.jsonl"),
        (vec!["run", "in.jsonl", "-o", "none/out.jsonl"], 1, "-> make it: mkdir -p none"),
        (vec!["run", "in.jsonl", "-o", "in.jsonl"], 1, "choose another output"),
        (vec!["run", "in.jsonl", "-o", "out.jsonl.gz"], 1, "compress it afterwards"),
        (with(&["--concurency", "3"]), 2, "--concurrency"),
        (with(&["--timeout", "soon"]), 2, "such as 200ms"),
        (with(&["--max-cost", "five"]), 2, "such as 5"),
        (with(&["--set", "OPENAI_BACKOF_CAP=5s"]), 1, "did you mean OPENAI_BACKOFF_CAP?"),
        (with(&["--set", "OPENAI_BACKOFF_CAP=soon"]), 1, "a duration from"),
        (with(&["--template", "{\"messages\":"]), 2, "--template: not valid JSON"),
        (with(&["--env-file", "bad.env"]), 1, "quotes that are closed"),
        (with(&["--api-key-file", "none.key"]), 1, "-> look at the name none.key"),
        (with(&["--base-url", "localhost:8000"]), 1, "-> write it like https://"),
        (
            with(&["--base-url", "http://127.0.0.1:9/v1", "--max-retries", "0"]),
            3,
            "-> `openai-bulk doctor`",
        ),
        (vec!["batch", "status", "nojob", "--store", "s.db"], 1, "batch list"),
    ];
    for (args, code, part) in cases {
        let program = folder.program().arg_list(&args).env("OPENAI_API_KEY", crate::program::KEY);
        let run = program.env("OPENAI_BASE_URL", simulator.base_url()).run();
        assert_eq!(run.code, Some(code), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains(part), "{args:?} says nothing of `{part}`:\n{}", run.stderr);
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a_model_that_is_not_there_is_told_apart_from_other_failures() {
    let folder = Folder::new();
    let simulator = Simulator::builder().model("other").start().unwrap();
    folder.write("in.jsonl", chats(2));
    let job = folder.job().to(&simulator.base_url());
    job.run().ended(3).said(&["2 rows failed", "-> name another model"]);
}
