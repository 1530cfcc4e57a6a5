//! Caps of money and tokens, in virtual time.

use crate::scenario::{Request, Scenario, World, error, scenario};
use openai_bulk::api::ChatRequest;
use openai_bulk::clock::Stop;
use openai_bulk::dispatch::{Call, Held, Job, Pool, PoolOptions};
use openai_bulk::error::{TransportError, TransportErrorKind};
use openai_bulk::transport::{Answer, Scripted};
use openai_bulk::usage::{Caps, Money, Prices, Purse};
use openai_bulk::{Client, Config, Error};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// What a token costs that is read, and one that is written, in picodollars.
const READ: u64 = 1_000_000;
const WRITTEN: u64 = 2_000_000;

fn prices() -> Prices {
    let text = r#"{"format": 1, "models": {"m": {"max_input": 10000, "max_output": 1000,
        "standard": {"input": 1, "output": 2}}}}"#;
    Prices::none().with_text("test", text).unwrap()
}

fn pico(amount: u64) -> Money {
    Money::from_picodollars(amount.into())
}

fn capped(cap: Money) -> Scenario {
    scenario().prices(prices()).caps(Caps { money: Some(cap), tokens: None })
}

fn body(number: usize, ceiling: u64) -> String {
    format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"question {number:03}"}}],"max_tokens":{ceiling}}}"#
    )
}

fn answer(model: &str, read: u64, written: u64) -> Answer {
    let body = format!(
        r#"{{"model":"{model}","choices":[],"usage":{{"prompt_tokens":{read},"completion_tokens":{written},"total_tokens":{}}}}}"#,
        read + written
    );
    Answer::new(200, body)
}

/// What a request of this ceiling may cost at most.
fn most(world: &World, ceiling: u64) -> Money {
    world.call(&body(0, ceiling)).most(&world.dispatcher.prices).money.unwrap()
}

fn is_over_cap(error: &Error) -> bool {
    matches!(error, Error::OverCap(_))
}

