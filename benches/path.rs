//! The path of a request: gate and loop without a network, admission, and over the loopback.
//!
//! `cargo bench --features simulator --bench path`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::cache::Cache;
use openai_bulk::clock::{Clock, ManualClock, Stop, SystemClock};
use openai_bulk::dispatch::{Call, Dispatcher, Gate, Job, Limits, Pool, PoolOptions};
use openai_bulk::error::TransportError;
use openai_bulk::policy::retry::Rules;
use openai_bulk::simulator::Simulator;
use openai_bulk::transport::{Answer, Exchange, Http, HttpOptions, Method, Transport};
use openai_bulk::usage::{Caps, Money, Prices, Purse};
use std::sync::Arc;
use std::time::Duration;

const QUESTION: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":"Why do ships made of steel float, and what would it take for a stone to float too?"}],"max_tokens":100}"#;
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Because they hold much air."},"finish_reason":"stop"}],"usage":{"prompt_tokens":40,"completion_tokens":8,"total_tokens":48}}"#;

fn dispatcher(transport: impl Transport, max_concurrency: usize) -> Arc<Dispatcher> {
    // Far above what is sent, so that the budgets are kept and never bind.
    paced(transport, max_concurrency, 1e9, Arc::new(SystemClock::new()))
}

fn paced(
    transport: impl Transport,
    max_concurrency: usize,
    requests_per_minute: f64,
    clock: Arc<dyn Clock>,
) -> Arc<Dispatcher> {
    let mut limits = Limits::default();
    limits.max_concurrency = max_concurrency;
    limits.min_concurrency = max_concurrency;
    limits.requests_per_minute = Some(requests_per_minute);
    limits.tokens_per_minute = Some(1e12);
    Arc::new(Dispatcher {
        transport: Arc::new(transport),
        clock,
        gate: Gate::new(limits),
        rules: Rules::default(),
        patience: Default::default(),
        timeout: Duration::from_secs(60),
        deadline: Duration::from_secs(600),
        hedge: 0.0,
        headers: vec![("Authorization".into(), "Bearer sk-bench".into())],
        prices: Arc::new(Prices::builtin()),
        purse: None,
        cache: Cache::none(),
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
    let mut capped = dispatcher(instant, 64);
    let caps = Caps { money: Some(Money::from_dollars(1_000_000)), tokens: None };
    Arc::get_mut(&mut capped).expect("it is new").purse = Some(Purse::new(caps, None));
    group.bench_function("one call under a cap", |b| {
        b.iter(|| capped.send(&each, &stop).unwrap());
    });
    const MANY: usize = 10_000;
    group.throughput(Throughput::Elements(MANY as u64)).sample_size(10);
    group
        .bench_function("10,000 calls through the pool", |b| b.iter(|| send_all(&one, &url, MANY)));
    group.finish();
}

/// What admission costs by itself: the gate under many threads, and the pacer, which admits one call
/// at a time. Its clock jumps to each deadline, so that nothing is waited for.
fn admission(c: &mut Criterion) {
    let mut group = c.benchmark_group("admission");
    let url: Arc<str> = "http://bench/v1/chat/completions".into();
    group.sample_size(10);
    const THREADS: usize = 64;
    const EACH: usize = 500;
    let open = dispatcher(instant, THREADS);
    let (one, stop) = (call(&url), Stop::new());
    group.throughput(Throughput::Elements((THREADS * EACH) as u64));
    group.bench_function("gate, 64 threads of 500 calls", |b| {
        b.iter(|| {
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| (0..EACH).for_each(|_| drop(open.send(&one, &stop).unwrap())));
                }
            });
        });
    });
    const PACED: usize = 2_000;
    group.throughput(Throughput::Elements(PACED as u64));
    group.bench_function("pacer, 2,000 calls of which each waits", |b| {
        b.iter(|| {
            let clock = Arc::new(ManualClock::new());
            send_all(&paced(instant, THREADS, 6_000.0, clock), &url, PACED);
        });
    });
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

criterion_group!(path, without_a_network, admission, over_the_loopback);
criterion_main!(path);
