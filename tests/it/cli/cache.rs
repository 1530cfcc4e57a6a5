//! Answers that are kept on this machine.

use crate::program::{Folder, KEY, Program, chat, chats, logged, simulator, until};
use openai_bulk::simulator::{BatchSpeed, Simulator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// `openai-bulk run` from `in.jsonl` to `output` with the cache of this folder.
fn job(folder: &Folder, simulator: &Simulator, output: &str) -> Program {
    let args = ["run", "in.jsonl", "--cache", "--cache-file", "answers.db", "-o", output];
    let summary = ["--summary", "s.json"];
    folder.program().args(args).args(summary).to(&simulator.base_url())
}

fn summary(folder: &Folder) -> Value {
    serde_json::from_str(&folder.read("s.json")).unwrap()
}

fn stats(folder: &Folder) -> Value {
    let args = ["cache", "stats", "--json", "--cache-file", "answers.db"];
    serde_json::from_str(&folder.program().args(args).run().ended(0).stdout).unwrap()
}

/// The answers of an output by the ids of their rows.
fn answers(folder: &Folder, output: &str) -> BTreeMap<String, Value> {
    folder.rows(output).into_iter().map(|(id, row)| (id, row["response"].clone())).collect()
}

#[test]
fn a_second_run_takes_every_answer_from_the_cache_and_pays_nothing() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(30));
    job(&folder, &simulator, "one.jsonl").run().ended(0);
    let first = summary(&folder);
    assert_eq!(
        (&first["rows"]["from_cache"], &first["attempts"]["total"]),
        (&0.into(), &30.into())
    );
    let run = job(&folder, &simulator, "two.jsonl").args(["--max-cost", "0"]).run().ended(0);
    let run = run.said(&["30 of them from the cache", "by answers that were there"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    assert_eq!(simulator.stats().requests, 30);
    assert_eq!(answers(&folder, "one.jsonl"), answers(&folder, "two.jsonl"));
    for row in folder.rows("two.jsonl").values() {
        assert_eq!((&row["x_run"]["cached"], &row["x_run"]["attempts"]), (&true.into(), &0.into()));
    }
    let second = summary(&folder);
    let rows = &second["rows"];
    assert_eq!((&rows["succeeded"], &rows["from_cache"]), (&30.into(), &30.into()));
    assert_eq!((&second["attempts"]["total"], &second["tokens"]["total"]), (&0.into(), &0.into()));
    let cost = &second["cost"];
    assert_eq!((&cost["saved_by_answers"], &cost["total"]), (&first["cost"]["total"], &"0".into()));
    assert_eq!((&cost["unpriced"], &cost["saved_by_cache"]), (&0.into(), &"0".into()));
    // A later run with a cap knows that what came from the cache was not paid for.
    folder.write("in.jsonl", chats(30) + &chat("new", "something else?"));
    job(&folder, &simulator, "two.jsonl").args(["--max-cost", "1"]).run().ended(0);
    let cap = &summary(&folder)["cost"]["cap"];
    assert_eq!(cap["earlier_money"], "0", "{cap}");
    assert_eq!(simulator.stats().requests, 31);
}

#[test]
fn a_run_that_goes_on_numbers_its_rows_as_before() {
    let (folder, simulator) = (Folder::new(), logged().seed(5).start().unwrap());
    let same: String = (0..12).map(|n| chat(&format!("s{n}"), "the same?")).collect();
    folder.write("in.jsonl", &same);
    job(&folder, &simulator, "one.jsonl").run().ended(0);
    assert_eq!(simulator.stats().requests, 12, "twelve of the same are twelve samples");
    let whole = folder.read("one.jsonl");
    let half: String = whole.lines().take(6).map(|line| format!("{line}\n")).collect();
    folder.write("two.jsonl", half);
    job(&folder, &simulator, "two.jsonl").run().ended(0).said(&["6 of them from the cache"]);
    assert_eq!(simulator.stats().requests, 12);
    let id = |row: &Value| row["request_id"].as_str().unwrap().to_owned();
    let ids: BTreeSet<String> = answers(&folder, "two.jsonl").values().map(id).collect();
    assert_eq!(ids.len(), 12, "each has an answer of its own");
}

#[test]
fn rows_that_ask_the_same_are_sent_once_where_that_is_wanted() {
    let (folder, simulator) =
        (Folder::new(), logged().latency("300ms".parse().unwrap()).start().unwrap());
    folder.write(
        "in.jsonl",
        (0..64).map(|n| chat(&format!("s{n}"), "the same?")).collect::<String>(),
    );
    let args = ["run", "in.jsonl", "-o", "out.jsonl", "--coalesce", "--summary", "s.json"];
    folder.program().args(args).to(&simulator.base_url()).run().ended(0);
    assert_eq!(simulator.stats().requests, 1);
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.values().filter(|row| row["x_run"]["shared"] == true).count(), 63);
    assert_eq!((rows.len(), &summary(&folder)["rows"]["shared"]), (64, &63.into()));
}