/// A server that answers, fails and breaks by chance, and keeps its own account of what it bills:
/// everything that it has worked on, whether its answer arrives or not. At every request it looks
/// into the purse.
fn moody(
    seed: u64,
    billed: Arc<AtomicU64>,
    purse: Arc<OnceLock<Arc<Purse>>>,
    passed: Arc<AtomicU64>,
) -> impl Fn(&Request<'_>) -> Result<Answer, TransportError> {
    let random = Mutex::new(fastrand::Rng::with_seed(seed));
    move |request| {
        let at = purse.get().unwrap().standing();
        let is_over = at.counted().plus(at.held).money > at.caps.money.unwrap();
        passed.fetch_add(is_over.into(), SeqCst);
        let (kind, seconds, read, share) = {
            let mut random = random.lock().unwrap();
            let slow = if random.f64() < 0.1 { 60.0 } else { 1.0 };
            (random.u8(0..20), slow * random.f64(), random.u64(1..60), random.f64())
        };
        let ceiling = request.body.rsplit(':').next().unwrap().trim_end_matches('}');
        let ceiling: u64 = ceiling.parse().unwrap();
        let written = (ceiling as f64 * share) as u64;
        let bill = || billed.fetch_add(read * READ + written * WRITTEN, SeqCst);
        let broken = |kind, sent| Err(TransportError::new(kind, sent, "by chance"));
        match kind {
            0 => Ok(error(429, "rate_limit_exceeded", "slow").header("retry-after", "1")),
            1 => Ok(error(500, "server_error", "oops")),
            2 => Ok(error(400, "invalid_value", "no")),
            3 => broken(TransportErrorKind::Connect, false),
            4 => {
                bill();
                request.takes(Duration::from_secs_f64(seconds));
                broken(TransportErrorKind::Reset, true)
            }
            5 => {
                bill();
                Ok(Answer::new(200, "{\"choices\":["))
            }
            6 => {
                bill();
                Ok(Answer::new(200, r#"{"model":"m","choices":[]}"#))
            }
            7 => {
                bill();
                Ok(answer("another", read, written))
            }
            _ => {
                bill();
                request.takes(Duration::from_secs_f64(seconds));
                Ok(answer("m", read, written))
            }
        }
    }
}

#[test]
fn what_is_billed_never_passes_the_cap_whatever_the_server_does() {
    let (mut ended, mut whole) = (0, 0);
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (billed, passed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let known = Arc::new(OnceLock::new());
        let cap = pico(random.u64(1_000_000_000..200_000_000_000));
        let hedge = if seed % 2 == 0 { 0.3 } else { 0.0 };
        let most = random.usize(1..40);
        let world = capped(cap)
            .hedge(hedge)
            .limits(|l| (l.min_concurrency, l.max_concurrency) = (most, most))
            .server(moody(seed, billed.clone(), known.clone(), passed.clone()));
        let purse = known.get_or_init(|| world.dispatcher.purse.clone().unwrap());
        let ceilings: Vec<u64> = (0..150).map(|_| random.u64(1..400)).collect();
        let calls = ceilings.iter().enumerate().map(|(n, &ceiling)| world.call(&body(n, ceiling)));
        let all = world.send_all(calls);
        assert_eq!(passed.load(SeqCst), 0, "{seed}: spent and in flight together pass the cap");
        assert_eq!(all.len(), 150, "every call comes out");
        let at = purse.standing();
        let billed = pico(billed.load(SeqCst));
        assert_eq!(at.held, Default::default(), "nothing is in flight any more");
        assert!(billed <= at.counted().money, "{seed}: {billed} was billed, counted is {at:?}");
        assert!(at.counted().money <= cap, "{seed}: {at:?}");
        let over = all.iter().filter(|each| each.result.as_ref().is_err_and(is_over_cap)).count();
        assert!(over <= 1, "one call says why, the others were not sent");
        ended += over;
        whole += usize::from(over == 0);
        // What the calls tell of their attempts in doubt is at least what the purse counts for them.
        let told: Money = all.iter().map(|each| each.facts.maybe_cost).sum();
        assert!(told >= at.doubtful.money, "{seed}: {told} is told of {at:?}");
        assert_eq!(world.dispatcher.gate.in_flight(), 0);
    }
    assert!(ended > 10 && whole > 10, "{ended} ended by their cap, {whole} did not");
}

#[test]
fn a_run_that_fits_is_not_stopped_by_what_is_reserved() {
    // Each may write 1,000 tokens and writes 10: reserved is fifty times what is spent.
    let server = |request: &Request<'_>| {
        request.takes(SECOND);
        Ok(answer("m", 10, 10))
    };
    let world = capped(Money::ZERO).server(server);
    let each = most(&world, 1_000);
    let spent = pico(100 * 10 * (READ + WRITTEN));
    // Just enough for what is spent in all but one, and what the last one may cost.
    let cap = spent - pico(10 * (READ + WRITTEN)) + each;
    let world = capped(cap).server(server);
    let all = world.send_all((0..100).map(|n| world.call(&body(n, 1_000))));
    assert!(all.iter().all(|each| each.result.is_ok()));
    let at = world.dispatcher.purse.as_ref().unwrap().standing();
    assert_eq!(at.spent.money, spent);
    assert_eq!(at.reserved.money, each.times(100), "{each}");
    // One at a time at first and at the end, because only one fits.
    assert_eq!(world.most.load(SeqCst), 1 + (spent.picodollars() / each.picodollars()) as usize);
    // A picodollar less, and the last one is left.
    let world = capped(cap - pico(1)).server(server);
    let all = world.send_all((0..100).map(|n| world.call(&body(n, 1_000))));
    let left: Vec<_> = all.iter().filter(|each| each.result.is_err()).collect();
    assert_eq!(left.len(), 1);
    assert!(left[0].result.as_ref().is_err_and(is_over_cap));
}

#[test]
fn many_are_in_flight_as_long_as_the_cap_is_far() {
    let world =
        capped(Money::from_dollars(5)).limits(|l| l.min_concurrency = 64).server(|request| {
            request.takes(SECOND);
            Ok(answer("m", 10, 10))
        });
    let all = world.send_all((0..640).map(|n| world.call(&body(n, 100))));
    assert!(all.iter().all(|each| each.result.is_ok()));
    assert!(world.now() < 12 * SECOND, "{:?}", world.now());
}

#[test]
fn a_single_call_obeys_the_cap_and_its_error_says_what_is_missing() {
    let world = capped(Money::ZERO).server(|_| Ok(answer("m", 10, 10)));
    let each = most(&world, 100);
    let world = capped(each + pico(1)).server(|_| Ok(answer("m", 10, 10)));
    assert!(world.send(&body(1, 100)).is_ok());
    let refused = world.send(&body(2, 100)).unwrap_err();
    assert!(refused.is_fatal_for_run() && !refused.is_retryable());
    let Error::OverCap(over) = &refused else { panic!("{refused}") };
    let spent = pico(10 * (READ + WRITTEN));
    assert_eq!(over.cap, (each + pico(1)).to_string());
    assert_eq!((over.spent.clone(), over.needed.clone()), (spent.to_string(), each.to_string()));
    assert_eq!(world.sent(), 1);
    // A cheaper one still fits.
    assert!(most(&world, 1) < each - spent);
    assert!(world.send(&body(3, 1)).is_ok());
}

#[test]
fn what_has_no_known_price_is_refused_before_it_is_sent() {
    let world = capped(Money::from_dollars(5)).server(|_| Ok(answer("m", 1, 1)));
    let unknown = body(1, 10).replace("\"m\"", "\"gpt-9\"");
    let call = |text: &str| world.call(text).asking("gpt-9".into());
    let refused = world.dispatcher.send(&call(&unknown), &Stop::new()).unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, Error::Validation(_)));
    assert!(told.contains("`gpt-9`") && told.contains("--prices FILE"), "{told}");
    // In a run it is one row, and the others go on.
    let calls = [world.call(&body(2, 10)), call(&unknown), world.call(&body(3, 10))];
    let all = world.send_all(calls);
    assert!(all[0].result.is_ok() && all[2].result.is_ok());
    assert!(matches!(&all[1].result, Err(Error::Validation(_))));
    assert_eq!(world.sent(), 2);
}

