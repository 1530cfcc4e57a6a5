//! Calls through gate, retry, breaker and pool, in virtual time.

use crate::scenario::{call, error, ok, scenario};
use openai_bulk::Error;
use openai_bulk::clock::{Clock, Stop};
use openai_bulk::dispatch::{Held, Job, Pool};
use openai_bulk::error::{TransportError, TransportErrorKind};
use openai_bulk::transport::Answer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn body(number: usize) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"question {number}"}}]}}"#)
}

#[test]
fn a_call_that_is_answered_is_sent_once() {
    let world = scenario().server(|_| Ok(ok()));
    let reply = world.send(&body(1)).unwrap();
    assert_eq!((reply.status, reply.facts.attempts, world.sent()), (200, 1, 1));
    assert_eq!(reply.peek.usage.unwrap().total, 4);
}

#[test]
fn a_server_error_is_tried_again_after_a_back_off() {
    let world =
        scenario().server(|r| Ok(if r.earlier < 2 { error(500, "", "oops") } else { ok() }));
    let reply = world.send(&body(1)).unwrap();
    assert_eq!(reply.facts.attempts, 3);
    // Full jitter: at most 0.5 s, then at most 1 s.
    assert!(world.now() <= Duration::from_millis(1_500), "{:?}", world.now());
}

#[test]
fn a_refusal_is_waited_out_as_the_server_says() {
    let world = scenario().server(|r| {
        Ok(match r.earlier {
            0 => error(429, "rate_limit_exceeded", "slow").header("retry-after", "7"),
            _ => ok(),
        })
    });
    let reply = world.send(&body(1)).unwrap();
    assert_eq!((reply.facts.attempts, reply.facts.refusals), (2, 1));
    let waited = world.times()[1];
    assert!((7.0..9.0).contains(&waited), "{waited}");
}