#[test]
fn two_runs_at_once_use_one_cache() {
    let (folder, simulator) =
        (Folder::new(), logged().latency("1ms..20ms".parse().unwrap()).start().unwrap());
    folder.write("in.jsonl", chats(300));
    let runs = ["one.jsonl", "two.jsonl"].map(|output| job(&folder, &simulator, output).start());
    for run in runs {
        let run = run.wait().ended(0);
        assert!(!run.stderr.contains("the cache is not used"), "{}", run.stderr);
    }
    assert_eq!(stats(&folder)["answers"], 300);
    let sent = simulator.stats().requests;
    job(&folder, &simulator, "three.jsonl").run().ended(0);
    assert_eq!(simulator.stats().requests, sent);
}

#[test]
fn runs_that_are_killed_leave_a_cache_that_is_whole() {
    const ROWS: usize = 400;
    let (folder, simulator) =
        (Folder::new(), logged().latency("5ms".parse().unwrap()).start().unwrap());
    folder.write("in.jsonl", chats(ROWS));
    let mut random = fastrand::Rng::with_seed(3);
    let mut deaths = 0;
    loop {
        let begun = simulator.stats().requests;
        let args = ["--fresh", "--max-concurrency", "16"];
        let mut run = job(&folder, &simulator, "out.jsonl").args(args).start();
        let few = random.u64(1..90);
        let mut is_over = false;
        until("some requests or the end", || {
            is_over = !run.is_running();
            is_over || simulator.stats().requests >= begun + few
        });
        if is_over {
            run.wait().ended(0);
            break;
        }
        run.kill();
        assert_eq!(run.wait().code, None, "it was killed");
        deaths += 1;
    }
    assert!(deaths >= 3, "killed only {deaths} times");
    let sent = simulator.stats().requests as usize;
    assert!(sent <= ROWS + 24 * deaths, "{sent} for {deaths} deaths");
    let run = job(&folder, &simulator, "again.jsonl").run().ended(0);
    assert!(!run.stderr.contains("the cache is not used"), "{}", run.stderr);
    assert_eq!(simulator.stats().requests as usize, sent);
    assert_eq!(answers(&folder, "again.jsonl"), answers(&folder, "out.jsonl"));
}

#[test]
fn a_cache_that_cannot_be_used_is_told_once_and_fails_nothing() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(20)).write("answers.db", "no database at all ".repeat(500));
    let run = job(&folder, &simulator, "out.jsonl").run().ended(0);
    assert_eq!(run.stderr.matches("the cache is not used").count(), 1, "{}", run.stderr);
    assert!(folder.read("answers.db").starts_with("no database"));
    assert_eq!(simulator.stats().requests, 20);
    let args = ["cache", "clear", "--cache-file", "answers.db"];
    folder.program().args(args).run().ended(1).said(&["name another file"]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_turns_the_cache_off_and_fails_nothing() {
    const ROWS: usize = 60;
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(ROWS));
    // The limit of a file's size stands for the end of the disk; the output stays below it.
    let run = job(&folder, &simulator, "out.jsonl").after("ulimit -f 256").run().ended(0);
    let told = run.stderr.matches("the cache is not used").count();
    assert_eq!((told, folder.rows("out.jsonl").len()), (1, ROWS), "{}", run.stderr);
}

