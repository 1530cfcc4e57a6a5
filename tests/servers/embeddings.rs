//! llama.cpp's server with a model for embeddings, behind a key.

use crate::program::{Folder, KEY as WRONG};
use crate::{body, lines, row, server};
use openai_bulk::api::EmbeddingsRequest;
use serde_json::json;

const MODEL: &str = "tiny-embed";

#[test]
fn texts_and_lists_are_embedded_as_numbers_and_as_base64() {
    let Some(server) = server("EMBED") else { return };
    let rows = [
        row("one", "embeddings", json!({"model": MODEL, "input": "hello there"})),
        row("list", "embeddings", json!({"model": MODEL, "input": ["hello", "there"]})),
        row(
            "packed",
            "embeddings",
            json!({"model": MODEL, "input": "hello there", "encoding_format": "base64"}),
        ),
    ];
    let lines = server.send(&rows, 0, &[]);
    assert_eq!(body(&lines["one"])["data"][0]["embedding"].as_array().unwrap().len(), 64);
    assert_eq!(body(&lines["list"])["data"].as_array().unwrap().len(), 2);
    assert!(body(&lines["packed"])["data"][0]["embedding"].is_string());
}

#[test]
fn the_library_gives_the_numbers_however_they_come() {
    let Some(server) = server("EMBED") else { return };
    let reply = server.client().send(&EmbeddingsRequest::new(MODEL, "hello there")).unwrap();
    let length: f32 = reply.vectors().unwrap()[0].iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 0.01, "{length}");
}

#[test]
fn a_wrong_key_stops_the_run_and_is_not_shown() {
    let Some(server) = server("EMBED") else { return };
    let folder = Folder::new();
    let rows: Vec<_> = (0..20)
        .map(|n| row(&format!("r{n}"), "embeddings", json!({"model": MODEL, "input": "hello"})))
        .collect();
    folder.write("in.jsonl", lines(&rows));
    let program = folder.program().args(["run", "in.jsonl", "-o", "out.jsonl"]).to(&server.url);
    let run = program.run().ended(5).said(&["401", "Invalid API Key"]);
    assert!(!run.stderr.contains(WRONG));
    server.program(&folder, &["run", "in.jsonl", "-o", "out.jsonl"]).run().ended(0);
    assert_eq!(folder.rows("out.jsonl").len(), 20);
}