#[test]
fn every_form_of_429_is_a_refusal() {
    // The cookbook's script compares the code with the text "429" and never pauses.
    for code in [r#""rate_limit_exceeded""#, "null", "429", r#""429""#] {
        let world = scenario().server(move |r| {
            let body =
                format!(r#"{{"error":{{"message":"slow","type":"requests","code":{code}}}}}"#);
            Ok(if r.earlier == 0 {
                Answer::new(429, body).header("retry-after", "3")
            } else {
                ok()
            })
        });
        let reply = world.send(&body(1)).unwrap();
        assert_eq!(reply.facts.refusals, 1, "{code}");
        assert!(world.times()[1] >= 3.0, "{code}");
    }
}

#[test]
fn errors_that_another_try_does_not_mend_are_sent_once() {
    for (status, code) in
        [(400, "invalid_value"), (403, "x"), (404, "model_not_found"), (413, ""), (422, "")]
    {
        // "15" in the text is no reason to try again.
        let world = scenario().server(move |_| Ok(error(status, code, "max 15 tokens")));
        let failure = world.send(&body(1)).unwrap_err();
        assert_eq!((failure.status(), world.sent()), (Some(status), 1));
        assert!(!failure.is_retryable() && !failure.is_fatal_for_run(), "{status}");
    }
}

#[test]
fn a_redirect_ends_the_run_and_tells_where_the_api_is() {
    let to = "https://api.example.com/v1/chat/completions";
    for (answer, place) in [
        (Answer::new(308, "").header("location", to), to),
        (Answer::new(302, "<html>moved</html>"), "another address"),
    ] {
        let world = scenario().server(move |_| Ok(answer.clone()));
        let failure = world.send(&body(1)).unwrap_err();
        assert_eq!(world.sent(), 1);
        assert!(failure.is_fatal_for_run());
        let text = failure.to_string();
        assert!(text.contains(&format!("it redirects to {place};")), "{text}");
        assert!(text.contains("OPENAI_BASE_URL"), "{text}");
    }
}

#[test]
fn a_bad_key_and_an_empty_quota_are_fatal_for_the_run() {
    let cases = [
        (401, "invalid_api_key", false),
        (429, "insufficient_quota", true),
        (429, "credit_balance_exhausted", true),
        (429, "project_spend_limit_exceeded", true),
    ];
    for (status, code, is_quota) in cases {
        let world = scenario().server(move |_| Ok(error(status, code, "no")));
        let failure = world.send(&body(1)).unwrap_err();
        assert_eq!(world.sent(), 1, "{code}");
        assert!(failure.is_fatal_for_run(), "{code}");
        assert_eq!(failure.is_out_of_quota(), is_quota, "{code}");
    }
}

#[test]
fn tries_come_to_an_end() {
    let world = scenario().rules(|r| r.max_retries = 3).server(|_| Ok(error(500, "", "oops")));
    let failure = world.send(&body(1)).unwrap_err();
    assert_eq!((failure.attempts(), world.sent()), (4, 4));
    assert!(failure.is_retryable());
}

#[test]
fn no_retries_means_none_of_any_kind() {
    for status in [500, 429] {
        let world =
            scenario().rules(|r| r.max_retries = 0).server(move |_| Ok(error(status, "", "no")));
        world.send(&body(1)).unwrap_err();
        assert_eq!(world.sent(), 1, "{status}");
    }
}

#[test]
fn the_deadline_holds_over_all_attempts() {
    // Endless retries without a limit of time were the fault of simple-evals.
    let world = scenario()
        .deadline(20 * SECOND)
        .rules(|r| r.max_retries = 50)
        .server(|_| Ok(error(500, "", "oops")));
    world.send(&body(1)).unwrap_err();
    assert!(world.now() <= 21 * SECOND, "{:?}", world.now());
}

#[test]
fn a_hint_beyond_the_deadline_fails_now_and_is_told() {
    let world = scenario()
        .deadline(20 * SECOND)
        .server(|_| Ok(error(429, "rate_limit_exceeded", "slow").header("retry-after", "60")));
    let failure = world.send(&body(1)).unwrap_err();
    assert!(failure.is_rate_limited());
    assert_eq!(failure.retry_after(), Some(60 * SECOND));
    assert!(world.now() < SECOND, "{:?}", world.now());
}

#[test]
fn a_200_that_is_no_answer_is_a_failed_attempt() {
    for bad in ["", "<html>hello</html>", r#"{"choices":["#, r#"{"error":{"message":"oops"}}"#] {
        let world = scenario()
            .server(move |r| Ok(if r.earlier == 0 { Answer::new(200, bad) } else { ok() }));
        let reply = world.send(&body(1)).unwrap();
        assert_eq!((reply.facts.attempts, reply.facts.maybe_billed), (2, 1), "{bad}");
    }
}

#[test]
fn a_broken_exchange_is_tried_again_and_counted_as_maybe_billed_only_if_it_was_sent() {
    for (kind, sent) in [(TransportErrorKind::Reset, true), (TransportErrorKind::Connect, false)] {
        let world = scenario().server(move |r| match r.earlier {
            0 => Err(TransportError::new(kind, sent, "broke")),
            _ => Ok(ok()),
        });
        let reply = world.send(&body(1)).unwrap();
        assert_eq!(reply.facts.maybe_billed, u32::from(sent));
    }
}

#[test]
fn one_bad_row_of_a_thousand_is_one_failed_row() {
    let world = scenario().server(|r| {
        Ok(if r.body.contains("question 500\"") { error(400, "invalid_value", "no") } else { ok() })
    });
    let all = world.send_all((0..1_000).map(|n| call("m", &body(n))));
    let failed: Vec<_> = all.iter().filter(|d| d.result.is_err()).map(|d| d.tag).collect();
    assert_eq!((all.len(), failed), (1_000, vec![500]));
}

#[test]
fn a_transport_that_panics_costs_its_row_and_nothing_else() {
    let world = scenario().limits(|l| l.max_concurrency = 3).server(|r| {
        assert!(!r.body.contains("question 7\""), "this one is meant to panic");
        Ok(ok())
    });
    let all = world.send_all((0..50).map(|n| call("m", &body(n))));
    let failed: Vec<_> = all.iter().filter(|d| d.result.is_err()).map(|d| d.tag).collect();
    assert_eq!((all.len(), failed), (50, vec![7]));
    assert_eq!(world.dispatcher.gate.in_flight(), 0);
}

#[test]
fn identical_requests_are_each_sent() {
    // lm-eval and tysm answer repeats from the first one.
    let world = scenario().server(|_| Ok(ok()));
    let all = world.send_all((0..5).map(|_| call("m", &body(1))));
    assert_eq!((all.len(), world.sent()), (5, 5));
}

#[test]
fn a_stated_limit_of_requests_is_used_fully_and_never_passed() {
    let world = scenario().limits(|l| l.requests_per_minute = Some(600.0)).server(|r| {
        r.takes(Duration::from_millis(300));
        Ok(ok())
    });
    let all = world.send_all((0..200).map(|n| call("m", &body(n))));
    assert!(all.iter().all(|d| d.result.is_ok()));
    // A second's worth at once, then ten a second: 19 s, and the last answer.
    let took = world.now().as_secs_f64();
    assert!((19.0..19.8).contains(&took), "{took}");
    let times = world.times();
    for (at, time) in times.iter().enumerate() {
        let allowed = 10.0 + 10.0 * time;
        assert!((at + 1) as f64 <= allowed + 0.01, "{at} sent by {time}");
    }
}

#[test]
fn a_request_larger_than_the_bucket_is_sent_and_its_debt_repaid() {
    // openlimit, the cookbook and others wait for ever.
    let world = scenario()
        .limits(|l| l.tokens_per_minute = Some(6_000.0))
        .server(|_| Ok(Answer::new(200, "{}")));
    let large = r#"{"messages":[{"content":"x"}],"max_tokens":3000}"#;
    let small = r#"{"messages":[{"content":"x"}],"max_tokens":100}"#;
    let all = world.send_all([call("m", large), call("m", small)]);
    assert!(all.iter().all(|d| d.result.is_ok()));
    // 100 a second, 100 deep: the large one goes at once and leaves 2,901 to repay.
    let times = world.times();
    assert!(times[0] < 0.01 && (29.9..30.6).contains(&times[1]), "{times:?}");
}

#[test]
fn a_hundred_parallel_starts_do_not_pass_the_tokens_limit_together() {
    // litellm counted tokens after the reply, so that all of them passed.
    let world = scenario().limits(|l| l.tokens_per_minute = Some(60_000.0)).server(|r| {
        r.takes(30 * SECOND);
        Ok(Answer::new(200, "{}"))
    });
    let heavy = |n: usize| format!(r#"{{"messages":[{{"content":"{n}"}}],"max_tokens":999}}"#);
    world.send_all((0..100).map(|n| call("m", &heavy(n))));
    let first_second = world.times().iter().filter(|&&t| t < 0.999).count();
    assert_eq!(first_second, 1);
}

#[test]
fn a_waiting_retry_holds_no_slot_and_no_worker() {
    let world = scenario().limits(|l| l.max_concurrency = 1).server(|r| {
        Ok(if r.body.contains("question 0\"") && r.earlier == 0 {
            error(500, "", "later").header("retry-after", "60")
        } else {
            ok()
        })
    });
    let all = world.send_all((0..50).map(|n| call("m", &body(n))));
    assert!(all.iter().all(|d| d.result.is_ok()));
    let times = world.times();
    assert!(times[49] < 1.0, "the others did not wait: {times:?}");
    assert!(times[50] >= 60.0 && world.most.load(SeqCst) == 1);
}

#[test]
fn never_more_in_flight_than_allowed() {
    let world = scenario().limits(|l| l.max_concurrency = 7).server(|r| {
        r.takes(SECOND);
        Ok(ok())
    });
    world.send_all((0..70).map(|n| call("m", &body(n))));
    assert_eq!(world.most.load(SeqCst), 7);
    assert!((10.0..10.1).contains(&world.now().as_secs_f64()), "{:?}", world.now());
}

#[test]
fn a_bad_key_ends_a_run_at_once_and_every_job_still_comes_out() {
    let world = scenario().limits(|l| l.max_concurrency = 4).server(|r| {
        r.takes(SECOND);
        Ok(error(401, "invalid_api_key", "no"))
    });
    let all = world.send_all((0..500).map(|n| call("m", &body(n))));
    assert_eq!(all.len(), 500);
    assert!(world.sent() <= 4, "{}", world.sent());
    let fatal = all.iter().filter(|d| matches!(&d.result, Err(e) if e.is_fatal_for_run())).count();
    let cancelled = all.iter().filter(|d| matches!(&d.result, Err(Error::Cancelled))).count();
    assert!(fatal >= 1 && fatal + cancelled == 500);
}

#[test]
fn a_storm_of_refusals_loses_nothing() {
    // A server that lets ten a second pass and says nothing in its headers.
    let passed = Arc::new(AtomicUsize::new(0));
    let count = passed.clone();
    let world = scenario().server(move |r| {
        let allowed = 10 + (r.at.as_secs_f64() * 10.0) as usize;
        let pass = count.fetch_update(SeqCst, SeqCst, |n| (n < allowed).then_some(n + 1)).is_ok();
        Ok(if pass { ok() } else { error(429, "rate_limit_exceeded", "Please try again in 1s.") })
    });
    let all = world.send_all((0..500).map(|n| call("m", &body(n))));
    assert!(all.iter().all(|d| d.result.is_ok()));
    assert!(world.now() < 120 * SECOND, "{:?}", world.now());
}

#[test]
fn an_outage_costs_little_more_than_itself_and_sends_a_trickle() {
    let world = scenario().limits(|l| l.max_concurrency = 20).server(|r| {
        r.takes(Duration::from_millis(200));
        Ok(if (5.0..35.0).contains(&r.at.as_secs_f64()) { error(503, "", "down") } else { ok() })
    });
    let all = world.send_all((0..2_000).map(|n| call("m", &body(n))));
    assert!(all.iter().all(|d| d.result.is_ok()));
    let times = world.times();
    let during = times.iter().filter(|&&t| (10.0..35.0).contains(&t)).count();
    assert!(during <= 30, "{during} sent into the outage");
    // 2,000 calls of 0.2 s, 20 at once, take 20 s; the outage takes 30.
    let mut per_second = std::collections::BTreeMap::new();
    for time in &times {
        *per_second.entry(*time as u64).or_insert(0) += 1;
    }
    assert!(world.now() < 66 * SECOND, "{:?} {per_second:?}", world.now());
}

#[test]
fn a_server_that_stays_down_ends_the_run() {
    let world = scenario()
        .limits(|l| l.breaker.patience = 120 * SECOND)
        .server(|_| Err(TransportError::new(TransportErrorKind::Connect, false, "refused")));
    let all = world.send_all((0..5_000).map(|n| call("m", &body(n))));
    assert_eq!(all.len(), 5_000);
    assert!(all.iter().any(|d| matches!(d.result, Err(Error::CircuitOpen(_)))));
    assert!(world.now() < 60 * SECOND, "a server never reached is given up: {:?}", world.now());
}

#[test]
fn a_server_that_goes_down_is_waited_for_longer_than_one_that_was_never_there() {
    let answered = AtomicBool::new(false);
    let world = scenario().limits(|l| l.breaker.patience = 120 * SECOND).server(move |_| {
        let down = TransportError::new(TransportErrorKind::Connect, false, "refused");
        if answered.swap(true, SeqCst) { Err(down) } else { Ok(ok()) }
    });
    let all = world.send_all((0..5_000).map(|n| call("m", &body(n))));
    assert!(all.iter().any(|d| matches!(d.result, Err(Error::CircuitOpen(_)))));
    assert!((120 * SECOND..300 * SECOND).contains(&world.now()), "{:?}", world.now());
}

#[test]
fn a_slow_group_does_not_hold_up_a_fast_one() {
    let world = scenario().limits(|l| l.requests_per_minute = Some(60.0)).server(|_| Ok(ok()));
    let calls = (0..20).map(|n| call(if n % 2 == 0 { "one" } else { "two" }, &body(n)));
    world.send_all(calls);
    // Each group has its own limit of one a second, so both are done together.
    assert!((8.9..10.0).contains(&world.now().as_secs_f64()), "{:?}", world.now());
}

#[test]
fn a_single_call_is_not_starved_by_a_bulk_run() {
    let world = scenario().limits(|l| l.requests_per_minute = Some(60.0)).server(|_| Ok(ok()));
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&Stop::new()));
    for tag in 0..100 {
        intake.push(Job { call: call("m", &body(tag)), tag }).unwrap();
    }
    let single = world.send(r#"{"messages":[{"content":"single"}]}"#).unwrap();
    assert!(single.facts.waited <= 5 * SECOND, "{:?}", single.facts.waited);
    drop(intake);
    while pool.recv().is_some() {
        pool.release();
    }
}

#[test]
fn a_drained_run_ends_what_is_in_flight_and_gives_back_the_rest() {
    let stop = Stop::new();
    let asked = stop.clone();
    let world = scenario().limits(|l| l.max_concurrency = 5).server(move |r| {
        asked.drain();
        r.takes(SECOND);
        Ok(ok())
    });
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&stop));
    let pushed = (0..50)
        .take_while(|&tag| intake.push(Job { call: call("m", &body(tag)), tag }).is_ok())
        .count();
    drop(intake);
    let mut answered = 0;
    let mut cancelled = 0;
    while let Some(delivered) = pool.recv() {
        match delivered.result {
            Ok(_) => answered += 1,
            Err(Error::Cancelled) => cancelled += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(answered, world.sent());
    assert!(answered <= 5 && answered + cancelled == pushed);
}

#[test]
fn an_abort_interrupts_what_is_in_flight() {
    let stop = Stop::new();
    let asked = stop.clone();
    let world = scenario().server(move |r| {
        asked.abort();
        r.takes(3_600 * SECOND);
        Err(TransportError::new(TransportErrorKind::Interrupted, true, ""))
    });
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&stop));
    let _ = intake.push(Job { call: call("m", &body(1)), tag: 1 });
    drop(intake);
    let delivered = pool.recv().unwrap();
    assert!(matches!(delivered.result, Err(Error::Cancelled)));
    assert!(world.now() < SECOND);
}

