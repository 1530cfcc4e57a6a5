//! Answers that are kept, and requests that are sent once for several.

use crate::scenario::{OK, Request, World, call, error, ok, scenario};
use openai_bulk::Error;
use openai_bulk::cache::{Cache, CacheOptions, Sample};
use openai_bulk::clock::Stop;
use openai_bulk::dispatch::{AnsweredBy, Call, Delivered, Dispatcher, Job, Pool};
use openai_bulk::error::TransportError;
use openai_bulk::transport::Answer;
use openai_bulk::usage::{Caps, Money};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const PRICED: &str = r#"{"object":"chat.completion","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":1000000,"completion_tokens":0,"total_tokens":1000000}}"#;

fn open(folder: &Path) -> Cache {
    let options =
        CacheOptions::new(folder.join("answers.db"), 1 << 30, Duration::from_secs(86_400));
    Cache::open(options, &[])
}

/// The world with this cache in place of none.
fn with(mut world: World, cache: Cache) -> World {
    let dispatcher: &mut Dispatcher = Arc::get_mut(&mut world.dispatcher).unwrap();
    dispatcher.cache = cache;
    world
}

fn world(
    cache: Cache,
    server: impl Fn(&Request<'_>) -> Result<Answer, TransportError> + Send + Sync + 'static,
) -> World {
    with(scenario().server(server), cache)
}

fn ask(body: &str, epoch: u32, repeat: u32) -> Call {
    call("m", body).sampled(Some(Sample { epoch, repeat }))
}

fn who(all: &[Delivered<usize>], by: AnsweredBy) -> usize {
    all.iter().filter(|each| each.result.is_ok() && each.facts.answered_by == by).count()
}

#[test]
fn a_hit_sends_nothing_costs_nothing_and_tells_what_it_saved() {
    let folder = TempDir::new().unwrap();
    let body = r#"{"model":"gpt-4o-mini"}"#;
    let server = |_: &Request<'_>| Ok(Answer::new(200, PRICED).header("x-request-id", "req_7"));
    let first = world(open(folder.path()), server);
    let paid = first.dispatcher.send(&ask(body, 0, 0), &Stop::new()).unwrap();
    let price = paid.cost.unwrap().total;
    assert!(price > Money::ZERO);
    // Another process, under a cap that allows nothing.
    let caps = Caps { money: Some(Money::ZERO), tokens: Some(0) };
    let later = with(scenario().caps(caps).server(server), open(folder.path()));
    let spelled = ask(r#"{ "model" : "gpt-4o-mini" }"#, 0, 0);
    let single = later.dispatcher.send(&spelled, &Stop::new()).unwrap();
    let pooled = later.send_all([spelled.clone(), spelled]);
    for (reply, facts) in std::iter::once((&single, single.facts))
        .chain(pooled.iter().map(|each| (each.result.as_ref().unwrap(), each.facts)))
    {
        assert_eq!((&reply.body, &reply.request_id), (&paid.body, &Some("req_7".into())));
        assert_eq!(reply.peek, paid.peek);
        assert_eq!((facts.attempts, facts.answered_by), (0, AnsweredBy::Cache));
        assert_eq!((reply.cost.unwrap().total, facts.saved), (Money::ZERO, price));
    }
    assert_eq!((first.sent(), later.sent()), (1, 0));
}

#[test]
fn samples_have_answers_of_their_own_and_other_calls_none() {
    let folder = TempDir::new().unwrap();
    let world = world(open(folder.path()), |request| {
        Ok(Answer::new(200, format!(r#"{{"choices":[],"number":{}}}"#, request.earlier)))
    });
    let calls = || {
        let plain = call("m", "{}");
        [ask("{}", 0, 0), ask("{}", 0, 1), ask("{}", 1, 0), ask("{}", 0, 0), plain]
    };
    let send = || {
        let body = |call: &Call| world.dispatcher.send(call, &Stop::new()).unwrap().body;
        calls().iter().map(body).collect::<Vec<_>>()
    };
    let (first, second) = (send(), send());
    assert_eq!(first[..4], second[..4]);
    assert_eq!(first[0], first[3]);
    let different: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!((different.len(), world.sent()), (4, 5), "what has no sample is always sent");
    assert_ne!(first[4], second[4]);
}

#[test]
fn failures_and_what_is_no_answer_are_not_kept() {
    let folder = TempDir::new().unwrap();
    let world = world(open(folder.path()), |request| match request.body {
        r#"{"n":1}"# => Ok(error(400, "bad", "no")),
        r#"{"n":2}"# => Ok(Answer::new(200, r#"{"object":"response","status":"queued"}"#)),
        _ => Ok(Answer::new(200, "<html>")),
    });
    for n in [1, 2] {
        let body = format!(r#"{{"n":{n}}}"#);
        for _ in 0..2 {
            let _ = world.dispatcher.send(&ask(&body, 0, 0), &Stop::new());
        }
        let sent = world.seen.lock().unwrap().iter().filter(|(_, each)| *each == body).count();
        assert_eq!(sent, 2, "{body}");
    }
    assert!(world.dispatcher.send(&ask(r#"{"n":3}"#, 0, 0), &Stop::new()).is_err());
}

#[test]
fn the_same_request_in_flight_is_sent_once() {
    for cache in [Cache::none(), open(TempDir::new().unwrap().path())] {
        let world = world(cache.coalescing(true), |request| {
            request.takes(Duration::from_secs(5));
            Ok(ok())
        });
        let all = world.send_all((0..64).map(|_| ask("{}", 0, 0)).chain([ask("[1]", 0, 0)]));
        assert_eq!(all.len(), 65);
        assert!(all.iter().all(|each| each.result.as_ref().unwrap().body == OK.as_bytes()));
        assert_eq!(world.sent(), 2, "what is no request of JSON is sent by itself");
        assert_eq!((who(&all, AnsweredBy::Server), who(&all, AnsweredBy::Twin)), (2, 63));
        assert_eq!(world.now(), Duration::from_secs(5));
    }
}

#[test]
fn without_being_asked_for_each_is_sent() {
    let world = world(Cache::none(), |request| {
        request.takes(Duration::from_secs(5));
        Ok(ok())
    });
    world.send_all((0..8).map(|_| ask("{}", 0, 0)));
    assert_eq!(world.sent(), 8);
}

#[test]
fn those_that_wait_hold_no_slot() {
    let scenario = scenario().limits(|limits| limits.max_concurrency = 2);
    let world = with(
        scenario.server(|request| {
            request.takes(Duration::from_secs(10));
            Ok(ok())
        }),
        Cache::none().coalescing(true),
    );
    let same = (0..50).map(|_| ask(r#"{"n":0}"#, 0, 0));
    let all = world.send_all(same.chain([ask(r#"{"n":1}"#, 0, 0)]));
    assert!(all.iter().all(|each| each.result.is_ok()));
    assert_eq!((world.sent(), world.now()), (2, Duration::from_secs(10)));
}

#[test]
fn where_the_first_fails_the_others_try_by_themselves() {
    let world = world(Cache::none().coalescing(true), |request| {
        request.takes(Duration::from_secs(1));
        if request.earlier == 0 { Ok(error(400, "bad", "no")) } else { Ok(ok()) }
    });
    let all = world.send_all((0..10).map(|_| ask("{}", 0, 0)));
    assert!(matches!(all[0].result, Err(Error::Api(_))), "{:?}", all[0].result);
    assert_eq!(who(&all[1..], AnsweredBy::Server), 9);
    assert_eq!((world.sent(), world.now()), (10, Duration::from_secs(2)));
}

#[test]
fn where_the_first_is_never_sent_the_others_come_out_too() {
    let caps = Caps { money: None, tokens: Some(0) };
    let refused = with(scenario().caps(caps).server(|_| Ok(ok())), Cache::none().coalescing(true));
    let body =
        r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;
    let all = refused.send_all((0..10).map(|_| ask(body, 0, 0)));
    assert_eq!((all.len(), refused.sent()), (10, 0));
    assert!(all.iter().any(|each| matches!(each.result, Err(Error::OverCap(_)))));
}

#[test]
fn those_that_wait_are_cancelled_with_the_run() {
    let world = world(Cache::none().coalescing(true), |request| {
        request.takes(Duration::from_secs(3_600));
        match request.stop.stage() {
            openai_bulk::clock::Stage::Run => Ok(ok()),
            _ => Err(TransportError::new(
                openai_bulk::error::TransportErrorKind::Interrupted,
                true,
                "stopped",
            )),
        }
    });
    let stop = Stop::new();
    let (pool, intake) = Pool::start(world.dispatcher.clone(), world.options(&stop));
    let hold = openai_bulk::clock::Clock::hold(&world.clock);
    for tag in 0..20 {
        intake.push(Job { call: ask("{}", 0, 0), tag }).unwrap();
    }
    stop.abort();
    drop((intake, hold));
    let mut cancelled = 0;
    while let Some(each) = pool.recv() {
        pool.release();
        cancelled += usize::from(matches!(each.result, Err(Error::Cancelled)));
    }
    assert_eq!(cancelled, 20);
    assert!(world.sent() <= 1);
}
