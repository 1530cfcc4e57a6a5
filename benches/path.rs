//! The path of a request: gate and loop without a network, and over the loopback.
//!
//! `cargo bench --features simulator --bench path`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::clock::{Stop, SystemClock};
use openai_bulk::dispatch::{Call, Dispatcher, Gate, Job, Limits, Pool, PoolOptions};
use openai_bulk::error::TransportError;
use openai_bulk::policy::retry::Rules;
use openai_bulk::simulator::Simulator;
use openai_bulk::transport::{Answer, Exchange, Http, HttpOptions, Method, Transport};
use openai_bulk::usage::Prices;
use std::sync::Arc;
use std::time::Duration;

const QUESTION: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"Why do ships made of steel float, and what would it take for a stone to float too?"}],"max_tokens":100}"#;
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Because they hold much air."},"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":8,"total_tokens":48}}"#;

fn dispatcher(transport: impl Transport, max_concurrency: usize) -> Arc<Dispatcher> {
    let mut limits = Limits::default();
    limits.max_concurrency = max_concurrency;
    limits.min_concurrency = max_concurrency;
    // Far above what is sent, so that the budgets are kept and never bind.
    limits.requests_per_minute = Some(1e9);
    limits.tokens_per_minute = Some(1e12);
    Arc::new(Dispatcher {
        transport: Arc::new(transport),
        clock: Arc::new(SystemClock::new()),
        gate: Gate::new(limits),
        rules: Rules::default(),
        timeout: Duration::from_secs(60),
        deadline: Duration::from_secs(600),
        hedge: 0.0,
        headers: vec![("Authorization".into(), "Bearer sk-bench".into())],
        prices: Arc::new(Prices::builtin()),
        purse: None,
        observer: None,
    })
}

fn instant(_: &Exchange<'_>) -> Result<Answer, TransportError> {
    Ok(Answer::new(200, ANSWER))
}

fn call(url: &Arc<str>) -> Call {
    Call::new(Method::Post, url.clone(), QUESTION.as_bytes(), "gpt-4o-mini".into())
}

fn send_all(dispatcher: &Arc<Dispatcher>, url: &Arc<str>, count: usize) {
    let (pool, intake) = Pool::start(dispatcher.clone(), PoolOptions::new(None, &Stop::new()));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for tag in 0..count {
                intake.push(Job { call: call(url), tag }).expect("nobody stops it");
            }
        });
        let mut answered = 0;
        while let Some(delivered) = pool.recv() {
            delivered.result.expect("every call is answered");
            pool.release();
            answered += 1;
        }
        assert_eq!(answered, count);
    });
}

fn without_a_network(c: &mut Criterion) {
    let mut group = c.benchmark_group("no network");
    let url: Arc<str> = "http://bench/v1/chat/completions".into();
    let one = dispatcher(instant, 64);
    let (each, stop) = (call(&url), Stop::new());
    group.throughput(Throughput::Elements(1));
    group.bench_function("weigh a request", |b| b.iter(|| call(&url)));
    group.bench_function("one call on its thread", |b| b.iter(|| one.send(&each, &stop).unwrap()));
    const MANY: usize = 10_000;
    group.throughput(Throughput::Elements(MANY as u64)).sample_size(10);
    group
        .bench_function("10,000 calls through the pool", |b| b.iter(|| send_all(&one, &url, MANY)));
    group.finish();
}

fn over_the_loopback(c: &mut Criterion) {
    let simulator = Simulator::start().expect("a port is free");
    let url: Arc<str> = format!("{}/chat/completions", simulator.base_url()).into();
    let mut group = c.benchmark_group("loopback");
    group.sample_size(10);
    for in_flight in [1, 64, 512, 4_096] {
        let http = Http::new(HttpOptions::default()).expect("the defaults are valid");
        let dispatcher = dispatcher(http, in_flight);
        let count = if in_flight == 1 { 500 } else { 5_000.max(2 * in_flight) };
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("in flight", in_flight), |b| {
            b.iter(|| send_all(&dispatcher, &url, count));
        });
    }
    group.finish();
}

criterion_group!(path, without_a_network, over_the_loopback);
criterion_main!(path);
