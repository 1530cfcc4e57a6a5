//! `doctor`: what it finds, and its exit code.

use crate::program::{Finished, Folder, Program, simulator};
use crate::transport::serve::{Server, answer};
use crate::transport::tls::Authority;
use openai_bulk::simulator::{Limits, Simulator};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::TcpListener;

fn doctor(folder: &Folder, base_url: &str) -> Program {
    let store = folder.path("state/batches.db").display().to_string();
    folder.program().args(["doctor", "--json"]).env("OPENAI_BATCH_STORE", store).to(base_url)
}

/// The worst finding of each check, and all that was said.
fn findings(run: &Finished) -> BTreeMap<String, (String, String)> {
    let told: Value = serde_json::from_str(&run.stdout).expect(&run.stdout);
    let rank = |level: &str| ["skipped", "ok", "warning", "error"].iter().position(|l| *l == level);
    let mut worst: BTreeMap<String, (String, String)> = BTreeMap::new();
    for finding in told["findings"].as_array().unwrap() {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let (level, said) = (text("level"), text("found") + " -> " + &text("fix"));
        let seen = worst.entry(text("check")).or_insert_with(|| (level.clone(), said.clone()));
        if rank(&level) > rank(&seen.0) {
            *seen = (level, said);
        }
    }
    worst
}

#[track_caller]
fn finds(run: Finished, code: i32, check: &str, level: &str, part: &str) {
    let run = run.ended(code);
    let all = findings(&run);
    let (found, said) = &all[check];
    assert!(found == level && said.contains(part), "{check}: {found}: {said}");
}

#[test]
fn a_machine_that_is_well_has_nothing_wrong_and_pays_for_one_token() {
    let folder = Folder::new();
    let limits = Limits::none().requests_per_minute(500).tokens_per_minute(30_000);
    let simulator = Simulator::builder().limits(limits).log_requests(10).start().unwrap();
    let run = doctor(&folder, &simulator.base_url()).run().ended(0).said(&["one token"]);
    let all = findings(&run);
    assert!(all.values().all(|(level, _)| level == "ok" || level == "skipped"), "{all:?}");
    let names: Vec<_> = all.keys().map(String::as_str).collect();
    let expected = [
        "base_url",
        "clock",
        "configuration",
        "disk",
        "key",
        "limits",
        "model",
        "open_files",
        "prices",
        "proxy",
        "store",
        "tls",
    ];
    assert_eq!(names, expected);
    assert!(all["limits"].1.contains("500 requests"), "{all:?}");
    assert_eq!(simulator.stats().requests, 2);
    assert!(!folder.path("state").exists(), "a look makes no store");
    doctor(&folder, &simulator.base_url()).args(["--free"]).run().ended(0);
    assert_eq!(simulator.stats().requests, 3);
    doctor(&folder, &simulator.base_url()).args(["--offline"]).run().ended(0);
    assert_eq!(simulator.stats().requests, 3);
}

#[test]
fn each_thing_that_is_wrong_is_found() {
    let (folder, simulator) = (Folder::new(), simulator());
    let url = simulator.base_url();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{gone}/v1");
    finds(doctor(&folder, &nobody).run(), 1, "base_url", "error", "start the server");
    let bare = url.trim_end_matches("/v1");
    finds(doctor(&folder, bare).run(), 1, "base_url", "error", "/v1");
    finds(doctor(&folder, "localhost:8000").run(), 1, "base_url", "error", "https://");
    let no_key = doctor(&folder, "https://api.openai.com/v1").env("OPENAI_API_KEY", "").run();
    finds(no_key, 1, "key", "error", "export OPENAI_API_KEY");
    let typo = doctor(&folder, &url).env("OPENAI_MAX_RETRYS", "3").run();
    finds(typo, 0, "configuration", "warning", "OPENAI_MAX_RETRIES");
    let range = doctor(&folder, &url).env("OPENAI_MAX_RETRIES", "999").run();
    finds(range, 1, "configuration", "error", "from 0 to 50");
    let proxied = doctor(&folder, "http://api.test/v1").env("HTTP_PROXY", format!("http://{gone}"));
    finds(proxied.run(), 1, "proxy", "error", &gone.to_string());
    let unpriced = doctor(&folder, &url).args(["--model", "mine"]).run();
    finds(unpriced, 0, "prices", "warning", "--prices");
    let few = doctor(&folder, &url).after("ulimit -n 128").run();
    finds(few, 0, "open_files", "warning", "ulimit -n");
    folder.write("broken.db", "not a database, and long enough to be told from one that is empty");
    let broken = doctor(&folder, &url)
        .env("OPENAI_BATCH_STORE", folder.path("broken.db").display().to_string())
        .run();
    finds(broken, 1, "store", "error", "not a database");
}

#[test]
fn a_wrong_key_and_an_unknown_model_are_found_and_no_key_is_shown() {
    let folder = Folder::new();
    let simulator =
        Simulator::builder().key("sk-right-0123456789").model("gpt-4o").start().unwrap();
    let url = simulator.base_url();
    let run = doctor(&folder, &url).run().ended(1);
    assert!(!format!("{run:?}").contains(crate::program::KEY));
    finds(run, 1, "key", "error", "invalid_api_key");
    let right = || doctor(&folder, &url).env("OPENAI_API_KEY", "sk-right-0123456789");
    let typo = right().args(["--model", "gpt4o"]).run();
    finds(typo, 1, "model", "error", "did you mean gpt-4o?");
    finds(right().args(["--model", "gpt-4o"]).run(), 0, "key", "ok", "");
}

#[test]
fn a_certificate_that_is_not_good_and_a_clock_that_is_wrong_are_found() {
    let folder = Folder::new();
    let authority = Authority::new();
    let expired = authority.server("127.0.0.1", 2021);
    let url = format!("https://{}/v1", expired.address);
    let ca = authority.file().display().to_string();
    let run = doctor(&folder, &url).args(["--ca-file", &ca]).run();
    finds(run, 1, "tls", "error", "clock");
    let unknown = authority.server("127.0.0.1", 2099);
    let url = format!("https://{}/v1", unknown.address);
    finds(doctor(&folder, &url).run(), 1, "tls", "error", "--ca-file");
    folder.write("ca.pem", "no certificate");
    let damaged = doctor(&folder, &url).args(["--ca-file", "ca.pem"]).run();
    finds(damaged, 1, "tls", "error", "PEM");
    let date = [("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let past = Server::answering(move |_| answer("200 OK", &date, br#"{"data":[]}"#));
    let url = format!("http://{}/v1", past.address);
    finds(doctor(&folder, &url).run(), 1, "clock", "error", "timedatectl");
}

#[test]
fn people_are_told_in_lines() {
    let (folder, simulator) = (Folder::new(), simulator());
    let run = folder.program().args(["doctor"]).to(&simulator.base_url()).run();
    assert!(run.stdout.contains("ok       base URL       http://127.0.0.1:"), "{}", run.stdout);
    let gone = folder.program().args(["doctor"]).to("http://127.0.0.1:9/v1").run().ended(1);
    assert!(gone.stdout.contains("-> start the server") && gone.stdout.contains("1 error"));
}
