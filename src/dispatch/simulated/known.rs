//! With known limits, a run takes at most 1.02 times the ideal, and 1 in 1,000 is refused at most.

use super::server::{Charge, Server};
use super::{Run, Told};
use crate::usage::Weight;

fn judge(case: &str, told: &Told, ideal: f64) {
    judge_by(case, told, ideal, (1.02, 0.001));
}

fn judge_by(case: &str, told: &Told, ideal: f64, (longest, most): (f64, f64)) {
    let (ratio, share) = (told.took / ideal, told.refused_share());
    println!("{case}: {:.2} s of {ideal:.2} ({ratio:.4}), refused {share:.5}", told.took);
    assert!(ratio <= longest, "{case}: {ratio}");
    assert!(share <= most, "{case}: {share}, {:?}", told.refused_at);
    assert_eq!(told.failed, 0, "{case}");
}

#[test]
fn requests_at_any_latency_and_depth_with_headers_and_without() {
    for (rate, count) in [(600.0, 200), (6_000.0, 2_000), (60_000.0, 20_000)] {
        for latency in [0.02, 0.2, 2.0, 10.0] {
            for (burst, headers) in [(1.0, true), (1.0, false), (60.0, true)] {
                // The largest ones take long to simulate, and at 10 s would be too many in flight.
                if rate > 10_000.0 && !(0.1..5.0).contains(&latency) {
                    continue;
                }
                let server =
                    Server::new(latency).requests(rate, burst).with(|s| s.has_headers = headers);
                let per_second = rate / 60.0;
                let count = count + (per_second * burst) as usize;
                let run = Run::new(server, |l| {
                    l.requests_per_minute = Some(rate);
                    l.max_concurrency = 20_000;
                });
                let told = run.send(count, 10, 0);
                let ideal = (count as f64 - per_second * burst) / per_second + latency;
                judge(&format!("{rate} {latency} {burst} {headers}"), &told, ideal);
            }
        }
    }
}

#[test]
fn tokens_of_mixed_sizes_at_any_depth() {
    let of = |n: usize| {
        let input = [50, 400, 3_000, 100][n % 4];
        ("m", Weight { input, ceiling: 200 })
    };
    let mean = (50.0 + 400.0 + 3_000.0 + 100.0) / 4.0 + 200.0;
    for latency in [0.2, 5.0] {
        for burst in [1.0, 60.0] {
            let server = Server::new(latency).tokens(1_200_000.0, burst);
            let count = 1_000 + (20_000.0 * burst / mean) as usize;
            let run = Run::new(server, |l| {
                l.tokens_per_minute = Some(1_200_000.0);
                l.max_concurrency = 20_000;
            });
            let told = run.send_each(count, of);
            let ideal = (count as f64 * mean - 20_000.0 * burst) / 20_000.0 + latency;
            judge(&format!("tokens {latency} {burst}"), &told, ideal);
        }
    }
}

/// 4,096 tokens are allowed and 204 written, so that much depends on when a server charges what.
#[test]
fn an_estimate_of_output_that_is_too_high_wastes_nothing_however_the_server_charges() {
    /// Four thousand requests of the ideal are few where answers take 10 s: what is learned of such
    /// a server comes with its first answers.
    type Bounds = [(f64, f64); 4];
    // A bucket of a minute with answers of 1 and 10 s, then a bucket of a second with the same: the
    // longest time over the ideal, and the most that is refused.
    let cases: [(Charge, f64, Bounds); 4] = [
        (Charge::Ceiling, 4_196.0, [(1.02, 0.002), (1.02, 0.002), (1.02, 0.003), (1.02, 0.003)]),
        (Charge::Foreseen, 304.0, [(1.03, 0.003), (1.20, 0.02), (1.08, 0.003), (1.60, 0.003)]),
        (Charge::Used, 304.0, [(1.04, 0.003), (1.25, 0.003), (1.15, 0.003), (2.00, 0.01)]),
        // What may be written has to fit while it is written: 286 at once in the deep bucket, and
        // 5 in the shallow one.
        (Charge::Settled, 304.0, [(1.20, 0.03), (2.40, 0.03), (1.60, 0.02), (3.00, 0.03)]),
    ];
    for (charge, each, bounds) in cases {
        for (at, bounds) in bounds.into_iter().enumerate() {
            let (burst, latency) = ([60.0, 1.0][at / 2], [1.0, 10.0][at % 2]);
            let server = Server::new(latency).tokens(1_200_000.0, burst).with(|s| {
                s.charge = charge;
                s.written = 0.05;
            });
            let run = Run::new(server, |l| {
                l.tokens_per_minute = Some(1_200_000.0);
                l.max_concurrency = 20_000;
            });
            // The bucket, and a minute and a half.
            let tokens = 20_000.0 * burst + 1_800_000.0;
            let told = run.send((tokens / each) as usize, 100, 4_096);
            judge_by(&format!("{charge:?} {burst} {latency}"), &told, 90.0 + latency, bounds);
        }
    }
}

#[test]
fn an_estimate_of_output_that_is_too_high_is_corrected_where_no_headers_tell() {
    let server = Server::new(1.0).tokens(1_200_000.0, 1.0).with(|s| {
        s.charge = Charge::Used;
        s.written = 0.05;
        s.has_headers = false;
    });
    let run = Run::new(server, |l| {
        l.tokens_per_minute = Some(1_200_000.0);
        l.max_concurrency = 20_000;
    });
    let told = run.send(6_000, 100, 4_096);
    let ideal = (6_000.0 * 304.0 - 20_000.0) / 20_000.0 + 1.0;
    judge_by("used, no headers", &told, ideal, (1.15, 0.03));
}

#[test]
fn a_rule_of_charging_other_than_ours_is_learned() {
    // The larger of input and ceiling, of a thousand each: half of what we expect.
    let server = Server::new(1.0).tokens(1_200_000.0, 60.0).with(|s| s.charge = Charge::Larger);
    let run = Run::new(server, |l| {
        l.tokens_per_minute = Some(1_200_000.0);
        l.max_concurrency = 20_000;
    });
    let told = run.send(3_000, 1_000, 1_000);
    let ideal = (3_000.0 * 1_000.0 - 1_200_000.0) / 20_000.0 + 1.0;
    judge("larger", &told, ideal);
}

#[test]
fn a_limit_that_is_stated_twice_too_high_is_put_right() {
    let server = Server::new(0.3).requests(10_000.0, 60.0);
    let run = Run::new(server, |l| {
        l.requests_per_minute = Some(20_000.0);
        l.max_concurrency = 20_000;
    });
    let told = run.send(30_000, 10, 0);
    judge("stated twice too high", &told, (30_000.0 - 10_000.0) * 60.0 / 10_000.0 + 0.3);
}
