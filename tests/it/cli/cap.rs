//! Caps of money and tokens, in real processes against real bills.

use crate::program::{Folder, Program, chats, logged, simulator, until};
use openai_bulk::simulator::Simulator;
use serde_json::Value;
use std::collections::BTreeMap;

const ROWS: usize = 300;

/// Rows whose answers have a ceiling, so that little is reserved for each.
fn rows(count: usize) -> String {
    chats(count).replace(r#""messages""#, r#""max_tokens":60,"messages""#)
}

/// Rows of other ids to a model without a price.
fn unknown(count: usize) -> String {
    rows(count).replace("gpt-4o-mini", "gpt-9").replace(r#""custom_id":"r"#, r#""custom_id":"s"#)
}

/// A number of picodollars as the summary writes it.
fn pico(text: &Value) -> u64 {
    let text = text.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 12, "{text}");
    whole.parse::<u64>().unwrap() * 1_000_000_000_000
        + format!("{fraction:0<12}").parse::<u64>().unwrap()
}

/// What an answer cost, by its own usage: gpt-4o-mini, 0.15 and 0.60 dollars a million.
fn cost(line: &Value) -> u64 {
    let usage = &line["response"]["body"]["usage"];
    let of = |name: &str| usage[name].as_u64().unwrap_or(0);
    of("prompt_tokens") * 150_000 + of("completion_tokens") * 600_000
}

/// What the answers of an output cost.
fn billed(folder: &Folder) -> u64 {
    let text = std::fs::read_to_string(folder.path("out.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| cost(&line)).sum()
}

/// What each row of a finished output cost.
fn prices(folder: &Folder) -> BTreeMap<String, u64> {
    let rows = folder.rows("out.jsonl").into_iter();
    rows.map(|(id, line)| (id, cost(&line))).collect()
}

/// How often each row was received.
fn received(simulator: &Simulator) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in simulator.received() {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let asked = body["messages"][0]["content"].as_str().unwrap();
        let number = asked.strip_prefix("question ").unwrap().trim_end_matches('?');
        *counts.entry(format!("r{number}")).or_default() += 1;
    }
    counts
}

fn answered(folder: &Folder) -> usize {
    let text = std::fs::read_to_string(folder.path("out.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.contains(r#""ok":true"#)).count()
}

fn summary(folder: &Folder) -> Value {
    serde_json::from_str(&folder.read("summary.json")).unwrap()
}

fn job(folder: &Folder, simulator: &Simulator, cap: &str) -> Program {
    let cap = ["--max-cost", cap, "--summary", "summary.json"];
    folder.job().to(&simulator.base_url()).args(cap)
}

#[test]
fn a_cap_stops_the_run_with_4_and_a_larger_one_goes_on() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(ROWS));
    let run = job(&folder, &simulator, "0.001").run().ended(4);
    run.said(&[
        "stopped by the cap",
        "the cap of $0.001 is reached",
        "rows are left",
        "a larger cap",
    ]);
    let (spent, done) = (billed(&folder), answered(&folder));
    assert!(spent <= 1_000_000_000, "{spent}");
    // What is left of the cap is less than one more request may cost.
    assert!(spent > 1_000_000_000 - 250_000_000, "{spent}");
    assert!(done > 10 && done < ROWS, "{done}");
    assert_eq!(simulator.stats().requests as usize, done, "what was sent was written");
    let told = summary(&folder);
    assert_eq!(told["status"], "capped");
    assert_eq!(told["rows"]["not_sent"], (ROWS - done) as u64);
    assert_eq!(pico(&told["cost"]["total"]), spent, "the summary agrees with the output");
    assert_eq!(pico(&told["cost"]["cap"]["counted_money"]), spent);
    assert_eq!(pico(&told["cost"]["cap"]["money"]), 1_000_000_000);
    assert!(pico(&told["cost"]["cap"]["reserved_money"]) > spent);
    let mean = spent / done as u64;
    let left = pico(&told["cost"]["left"]) / (ROWS - done) as u64;
    assert!(left.abs_diff(mean) <= 1, "{left} for a row, {mean} so far");

    // The same again sends nothing.
    let again = job(&folder, &simulator, "0.001").run().ended(4);
    again.said(&["rows are left, at about $0.0"]);
    assert_eq!((simulator.stats().requests as usize, billed(&folder)), (done, spent));
    let told = summary(&folder);
    assert_eq!(pico(&told["cost"]["cap"]["earlier_money"]), spent);
    assert_eq!(pico(&told["cost"]["total"]), 0);

    // A larger one goes on, and the largest finishes; nothing is sent twice.
    job(&folder, &simulator, "$0.002").run().ended(4);
    assert!(billed(&folder) > spent && billed(&folder) <= 2_000_000_000);
    job(&folder, &simulator, "1").run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), ROWS);
    assert_eq!(simulator.stats().requests as usize, ROWS);
    let told = summary(&folder);
    assert_eq!(pico(&told["cost"]["cap"]["counted_money"]), billed(&folder));
}