#[test]
fn an_estimate_and_a_dry_run_tell_what_the_cache_answers_and_make_no_cache() {
    let (folder, simulator) = (Folder::new(), simulator());
    // Of two rows that ask the same, each has an answer of its own.
    folder.write("in.jsonl", chats(6) + &chat("again", "question 1?"));
    let look = |command: &[&str]| {
        let cache = ["--cache", "--cache-file", "answers.db"];
        let program = folder.program().arg_list(command).args(cache);
        program.env("OPENAI_BASE_URL", simulator.base_url()).env("OPENAI_API_KEY", KEY).run()
    };
    let dry = ["run", "in.jsonl", "-o", "new.jsonl", "--dry-run"];
    let told = look(&dry).ended(0).stdout;
    assert!(told.contains("7 in all, 7 to send"), "{told}");
    assert!(!folder.path("answers.db").exists());
    job(&folder, &simulator, "one.jsonl").run().ended(0);
    folder.write("in.jsonl", chats(9) + &chat("again", "question 1?") + &chat("b", "question 1?"));
    for command in [&dry[..], &["estimate", "in.jsonl"]] {
        let told = look(command).ended(0).stdout;
        assert!(told.contains("11 in all, 7 in the cache, 4 to send"), "{told}");
        assert!(
            told.contains("cache: 7 rows to be answered from it, which would cost $"),
            "{told}"
        );
    }
    let json = look(&["estimate", "in.jsonl", "--json"]).ended(0).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rows"]["from_cache"], &json["rows"]["to_send"]), (&7.into(), &4.into()));
    assert_eq!(json["tokens"]["rows"], 4, "what is in the cache is in no other sum");
    let auto = look(&[&dry[..], &["--mode", "auto", "--store", "s.db"]].concat()).ended(0).stdout;
    assert!(auto.contains("7 rows have their answers there"), "{auto}");
    // Whose answers they are is not known without a key.
    let nobody = folder.program().args(["estimate", "in.jsonl", "--cache"]);
    let nobody = nobody
        .args(["--cache-file", "answers.db"])
        .env("OPENAI_BASE_URL", "https://api.openai.com/v1");
    let nobody =
        nobody.env("OPENAI_API_KEY", "").run().ended(0).said(&["the cache is not looked at"]);
    assert!(nobody.stdout.contains("11 to send"), "{}", nobody.stdout);
}

#[test]
fn batches_send_no_row_that_the_cache_has_and_their_answers_are_kept() {
    let speed = BatchSpeed::steps_of(Duration::from_millis(10));
    let (folder, simulator) = (Folder::new(), logged().batch_speed(speed).start().unwrap());
    let run = |output: &str, mode: &str| {
        let quick = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--store", "s.db", "--mode", mode];
        job(&folder, &simulator, output).args(quick).run().ended(0);
        let summary = summary(&folder);
        let at = |group: &str, name: &str| summary[group][name].as_u64().unwrap();
        assert_eq!(at("rows", "succeeded"), at("rows", "total"), "{summary}");
        (at("rows", "from_cache"), at("attempts", "total"))
    };
    folder.write("in.jsonl", chats(4));
    assert_eq!(run("live.jsonl", "live"), (0, 4));
    folder.write("in.jsonl", chats(10) + &chat("again", "question 1?"));
    assert_eq!(run("batch.jsonl", "batch"), (4, 0));
    let rows = folder.rows("batch.jsonl");
    assert_eq!(rows.values().filter(|row| row["x_run"]["batch"].is_string()).count(), 7);
    assert_eq!(stats(&folder)["answers"], 11);
    // What a batch has brought answers a live run, another batch and a plan, each as its sample.
    for mode in ["live", "batch", "auto"] {
        let output = format!("{mode}-again.jsonl");
        assert_eq!(run(&output, mode), (11, 0), "{mode}");
        assert_eq!(answers(&folder, &output), answers(&folder, "batch.jsonl"), "{mode}");
    }
}

