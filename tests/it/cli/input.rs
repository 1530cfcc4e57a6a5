//! Each kind of line, each way in, each endpoint.

use crate::program::{Folder, chat, chats, simulator};
use flate2::Compression;
use flate2::write::GzEncoder;
use openai_bulk::simulator::Simulator;
use serde_json::{Value, json};
use std::io::Write;

fn bodies(simulator: &Simulator) -> Vec<Value> {
    simulator.received().iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect()
}

fn paths(simulator: &Simulator) -> Vec<String> {
    simulator.received().into_iter().map(|r| r.path).collect()
}

#[test]
fn batch_lines_reach_the_server_with_their_bodies_byte_for_byte() {
    let body = r#"{"zz":[1.0,1e2,0.10], "model":"gpt-4o-mini","messages":[{"role":"user","content":"caf\u00e9 \u0000 \"x\" é"}],"unknown":{"b":1,"a":null},"seed":18446744073709551615,"x":1.00000000000000000001}"#;
    let line = format!(
        r#"{{"method":"POST","custom_id":"a","url":"/v1/chat/completions","body":{body}}}"#
    );
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", line);
    folder.job().to(&simulator.base_url()).run().ended(0);
    let received = simulator.received();
    assert_eq!(received.len(), 1);
    assert_eq!(String::from_utf8_lossy(&received[0].body), body);
    assert_eq!(received[0].path, "/v1/chat/completions");
    assert_eq!(folder.lines("out.jsonl")[0]["custom_id"], "a");
}

#[test]
fn bare_bodies_are_sent_without_their_metadata_which_comes_back() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write(
        "in.jsonl",
        "{\"model\":\"text-embedding-3-small\",\"input\":\"one\",\"metadata\":{\"row_id\":7,\"big\":12345678901234567890}}\n\
         {\"model\":\"text-embedding-3-small\",\"input\":\"two\"}\n",
    );
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(paths(&simulator), ["/v1/embeddings", "/v1/embeddings"]);
    assert!(bodies(&simulator).iter().all(|body| body.get("metadata").is_none()));
    let rows = folder.rows("out.jsonl");
    assert_eq!(
        rows["line-1"]["x_run"]["metadata"],
        json!({"row_id": 7, "big": 12345678901234567890u64})
    );
    assert_eq!(rows["line-2"]["x_run"].get("metadata"), None);
    assert_eq!(rows["line-1"]["x_run"]["line"], 1);
}

#[test]
fn prompts_become_chats_with_model_and_system() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", "{\"prompt\":\"Why?\",\"id\":17}\n");
    folder
        .job()
        .args(["--model", "gpt-4.1-nano", "--system", "Be \"brief\"."])
        .to(&simulator.base_url())
        .run()
        .ended(0);
    assert_eq!(
        bodies(&simulator),
        [json!({
            "model": "gpt-4.1-nano",
            "messages": [
                {"role": "system", "content": "Be \"brief\"."},
                {"role": "user", "content": "Why?"},
            ],
        })]
    );
    assert!(folder.rows("out.jsonl").contains_key("17"));
}

#[test]
fn a_template_is_typed_or_read_from_a_file() {
    let template =
        r#"{"messages":[{"role":"user","content":"Solve: {question}"}],"temperature":0}"#;
    for typed in [template, "template.json"] {
        let (folder, simulator) = (Folder::new(), simulator());
        folder.write("template.json", template);
        folder.write("in.jsonl", "{\"question\":\"1+1 \\\"{question}\\\"?\",\"answer\":\"2\"}\n");
        folder.job().args(["--template", typed]).to(&simulator.base_url()).run().ended(0);
        let body = &bodies(&simulator)[0];
        assert_eq!(body["messages"][0]["content"], "Solve: 1+1 \"{question}\"?", "{typed}");
        assert_eq!(body["temperature"], 0);
    }
}

#[test]
fn a_template_that_is_wrong_is_wrong_usage() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl", "{\"question\":\"1+1?\"}\n");
    let run = |template| folder.job().args(["--template", template]).to(&simulator.base_url());
    run(r#"{"messages":"#).run().ended(2).said(&["--template"]);
    run("absent.json").run().ended(1).said(&["template", "absent.json"]);
    let absent = r#"{"messages":[{"role":"user","content":"{nothing}"}]}"#;
    run(absent).run().ended(1).said(&["in.jsonl:1", "nothing"]);
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn standard_input_is_read_as_it_comes() {
    let (folder, simulator) = (Folder::new(), simulator());
    folder
        .program()
        .args(["run", "-", "-o", "out.jsonl"])
        .to(&simulator.base_url())
        .stdin(chats(50))
        .run()
        .ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 50);
    // The journal is a journal for a stream too.
    folder
        .program()
        .args(["run", "-", "-o", "out.jsonl"])
        .to(&simulator.base_url())
        .stdin(chats(60))
        .run()
        .ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 60);
    assert_eq!(simulator.stats().requests, 60);
}

