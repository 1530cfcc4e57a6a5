//! The server's limit of enqueued tokens.

use super::flow::list;
use super::{SECOND, bench, chats, few, reconciles, simulator};
use openai_bulk::batch::BatchRun;
use openai_bulk::simulator::{BatchSpeed, Fault};
use openai_bulk::transport::{Exchange, Transport};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of about 300 tokens, of which eight are two parts.
fn long(count: usize) -> String {
    chats(count).replace("question", &"long ".repeat(200))
}

#[test]
fn the_limit_is_learned_from_a_refusal_and_the_parts_take_turns() {
    let speed = BatchSpeed::steps_of(60 * SECOND).per_request(300 * SECOND);
    let bench = bench(simulator().batch_speed(speed).enqueued_tokens(2_600));
    bench.write(long(24));
    let mut most = 0;
    let summary = bench
        .job()
        .run(|now| {
            let running = now.parts.iter().filter(|part| {
                matches!(part.status.as_deref(), Some("in_progress" | "finalizing"))
            });
            most = most.max(running.count());
        })
        .unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.succeeded, 24);
    assert_eq!(bench.rows().len(), 24);
    assert!((1..=2).contains(&most), "{most} at once");
    let learned = bench.batches().store().limit(&account(&bench), "gpt-4o-mini").unwrap();
    assert_eq!(learned, Some(2_600));
    assert!(summary.parts.iter().all(|part| part.failed == 0));
}

fn account(bench: &super::Bench) -> String {
    bench.batches().store().jobs().unwrap()[0].account.clone()
}

#[test]
fn a_part_that_never_fits_is_split_until_it_does() {
    let mut bench = bench(simulator().enqueued_tokens(2_000));
    bench.options.limits = few(1_000);
    bench.write(long(30));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.succeeded, 30);
    assert_eq!(bench.rows().len(), 30);
    let split = summary.parts.iter().filter(|part| part.state == "split").count();
    assert!(split >= 1, "{:?}", summary.parts);
    // Only the first one was refused: the limit was known from then on.
    let sent = summary.parts.iter().filter(|part| part.batch_id.is_some()).count();
    assert_eq!(list(&bench).len(), sent + 1);
}

#[test]
fn a_stated_limit_spares_the_refusal() {
    let mut bench = bench(simulator().enqueued_tokens(2_000));
    bench.options.limits = few(1_000);
    bench.options.enqueued_tokens = Some(1_900);
    bench.write(long(30));
    let summary = bench.run().unwrap();
    assert_eq!(summary.run.rows.succeeded, 30);
    assert_eq!(list(&bench).len(), summary.parts.len());
    assert!(summary.parts.iter().all(|part| part.state != "split"));
}

#[test]
fn a_single_row_that_the_queue_never_takes_fails_with_the_servers_words() {
    let bench = bench(simulator().enqueued_tokens(10));
    bench.write(chats(2));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.failed, 2);
    assert_eq!(bench.rows()["r0"]["error"]["code"], "token_limit_exceeded");
    let told = bench.rows()["r0"]["error"]["message"].as_str().unwrap().to_owned();
    assert!(told.contains("Limit: 10 enqueued tokens"), "{told}");
}

#[test]
fn a_slow_and_flaky_server_with_room_for_two_parts_does_every_row_once() {
    let speed = BatchSpeed::steps_of(60 * SECOND).per_request(300 * SECOND);
    let bench = bench(
        simulator().batch_speed(speed).enqueued_tokens(2_600).latency("2s..9s".parse().unwrap()),
    );
    bench.write(long(24));
    let (count, server) = (AtomicUsize::new(0), bench.server.clone());
    let faults = [Fault::ServerError, Fault::Reset, Fault::HalfBody, Fault::NotJson, Fault::Empty];
    let flaky = move |request: &Exchange<'_>| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        if n % 3 == 2 {
            server.fail_next(1, faults[n / 3 % faults.len()]);
        }
        server.exchange(request)
    };
    let batches = bench.batches_over(flaky);
    let run = BatchRun::new(batches, bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = run.run(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.succeeded, 24);
    assert_eq!(bench.rows().len(), 24);
    assert_eq!(bench.server.stats().answers, 24, "no row was done twice");
    let marks = list(&bench);
    let sent = summary.parts.iter().filter(|part| part.batch_id.is_some()).count();
    // Each mark is of one batch; refused ones have marks of their own.
    assert_eq!(marks.iter().collect::<BTreeSet<_>>().len(), marks.len(), "{marks:?}");
    assert_eq!(sent, 6);
}
