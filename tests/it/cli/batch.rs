//! Batches, as a user has them.

use crate::program::{Finished, Folder, Program, Started, chats, logged, until};
use openai_bulk::simulator::{BatchSpeed, Simulator};
use std::time::Duration;

const QUICK: [&str; 4] = ["--set", "OPENAI_BATCH_POLL_INTERVAL=1s", "--store", "s.db"];

fn speed(step: u64) -> BatchSpeed {
    BatchSpeed::steps_of(Duration::from_millis(step))
}

/// Batches that are not done as long as a test takes, and cancelled at once.
fn endless() -> BatchSpeed {
    speed(5).per_request(Duration::from_secs(3_600))
}

/// Rows whose answers have a ceiling, so that little is reserved for each.
fn rows(count: usize) -> String {
    chats(count).replace(r#""messages""#, r#""max_tokens":60,"messages""#)
}

fn step(folder: &Folder, simulator: &Simulator, args: &[&str]) -> Program {
    folder.program().arg_list(args).args(QUICK).to(&simulator.base_url())
}

fn job(folder: &Folder, simulator: &Simulator, mode: &str) -> Program {
    folder.job().args(["--mode", mode]).args(QUICK).to(&simulator.base_url())
}

fn made(simulator: &Simulator) -> u64 {
    let count = |name: &str| simulator.stats().by_endpoint.get(name).copied().unwrap_or(0);
    count("POST /v1/batches")
}

/// A job of which the batches are under way.
fn submitted(folder: &Folder, simulator: &Simulator, count: usize) -> String {
    folder.write("in.jsonl", rows(count));
    let args = ["batch", "submit", "in.jsonl", "-o", "out.jsonl"];
    let name = step(folder, simulator, &args).run().ended(0).stdout;
    let name = name.trim().to_owned();
    assert_eq!(name.len(), 32, "{name}");
    name
}

#[test]
fn a_run_by_batches_and_its_single_steps_write_the_same_output() {
    let simulator = logged().batch_speed(speed(10)).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", chats(5));
    let run = || job(&folder, &simulator, "batch").run();
    run().ended(0).said(&["5 in all, 5 succeeded", "1 cleaned"]);
    assert_eq!(folder.rows("out.jsonl").len(), 5);
    run().ended(0).said(&["5 done before"]);
    let step = |args: &[&str]| step(&folder, &simulator, args).run();
    let submitted = step(&["batch", "submit", "in.jsonl", "-o", "b.jsonl"]).ended(0);
    let name = submitted.stdout.trim().to_owned();
    assert!(step(&["batch", "list"]).ended(0).stdout.contains("under way"));
    assert!(step(&["batch", "wait", &name]).ended(0).stdout.contains("fetched"));
    step(&["batch", "fetch", &name[..8]]).ended(0).said(&["5 rows answered, 0 failed"]);
    assert_eq!(folder.rows("b.jsonl").len(), 5);
    step(&["batch", "fetch", &name]).ended(0).said(&["is over", "b.jsonl"]);
    step(&["batch", "fetch", "nobody"]).ended(1).said(&["there is no job `nobody`"]);
    let cleaned = step(&["batch", "clean"]).ended(0).stdout;
    assert!(cleaned.ends_with("2 of 2 jobs removed\n"), "{cleaned}");
}

#[test]
fn a_job_is_listed_told_fetched_and_cancelled_in_steps() {
    let simulator = logged().batch_speed(endless()).start().unwrap();
    let folder = Folder::new();
    let name = submitted(&folder, &simulator, 3);
    let step = |args: &[&str]| step(&folder, &simulator, args).run();
    let list: serde_json::Value =
        serde_json::from_str(&step(&["batch", "list", "--json"]).ended(0).stdout).unwrap();
    assert_eq!((&list[0]["name"], &list[0]["rows"]), (&name.clone().into(), &3.into()));
    let told = step(&["batch", "status", &name, "--json"]).ended(0).stdout;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[0]["state"], &told[0]["rows"]), (&"running".into(), &3.into()));
    assert!(told[0]["batch_id"].as_str().unwrap().starts_with("batch_"));
    assert!(step(&["batch", "status", &name]).ended(0).stdout.contains("batch_"));
    // Nothing has ended: a fetch says so at once, and leaves the batch alone.
    step(&["batch", "fetch", &name]).ended(0).said(&["0 rows answered, 0 failed, 3 not done"]);
    let clean = step(&["batch", "clean"]).ended(0).stdout;
    assert_eq!(clean, "0 of 1 jobs removed\n");
    let cancelled = step(&["batch", "cancel", &name]).ended(0);
    assert!(cancelled.stdout.contains("cleaned"), "{}", cancelled.stdout);
    cancelled.said(&["0 rows answered, 0 failed, 3 not done"]);
    assert!(step(&["batch", "list"]).ended(0).stdout.contains("over"));
    assert_eq!(step(&["batch", "clean", &name]).ended(0).stdout, "1 of 1 jobs removed\n");
    step(&["batch", "clean", "--forget"]).ended(2).said(&["needs the name of a job"]);
    assert_eq!(made(&simulator), 1);
}