#[test]
fn a_cap_that_is_enough_stops_nothing() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(ROWS));
    // Moderations name no model, and are free.
    let free =
        r#"{"custom_id":"free","method":"POST","url":"/v1/moderations","body":{"input":"x"}}"#;
    folder.write("in.jsonl", rows(ROWS) + free + "\n");
    let run = job(&folder, &simulator, "5").run().ended(0);
    run.said(&[
        "cost",
        "of $5.00",
        "for 300 of gpt-4o-mini (standard)",
        "tokens an answer; actual",
    ]);
    let told = summary(&folder);
    assert_eq!(pico(&told["cost"]["total"]), billed(&folder));
    assert_eq!(told["cost"]["estimate"]["actual"], told["cost"]["total"]);
    let expected = pico(&told["cost"]["estimate"]["expected"]);
    assert!(expected > billed(&folder) / 4 && expected < billed(&folder) * 4, "{expected}");
    let by_model = &told["cost"]["by_model"]["gpt-4o-mini"]["standard"];
    assert_eq!(by_model["answers"], ROWS as u64);
    assert_eq!(by_model["total"], told["cost"]["total"]);
    assert_eq!(told["cost"]["unpriced"], 0);
    assert_eq!(told["cost"]["prices_as_of"], "2026-11-23");
}

#[test]
fn the_progress_tells_what_was_spent_and_what_it_comes_to() {
    let simulator = logged().latency("500ms".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(48));
    // Without a terminal there is a line every five seconds.
    let run = job(&folder, &simulator, "5").args(["--concurrency", "4"]).run().ended(0);
    let line = run.stderr.lines().find(|line| line.contains("/48 rows")).unwrap();
    let amount = |text: &str| text.split([' ', ',']).next().unwrap().parse::<f64>().unwrap();
    let amounts: Vec<f64> = line.split('$').skip(1).map(amount).collect();
    assert!(line.contains(" of $5.00, $0.") && line.contains(" in the end | "), "{line}");
    assert_eq!(amounts.len(), 3, "{line}");
    let total = pico(&summary(&folder)["cost"]["total"]) as f64 / 1e12;
    assert!(amounts[0] < total && amounts[2] > 0.7 * total && amounts[2] < 1.4 * total, "{line}");
}

#[test]
fn the_cap_holds_through_deaths() {
    let simulator = logged().latency("20ms".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(700));
    let mut random = fastrand::Rng::with_seed(5);
    let mut deaths = 0;
    loop {
        let few = ["--max-concurrency", "4"];
        let mut run = job(&folder, &simulator, "0.01").args(few).start();
        let begun = simulator.stats().requests;
        let some = random.u64(20..120);
        let mut is_over = false;
        until("some requests or the end", || {
            is_over = !run.is_running();
            is_over || simulator.stats().requests >= begun + some
        });
        if is_over {
            run.wait().ended(4);
            break;
        }
        run.kill();
        assert_eq!(run.wait().code, None, "it was killed");
        until("the end of all connections", || simulator.stats().open_connections == 0);
        deaths += 1;
    }
    assert!(deaths >= 2, "killed only {deaths} times");
    // Every request that the server has seen, whether its answer was written or not.
    let seen = received(&simulator);
    assert!(folder.path("out.jsonl.spent").exists(), "of what was lost, the output does not tell");
    job(&folder, &simulator, "0.01").run().ended(4);
    assert_eq!(received(&simulator), seen, "the same cap sends nothing more");
    let told = summary(&folder);
    assert!(pico(&told["cost"]["cap"]["counted_money"]) <= 10_000_000_000);
    job(&folder, &simulator, "1").run().ended(0);
    // The simulator answers a question always alike: its last answer tells what each one cost.
    let prices = prices(&folder);
    let paid: u64 = seen.iter().map(|(row, times)| prices[row] * *times as u64).sum();
    assert!(paid <= 10_000_000_000, "{paid} was billed through {deaths} deaths");
    // What was in flight at each death counts at the most that it may have cost.
    assert!(paid > 3_300_000_000, "{paid}: {deaths} deaths stopped it too early");
    folder.job().to(&simulator.base_url()).args(["--fresh", "--max-cost", "1"]).run().ended(0);
    assert!(!folder.path("out.jsonl.spent").exists(), "the output tells all");
}

