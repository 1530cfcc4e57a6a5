//! Plans, and runs that follow them, as a user has them.

use crate::program::{Finished, Folder, Program, chat, chats, logged, until};
use openai_bulk::clock::ManualClock;
use openai_bulk::simulator::{BatchSpeed, Received, Simulator};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_plan_is_printed_without_a_key_and_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(300));
    let plan = |more: &[&str]| {
        folder.program().args(["plan", "in.jsonl", "-o", "out.jsonl"]).arg_list(more).run().ended(0)
    };
    let told = plan(&["--deadline", "6h", "--max-cost", "20"]).stdout;
    for part in ["all 300 rows by batch", "6h00m", "all live", "all batch", "why not", "assumed"] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    let soon = plan(&["--deadline", "2h"]).stdout;
    assert!(soon.contains("all 300 rows now") && soon.contains("too late"), "{soon}");
    let json: Value = serde_json::from_str(&plan(&["--deadline", "2h", "--json"]).stdout).unwrap();
    assert_eq!(json["shares"][0]["reasons"][0]["reason"], "batch_too_late");
    assert_eq!(
        (&json["shares"][0]["live_rows"], &json["verdict"]),
        (&300.into(), &"guarded".into())
    );
    let names: Vec<_> = std::fs::read_dir(folder.path("")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn each_plan_says_what_is_true_of_it() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(300)).write("one.jsonl", chats(1)).write("none.jsonl", "");
    let plan = |input: &str, args: &str| {
        let args = ["plan", input].into_iter().chain(args.split_whitespace());
        folder.program().args(args).run().ended(0).stdout
    };
    for (args, said, not_said) in [
        ("", &["no deadline: as cheap as can be", "batches save $0.0233"][..], "deadline    "),
        (
            "--deadline 4h5m",
            &["verdict     in time\n", "in 4h00m, and 10m54s more are kept", "too late for 4h05m"],
            "batches do nothing",
        ),
        (
            "--deadline 2h",
            &["verdict     in time\n", "all by batch would take 4h00m, and there are 2h00m"],
            "kept",
        ),
        (
            "--deadline 15m --requests-per-minute 10",
            &["nothing is in time: this is the soonest, 15m00s late", "3h30m longer\n"],
            "no cheaper",
        ),
        (
            "--deadline 2h --max-cost 0.03",
            &[
                "2h00m late: the cap allows no way that is in time",
                "$0.03 allow no dearer way; without the cap, $0.0466 for all rows",
                "more than the cap",
            ],
            "no way is done",
        ),
        ("--deadline 6h --max-cost 0.02", &["the run will end at it"], "dearer"),
    ] {
        let told = plan("in.jsonl", args);
        let lines: String = told.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        for part in said {
            assert!(lines.contains(part), "`{part}` is not in what {args} says:\n{told}");
        }
        assert!(!lines.contains(not_said), "`{not_said}` is in what {args} says:\n{told}");
        assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    }
    assert_eq!(plan("none.jsonl", "--deadline 1h"), "nothing is to be sent\n");
    let one = plan("one.jsonl", "--deadline 1h");
    assert!(one.starts_with("the only row now, for "), "{one}");
    assert!(one.contains("1 row is too few for a batch"), "{one}");
}

#[test]
fn an_automatic_run_needs_no_network_with_the_simulator_and_tells_what_it_saved() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(120));
    let job = folder.job().args(["--mode", "auto", "--deadline", "6h", "--simulate"]);
    let quick = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--summary", "s.json"];
    let said = ["plan: all 120 rows by batch", "saved by batches", "deadline          6h00m, kept"];
    job.args(quick).run().ended(0).said(&said);
    assert_eq!(folder.rows("out.jsonl").len(), 120);
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(summary["measured"]["batch_rows"], 120);
    assert_eq!(
        (&summary["plan"]["in_time"], &summary["status"]),
        (&true.into(), &"finished".into())
    );
    assert!(!folder.path("out.jsonl.plan").exists());
    let dry = folder.job().args(["--mode", "auto", "--deadline", "6h", "--dry-run"]).run().ended(0);
    assert!(dry.stdout.contains("nothing is to be sent"), "{}", dry.stdout);
}

#[test]
fn a_deadline_is_refused_by_batches_and_warned_of_live() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(60));
    let job = |more: &[&str]| folder.job().args(["--simulate", "--deadline", "2s"]).arg_list(more);
    job(&["--mode", "batch"]).run().ended(2).said(&["--mode auto is in time"]);
    let slow = ["--latency", "200ms", "--concurrency", "2"];
    job(&slow).run().ended(0).said(&["after its deadline"]);
    let quick = ["--latency", "1ms"];
    let told = job(&quick).run().ended(0);
    assert!(!told.stderr.contains("after its deadline"), "{}", told.stderr);
}