#[test]
fn another_key_or_base_url_is_refused_with_the_place_and_without_the_key() {
    let simulator = logged().batch_speed(endless()).start().unwrap();
    let folder = Folder::new();
    let name = submitted(&folder, &simulator, 2);
    let asked = simulator.stats().requests;
    for args in [&["batch", "fetch"][..], &["batch", "wait"], &["batch", "cancel"]] {
        let args = [args, &[&name]].concat();
        let key = step(&folder, &simulator, &args).env("OPENAI_API_KEY", "sk-somebody-else");
        let told = key.run().ended(1).said(&["with another key", &simulator.base_url()]);
        assert!(!told.stderr.contains("sk-"), "{}", told.stderr);
        let place = folder.program().arg_list(&args).args(QUICK).to("http://127.0.0.1:9/v1");
        place.run().ended(1).said(&["it was sent to", "http://127.0.0.1:9/v1"]);
    }
    let run = job(&folder, &simulator, "batch").env("OPENAI_API_KEY", "sk-somebody-else");
    run.run().ended(1).said(&["with another key"]);
    let run = job(&folder, &simulator, "live").env("OPENAI_API_KEY", "sk-somebody-else");
    run.run().ended(1).said(&["with another key"]);
    assert_eq!(simulator.stats().requests, asked, "nothing was asked");
}

#[test]
fn a_batch_that_was_made_elsewhere_is_adopted_by_its_id() {
    let simulator = logged().batch_speed(speed(10)).start().unwrap();
    let (there, here) = (Folder::new(), Folder::new());
    let name = submitted(&there, &simulator, 4);
    let told = step(&there, &simulator, &["batch", "status", &name, "--json"]).run().ended(0);
    let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let id = told[0]["batch_id"].as_str().unwrap();
    let adopt =
        |id: &str| step(&here, &simulator, &["batch", "adopt", id, "-o", "out.jsonl"]).run();
    let name = adopt(id).ended(0).stdout.trim().to_owned();
    adopt(id).ended(1).said(&["has it already"]);
    adopt("batch_of_nobody").ended(1).said(&["batch_of_nobody"]);
    step(&here, &simulator, &["batch", "wait", &name]).run().ended(0);
    let fetched = step(&here, &simulator, &["batch", "fetch", &name]).run().ended(0);
    fetched.said(&["4 rows answered, 0 failed, 0 not done"]);
    assert_eq!(here.rows("out.jsonl").len(), 4);
    assert_eq!(made(&simulator), 1);
}

#[test]
fn a_forgotten_job_goes_on_at_the_server_and_what_it_may_cost_counts() {
    let simulator = logged().batch_speed(endless()).start().unwrap();
    let folder = Folder::new();
    let name = submitted(&folder, &simulator, 3);
    let clean = step(&folder, &simulator, &["batch", "clean", &name, "--forget"]);
    assert_eq!(clean.run().ended(0).stdout, "1 of 1 jobs removed\n");
    assert!(!folder.path("out.jsonl.batches").exists());
    let capped = job(&folder, &simulator, "live").args(["--max-tokens-total", "500"]);
    capped.run().ended(4).said(&["stopped by the cap"]);
    assert_eq!(simulator.stats().answers, 0);
    job(&folder, &simulator, "live").run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 3);
}

#[test]
fn submit_keeps_a_cap_and_says_what_waits() {
    let simulator = logged().batch_speed(speed(10)).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(20));
    let args = ["batch", "submit", "in.jsonl", "-o", "out.jsonl", "--max-tokens-total"];
    let submit = |cap| step(&folder, &simulator, &[&args[..], &[cap]].concat()).run();
    let told = submit("2500").ended(0).said(&["wait for room in the server's queue or for money"]);
    let name = told.stdout.trim().to_owned();
    step(&folder, &simulator, &["batch", "cancel", &name]).run().ended(0);
    assert!((1..20).contains(&folder.rows("out.jsonl").len()));
    let stats = simulator.stats();
    assert!(stats.prompt_tokens + stats.completion_tokens <= 2500, "{stats:?}");
    let unknown = rows(1).replace("gpt-4o-mini", "gpt-9");
    folder.write("in.jsonl", unknown);
    let args = ["batch", "submit", "in.jsonl", "-o", "x.jsonl", "--max-cost", "1"];
    step(&folder, &simulator, &args).run().ended(1).said(&["the price of `gpt-9` is not known"]);
    folder.write("prices.json", r#"{"models":{"gpt-9":{"input":"1","output":"2"}}}"#);
    let args = [&args[..], &["--prices", "prices.json"]].concat();
    let priced = step(&folder, &simulator, &args).run();
    assert!(!priced.stderr.contains("is not known"), "{}", priced.stderr);
}

