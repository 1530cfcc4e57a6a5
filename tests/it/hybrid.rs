//! Some rows now and some by batch, in virtual time.

use crate::batch::{Bench, SECOND, bench, chats, client, few, simulator};
use openai_bulk::bulk::{FileRun, Status};
use openai_bulk::clock::{Clock, Stop};
use openai_bulk::error::TransportError;
use openai_bulk::hybrid::{AutoProgress, AutoRun, AutoSummary, Stage, Thresholds};
use openai_bulk::simulator::BatchSpeed;
use openai_bulk::transport::{Answer, Exchange, Transport};
use openai_bulk::usage::Money;
use parking_lot::Mutex;
use serde_json::Value;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// Every step takes a minute, and each request of a batch so long.
fn each(request: Duration) -> BatchSpeed {
    BatchSpeed::steps_of(60 * SECOND).per_request(request)
}

/// A few rows make a batch, and one is expected to take an hour.
fn eager() -> Thresholds {
    let mut thresholds = Thresholds::default();
    thresholds.batch_rows = 1;
    thresholds.batch_time = HOUR;
    thresholds
}

fn job(bench: &Bench, hours: f64) -> AutoRun {
    AutoRun::new(bench.batches(), bench.path("in.jsonl"), bench.path("out.jsonl"))
        .thresholds(eager())
        .deadline(HOUR.mul_f64(hours))
}

fn live(bench: &Bench) -> usize {
    bench.asked("POST", "/v1/chat/completions")
}

fn made(bench: &Bench) -> usize {
    bench.asked("POST", "/v1/batches")
}

/// Every row has one line, and the sums fit.
fn reconciles(bench: &Bench, summary: &AutoSummary, rows: u64) {
    assert_eq!(summary.run.status, Status::Finished, "{summary:#?}");
    assert_eq!(bench.rows().len() as u64, rows);
    let told = &summary.run.rows;
    assert_eq!(told.total, told.done_before + told.succeeded + told.failed, "{told:?}");
    assert_eq!(summary.measured.live_rows + summary.measured.batch_rows, rows);
    assert!(!bench.path("out.jsonl.plan").exists(), "the plan is over");
}

#[test]
fn what_batches_do_in_time_goes_by_batch_and_what_they_saved_is_measured() {
    let bench = bench(simulator().batch_speed(each(600 * SECOND)));
    bench.write(chats(10));
    let summary = job(&bench, 6.0).run(|_| {}).unwrap();
    reconciles(&bench, &summary, 10);
    assert_eq!((live(&bench), made(&bench), summary.measured.batch_rows), (0, 3, 10));
    assert!(summary.measured.saved > Money::ZERO);
    assert_eq!(summary.measured.saved, summary.run.cost.saved_by_batch);
    assert_eq!(summary.measured.cost, summary.run.cost.total);
    assert_eq!((summary.plan.in_time, summary.plan.given_up), (Some(true), 0));
    // The batches that have ended tell how long the next one takes.
    bench.write(chats(20));
    let plan = job(&bench, 6.0).plan(|_| {}).unwrap();
    let told = plan.shares[0].batch_time;
    assert!((2_400.0..2_700.0).contains(&told), "{told}");
    assert_eq!((plan.batch_rows(), plan.live_rows()), (10, 0));
}

#[test]
fn too_few_rows_go_live_and_no_batch_is_made() {
    let bench = bench(simulator());
    bench.write(chats(10));
    let thresholds = Thresholds::default();
    let summary = job(&bench, 6.0).thresholds(thresholds).run(|_| {}).unwrap();
    reconciles(&bench, &summary, 10);
    assert_eq!((live(&bench), made(&bench)), (10, 0));
    assert_eq!(summary.measured.saved, Money::ZERO);
}

#[test]
fn a_batch_that_would_miss_the_deadline_is_cancelled_and_only_its_rest_goes_live() {
    let bench = bench(simulator().batch_speed(each(HOUR)));
    bench.write(chats(10));
    let mut told = Vec::new();
    let summary = job(&bench, 2.0)
        .run(|now| {
            if let AutoProgress::GivenUp { parts, rows } = now {
                told.push((parts, rows));
            }
        })
        .unwrap();
    reconciles(&bench, &summary, 10);
    // Each of three batches had done one row after an hour.
    assert_eq!(told, [(3, 7)]);
    assert_eq!((summary.measured.batch_rows, live(&bench)), (3, 7));
    assert_eq!((summary.plan.given_up, summary.plan.both_ways), (3, 0));
    assert_eq!(summary.plan.in_time, Some(true));
    assert!((1.8..2.0).contains(&bench.hours()), "it waited as long as it could");
    assert_eq!(bench.server.received().iter().filter(|r| r.path.ends_with("/cancel")).count(), 3);
}

