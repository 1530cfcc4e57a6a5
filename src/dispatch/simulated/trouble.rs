//! Servers that are overloaded, down, or slow under load.

use super::server::Server;
use super::{Run, at};
use crate::usage::Weight;

#[test]
fn an_outage_in_mid_run_costs_itself_and_little_more() {
    let server =
        Server::new(0.2).requests(6_000.0, 1.0).with(|s| s.outage = Some((at(20.0), at(50.0))));
    let told = Run::new(server, |l| l.requests_per_minute = Some(6_000.0)).send(6_000, 10, 0);
    // Without the outage 59.2 s.
    println!("outage: {:.1} s, {} into it", told.took, told.overloaded);
    assert_eq!(told.failed, 0);
    assert!(told.took < 59.2 + 30.0 + 12.0, "{}", told.took);
    // What was under way when it began, and then probes.
    assert!(told.overloaded < 60, "{}", told.overloaded);
}

#[test]
fn a_server_that_refuses_what_it_cannot_hold_is_not_asked_for_more() {
    // A hundred at once, of a second each.
    let server = Server::new(1.0).with(|s| {
        s.slots = Some(100);
        s.refuses_when_full = true;
    });
    let told = Run::new(server, |l| l.max_concurrency = 1_000).send(12_000, 10, 0);
    let share = told.overloaded as f64 / told.attempts as f64;
    println!("full: {:.1} s of 120, {share:.4} overloaded", told.took);
    assert_eq!(told.failed, 0);
    assert!(told.took < 165.0, "{}", told.took);
    assert!(share < 0.05, "{share}");
}

#[test]
fn a_server_that_queues_is_used_near_its_knee() {
    for (slots, sigma) in [(8, 0.0), (50, 0.3), (200, 0.6)] {
        let server = Server::new(0.5).with(|s| {
            s.slots = Some(slots);
            s.latency = (0.5, sigma);
        });
        let count = slots * 600;
        let told = Run::new(server, |l| l.max_concurrency = 1_000).send(count, 10, 0);
        let mean = 0.5 * (sigma * sigma / 2.0).exp();
        let ideal = count as f64 / slots as f64 * mean;
        let late = (ideal * 0.6) as u64;
        let (n, sum) = told
            .in_flight_at
            .range(late..ideal as u64)
            .fold((0, 0), |(n, sum), (_, x)| (n + 1, sum + x));
        let usual = sum as f64 / f64::from(n.max(1));
        println!(
            "knee {slots} {sigma}: {:.0} s of {ideal:.0}, {usual:.0} in flight, {} at most",
            told.took, told.most_in_flight
        );
        assert!(told.took < 1.15 * ideal, "{slots}: {}", told.took);
        assert!(usual < 3.0 * slots as f64, "{slots}: {usual} in flight");
    }
}

#[test]
fn a_server_without_a_knee_gets_as_much_as_is_allowed() {
    let server = Server::new(0.5).with(|s| s.latency = (0.5, 0.5));
    let told = Run::new(server, |l| l.max_concurrency = 400).send(40_000, 10, 0);
    let ideal = 40_000.0 / 400.0 * 0.5 * (0.125f64).exp();
    println!("no knee: {:.1} s of {ideal:.1}", told.took);
    assert!(told.took < 1.15 * ideal, "{}", told.took);
}

#[test]
fn faults_at_random_do_not_bring_the_concurrency_down() {
    let server = Server::new(0.2).with(|s| s.faults = 0.18);
    let told = Run::new(server, |l| l.max_concurrency = 64).send(10_000, 10, 0);
    println!("faults: {:.1} s, {} attempts", told.took, told.attempts);
    assert_eq!(told.failed, 0);
    assert!(told.took < 60.0, "{}", told.took);
}

#[test]
fn a_circuit_is_open_for_its_own_model_only() {
    let server = Server::new(0.2).requests(60_000.0, 1.0);
    let told = Run::new(server, |_| {}).send_each(2_000, |n| {
        (if n % 2 == 0 { "one" } else { "two" }, Weight { input: 10, ceiling: 0 })
    });
    assert_eq!(told.failed, 0);
}