#[test]
fn compressed_input_is_unpacked_whatever_its_name() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(chats(20).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let (folder, simulator) = (Folder::new(), simulator());
    folder.write("in.jsonl.gz", &packed);
    let run = |input| folder.program().args(["run", input, "-o", "out.jsonl"]);
    run("in.jsonl.gz").to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 20);
    // A download that was cut off is not a shorter input.
    folder.write("in.jsonl.gz", &packed[..packed.len() - 12]);
    run("in.jsonl.gz")
        .args(["--fresh"])
        .to(&simulator.base_url())
        .run()
        .ended(1)
        .said(&["in.jsonl.gz"]);
    assert_eq!(simulator.stats().requests, 20);
    assert_eq!(folder.rows("out.jsonl").len(), 20);
}

#[test]
fn every_endpoint_is_served() {
    let body = |url: &str| match url {
        "/v1/chat/completions" => r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#,
        "/v1/responses" => r#"{"model":"m","input":"hi"}"#,
        "/v1/embeddings" => r#"{"model":"text-embedding-3-small","input":"hi"}"#,
        "/v1/completions" => r#"{"model":"gpt-3.5-turbo-instruct","prompt":"hi"}"#,
        _ => r#"{"input":"hi"}"#,
    };
    let urls = [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/responses",
    ];
    let (folder, simulator) = (Folder::new(), simulator());
    let line = |url: &&str| {
        let body = body(url);
        format!(
            "{{\"custom_id\":\"{url}\",\"url\":\"{url}\",\"method\":\"POST\",\"body\":{body}}}\n"
        )
    };
    folder.write("in.jsonl", urls.iter().map(line).collect::<String>());
    folder.job().to(&simulator.base_url()).run().ended(0);
    let mut seen = paths(&simulator);
    seen.sort();
    assert_eq!(seen, urls);
    for (url, row) in folder.rows("out.jsonl") {
        assert_eq!(row["response"]["status_code"], 200, "{url}");
        assert_eq!(row["x_run"]["ok"], true, "{url}");
    }
    // A bare body goes where it looks to belong, or where it is told to.
    for (url, told) in [("/v1/moderations", true), ("/v1/completions", false)] {
        let folder = Folder::new();
        folder.write("in.jsonl", body(url));
        let job = folder.job().args(if told { vec!["--endpoint", url] } else { vec![] });
        job.to(&simulator.base_url()).run().ended(0);
        assert_eq!(paths(&simulator).pop().as_deref(), Some(url));
    }
}

#[test]
fn odd_files_are_read_like_even_ones() {
    let (folder, simulator) = (Folder::new(), simulator());
    let text =
        format!("\u{feff}{}\r\n\n   \n{}", chat("a", "1?").trim_end(), chat("b", "2?").trim_end());
    folder.write("in.jsonl", text);
    folder.job().to(&simulator.base_url()).run().ended(0);
    assert_eq!(folder.rows("out.jsonl")["b"]["x_run"]["line"], 4);
    for nothing in ["", "\n\n"] {
        let folder = Folder::new();
        folder.write("in.jsonl", nothing);
        folder.job().to(&simulator.base_url()).run().ended(0).said(&["0 in all"]);
        assert_eq!(folder.read("out.jsonl"), "");
    }
}

#[test]
fn the_simulator_inside_needs_no_key_and_no_network() {
    let folder = Folder::new();
    folder.write("in.jsonl", chats(30));
    folder.job().args(["--simulate", "--latency", "1ms"]).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 30);
    // Settings for the real server, even wrong ones, are none of its own.
    let real = simulator();
    folder
        .job()
        .args([
            "--simulate",
            "--latency",
            "1ms",
            "--fresh",
            "--fault",
            "500=20%",
            "--faults-on-first",
            "1",
        ])
        .env("OPENAI_BASE_URL", real.base_url())
        .env("OPENAI_API_KEY", "sk-real-0123456789")
        .run()
        .ended(0);
    assert_eq!(real.stats().connections, 0);
}