#[test]
fn attempts_that_were_maybe_billed_count_as_what_they_may_have_cost() {
    let broken = |_: &Request<'_>| Err(TransportError::new(TransportErrorKind::Reset, true, ""));
    let each = most(&capped(Money::ZERO).server(broken), 100);
    let world = capped(each + each).server(broken);
    let refused = world.send(&body(1, 100)).unwrap_err();
    // Two attempts were paid for; a third might pass the cap.
    assert!(is_over_cap(&refused), "{refused}");
    assert_eq!(world.sent(), 2);
    let at = world.dispatcher.purse.as_ref().unwrap().standing();
    assert_eq!((at.doubtful.money, at.spent.money), (each + each, Money::ZERO));
    // The same in a run, where the row is not done.
    let world = capped(each + each).server(broken);
    let all = world.send_all([world.call(&body(1, 100))]);
    assert!(all[0].result.as_ref().is_err_and(is_over_cap));
    let facts = all[0].facts;
    assert_eq!((facts.attempts, facts.maybe_billed), (2, 2));
    assert_eq!((facts.maybe_cost, facts.maybe_unpriced), (each + each, 0));
}

#[test]
fn what_the_server_refuses_costs_nothing() {
    let refusing = |request: &Request<'_>| match request.earlier {
        0 | 1 => Ok(error(500, "server_error", "oops")),
        2 => Ok(error(429, "rate_limit_exceeded", "slow")),
        _ => Ok(answer("m", 1, 1)),
    };
    let each = most(&capped(Money::ZERO).server(refusing), 100);
    let world = capped(each).server(refusing);
    assert!(world.send(&body(1, 100)).is_ok());
    assert_eq!(world.sent(), 4);
    let at = world.dispatcher.purse.as_ref().unwrap().standing();
    assert_eq!(at.counted().money, pico(READ + WRITTEN));
}

#[test]
fn an_answer_of_unknown_cost_counts_as_what_was_reserved() {
    for strange in [answer("gpt-9", 1, 1), Answer::new(200, r#"{"model":"m","choices":[]}"#)] {
        let world = capped(Money::from_dollars(1)).server(move |_| Ok(strange.clone()));
        let reply = world.send(&body(1, 100)).unwrap();
        let each = most(&world, 100);
        assert_eq!(reply.cost, None);
        assert_eq!(reply.counted.unwrap().money, each);
        let at = world.dispatcher.purse.as_ref().unwrap().standing();
        assert_eq!(at.spent.money, each);
    }
}

#[test]
fn without_a_cap_nothing_is_reserved_and_the_cost_is_told_all_the_same() {
    let world = scenario().prices(prices()).server(|_| Ok(answer("m", 10, 5)));
    let reply = world.send(&body(1, 100)).unwrap();
    assert_eq!(reply.cost.unwrap().total, pico(10 * READ + 5 * WRITTEN));
    assert!(reply.counted.is_none() && reply.asked.is_none());
    assert!(world.dispatcher.purse.is_none());
}

#[test]
fn tokens_are_capped_like_money_and_need_no_price() {
    let caps = Caps { money: None, tokens: Some(2_000) };
    let world = scenario().prices(Prices::none()).caps(caps).server(|request| {
        request.takes(SECOND);
        Ok(answer("m", 90, 10))
    });
    let all = world.send_all((0..50).map(|n| world.call(&body(n, 100))));
    let at = world.dispatcher.purse.as_ref().unwrap().standing();
    let each = world.call(&body(0, 100)).most(&Prices::none()).tokens.unwrap();
    assert!(at.counted().tokens <= 2_000 && at.counted().tokens > 2_000 - each - 100, "{at:?}");
    assert!(all.iter().any(
        |each| matches!(&each.result, Err(Error::OverCap(over)) if over.cap == "2000 tokens")
    ));
    // Without a ceiling, nothing is known of what it may write.
    let open = r#"{"model":"m","messages":[]}"#;
    let told = world.send(open).unwrap_err().to_string();
    assert!(told.contains("set max_tokens"), "{told}");
}

#[test]
fn two_runs_share_the_clients_cap_and_neither_waits_for_ever() {
    let server = |request: &Request<'_>| {
        request.takes(SECOND);
        Ok(answer("m", 10, 10))
    };
    let each = most(&capped(Money::ZERO).server(server), 1_000);
    // Room for one at a time.
    let world = capped(each + each - pico(1)).server(server);
    let client = world.dispatcher.purse.clone().unwrap();
    let run = |cap: Money| {
        let purse = Purse::new(Caps { money: Some(cap), tokens: None }, Some(client.clone()));
        let options = PoolOptions::new(None, &Stop::new()).purse(Some(purse.clone()));
        let (pool, intake) = Pool::start(world.dispatcher.clone(), options);
        for tag in 0..20 {
            let call: Call = world.call(&body(tag, 1_000));
            // A run that is out of money may have ended before it is given everything.
            if intake.push(Job { call, tag }).is_err() {
                break;
            }
        }
        (pool, purse)
    };
    let runs = [run(Money::from_dollars(1)), run(each)];
    let mut answered = [0, 0];
    for (at, (pool, _)) in runs.iter().enumerate() {
        while let Some(delivered) = pool.recv() {
            pool.release();
            answered[at] += usize::from(delivered.result.is_ok());
        }
    }
    // The first has room for all of its own, the second for one, after which it does not fit.
    assert_eq!(answered, [20, 1]);
    let spent = pico(10 * (READ + WRITTEN));
    assert_eq!(client.standing().spent.money, spent.times(21));
    assert_eq!(runs[0].1.standing().spent.money, spent.times(20));
    assert!(runs[0].0.held_back().time(Held::Cap) > SECOND);
}