#[test]
fn what_was_lost_under_a_cap_counts_after_a_run_without_one() {
    let simulator = logged().latency("1500ms".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(40));
    let at_once = ["--concurrency", "40"];
    let mut run = job(&folder, &simulator, "1").args(at_once).start();
    until("all are in flight", || simulator.stats().requests == 40);
    run.kill();
    assert_eq!(run.wait().code, None, "it was killed");
    assert!(folder.path("out.jsonl.spent").exists());
    folder.job().to(&simulator.base_url()).args(at_once).run().ended(0);
    assert_eq!(simulator.stats().requests, 80);
    let (once, line) = (billed(&folder), folder.read("out.jsonl.spent"));
    assert!(line.contains("on_top"), "{line}");
    folder.write("in.jsonl", rows(41));
    job(&folder, &simulator, "1").run().ended(0);
    let earlier = pico(&summary(&folder)["cost"]["cap"]["earlier_money"]);
    assert!(earlier >= 2 * once, "{earlier} for twice {once}");
}

#[test]
fn a_cap_that_fits_nothing_says_what_all_may_cost_and_one_of_tokens_what_is_left() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(20));
    job(&folder, &simulator, "0").run().ended(4).said(&["20 rows are left, at most $0.00"]);
    let told = summary(&folder);
    let most = pico(&told["cost"]["left_at_most"]);
    assert!(told["cost"]["left"].is_null());
    // That is enough for all.
    let cap = format!("0.{most:012}");
    job(&folder, &simulator, &cap).run().ended(0);
    folder.write("in.jsonl", rows(40));
    let args = ["--max-tokens-total", "1000", "--summary", "summary.json"];
    let run = folder.job().to(&simulator.base_url()).args(args).run().ended(4);
    run.said(&["rows are left, with about ", " tokens and at about $0.0", "of them by earlier"]);
    assert!(summary(&folder)["cost"]["left_tokens"].as_u64().unwrap() > 100);
}

#[test]
fn a_server_that_uses_more_than_it_was_allowed_is_counted_and_told() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(5));
    // Rows of sixty tokens at the most, for which the server has told a million each.
    folder.write("out.jsonl", lying(3));
    let run = job(&folder, &simulator, "0.05").run().ended(4);
    let run = run.said(&["$0.45 of $0.05", "$0.40 over it: the server used more"]);
    assert!(!run.stderr.contains("at most $"), "it keeps to no most:\n{}", run.stderr);
    assert_eq!(pico(&summary(&folder)["cost"]["cap"]["over_money"]), 400_000_000_000);
}

/// Lines of answers of a million tokens each, to other rows.
fn lying(count: usize) -> String {
    let line = |n: usize| {
        format!(
            r#"{{"custom_id":"l{n}","response":{{"status_code":200,"body":{{"model":"gpt-4o-mini","choices":[],"usage":{{"prompt_tokens":1000000,"completion_tokens":0}}}}}},"error":null,"x_run":{{"ok":true}}}}"#
        ) + "\n"
    };
    (0..count).map(line).collect()
}

#[test]
fn a_price_that_is_not_known_is_refused_before_anything_is_sent() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(3) + &unknown(2));
    let run = job(&folder, &simulator, "5").run().ended(1);
    run.said(&["in.jsonl:4", "`gpt-9`", "--prices FILE", "1 more row"]);
    assert_eq!(simulator.stats().requests, 0);
    // The same from a pipe, where the rows before it are sent.
    let text = folder.read("in.jsonl");
    let piped = folder.program().args(["run", "-", "-o", "piped.jsonl", "--max-cost", "5"]);
    piped.to(&simulator.base_url()).stdin(text).run().ended(1).said(&["`gpt-9`", "--prices"]);
    assert!(simulator.stats().requests <= 3);
    // Both formats give it a price.
    folder.write(
        "own.json",
        r#"{"format": 1, "models": {"gpt-9": {"standard": {"input": 1, "output": 2}}}}"#,
    );
    folder.write(
        "lite.json",
        r#"{"gpt-9": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}"#,
    );
    for file in ["own.json", "lite.json"] {
        job(&folder, &simulator, "5").args(["--fresh", "--prices", file]).run().ended(0);
        let told = summary(&folder);
        let of = |model: &str| told["cost"]["by_model"][model]["standard"].clone();
        let (input, output) = (of("gpt-9")["input"].clone(), of("gpt-9")["output"].clone());
        let expected = input.as_u64().unwrap() * 1_000_000 + output.as_u64().unwrap() * 2_000_000;
        assert_eq!(pico(&of("gpt-9")["total"]), expected);
        assert_eq!(of("gpt-4o-mini")["answers"], 3);
    }
    // By the environment too; and what cannot be meant names file and model.
    let job = || folder.job().to(&simulator.base_url()).env("OPENAI_MAX_COST", "5");
    job().args(["--fresh"]).env("OPENAI_PRICES_FILE", "own.json").run().ended(0);
    folder.write("bad.json", r#"{"m": {"input_cost_per_token": -1, "output_cost_per_token": 1}}"#);
    job().args(["--prices", "bad.json"]).run().ended(1).said(&["bad.json", "model m", "-1"]);
    job().args(["--prices", "none.json"]).run().ended(1).said(&["none.json"]);
}