#[cfg(unix)]
#[test]
fn what_a_simulator_in_the_program_was_to_do_is_done_by_the_next_one_after_an_end_of_any_kind() {
    for (mode, is_killed) in [("auto", false), ("auto", true), ("batch", false), ("batch", true)] {
        let folder = Folder::new();
        folder.write("in.jsonl", chats(120));
        let quick = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--log-file", "log.jsonl"];
        let job = || folder.job().args(["--mode", mode, "--simulate"]).args(quick);
        let mut run = job().args(["--batch-time", "10m"]).start();
        until("the batch", || folder.read_if("log.jsonl").contains("creating -> running"));
        if is_killed {
            run.kill();
            run.wait();
        } else {
            run.signal("INT");
            run.wait().ended(130).said(&["batches are gone with it"]);
        }
        assert!(!folder.path("out.jsonl.batches").exists(), "{mode}");
        let run = job().run().ended(0);
        assert!(!run.stderr.contains("120 rows go now"), "by batch again: {}", run.stderr);
        assert_eq!(folder.rows("out.jsonl").len(), 120);
    }
}

#[test]
fn the_metrics_of_a_run_by_plan_are_those_of_both_ways_and_it_goes_on_until_the_last_one() {
    let speed =
        BatchSpeed::steps_of(Duration::from_millis(10)).per_request(Duration::from_millis(200));
    let simulator = logged().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", mixed());
    let ways = ["--mode", "auto", "--store", "s.db", "--metrics-file", "m.prom"];
    let job = folder.job().args(ways).args(settings()).to(&simulator.base_url());
    let mut run = job.args(["--summary", "s.json"]).start();
    until("live rows while batches go on", || {
        let text = folder.read_if("m.prom");
        let has = |line: &str| text.lines().any(|each| each == line);
        let is_live = has("openai_bulk_rows_total{result=\"succeeded\"} 5")
            || has("openai_bulk_rows_total{result=\"done_before\"} 5");
        assert!(run.is_running(), "{text}");
        is_live && has("openai_bulk_run_status{status=\"running\"} 1")
    });
    run.wait().ended(0);
    let text = folder.read("m.prom");
    let is = |line: &str| assert!(text.lines().any(|each| each == line), "{line}\n{text}");
    is("openai_bulk_rows_total{result=\"succeeded\"} 45");
    is("openai_bulk_rows_total{result=\"failed\"} 0");
    is("openai_bulk_input_rows 45");
    is("openai_bulk_run_status{status=\"finished\"} 1");
    is("openai_bulk_batch_parts{state=\"cleaned\"} 2");
    let summary: Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(summary["rows"]["succeeded"], 45);
}

#[test]
fn a_store_that_is_none_is_told_with_its_name_and_what_to_do() {
    let folder = Folder::new();
    folder
        .write("in.jsonl", chats(2))
        .write("s.db", "this is no store, and it is long enough".repeat(9));
    for mode in ["auto", "batch"] {
        let job =
            folder.job().args(["--mode", mode, "--store", "s.db"]).env("OPENAI_API_KEY", "sk-x");
        job.run().ended(1).said(&["store s.db", "name another one (`--store`", "batch adopt"]);
    }
    assert!(!folder.path("out.jsonl.plan").exists());
}

#[test]
fn nothing_is_written_over_a_store_or_a_cache() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(2));
    for kept in ["--store", "--cache-file"] {
        for other in [["--summary", "x.db"], ["--metrics-file", "x.db"], ["--log-file", "x.db"]] {
            let job = folder.job().args([kept, "./x.db"]).args(other).args(["--simulate"]);
            job.run().ended(2).said(&[kept, "choose another file"]);
        }
        for file in ["in.jsonl", "out.jsonl"] {
            let job = folder.job().args([kept, file, "--simulate", "--fresh"]);
            job.run().ended(2).said(&["choose another file"]);
        }
    }
    let submit = ["batch", "submit", "in.jsonl", "-o", "out.jsonl", "--store", "out.jsonl"];
    let submit = folder.program().args(submit).env("OPENAI_API_KEY", "sk-x");
    submit.run().ended(2).said(&["choose another file"]);
    assert_eq!(folder.read("in.jsonl"), chats(2));
}

const CHATS: usize = 40;
const EMBEDDINGS: usize = 5;