#[test]
fn what_a_batch_leaves_goes_live_if_that_is_wanted() {
    // It expires when two of its rows are done.
    let speed = speed(10).per_request(Duration::from_millis(200));
    let speed = speed.window(Duration::from_millis(500));
    let simulator = logged().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(6));
    let run = job(&folder, &simulator, "batch").args(["--rest-live", "--summary", "s.json"]);
    run.run().ended(0).said(&["go live", "6 in all"]);
    let all = folder.rows("out.jsonl");
    let by_batch = all.values().filter(|row| row["x_run"]["batch"].is_string()).count();
    assert!((1..6).contains(&by_batch), "{by_batch}");
    assert_eq!((all.len(), made(&simulator)), (6, 1));
    assert_eq!(simulator.stats().answers, 6, "no row was done twice");
    let summary: serde_json::Value = serde_json::from_str(&folder.read("s.json")).unwrap();
    assert_eq!(summary["rows"]["done_before"], by_batch as u64);
}

#[test]
fn a_live_run_recalls_batches_first_and_does_not_read_its_input_for_that() {
    let simulator = logged().batch_speed(endless()).start().unwrap();
    let folder = Folder::new();
    submitted(&folder, &simulator, 3);
    // Without --store: the mark beside the output says where the store is.
    let run = folder.program().args(["run", "-", "-o", "out.jsonl"]).to(&simulator.base_url());
    let run = run.args(["--set", "OPENAI_BATCH_POLL_INTERVAL=1s"]).stdin(rows(3));
    run.run().ended(0).said(&["they are cancelled", "answered 0 rows before, and left 3"]);
    assert_eq!(folder.rows("out.jsonl").len(), 3);
    assert_eq!(simulator.stats().answers, 3);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_wait_for_a_recall_and_nothing_goes_live() {
    let mut speed = endless();
    speed.cancelling = Duration::from_secs(3_600);
    let simulator = logged().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    submitted(&folder, &simulator, 3);
    let run = job(&folder, &simulator, "live").start();
    let count = || simulator.stats().by_endpoint.clone();
    until("the cancellation", || count().keys().any(|name| name.ends_with("/cancel")));
    run.signal("INT");
    run.wait().ended(130).said(&["being cancelled"]);
    assert_eq!(simulator.stats().answers, 0);
    assert!(folder.path("out.jsonl.batches").exists());
}

/// Runs until the server has got so many requests more, and kills it then; or until its end.
fn killed(run: Program, simulator: &Simulator, requests: u64) -> Option<Finished> {
    let begun = simulator.stats().requests;
    let mut run: Started = run.start();
    let mut is_over = false;
    until("some requests or the end", || {
        is_over = !run.is_running();
        is_over || simulator.stats().requests >= begun + requests
    });
    if is_over {
        return Some(run.wait());
    }
    run.kill();
    run.wait();
    until("the end of all connections", || simulator.stats().open_connections == 0);
    None
}

#[test]
fn however_often_it_is_killed_and_changes_its_way_the_cap_holds() {
    const ROWS: usize = 30;
    const CAP: u64 = 8_000;
    let speed = speed(5).per_request(Duration::from_millis(20));
    let simulator = logged().batch_speed(speed).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(ROWS));
    let billed = || {
        let stats = simulator.stats();
        stats.prompt_tokens + stats.completion_tokens
    };
    let run = |mode: &str, cap: u64| {
        let run = job(&folder, &simulator, mode).args(["--max-tokens-total", &cap.to_string()]);
        run.args(["--set", "OPENAI_BATCH_MAX_REQUESTS=7", "--max-concurrency", "2"])
    };
    let mut random = fastrand::Rng::with_seed(7);
    let mut ends = 0;
    for turn in 0..12 {
        let mode = if turn % 2 == 0 { "batch" } else { "live" };
        let finished = killed(run(mode, CAP), &simulator, random.u64(1..12));
        ends += u32::from(finished.is_some());
        assert!(billed() <= CAP, "{} after turn {turn}", billed());
    }
    // What is under way comes to its end, and a larger cap does the rest.
    let last = run("live", CAP).run();
    assert!(matches!(last.code, Some(0 | 4)), "{last:?}");
    assert!(billed() <= CAP, "{}", billed());
    run("live", 1_000_000).run().ended(0);
    let all = folder.rows("out.jsonl");
    assert_eq!(all.len(), ROWS);
    assert!(all.values().all(|row| row["x_run"]["ok"] == true));
    assert!(ends < 12, "nobody was killed");
    assert!(!folder.path("out.jsonl.batches").exists());
}