#[test]
fn input_is_pulled_no_further_ahead_than_the_window() {
    let world = scenario().window(10).limits(|l| l.max_concurrency = 3).server(|_| Ok(ok()));
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&Stop::new()));
    let pushed = Arc::new(AtomicUsize::new(0));
    let count = pushed.clone();
    let hold = world.clock.hold();
    let feeder = std::thread::spawn(move || {
        let _hold = hold;
        for tag in 0..200 {
            intake.push(Job { call: call("m", &body(tag)), tag }).unwrap();
            count.fetch_add(1, SeqCst);
        }
    });
    let mut taken = 0;
    while let Some(_delivered) = pool.recv() {
        taken += 1;
        assert!(pushed.load(SeqCst) <= taken + 10, "{} pulled, {taken} taken", pushed.load(SeqCst));
        pool.release();
    }
    feeder.join().unwrap();
    assert_eq!(taken, 200);
}

#[test]
fn the_time_that_is_lost_is_told_by_cause() {
    let world = scenario().limits(|l| l.requests_per_minute = Some(60.0)).server(|_| Ok(ok()));
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&Stop::new()));
    for tag in 0..20 {
        intake.push(Job { call: call("m", &body(tag)), tag }).unwrap();
    }
    drop(intake);
    while pool.recv().is_some() {}
    let held = pool.held_back();
    assert!(held.share(Held::Requests) > 0.99, "{held:?}");
    assert!(held.time(Held::Requests) >= 18 * SECOND);
}