/// Rows of which most go by batch, which is too slow for all of them; a few go live.
fn mixed() -> String {
    let embedding = |n| {
        let body = format!(r#"{{"model":"text-embedding-3-small","input":"text {n}"}}"#);
        format!(r#"{{"custom_id":"e{n}","method":"POST","url":"/v1/embeddings","body":{body}}}"#)
    };
    let chats = (0..CHATS).map(|n| chat(&format!("r{n}"), &format!("question {n}?")));
    chats.chain((0..EMBEDDINGS).map(|n| embedding(n) + "\n")).collect()
}

/// Two parts of chats, and embeddings that are too few for a batch.
fn settings() -> impl Iterator<Item = &'static str> {
    let settings = [
        "OPENAI_BATCH_POLL_INTERVAL=1s",
        "OPENAI_BATCH_MAX_REQUESTS=20",
        "OPENAI_AUTO_BATCH_ROWS=10",
        "OPENAI_AUTO_BATCH_TIME=1s",
        "OPENAI_AUTO_CANCEL_TIME=0s",
        "OPENAI_REQUESTS_PER_MINUTE=6000",
    ];
    settings.into_iter().flat_map(|setting| ["--set", setting])
}

fn automatic(folder: &Folder, simulator: &Simulator, deadline: &str) -> Program {
    let ways = ["--mode", "auto", "--deadline", deadline, "--store", "s.db"];
    folder.job().args(ways).args(settings()).to(&simulator.base_url())
}

/// Runs until the server has got some requests more, and kills it then; or until its end.
fn killed(
    run: Program,
    simulator: &Simulator,
    requests: u64,
    mut each: impl FnMut(),
) -> Option<Finished> {
    let (mut run, begun) = (run.start(), simulator.stats().requests);
    let mut is_over = false;
    until("some requests or the end", || {
        each();
        is_over = !run.is_running();
        is_over || simulator.stats().requests > begun + requests
    });
    if !is_over {
        run.kill();
    }
    let ended = run.wait();
    is_over.then_some(ended)
}

/// The questions that were asked live.
fn asked_live(simulator: &Simulator) -> BTreeSet<String> {
    let received = simulator.received();
    let chats = received.iter().filter(|request| request.path == "/v1/chat/completions");
    let question = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    chats.map(|request| question(&request.body)).collect()
}

/// The server's time is ours: its batches are at work until the test says so, and the program gives
/// them up when it is started with a deadline that has passed.
#[test]
fn killed_again_and_again_an_automatic_run_answers_each_row_once_and_one_way() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let speed = BatchSpeed::steps_of(second).per_request(second);
    let simulator = logged().batch_speed(speed).clock(Arc::new(clock.clone())).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", mixed());
    let mut random = fastrand::Rng::with_seed(5);
    let asked = |end: &str| {
        let is_it = |r: &&Received| r.method == "POST" && r.path.ends_with(end);
        simulator.received().iter().filter(is_it).count()
    };
    let mut kills = 0;
    while asked("/v1/batches") < 2 || kills < 4 {
        let run = automatic(&folder, &simulator, "12h");
        assert!(killed(run, &simulator, random.u64(0..6), || {}).is_none(), "batches are at work");
        kills += 1;
        assert!(kills < 200, "both batches are never made");
    }
    // Each batch has done its first row.
    clock.advance(5 * second / 2);
    loop {
        let run = automatic(&folder, &simulator, "1s");
        let cancelled = || {
            if asked("/cancel") >= 2 {
                clock.advance(second);
            }
        };
        if let Some(ended) = killed(run, &simulator, random.u64(0..6), cancelled) {
            // What it says depends on how far the one before it came.
            ended.ended(0);
            break;
        }
        kills += 1;
        assert!(kills < 400, "it does not come to its end");
    }
    let rows = folder.rows("out.jsonl");
    assert_eq!(rows.len(), CHATS + EMBEDDINGS);
    assert!(rows.values().all(|row| row["x_run"]["ok"] == true));
    assert_eq!(asked("/v1/batches"), 2, "a part has one batch");
    let live = asked_live(&simulator);
    let by_batch: Vec<_> = rows.values().filter(|row| row["x_run"]["batch"].is_string()).collect();
    let batches: BTreeSet<_> =
        by_batch.iter().map(|row| row["x_run"]["batch"].as_str().unwrap()).collect();
    assert_eq!(batches.len(), 2, "some of each");
    for row in by_batch {
        let number = &row["custom_id"].as_str().unwrap()[1..];
        assert!(!live.contains(&format!("question {number}?")), "{number} went both ways");
    }
    assert!(!folder.path("out.jsonl.plan").exists());
}
