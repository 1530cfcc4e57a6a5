//! What deciding costs: buckets under many threads, headers, and the search for a limit.
//!
//! `cargo bench --bench control`

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openai_bulk::clock::Time;
use openai_bulk::policy::account::Account;
use openai_bulk::policy::budget::{Budget, Cost, Receipt};
use openai_bulk::policy::concurrency::Concurrency;
use openai_bulk::policy::search::Search;
use openai_bulk::transport::Headers;
use openai_bulk::wire::headers::{Level, RateReport, retry_hint};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);

fn at(step: u64) -> Time {
    Time::from_origin(Duration::from_micros(step))
}

/// One call against a bucket that never binds: asked, charged, and corrected by its answer.
fn call(budget: &mut Budget, step: u64) -> Receipt {
    let now = at(step);
    black_box(budget.wait(now, Cost::exact(1.0)));
    let receipt = budget.charge(now, Cost::exact(1.0));
    let level = Level { limit: Some(1_000_000_000), remaining: Some(900_000_000), reset: None };
    budget.learn(now, &level, receipt, now);
    receipt
}

fn buckets(c: &mut Criterion) {
    let mut group = c.benchmark_group("bucket");
    group.throughput(Throughput::Elements(1));
    let mut budget = Budget::stated(1e9, SECOND, Time::ZERO);
    let mut step = 0;
    group.bench_function("one call", |b| {
        b.iter(|| {
            step += 10;
            call(&mut budget, step)
        });
    });
    // Four readings of how tokens are charged.
    let mut tokens = Account::of_tokens(|| Budget::stated(1e9, SECOND, Time::ZERO));
    group.bench_function("one call of a limit of tokens", |b| {
        b.iter(|| {
            step += 10;
            let (now, cost) = (at(step), Cost { most: 400.0, likely: 100.0 });
            black_box(tokens.wait(now, cost));
            let receipt = tokens.charge(now, cost);
            let (limit, left) = (Some(1_000_000_000), Some(900_000_000));
            let level = Level { limit, remaining: left, reset: None };
            tokens.learn(now, &level, &receipt, now, false);
            tokens.settle(&receipt, 100.0);
        });
    });
    const EACH: u64 = 1_000;
    group.throughput(Throughput::Elements(64 * EACH)).sample_size(10);
    group.bench_function("64 threads of 1,000 calls", |b| {
        let shared = Mutex::new((Budget::stated(1e9, SECOND, Time::ZERO), 0));
        b.iter(|| {
            std::thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            let (budget, step) = &mut *shared.lock().unwrap();
                            *step += 10;
                            call(budget, *step);
                        }
                    });
                }
            });
        });
    });
    group.finish();
}

fn controllers(c: &mut Criterion) {
    let mut group = c.benchmark_group("controller");
    group.throughput(Throughput::Elements(1));
    let mut search = Search::new(Time::ZERO);
    let mut step = 0;
    group.bench_function("search, nothing refused", |b| {
        b.iter(|| {
            step += 10;
            black_box(search.wait(at(step), 1.0));
            search.charge(at(step), 1.0)
        });
    });
    let mut concurrency = Concurrency::new(1, 1_024, false);
    group.bench_function("concurrency, an answer", |b| {
        b.iter(|| {
            step += 10;
            concurrency.answered(at(step), at(step), Duration::from_millis(200), 10)
        });
    });
    group.finish();
}

fn headers(c: &mut Criterion) {
    let mut headers = Headers::default();
    for (name, value) in [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "30000000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "29999970"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "1m0.5s"),
        ("x-request-id", "req_0123456789abcdef"),
    ] {
        headers.push(name, value);
    }
    let mut group = c.benchmark_group("headers");
    group.bench_function("limits of an answer", |b| b.iter(|| RateReport::read(&headers)));
    let date = SystemTime::UNIX_EPOCH;
    group.bench_function("hint of a refusal", |b| {
        b.iter(|| retry_hint(&headers, date, "Rate limit reached. Please try again in 1m23.5s."));
    });
    group.finish();
}

criterion_group!(control, buckets, controllers, headers);
criterion_main!(control);