#[test]
fn sixty_four_threads_of_single_calls_never_pass_the_limit() {
    // openlimit's threads raced on its bucket.
    let world = scenario().limits(|l| l.requests_per_minute = Some(6_000.0)).server(|_| Ok(ok()));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            let world = &world;
            scope.spawn(move || {
                for n in 0..50 {
                    world.send(&body(n)).unwrap();
                }
            });
        }
    });
    let times = world.times();
    assert_eq!(times.len(), 3_200);
    let mut sorted = times;
    sorted.sort_by(f64::total_cmp);
    for (at, time) in sorted.iter().enumerate() {
        assert!((at + 1) as f64 <= 100.0 + 100.0 * time + 0.01, "{at} sent by {time}");
    }
}

#[test]
fn the_open_circuit_of_one_model_ends_nothing_for_the_others() {
    let world = scenario().limits(|l| l.breaker.patience = 60 * SECOND).server(|r| {
        r.takes(SECOND);
        Ok(if r.body.contains("dead") { error(503, "", "down") } else { ok() })
    });
    let calls = (0..400).map(|n| match n % 2 {
        0 => call("dead", &body(n).replace("question", "dead")),
        _ => call("alive", &body(n)),
    });
    let all = world.send_all(calls);
    let alive = all.iter().filter(|d| d.tag % 2 == 1);
    assert!(alive.clone().all(|d| d.result.is_ok()), "{}", alive.count());
    let dead = all.iter().filter(|d| d.tag % 2 == 0);
    let given_up = dead.filter(|d| matches!(d.result, Err(Error::CircuitOpen(_)))).count();
    assert!(given_up > 100, "{given_up}");
}

