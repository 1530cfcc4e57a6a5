//! Money over batches and live requests together, and what is under way beside an output.

use super::{Bench, SECOND, bench, chats, client, few, reconciles, simulator};
use openai_bulk::batch::{BatchRun, Leave, Store};
use openai_bulk::bulk::{FileRun, Status, Summary};
use openai_bulk::clock::Stop;
use openai_bulk::error::TransportError;
use openai_bulk::simulator::BatchSpeed;
use openai_bulk::transport::{Answer, Exchange, Method, Transport};
use openai_bulk::usage::Money;
use openai_bulk::{Client, Error};
use parking_lot::Mutex;

fn slow() -> BatchSpeed {
    BatchSpeed::steps_of(60 * SECOND).per_request(600 * SECOND)
}

fn live(bench: &Bench, tokens: Option<u64>) -> Result<Summary, Error> {
    let client = client(bench.server.clone(), &bench.clock, bench.key);
    FileRun::new(client.caller().clone(), bench.path("in.jsonl"), bench.path("out.jsonl"))
        .max_tokens_total(tokens)
        .run(|_| {})
}

/// Tokens that the server would bill.
fn billed(bench: &Bench) -> u64 {
    let stats = bench.server.stats();
    stats.prompt_tokens + stats.completion_tokens
}

#[test]
fn a_live_run_is_refused_while_batches_are_under_way_and_goes_on_after_a_recall() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(4));
    bench.job().submit(|_| {}).unwrap();
    let mark = bench.path("out.jsonl.batches");
    assert!(mark.exists());
    let asked = bench.server.stats().requests;
    let e = live(&bench, None).unwrap_err().to_string();
    assert!(e.contains("store.db") && e.contains("recall"), "{e}");
    assert_eq!(bench.server.stats().requests, asked, "nothing was sent");
    let store = Store::of_output(bench.path("out.jsonl")).unwrap().unwrap();
    assert!(store.path().ends_with("store.db"));
    let summary = BatchRun::resume(bench.batches(), bench.path("out.jsonl")).recall(|_| {});
    let summary = summary.unwrap();
    reconciles(&summary);
    assert_eq!((summary.run.rows.total, summary.run.rows.not_sent), (4, 4));
    assert_eq!(summary.run.status, Status::Finished);
    assert!(!mark.exists() && Store::of_output(bench.path("out.jsonl")).unwrap().is_none());
    assert_eq!(live(&bench, None).unwrap().rows.succeeded, 4);
}

#[test]
fn a_store_that_is_lost_or_another_one_is_told_and_nothing_is_sent() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(2));
    bench.job().submit(|_| {}).unwrap();
    let other = client(bench.server.clone(), &bench.clock, bench.key);
    let other = other.batches(Store::open(bench.path("other.db")).unwrap()).unwrap();
    let run = BatchRun::new(other, bench.path("in.jsonl"), bench.path("out.jsonl"));
    let e = run.run(|_| {}).unwrap_err().to_string();
    assert!(e.contains("another store") && e.contains("store.db"), "{e}");
    std::fs::remove_file(bench.path("store.db")).unwrap();
    let e = Store::of_output(bench.path("out.jsonl")).unwrap_err().to_string();
    assert!(e.contains("remove") && e.contains("out.jsonl.batches"), "{e}");
    assert_eq!(bench.asked("POST", "/v1/batches"), 1);
}

#[test]
fn what_a_cancelled_batch_did_counts_against_the_cap_of_the_live_run_that_follows() {
    // Each time a little later, so that the batches have done nothing, some, or all.
    let all = bench(simulator());
    live(all.write(chats(60)), None).unwrap();
    // Enough for two of three rows.
    let cap = billed(&all) * 2 / 3;
    for hours in 0..5 {
        let bench = bench(simulator().batch_speed(slow()));
        bench.write(chats(60));
        let stop = Stop::new();
        let run = bench.job().max_tokens_total(cap).stop(&stop).run(|now| {
            if now.elapsed.as_secs() >= hours * 700
                && now.parts.iter().any(|p| p.batch_id.is_some())
            {
                stop.drain();
            }
        });
        let first = run.unwrap();
        reconciles(&first);
        let recalled = BatchRun::resume(bench.batches(), bench.path("out.jsonl")).recall(|_| {});
        reconciles(&recalled.unwrap());
        let told = live(&bench, Some(cap)).unwrap();
        assert_eq!(told.status, Status::Capped, "after {hours}");
        assert!(billed(&bench) <= cap, "{} after {hours}", billed(&bench));
        assert!(billed(&bench) > cap / 2, "the cap is used: {}", billed(&bench));
        // And back again.
        let last = bench.job().max_tokens_total(cap).run(|_| {}).unwrap();
        assert!(billed(&bench) <= cap, "{}", billed(&bench));
        assert_eq!(last.run.rows.done_before, bench.rows().len() as u64);
        assert_eq!(last.run.cost.cap.unwrap().counted_tokens, billed(&bench));
        assert_eq!(bench.job().run(|_| {}).unwrap().run.rows.not_sent, 0);
        assert_eq!(bench.rows().len(), 60);
    }
}

