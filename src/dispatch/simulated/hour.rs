//! An hour of a large account: everything at once, and the invariants at each step.

use super::server::Server;
use super::{Run, at};
use crate::usage::Weight;

#[test]
fn an_hour_of_a_large_account_with_troubles() {
    // 30,000 requests and 180 million tokens a minute, answers that take 30 s with a long tail:
    // 15,000 in flight.
    let server = Server::new(0.0).requests(30_000.0, 60.0).tokens(180_000_000.0, 60.0).with(|s| {
        s.latency = (25.0, 0.6);
        s.faults = 0.01;
        s.outage = Some((at(1_500.0), at(1_530.0)));
        s.way = 0.05;
    });
    let run = Run::new(server, |l| l.max_concurrency = 20_000)
        .then(600.0, |run| run.server.set_requests(15_000.0))
        .then(1_200.0, |run| run.server.set_requests(30_000.0))
        .then(2_400.0, |run| run.server.others = (10_000.0, 0.0))
        .then(3_000.0, |run| run.server.others = (0.0, 0.0));
    let per_minute = 30_000.0;
    // What the limits let pass in an hour less the troubles.
    let count = (per_minute * 60.0 - 15_000.0 * 10.0 - 10_000.0 * 10.0 - per_minute * 0.5) as usize;
    let told =
        run.send_each(count, |n| ("m", Weight { input: 200 + (n % 1_000) as u64, ceiling: 1_000 }));
    let share = told.refused_share();
    println!(
        "hour: {:.0} s, {} attempts, {share:.5} refused, {} in flight at most",
        told.took, told.attempts, told.most_in_flight
    );
    assert_eq!(told.failed, 0);
    assert!(told.most_in_flight > 14_000, "{}", told.most_in_flight);
    // The longest answers take minutes, and so do the probes after the outage.
    assert!(told.took < 1.1 * 3_600.0, "{}", told.took);
    assert!(share < 0.005, "{share}");
}
