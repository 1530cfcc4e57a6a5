//! Second requests for stragglers, in virtual time.

use crate::scenario::{Request, World, error, ok, scenario};
use openai_bulk::error::{TransportError, TransportErrorKind};
use openai_bulk::transport::Answer;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn body(number: usize) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"question {number}"}}]}}"#)
}

/// Whether this is a call that the server is slow to answer: one in fifty.
fn is_slow(request: &Request<'_>) -> bool {
    request.body.contains("49 ") || request.body.contains("49\"")
}

/// A world whose server takes a second, and for the `slow` ones as `then` says.
fn world(
    share: f64,
    then: impl Fn(&Request<'_>) -> Result<Answer, TransportError> + Send + Sync + 'static,
) -> World {
    scenario().hedge(share).limits(|l| (l.min_concurrency, l.max_concurrency) = (8, 8)).server(
        move |request| {
            if is_slow(request) {
                return then(request);
            }
            request.takes(SECOND);
            Ok(ok())
        },
    )
}

fn sent_of(world: &World, number: usize) -> usize {
    world.seen.lock().unwrap().iter().filter(|(_, text)| *text == body(number)).count()
}

#[test]
fn a_straggler_is_sent_again_and_the_first_answer_counts() {
    let world = world(0.5, |request| {
        request.takes(if request.earlier == 0 { 300 * SECOND } else { SECOND });
        Ok(ok())
    });
    let all = world.send_all((0..150).map(|n| world.call(&body(n))));
    assert!(all.iter().all(|each| each.result.is_ok()));
    assert_eq!([49, 149].map(|n| sent_of(&world, n)), [2, 2]);
    let facts = all[149].facts;
    assert_eq!((facts.attempts, facts.hedges, facts.maybe_billed), (2, 1, 1));
    assert!(facts.waited < SECOND && facts.latency <= SECOND, "{facts:?}");
    assert!(world.now() < 60 * SECOND, "{:?}", world.now());
    assert_eq!(world.dispatcher.gate.in_flight(), 0);
}

#[test]
fn nothing_is_sent_twice_unless_it_was_asked_for() {
    let world = world(0.0, |request| {
        request.takes(30 * SECOND);
        Ok(ok())
    });
    let all = world.send_all((0..150).map(|n| world.call(&body(n))));
    assert!(all.iter().all(|each| each.result.is_ok() && each.facts.attempts == 1));
    assert_eq!(world.sent(), 150);
}

#[test]
fn second_requests_keep_to_their_share_however_slow_the_server_becomes() {
    let world = scenario()
        .hedge(0.02)
        .limits(|l| (l.min_concurrency, l.max_concurrency) = (16, 16))
        .server(|request| {
            // It becomes slower and slower, for second requests too.
            let number = request.body.split("question ").nth(1).unwrap()[..3].parse().unwrap();
            request.takes(match number {
                0..100 => SECOND,
                100..380 => 40 * SECOND,
                _ => 400 * SECOND,
            });
            Ok(ok())
        });
    let bodies = (0..400).map(|n| format!(r#"{{"model":"m","input":"question {n:03}"}}"#));
    let all = world.send_all(bodies.map(|body| world.call(&body)));
    assert!(all.iter().all(|each| each.result.is_ok()));
    let hedges: u32 = all.iter().map(|each| each.facts.hedges).sum();
    // 400 requests earn 8; a few may have gone to answers that came just then.
    assert!((4..=8).contains(&hedges), "{hedges}");
    assert_eq!(world.sent(), 400 + hedges as usize);
}

#[test]
fn where_one_of_two_fails_the_other_decides() {
    // The second request fails at once, and the first is answered in the end.
    let slow_but_good = world(0.5, |request| {
        if request.earlier == 0 {
            request.takes(20 * SECOND);
            return Ok(ok());
        }
        Ok(error(500, "", "oops"))
    });
    let all = slow_but_good.send_all((0..150).map(|n| slow_but_good.call(&body(n))));
    assert!(all.iter().all(|each| each.result.is_ok()));
    assert_eq!(sent_of(&slow_but_good, 149), 2, "one failure beside another request is no retry");

    // A second request that is refused is counted as such, and costs no try.
    let limited = world(0.5, |request| {
        if request.earlier == 0 {
            request.takes(20 * SECOND);
            return Ok(ok());
        }
        Ok(error(429, "rate_limit_exceeded", "slow").header("retry-after", "1"))
    });
    let all = limited.send_all((0..150).map(|n| limited.call(&body(n))));
    let facts = all[149].facts;
    assert_eq!((facts.attempts, facts.hedges, facts.refusals, facts.maybe_billed), (2, 1, 1, 0));

    // The first fails while the second is under way.
    let broken = world(0.5, |request| {
        if request.earlier == 0 {
            request.takes(3 * SECOND);
            return Err(TransportError::new(TransportErrorKind::Reset, true, "reset"));
        }
        request.takes(10 * SECOND);
        Ok(ok())
    });
    let all = broken.send_all((0..150).map(|n| broken.call(&body(n))));
    let facts = all[149].facts;
    assert!(all[149].result.is_ok());
    assert_eq!((facts.attempts, facts.hedges, facts.maybe_billed), (2, 1, 1));
}

#[test]
fn where_both_fail_the_call_is_tried_again_like_any_other() {
    let world = world(0.5, |request| match request.earlier {
        0 => {
            request.takes(10 * SECOND);
            Ok(error(500, "", "oops"))
        }
        1 => {
            request.takes(20 * SECOND);
            Ok(error(500, "", "oops"))
        }
        _ => Ok(ok()),
    });
    let all = world.send_all((0..150).map(|n| world.call(&body(n))));
    assert!(all.iter().all(|each| each.result.is_ok()), "{:?}", all[149]);
    assert_eq!(sent_of(&world, 149), 3);
}