#[test]
fn without_a_cap_an_unknown_price_is_told_and_never_zero() {
    let (folder, simulator) = (Folder::new(), simulator());
    let mixed = rows(3) + &unknown(2);
    folder.write("in.jsonl", mixed);
    let run = folder.job().to(&simulator.base_url()).args(["--summary", "summary.json"]).run();
    run.ended(0).said(&["price unknown", "2 of 5 answers", "lower bound", "at least $"]);
    let told = summary(&folder);
    assert_eq!(told["cost"]["unpriced"], 2);
    assert_eq!(told["cost"]["by_model"]["gpt-9"]["standard"]["unpriced"], 2);
    assert!(told["cost"]["cap"].is_null());
    // An output of which the cost is not known cannot be gone on with under a cap.
    folder.write("in.jsonl", rows(4) + &unknown(2));
    job(&folder, &simulator, "5").run().ended(1).said(&["2 of the answers", "--prices"]);
    assert_eq!(simulator.stats().requests, 5);
}

#[test]
fn tokens_are_capped_too() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(ROWS).replace("gpt-4o-mini", "gpt-9"));
    let job = |cap: &str| {
        let args = ["--max-tokens-total", cap, "--summary", "summary.json"];
        folder.job().to(&simulator.base_url()).args(args)
    };
    job("4000").run().ended(4).said(&["the cap of 4000 tokens is reached"]);
    let used = |folder: &Folder| -> u64 {
        let lines = folder.lines("out.jsonl");
        lines.iter().map(|l| l["response"]["body"]["usage"]["total_tokens"].as_u64().unwrap()).sum()
    };
    let first = used(&folder);
    assert!(first <= 4_000 && first > 4_000 - 500, "{first}");
    let sent = simulator.stats().requests;
    job("4000").run().ended(4);
    assert_eq!((simulator.stats().requests, used(&folder)), (sent, first));
    assert_eq!(summary(&folder)["cost"]["cap"]["counted_tokens"], first);
    job("1000000").run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), ROWS);
}

#[test]
fn attempts_that_were_maybe_billed_are_counted_and_shown_and_remembered() {
    let simulator = logged().fault_spec("half=100%".parse().unwrap()).start().unwrap();
    let folder = Folder::new();
    folder.write("in.jsonl", rows(2));
    let once = ["--max-retries", "0"];
    let run = job(&folder, &simulator, "5").args(once).run().ended(3);
    run.said(&["2 attempts may have been billed without an answer, at most $0.0"]);
    let told = summary(&folder);
    let maybe = pico(&told["cost"]["maybe_billed"]);
    assert!(maybe > 0 && pico(&told["cost"]["total"]) == 0);
    assert_eq!(pico(&told["cost"]["cap"]["counted_money"]), maybe);
    let lines = folder.lines("out.jsonl");
    let written: u64 = lines.iter().map(|line| pico(&line["x_run"]["maybe_cost"])).sum();
    assert_eq!(written, maybe);
    // The next run counts them; the cap leaves room for two more, and not for a third.
    let cap = format!("0.{:012}", maybe * 2);
    let run = job(&folder, &simulator, &cap).args(["--max-retries", "5"]).run().ended(4);
    run.said(&["stopped by the cap"]);
    assert_eq!(simulator.stats().requests, 4);
    let told = summary(&folder);
    assert_eq!(pico(&told["cost"]["cap"]["earlier_money"]), maybe);
    assert_eq!(pico(&told["cost"]["cap"]["counted_money"]), maybe * 2);
    // The rows that the cap ended have no line, and what they may have cost is remembered.
    job(&folder, &simulator, &cap).run().ended(4);
    assert_eq!(simulator.stats().requests, 4);
    assert!(folder.path("out.jsonl.spent").exists());
    folder.job().to(&simulator.base_url()).args(["--fresh", "--max-retries", "0"]).run().ended(3);
    assert!(!folder.path("out.jsonl.spent").exists(), "starting over forgets it");
}

#[test]
fn a_cap_that_is_no_amount_is_2_and_one_of_nothing_sends_nothing() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", rows(2));
    for typed in ["much", "-1", "5,00", "1e3", ""] {
        job(&folder, &simulator, typed).run().ended(2);
    }
    job(&folder, &simulator, "0").run().ended(4).said(&["the cap of $0.00", "2 rows are left"]);
    assert_eq!(simulator.stats().requests, 0);
}