#[test]
fn a_cache_is_no_other_file_of_the_run() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(3));
    for (file, what) in [
        ("in.jsonl", "that is the input too"),
        ("one.jsonl", "that is the output too"),
        ("s.json", "that is --cache-file too"),
    ] {
        let args = ["run", "in.jsonl", "-o", "one.jsonl", "--summary", "s.json", "--cache"];
        let run = folder.program().args(args).args(["--cache-file", file]);
        run.to(&simulator.base_url()).run().ended(2).said(&[what]);
    }
    assert_eq!(folder.read("in.jsonl"), chats(3));
    assert!(!folder.path("one.jsonl").exists() && !folder.path("s.json").exists());
}

#[test]
fn what_is_kept_is_told_and_removed() {
    let (folder, simulator) = (Folder::new(), simulator());
    assert_eq!(stats(&folder)["answers"], 0);
    assert!(!folder.path("answers.db").exists(), "a look makes nothing");
    folder.write("in.jsonl", chats(25));
    job(&folder, &simulator, "out.jsonl").run().ended(0);
    let kept = stats(&folder);
    assert_eq!(kept["answers"], 25);
    assert!(kept["bytes"].as_u64().unwrap() > 25 * 100 && kept["oldest"].as_u64().is_some());
    let cache = |args: &[&str]| {
        folder.program().args(["cache"]).arg_list(args).args(["--cache-file", "answers.db"]).run()
    };
    let text = cache(&["stats"]).ended(0).stdout;
    assert!(text.contains("answers") && text.contains("25") && text.contains("ago"), "{text}");
    cache(&["clear", "--older-than", "7d"]).ended(0).said(&["removed 0 answers"]);
    cache(&["clear"]).ended(0).said(&["removed 25 answers"]);
    assert_eq!(stats(&folder)["answers"], 0);
    let key = std::fs::read(folder.path("answers.db")).unwrap();
    assert!(!key.windows(KEY.len()).any(|part| part == KEY.as_bytes()));
}

#[test]
fn a_cache_is_used_only_where_it_is_asked_for_and_only_as_it_is_asked_for() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", chats(5));
    let run = |output: &str, args: &[&str]| {
        let sent = simulator.stats().requests;
        let program = folder.program().args(["run", "in.jsonl", "-o", output]).arg_list(args);
        let program = program.env("OPENAI_CACHE_FILE", folder.path("answers.db"));
        program.to(&simulator.base_url()).run().ended(0);
        simulator.stats().requests - sent
    };
    assert_eq!(run("a.jsonl", &[]), 5);
    assert!(!folder.path("answers.db").exists());
    assert_eq!(run("b.jsonl", &["--set", "OPENAI_CACHE=on"]), 5);
    assert_eq!(run("c.jsonl", &["--cache=read-only"]), 0);
    assert_eq!(run("d.jsonl", &["--cache=off", "--set", "OPENAI_CACHE=on"]), 5);
    assert_eq!(run("e.jsonl", &["--cache", "--set", "OPENAI_CACHE_MAX_AGE=1s"]), 0);
    folder.write("in.jsonl", chats(6));
    assert_eq!(run("f.jsonl", &["--cache=read-only"]), 1);
    assert_eq!(run("g.jsonl", &["--cache=read-only"]), 1, "nothing was added");
}
