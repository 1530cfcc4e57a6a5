//! An evaluation against the same questions one after another, with a server that takes its time.
//!
//! `cargo bench --features simulator --bench eval`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::Client;
use openai_bulk::api::ChatRequest;
use openai_bulk::config::{ApiKey, Config};
use openai_bulk::eval::{Dataset, Evaluation, Scorer, Shape};
use openai_bulk::simulator::{Answers, Simulator};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const ROWS: usize = 500;

/// The same for both, and what they are scored by.
fn question(n: usize) -> (String, String) {
    (format!("How much is {n} and {n}, if nobody takes anything away?"), format!("#### {}", 2 * n))
}

fn write(path: &Path) {
    let row = |n| {
        let (question, answer) = question(n);
        json!({"question": question, "answer": answer}).to_string() + "\n"
    };
    std::fs::write(path, (0..ROWS).map(row).collect::<String>()).expect("the folder is ours");
}

fn rows_per_second(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a folder for such files");
    let path = folder.path().join("data.jsonl");
    write(&path);
    let mut answers = Answers::default();
    (0..ROWS).map(question).for_each(|(question, answer)| answers.insert(question, answer));
    let simulator = Simulator::builder()
        .answers(answers)
        .latency("10ms".parse().expect("it is a time"))
        .start()
        .expect("a port is free");
    let key = ApiKey::new("sk-bench").expect("it is a key");
    let config = Config::new().base_url(simulator.base_url()).api_key(key).min_concurrency(64);
    let client = Client::new(config).expect("the settings are valid");
    let mut group = c.benchmark_group("eval");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("evaluation", |b| {
        b.iter(|| {
            let dataset = Dataset::open(&path, Shape::Gsm8k).expect("it was written");
            let evaluation = Evaluation::new(dataset, folder.path().join("out.jsonl"))
                .scorer(Scorer::gsm8k())
                .fresh(true);
            let done = evaluation.run(client.caller()).expect("nothing fails");
            assert_eq!(done.report.overall.correct, ROWS as u64);
        });
    });
    // A tenth of the rows, or it would take the tenth of a minute.
    group.throughput(Throughput::Elements(ROWS as u64 / 10));
    group.bench_function("one after another", |b| {
        b.iter(|| {
            let right = (0..ROWS / 10).map(question).filter(|(question, answer)| {
                let reply = client.send(&ChatRequest::ask(question.as_str()));
                reply.expect("nothing fails").text() == *answer
            });
            assert_eq!(right.count(), ROWS / 10);
        });
    });
    group.finish();
}

criterion_group!(benches, rows_per_second);
criterion_main!(benches);
