//! What a row costs besides the network: read, weighed, its answer checked, and its line read back.
//!
//! `cargo bench --bench jsonl`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::usage::weigh;
use openai_bulk::wire::answer::check_answer;
use openai_bulk::wire::row::{Format, read_output};

const ROW: &str = r#"{"custom_id":"row-1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"Why do ships made of steel float, and what would it take for a stone to float too?"}],"max_tokens":100}}"#;
const BODY: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"Why do ships made of steel float, and what would it take for a stone to float too?"}],"max_tokens":100}"#;
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Because they hold much air."},"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":8,"total_tokens":48}}"#;

fn rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("jsonl");
    group.throughput(Throughput::Elements(1));
    let format = Format::default();
    group.bench_function("read and check a row", |b| {
        b.iter(|| format.parse(1, ROW.as_bytes()).expect("it is valid"));
    });
    group.bench_function("weigh a request", |b| b.iter(|| weigh(BODY.as_bytes())));
    group.bench_function("check an answer", |b| {
        b.iter(|| check_answer(ANSWER.as_bytes()).expect("it is valid"));
    });
    let line = format!(
        r#"{{"id":"x","custom_id":"row-1","response":{{"status_code":200,"request_id":"r","body":{ANSWER}}},"error":null}}"#
    );
    group.bench_function("read a line of the output", |b| b.iter(|| read_output(line.as_bytes())));
    group.finish();
}

criterion_group!(jsonl, rows);
criterion_main!(jsonl);
