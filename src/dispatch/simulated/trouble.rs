//! Servers that are overloaded, down, or slow under load.

use super::server::Server;
use super::{Run, at};

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
fn a_server_that_refuses_what_it_has_no_room_for_is_filled_and_not_asked_for_more() {
    for status in [429, 503] {
        for (slots, latency, sigma) in
            [(8, 0.2, 0.0), (8, 0.2, 0.5), (100, 1.0, 0.0), (100, 1.0, 0.5), (400, 5.0, 0.3)]
        {
            let server = Server::new(latency).with(|s| {
                s.slots = Some(slots);
                s.refuses_when_full = Some(status);
                s.latency = (latency, sigma);
            });
            let count = (slots as f64 * 120.0 / latency) as usize;
            let told = Run::new(server, |l| l.max_concurrency = 1_000).send(count, 10, 0);
            let ideal = 120.0 * (sigma * sigma / 2.0f64).exp();
            let refused = told.overloaded + told.refused;
            let share = refused as f64 / told.attempts as f64;
            println!(
                "full {status} {slots} {latency} {sigma}: {:.1} s of {ideal:.0} ({:.3}), {refused} refused ({share:.4})",
                told.took,
                told.took / ideal
            );
            assert_eq!(told.failed, 0);
            assert!(told.took < 1.25 * ideal, "{}", told.took);
            assert!(share < 0.05, "{share}");
        }
    }
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
    for (fault, share) in [(500, 0.18), (503, 0.05), (503, 0.1)] {
        let server = Server::new(0.2).with(|s| (s.fault, s.faults) = (fault, share));
        let told = Run::new(server, |l| l.max_concurrency = 64).send(10_000, 10, 0);
        println!("faults {fault} {share}: {:.1} s, {} attempts", told.took, told.attempts);
        assert_eq!(told.failed, 0);
        assert!(told.took < 45.0, "{fault} {share}: {}", told.took);
    }
}

#[test]
fn headers_that_say_anything_stop_nobody() {
    for seed in 0..20 {
        let server = Server::new(0.2).with(|s| {
            s.lies = true;
            s.reseed(seed);
        });
        let told = Run::new(server, |_| {}).send(300, 10, 0);
        assert_eq!(told.failed, 0, "{seed}: {}", told.took);
        // The least that they name is 17 a minute.
        assert!(told.took < 1_200.0, "{seed}: {}", told.took);
    }
}

#[test]
fn a_server_that_refuses_everything_for_a_while_is_waited_for() {
    let server = Server::new(0.2).requests(6_000.0, 1.0).with(|s| s.has_headers = false);
    let told = Run::new(server, |l| l.max_concurrency = 128)
        .then(5.0, |run| run.server.set_requests(0.001))
        .then(65.0, |run| run.server.set_requests(6_000.0))
        .send(3_000, 10, 0);
    assert_eq!(told.failed, 0);
    // Without it 29 s.
    assert!(told.took < 29.0 + 60.0 + 40.0, "{}", told.took);
    let refused: usize = told.refused_at.range(10..65).map(|(_, n)| n).sum();
    assert!(refused < 300, "{refused}");
}