/// A client whose server answers each chat with 10 tokens for 10.
fn client(config: Config) -> Client {
    let server = Scripted::rule(|_| Ok(answer("gpt-4o-mini-2024-07-18", 10, 10)));
    let config = config.base_url("http://localhost:1/v1");
    Client::builder(config).transport(server).build().unwrap()
}

fn question(number: usize) -> ChatRequest {
    ChatRequest::ask(format!("question {number:03}")).max_tokens(10).service_tier("default")
}

/// What an answer of [`client`] costs: 0.15 and 0.60 dollars a million.
const ANSWER: u64 = 10 * 150_000 + 10 * 600_000;

#[test]
fn a_client_spends_no_more_than_its_settings_say_and_tells_what_it_spent() {
    let open = client(Config::new());
    assert_eq!(open.send(&question(0)).unwrap().cost.unwrap().total, pico(ANSWER));
    assert_eq!(open.spending(), None);
    let cap = Money::parse("0.0001").unwrap();
    let client = client(Config::new().max_cost(cap));
    let mut answered = 0;
    let refused = loop {
        match client.send(&question(answered)) {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
    };
    assert!(is_over_cap(&refused), "{refused}");
    let at = client.spending().unwrap();
    assert_eq!(at.spent.money, pico(ANSWER).times(answered as u64));
    assert!(at.counted().money <= cap && answered > 3, "{at:?}");
    // A run of the same client has no more either.
    let left = client.bulk().send_all((0..3).map(question)).unwrap_err();
    let Error::Partial(partial) = &left else { panic!("{left}") };
    // A run that has ended takes in no more, so that not all of them may have failed.
    assert!(partial.succeeded == 0 && partial.failed > 0, "{partial:?}");
    assert!(is_over_cap(&partial.first), "{}", partial.first);
}

#[test]
fn a_run_has_a_cap_of_its_own() {
    let client = client(Config::new().max_cost(Money::from_dollars(5)));
    let cap = Money::parse("0.0003").unwrap();
    let outcomes: Vec<_> = client.bulk().max_cost(cap).send((0..200).map(question)).collect();
    let costs = outcomes.iter().filter_map(|each| each.result.as_ref().ok()?.cost);
    let spent: Money = costs.map(|cost| cost.total).sum();
    assert!(spent <= cap && spent > Money::parse("0.0002").unwrap(), "{spent}");
    assert_eq!(client.spending().unwrap().spent.money, spent);
    let over = outcomes.iter().filter(|each| each.result.as_ref().is_err_and(is_over_cap)).count();
    assert_eq!(over, 1);
    // The client itself may go on, and so may another run.
    assert!(client.send(&question(1)).is_ok());
    assert_eq!(
        client.bulk().max_tokens_total(1_000_000).send_all((0..9).map(question)).unwrap().len(),
        9
    );
}
