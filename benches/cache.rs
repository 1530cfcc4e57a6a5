//! The cache of answers: looking up, keeping, and a row from the cache against one over the loopback.
//!
//! `cargo bench --features simulator --bench cache`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::api::ChatRequest;
use openai_bulk::cache::{Access, Cache, CacheOptions, Entry, Key, Request, Sample};
use openai_bulk::config::ApiKey;
use openai_bulk::simulator::Simulator;
use openai_bulk::{Client, Config};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, SystemTime};

const QUESTION: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"Why do ships made of steel float, and what would it take for a stone to float too?"}],"max_tokens":100}"#;
const ROWS: usize = 2_000;

fn key(number: u32) -> Key {
    let request = Request::new("account", "http://bench/v1/chat/completions", QUESTION.as_bytes());
    request.expect("it is a request").sample(Sample { epoch: number, repeat: 0 })
}

fn open(folder: &Path) -> Cache {
    let age = Duration::from_secs(86_400);
    Cache::open(CacheOptions::new(folder.join("answers.db"), 4 << 30, age), &[])
}

fn answer(bytes: usize) -> Entry {
    let body = format!(r#"{{"choices":[],"text":"{}"}}"#, "x".repeat(bytes));
    Entry::new(200, Some("req_1"), body.as_bytes()).expect("it is an answer")
}

fn on_the_disk(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache");
    let folder = tempfile::tempdir().expect("there is room");
    let (cache, now) = (open(folder.path()), SystemTime::UNIX_EPOCH);
    group.throughput(Throughput::Elements(1));
    group.bench_function("the key of a request", |b| b.iter(|| key(black_box(7))));
    for bytes in [1_000, 10_000] {
        let entry = answer(bytes);
        let mut number = 0;
        group.bench_function(format!("keep {bytes} bytes"), |b| {
            b.iter(|| {
                number += 1;
                cache.put(&key(number), &entry, now);
            });
        });
        let mut turn = 0;
        group.bench_function(format!("look up {bytes} bytes"), |b| {
            b.iter(|| {
                turn = turn % number + 1;
                cache.get(&key(turn), now).expect("it is kept")
            });
        });
    }
    group.bench_function("look up what is not there", |b| {
        b.iter(|| assert!(cache.get(&key(u32::MAX), now).is_none()));
    });
    group.finish();
}

fn rows(client: &Client) {
    let requests = (0..ROWS).map(|n| {
        ChatRequest::new("gpt-4o-mini").user(format!("Question {n}: why do ships float?"))
    });
    assert_eq!(client.bulk().send(requests).filter(|each| each.result.is_ok()).count(), ROWS);
}

/// The ratio is what counts: the same rows, from the server and from the cache.
fn a_row(c: &mut Criterion) {
    let simulator = Simulator::start().expect("a port is free");
    let folder = tempfile::tempdir().expect("there is room");
    let config = Config::new()
        .base_url(simulator.base_url())
        .api_key(ApiKey::new("sk-bench").expect("it is a key"))
        .cache(Access::On)
        .cache_file(folder.path().join("answers.db"));
    let client = Client::new(config).expect("the settings are valid");
    let mut group = c.benchmark_group("row");
    group.sample_size(10).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("over the loopback", |b| b.iter(|| rows(&client.uncached())));
    rows(&client);
    group.bench_function("from the cache", |b| b.iter(|| rows(&client)));
    group.finish();
}

criterion_group!(cache, on_the_disk, a_row);
criterion_main!(cache);