#[test]
fn a_client_with_a_cap_keeps_it_in_batches_too() {
    let mut bench = bench(simulator().batch_speed(slow()));
    bench.options.limits = few(100);
    bench.write(chats(40));
    let config = openai_bulk::config::Config::new()
        .base_url("http://simulated/v1")
        .api_key(openai_bulk::config::ApiKey::new(bench.key).unwrap())
        .max_cost(Money::parse("0.0001").unwrap());
    let client = Client::builder(config).transport(bench.server.clone()).clock(bench.clock.clone());
    let store = Store::open(bench.path("store.db")).unwrap();
    let batches = client.build().unwrap().batches_with(store, bench.options.clone()).unwrap();
    let run = BatchRun::new(batches, bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = run.run(|_| {}).unwrap();
    assert_eq!(summary.run.status, Status::Capped);
    assert!(summary.run.rows.succeeded > 0 && summary.run.rows.not_sent > 0);
    assert!(summary.run.cost.total <= Money::parse("0.0001").unwrap());
}

/// A server that says of its first batch that it does not exist.
fn forgetful(bench: &Bench) -> impl Transport + use<> {
    let (server, first) = (bench.server.clone(), Mutex::new(None::<String>));
    move |request: &Exchange<'_>| -> Result<Answer, TransportError> {
        let mut first = first.lock();
        if let Some(id) = first.as_ref()
            && request.method == Method::Get
            && request.url.ends_with(id.as_str())
        {
            let body =
                r#"{"error":{"message":"No batch found with id.","type":"invalid_request_error"}}"#;
            return Ok(Answer::new(404, body));
        }
        let answer = server.exchange(request)?;
        if first.is_none() && request.method == Method::Post && request.url.ends_with("/batches") {
            let batch: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            *first = Some(batch["id"].as_str().unwrap().to_owned());
        }
        Ok(answer)
    }
}

#[test]
fn a_batch_that_vanished_is_done_again_and_what_it_may_have_cost_counts() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(4));
    let batches = bench.batches_over(forgetful(&bench));
    let cap = Money::from_dollars(1);
    let run = BatchRun::new(batches, bench.path("in.jsonl"), bench.path("out.jsonl")).max_cost(cap);
    let summary = run.run(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.succeeded, 4);
    assert_eq!(bench.asked("POST", "/v1/batches"), 2);
    assert!(summary.parts[0].trouble.as_deref().unwrap().contains("gone"));
    let at = summary.run.cost.cap.unwrap();
    assert!(at.counted_money > summary.run.cost.total, "{at:?}");
    // It is known to the next run, of either kind.
    let again = bench.job().max_cost(cap).run(|_| {}).unwrap().run.cost.cap.unwrap();
    assert_eq!(again.earlier_money, at.counted_money);
    let client = client(bench.server.clone(), &bench.clock, bench.key);
    let run =
        FileRun::new(client.caller().clone(), bench.path("in.jsonl"), bench.path("out.jsonl"));
    let again = run.max_cost(cap).run(|_| {}).unwrap().cost.cap.unwrap();
    assert_eq!(again.earlier_money, at.counted_money);
}

#[test]
fn what_a_forgotten_job_may_cost_counts_against_a_later_cap() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(4));
    let job = bench.job().submit(|_| {}).unwrap().remove(0);
    assert!(!bench.batches().clean(&job, false).unwrap(), "it is not over");
    assert!(bench.batches().clean(&job, true).unwrap());
    let told = live(&bench, Some(1)).unwrap();
    assert_eq!((told.status, told.rows.succeeded), (Status::Capped, 0));
    assert!(told.cost.cap.unwrap().earlier_tokens > 200);
}

#[test]
fn an_old_batch_is_cancelled_at_once_and_looked_at_often_until_it_is() {
    let bench = bench(
        simulator().batch_speed(BatchSpeed::steps_of(30 * SECOND).per_request(5 * 3_600 * SECOND)),
    );
    bench.write(chats(4));
    let (stop, clock) = (Stop::new(), bench.clock.clone());
    let mut asked = None;
    let run = bench.job().leave(Leave::Cancelled).stop(&stop).run(|now| {
        if now.elapsed.as_secs() > 10 * 3_600 && asked.is_none() {
            asked = Some(openai_bulk::clock::Clock::now(&clock));
            stop.drain();
        }
    });
    reconciles(&run.unwrap());
    let took = openai_bulk::clock::Clock::now(&bench.clock).since(asked.unwrap());
    assert!(took < 60 * SECOND, "{took:?}");
}

#[test]
fn a_fetch_looks_once_and_writes_what_has_ended() {
    let mut bench = bench(simulator().batch_speed(slow()));
    bench.options.poll_interval = 600 * SECOND;
    bench.write(chats(8));
    let job = bench.job().submit(|_| {}).unwrap().remove(0);
    let looks = || {
        let received = bench.server.received();
        received.iter().filter(|r| r.path.starts_with("/v1/batches/batch_")).count()
    };
    let (before, begun) = (looks(), bench.hours());
    let summary = BatchRun::of(bench.batches(), &job).fetch(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.not_sent), (0, 8));
    assert_eq!(summary.run.status, Status::Interrupted);
    assert_eq!(looks() - before, 2, "one for each part");
    assert!(bench.hours() - begun < 0.1, "it does not wait for the next look, in ten minutes");
    bench.clock.advance(2 * 3_600 * SECOND);
    let summary = BatchRun::of(bench.batches(), &job).fetch(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.status, Status::Finished);
    assert_eq!(bench.rows().len(), 8);
    assert!(!bench.path("out.jsonl.batches").exists());
}