#[test]
fn two_runs_of_one_client_share_by_weight() {
    for what_binds in ["requests", "slots"] {
        let world = scenario()
            .limits(|l| match what_binds {
                "requests" => l.requests_per_minute = Some(600.0),
                _ => (l.min_concurrency, l.max_concurrency) = (4, 4),
            })
            .server(|r| {
                r.takes(SECOND);
                Ok(ok())
            });
        let hold = world.clock.hold();
        let start = |name: &str, share: f64| {
            let options = world.options(&Stop::new()).share(share);
            let (pool, intake) = Pool::start(world.dispatcher.clone(), options);
            for tag in 0..120 {
                let body = body(tag).replace("question", name);
                intake.push(Job { call: call("m", &body), tag }).unwrap();
            }
            pool
        };
        let pools = [start("large", 3.0), start("small", 1.0)];
        drop(hold);
        for pool in &pools {
            while pool.recv().is_some() {
                pool.release();
            }
        }
        let seen = world.seen.lock().unwrap();
        // Until the larger one is done, but for what went before both were there.
        let early = seen.iter().skip(20).take(80);
        let large = early.filter(|(_, body)| body.contains("large")).count();
        assert!((52..=68).contains(&large), "{what_binds}: {large} of 80");
    }
}

#[test]
fn a_single_call_gets_a_slot_beside_a_run_of_another_model() {
    let world = scenario().limits(|l| l.max_concurrency = 2).server(|r| {
        r.takes(SECOND);
        Ok(ok())
    });
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&Stop::new()));
    for tag in 0..100 {
        intake.push(Job { call: call("m", &body(tag)), tag }).unwrap();
    }
    let single = call("other", r#"{"messages":[{"content":"single"}]}"#);
    let reply = world.dispatcher.send(&single, &Stop::new()).unwrap();
    assert!(reply.facts.waited <= 5 * SECOND, "{:?}", reply.facts.waited);
    drop(intake);
    while pool.recv().is_some() {
        pool.release();
    }
}

#[test]
fn limits_can_be_changed_while_a_run_goes_on() {
    let world = scenario().limits(|l| l.requests_per_minute = Some(60.0)).server(|_| Ok(ok()));
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&Stop::new()));
    let hold = world.clock.hold();
    // From here on the gate knows the model.
    world.send(&body(0)).unwrap();
    for tag in 0..200 {
        intake.push(Job { call: call("m", &body(tag)), tag }).unwrap();
    }
    drop(intake);
    let mut limits = world.dispatcher.gate.limits();
    limits.requests_per_minute = Some(6_000.0);
    world.dispatcher.gate.set_limits(limits, world.clock.now());
    drop(hold);
    while pool.recv().is_some() {
        pool.release();
    }
    assert!(world.now() < 5 * SECOND, "{:?}", world.now());
    let (changes, _) = world.dispatcher.gate.journal();
    let last = changes.last().expect("the change is told");
    assert_eq!((last.to, last.reason), (6_000.0, "stated"));
}