#[test]
fn what_the_queue_has_no_room_for_goes_live_while_the_batch_is_at_the_server() {
    let mut bench = bench(simulator().batch_speed(each(300 * SECOND)));
    bench.options.enqueued_tokens = Some(120);
    bench.write(chats(8));
    let (mut live_until, mut done) = (None, None);
    let summary = job(&bench, 1.5)
        .run(|now| match now {
            AutoProgress::Live(_) => live_until = Some(bench.hours()),
            AutoProgress::Batch(now) => done = done.or(Some((now.done(), now.total))),
            _ => {}
        })
        .unwrap();
    assert_eq!(done, Some((4, Some(8))), "what went live is done");
    reconciles(&bench, &summary, 8);
    assert_eq!((summary.measured.batch_rows, live(&bench), made(&bench)), (4, 4, 1));
    assert!(live_until.unwrap() < 0.1, "{live_until:?}");
    assert_eq!(summary.plan.in_time, Some(true));
}

#[test]
fn a_run_that_is_stopped_goes_on_with_its_plan_and_its_deadline() {
    let bench = bench(simulator().batch_speed(each(HOUR)));
    bench.write(chats(10));
    let stop = Stop::new();
    let first = job(&bench, 2.0).stop(&stop).run(|now| {
        if let AutoProgress::Batch(now) = now
            && now.parts.iter().all(|part| part.status.as_deref() == Some("in_progress"))
        {
            stop.drain();
        }
    });
    assert_eq!(first.unwrap().run.status, Status::Interrupted);
    assert!(bench.path("out.jsonl.plan").exists());
    let before = bench.hours();
    bench.clock.advance(HOUR);
    // More rows do not change the plan that was begun: they go live.
    bench.write(chats(11));
    let summary = job(&bench, 2.0).run(|_| {}).unwrap();
    reconciles(&bench, &summary, 11);
    assert_eq!((made(&bench), summary.plan.in_time), (3, Some(true)));
    assert!((1.8..2.0).contains(&bench.hours()), "{before} and then {}", bench.hours());
}

#[test]
fn a_batch_goes_on_though_its_rows_go_live_only_where_double_cost_is_allowed() {
    let bench = bench(simulator().batch_speed(each(HOUR)));
    bench.write(chats(10));
    let mut thresholds = eager();
    thresholds.allow_double = true;
    let summary = job(&bench, 2.0).thresholds(thresholds).run(|_| {}).unwrap();
    reconciles(&bench, &summary, 10);
    // Nothing of the batches had been fetched when their rows went live.
    assert_eq!((live(&bench), summary.measured.live_rows), (10, 10));
    assert_eq!(summary.plan.both_ways, 3, "what the batches did is paid too");
}

#[test]
fn rows_that_failed_are_not_sent_a_second_time_by_the_same_run() {
    let bench = bench(simulator().batch_speed(each(HOUR)));
    let bad = chats(1).replace("\"r0\"", "\"bad\"").replace("50", "-1");
    bench.write(format!("{}{bad}not a row\n", chats(9)));
    let summary = job(&bench, 2.0).skip_invalid(true).run(|_| {}).unwrap();
    let rows = &summary.run.rows;
    assert_eq!((rows.total, rows.succeeded + rows.failed), (11, 11), "{rows:?}");
    assert_eq!(bench.rows().len(), 11);
    assert!(bench.rows()["line-11"]["error"].is_object());
}

#[test]
fn a_cap_holds_over_batches_and_live_rows_together() {
    let mut bench = bench(simulator().batch_speed(each(300 * SECOND)));
    bench.options.enqueued_tokens = Some(120);
    bench.write(chats(8));
    let capped = |cap: &str| {
        let cap = Money::parse(cap).unwrap();
        let summary = job(&bench, 1.5).max_cost(cap).run(|_| {}).unwrap();
        assert!(summary.measured.cost <= cap, "{} of {cap}", summary.measured.cost);
        summary
    };
    let first = capped("0.00006");
    assert_eq!(first.run.status, Status::Capped, "{first:#?}");
    assert!(first.run.rows.not_sent > 0);
    let second = capped("0.01");
    assert_eq!(second.run.status, Status::Finished, "{second:#?}");
    assert_eq!(bench.rows().len(), 8);
}

#[test]
fn rows_whose_batch_the_cap_holds_back_are_not_sent_live_instead() {
    let bench = bench(simulator().batch_speed(each(300 * SECOND)));
    bench.write(chats(4));
    let capped =
        |cap: &str| job(&bench, 6.0).max_cost(Money::parse(cap).unwrap()).run(|_| {}).unwrap();
    let first = capped("0.00001");
    assert_eq!((first.run.status, first.run.rows.not_sent), (Status::Capped, 4));
    let second = capped("0.01");
    reconciles(&bench, &second, 4);
    assert_eq!((live(&bench), second.measured.batch_rows), (0, 4));
}

#[test]
fn batches_are_given_up_in_time_also_while_rows_go_live() {
    let speed = each(HOUR);
    let bench = bench(simulator().batch_speed(speed).latency("480s".parse().unwrap()));
    bench.write(chats(10));
    let stop = Stop::new();
    let first = job(&bench, 2.0).stop(&stop).run(|now| {
        if let AutoProgress::Batch(now) = now
            && now.parts.iter().all(|part| part.status.is_some())
        {
            stop.drain();
        }
    });
    assert_eq!(first.unwrap().run.status, Status::Interrupted);
    // Twelve minutes are left, ten of them for cancelling, and a new row takes eight live.
    bench.clock.advance(HOUR.mul_f64(1.8) - bench.clock.now().since_origin());
    bench.write(chats(11));
    let mut told = Vec::new();
    let summary = job(&bench, 2.0)
        .run(|now| match now {
            AutoProgress::GivenUp { .. } => told.push("given up"),
            AutoProgress::Begins(Stage::Batch(_)) => told.push("batch"),
            AutoProgress::Begins(Stage::Rest(_)) => told.push("rest"),
            _ => {}
        })
        .unwrap();
    reconciles(&bench, &summary, 11);
    // The rest of each batch goes when that batch has ended.
    assert_eq!(told[..3], ["given up", "batch", "rest"]);
    assert_eq!((summary.measured.batch_rows, live(&bench)), (3, 8));
}

/// The server of a bench, of whose answers something else is made.
fn through<F>(bench: &Bench, change: F) -> impl Transport + use<F>
where
    F: Fn(&Exchange<'_>, Answer) -> Answer + Send + Sync + 'static,
{
    let server = bench.server.clone();
    move |request: &Exchange<'_>| -> Result<Answer, TransportError> {
        let answer = server.exchange(request)?;
        Ok(change(request, answer))
    }
}

#[test]
fn rows_of_a_batch_that_was_given_up_go_live_while_another_one_goes_on() {
    let mut bench = bench(simulator().batch_speed(each(70 * SECOND)));
    bench.options.limits = few(100);
    bench.write(chats(200));
    // The second batch stands still, by its own word.
    let second = Mutex::new(Vec::<String>::new());
    let server = through(&bench, move |request, answer| {
        let is_batch = request.url.contains("/batches") && !request.url.contains('?');
        if !is_batch || answer.status != 200 {
            return answer;
        }
        let mut batch: Value = serde_json::from_slice(&answer.body).unwrap();
        let (id, mut made) = (batch["id"].as_str().unwrap().to_owned(), second.lock());
        if !made.contains(&id) {
            made.push(id.clone());
        }
        if made.get(1) == Some(&id) && batch["status"] == "in_progress" {
            batch["request_counts"]["completed"] = 0.into();
        }
        Answer::new(200, batch.to_string())
    });
    let run =
        AutoRun::new(bench.batches_over(server), bench.path("in.jsonl"), bench.path("out.jsonl"))
            .thresholds(eager())
            .deadline(2 * HOUR);
    let mut sent_at = None;
    let summary = run.run(|now| {
        if let AutoProgress::Begins(Stage::Rest(_)) = now {
            sent_at = sent_at.or(Some(bench.hours()));
        }
    });
    let summary = summary.unwrap();
    reconciles(&bench, &summary, 200);
    assert_eq!((summary.plan.given_up, summary.plan.in_time), (1, Some(true)));
    assert!((1..20).contains(&live(&bench)), "{} live", live(&bench));
    assert!((1.8..1.9).contains(&sent_at.unwrap()), "{sent_at:?}");
    assert!(bench.hours() > 1.95, "the other batch came to its end: {}", bench.hours());
}

#[test]
fn rows_whose_batch_the_server_refuses_as_a_whole_go_live() {
    let bench = bench(simulator());
    bench.write(chats(10));
    let server = through(&bench, |request, answer| match request.url.ends_with("/files") {
        true => Answer::new(404, r#"{"error":{"message":"Not Found"}}"#),
        false => answer,
    });
    let run =
        AutoRun::new(bench.batches_over(server), bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = run.thresholds(eager()).run(|_| {}).unwrap();
    reconciles(&bench, &summary, 10);
    assert_eq!((summary.plan.planned_batch_rows, live(&bench)), (10, 10));
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.failed), (10, 0));
}

#[test]
fn what_batches_under_way_may_cost_is_not_left_of_the_cap_of_a_plan() {
    let bench = bench(simulator().batch_speed(each(HOUR)));
    bench.write(chats(4));
    bench.job().submit(|_| {}).unwrap();
    bench.write(chats(8));
    let cap = Money::from_dollars(1);
    let left = job(&bench, 6.0).max_cost(cap).plan(|_| {}).unwrap().cap.unwrap();
    let most = bench.batches().most_under_way(&bench.path("out.jsonl")).unwrap().money;
    assert!(most > Money::ZERO);
    assert_eq!(left, cap.less(most));
}

#[test]
fn fresh_forgets_the_plan_and_is_refused_while_batches_are_under_way() {
    let bench = bench(simulator().batch_speed(each(600 * SECOND)));
    bench.write(chats(4));
    let stop = Stop::new();
    let first = job(&bench, 6.0).stop(&stop).run(|now| {
        if let AutoProgress::Batch(now) = now
            && now.parts.iter().any(|part| part.status.is_some())
        {
            stop.drain();
        }
    });
    assert_eq!(first.unwrap().run.status, Status::Interrupted);
    let error = job(&bench, 6.0).fresh(true).run(|_| {}).unwrap_err().to_string();
    assert!(error.contains("batch cancel"), "{error}");
    let summary = job(&bench, 6.0).run(|_| {}).unwrap();
    reconciles(&bench, &summary, 4);
    let again = job(&bench, 6.0).fresh(true).run(|_| {}).unwrap();
    reconciles(&bench, &again, 4);
    assert_eq!(again.run.rows.done_before, 0);
}

#[test]
fn a_run_that_follows_no_plan_sets_it_aside_and_the_next_one_plans_anew() {
    for is_live in [false, true] {
        let bench = bench(simulator().batch_speed(each(HOUR)));
        bench.write(chats(10));
        let stop = Stop::new();
        let first = job(&bench, 6.0).stop(&stop).run(|now| {
            if let AutoProgress::Batch(now) = now
                && now.parts.iter().all(|part| part.status.is_some())
            {
                stop.drain();
            }
        });
        assert_eq!(first.unwrap().run.status, Status::Interrupted);
        let plan = bench.path("out.jsonl.plan");
        if is_live {
            let client = client(bench.server.clone(), &bench.clock, bench.key);
            let live = || {
                let (input, output) = (bench.path("in.jsonl"), bench.path("out.jsonl"));
                FileRun::new(client.caller().clone(), input, output).stop(&stop).run(|_| {})
            };
            let refused = live().unwrap_err().to_string();
            assert!(refused.contains("under way in batches"), "{refused}");
            bench.job().recall(|_| {}).unwrap();
            assert!(plan.exists(), "neither of them has gone on with the rows");
            assert_eq!(live().unwrap().status, Status::Interrupted);
        } else {
            assert_eq!(
                bench.job().stop(&stop).run(|_| {}).unwrap().run.status,
                Status::Interrupted
            );
        }
        assert!(!plan.exists(), "live: {is_live}");
        let mut is_new = false;
        let summary = job(&bench, 6.0).run(|now| match now {
            AutoProgress::Planned(_) => is_new = true,
            AutoProgress::GoesOn { .. } => panic!("the plan of before is followed"),
            _ => {}
        });
        reconciles(&bench, &summary.unwrap(), 10);
        assert!(is_new);
    }
}
