//! Every state of a batch, in virtual time.

use super::{SECOND, bench, chat, chats, few, reconciles, simulator};
use openai_bulk::batch::{BatchRun, Leave};
use openai_bulk::bulk::{FileRun, Status};
use openai_bulk::clock::Stop;
use openai_bulk::simulator::{BatchSpeed, Fault};
use openai_bulk::usage::Money;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn slow() -> BatchSpeed {
    BatchSpeed::steps_of(60 * SECOND).per_request(600 * SECOND)
}

#[test]
fn three_batches_become_one_output_and_their_files_are_deleted() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(10));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.status, Status::Finished);
    assert_eq!((summary.run.rows.total, summary.run.rows.succeeded), (10, 10));
    assert_eq!(summary.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [4, 4, 2]);
    assert_eq!(bench.asked("POST", "/v1/batches"), 3);
    let rows = bench.rows();
    assert_eq!(rows.len(), 10);
    let row = &rows["r7"];
    assert_eq!(row["response"]["status_code"], 200);
    assert_eq!(
        (row["x_run"]["line"].as_u64(), row["x_run"]["ok"].as_bool()),
        (Some(8), Some(true))
    );
    assert!(row["x_run"]["batch"].as_str().unwrap().starts_with("batch_"));
    assert!(summary.run.cost.total > Money::ZERO && summary.run.cost.saved_by_batch > Money::ZERO);
    let left = bench.server.received();
    assert_eq!(left.iter().filter(|each| each.method == "DELETE").count(), 6);
    assert!(bench.hours() > 0.6, "{} hours", bench.hours());
    // The same again does nothing.
    let again = bench.run().unwrap();
    assert_eq!((again.run.rows.done_before, again.run.rows.succeeded), (10, 0));
    assert_eq!(bench.asked("POST", "/v1/batches"), 3);
}

#[test]
fn a_run_changes_from_live_to_batch_and_back_and_does_only_what_is_missing() {
    let bench = bench(simulator().batch_speed(slow()));
    let live = || {
        let client = super::client(bench.server.clone(), &bench.clock, bench.key);
        FileRun::new(client.caller().clone(), bench.path("in.jsonl"), bench.path("out.jsonl"))
            .run(|_| {})
            .unwrap()
    };
    bench.write(chats(3));
    assert_eq!(live().rows.succeeded, 3);
    bench.write(chats(8));
    let summary = bench.run().unwrap();
    assert_eq!((summary.run.rows.done_before, summary.run.rows.succeeded), (3, 5));
    bench.write(chats(9));
    let last = live();
    assert_eq!((last.rows.done_before, last.rows.succeeded), (8, 1));
    assert_eq!(bench.rows().len(), 9);
    assert_eq!(bench.asked("POST", "/v1/chat/completions"), 4);
}

#[test]
fn an_expired_batch_keeps_what_was_done_and_the_rest_goes_into_another() {
    let speed = BatchSpeed::steps_of(SECOND).per_request(8 * 3_600 * SECOND);
    let bench = bench(simulator().batch_speed(speed));
    bench.write(chats(4));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.failed), (4, 0));
    let first = &summary.parts[0];
    assert_eq!(first.status.as_deref(), Some("expired"));
    assert!(first.succeeded > 0 && first.left > 0, "{first:?}");
    assert_eq!(summary.parts[1].rows, first.left);
    assert_eq!(bench.rows().len(), 4);
}

#[test]
fn rows_that_no_batch_ever_does_fail_after_three_and_nothing_polls_for_ever() {
    let speed = BatchSpeed::steps_of(SECOND).per_request(100 * 3_600 * SECOND);
    let bench = bench(simulator().batch_speed(speed));
    bench.write(chats(4));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.failed), (0, 4));
    assert_eq!(summary.run.rows.failed_by_kind["batch_expired"], 4);
    assert_eq!(bench.asked("POST", "/v1/batches"), 3);
    assert_eq!(bench.rows()["r1"]["error"]["code"], "batch_expired");
    assert!((71.0..76.0).contains(&bench.hours()), "{} hours", bench.hours());
}

#[test]
fn what_an_expired_batch_left_stays_to_be_done_if_the_user_wants_it_live() {
    let speed = BatchSpeed::steps_of(SECOND).per_request(8 * 3_600 * SECOND);
    let bench = bench(simulator().batch_speed(speed));
    bench.write(chats(4));
    let summary = bench.job().resubmit(false).run(|_| {}).unwrap();
    reconciles(&summary);
    assert!(summary.run.rows.not_sent > 0 && summary.run.rows.failed == 0);
    let done = summary.run.rows.succeeded;
    let client = super::client(bench.server.clone(), &bench.clock, bench.key);
    let live =
        FileRun::new(client.caller().clone(), bench.path("in.jsonl"), bench.path("out.jsonl"));
    let live = live.run(|_| {}).unwrap();
    assert_eq!((live.rows.done_before, live.rows.succeeded), (done, 4 - done));
    assert_eq!(bench.rows().len(), 4);
}

#[test]
fn requests_that_fail_at_the_server_are_tried_in_other_batches_and_then_told() {
    let bench = bench(simulator().batch_speed(slow()).batch_line_failures(0.4).seed(3));
    bench.write(chats(12));
    let summary = bench.run().unwrap();
    reconciles(&summary);
    // The simulator decides by the id, so that what fails once fails always.
    let failed = summary.run.rows.failed;
    assert!((1..12).contains(&failed), "{failed}");
    assert_eq!(summary.run.rows.succeeded, 12 - failed);
    let rows = bench.rows();
    let told = rows.values().filter(|row| row["response"]["status_code"] == 500).count();
    assert_eq!((rows.len(), told as u64), (12, failed));
}

#[test]
fn a_batch_in_which_everything_failed_has_no_output_and_one_without_errors_an_empty_id() {
    for share in [1.0, 0.0] {
        let builder = simulator().batch_speed(slow()).batch_line_failures(share);
        let bench = bench(builder.empty_error_file_id(true));
        bench.write(chats(2));
        let summary = bench.run().unwrap();
        reconciles(&summary);
        assert_eq!(summary.run.rows.failed, if share > 0.5 { 2 } else { 0 });
        assert_eq!(bench.rows().len(), 2);
    }
}

#[test]
fn a_stopped_run_leaves_its_batches_and_the_next_one_fetches_them() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(6));
    let stop = Stop::new();
    let run = bench.job().stop(&stop).run(|now| {
        if now.parts.iter().any(|part| part.status.as_deref() == Some("in_progress")) {
            stop.drain();
        }
    });
    let summary = run.unwrap();
    assert_eq!(summary.run.status, Status::Interrupted);
    assert_eq!(summary.run.rows.not_sent, 6);
    let summary = bench.run().unwrap();
    assert_eq!(summary.run.rows.succeeded, 6);
    assert_eq!(bench.asked("POST", "/v1/batches"), 2);
    assert_eq!(bench.rows().len(), 6);
}

#[test]
fn a_recalled_run_cancels_its_batches_and_keeps_what_they_did() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(4));
    let stop = Stop::new();
    let run = bench.job().leave(Leave::Cancelled).stop(&stop).run(|now| {
        if now.parts.iter().any(|part| part.worked_off >= 2) {
            stop.drain();
        }
    });
    let summary = run.unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.status, Status::Interrupted);
    let done = summary.run.rows.succeeded;
    assert!((2..4).contains(&done), "{done}");
    assert_eq!(summary.run.rows.not_sent, 4 - done);
    assert_eq!(summary.parts[0].status.as_deref(), Some("cancelled"));
    // Rows that were not done have no line: the next run does them, live or not.
    assert_eq!(bench.rows().len() as u64, done);
    let summary = bench.run().unwrap();
    assert_eq!(summary.run.rows.succeeded, 4 - done);
}

#[test]
fn another_key_or_server_is_refused_and_nothing_is_asked() {
    let mut bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(2));
    let stop = Stop::new();
    bench
        .job()
        .stop(&stop)
        .run(|now| {
            if now.parts.iter().any(|part| part.batch_id.is_some()) {
                stop.drain();
            }
        })
        .unwrap();
    let asked = bench.server.stats().requests;
    bench.key = "sk-of-somebody-else";
    let e = bench.run().unwrap_err().to_string();
    assert!(e.contains("with another key") && e.contains("http://simulated/v1"), "{e}");
    assert!(!e.contains("sk-"), "{e}");
    assert_eq!(bench.server.stats().requests, asked);
    bench.key = "sk-of-the-test";
    assert_eq!(bench.run().unwrap().run.rows.succeeded, 2);
}

#[test]
fn one_job_has_one_worker() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(2));
    let (first, second) = (bench.batches(), bench.batches());
    let submitted = BatchRun::new(first.clone(), bench.path("in.jsonl"), bench.path("out.jsonl"))
        .submit(|_| {})
        .unwrap();
    first.submit(&submitted[0]).unwrap();
    let e = second.submit(&submitted[0]).unwrap_err().to_string();
    assert!(e.contains("another process"), "{e}");
    drop(first);
    second.submit(&submitted[0]).unwrap();
}

#[test]
fn a_changed_request_under_way_is_refused() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(2));
    bench.job().submit(|_| {}).unwrap();
    bench.write(chats(2).replace("question 1?", "another one?"));
    let e = bench.run().unwrap_err().to_string();
    assert!(e.contains("`r1` is under way in a batch"), "{e}");
}

#[test]
fn twins_and_repeats_are_requests_of_their_own() {
    let bench = bench(simulator().batch_speed(slow()));
    let twins: String =
        (0..5).map(|n| chat(7).replace("\"r7\"", &format!("\"twin{n}\""))).collect();
    bench.write(twins);
    assert_eq!(bench.run().unwrap().run.rows.succeeded, 5);
    assert_eq!(bench.rows().len(), 5);
}

#[test]
fn a_cap_holds_over_all_batches_and_a_part_that_does_not_fit_is_made_smaller() {
    let mut bench = bench(simulator().batch_speed(slow()));
    bench.options.limits = few(100);
    bench.write(chats(40));
    let cap = Money::parse("0.0001").unwrap();
    let summary = bench.job().max_cost(cap).run(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.status, Status::Capped);
    let rows = &summary.run.rows;
    assert!(rows.succeeded > 0 && rows.not_sent > 0, "{rows:?}");
    assert!(summary.run.cost.total <= cap, "{}", summary.run.cost.total);
    let counted = summary.run.cost.cap.unwrap().counted_money;
    assert_eq!(counted, summary.run.cost.total);
    // A larger one goes on, and what was spent counts.
    let first = rows.succeeded;
    let summary = bench.job().max_cost(Money::from_dollars(1)).run(|_| {}).unwrap();
    assert_eq!(summary.run.rows.succeeded, 40 - first);
    assert!(summary.run.cost.cap.unwrap().earlier_money > Money::ZERO);
    assert_eq!(bench.rows().len(), 40);
}

#[test]
fn a_server_that_fails_at_every_third_call_costs_time_and_nothing_else() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(10));
    let (count, server) = (Arc::new(AtomicUsize::new(0)), bench.server.clone());
    let faults = [Fault::ServerError, Fault::Reset, Fault::HalfBody, Fault::NotJson, Fault::Empty];
    let flaky = move |request: &openai_bulk::transport::Exchange<'_>| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        if n % 3 == 2 {
            server.fail_next(1, faults[n / 3 % faults.len()]);
        }
        openai_bulk::transport::Transport::exchange(&server, request)
    };
    let batches = bench.batches_over(flaky);
    let run = BatchRun::new(batches, bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = run.run(|_| {}).unwrap();
    reconciles(&summary);
    assert_eq!(summary.run.rows.succeeded, 10);
    assert_eq!(bench.rows().len(), 10);
    // Whatever was sent twice, no part has two batches.
    let all = list(&bench);
    assert_eq!(all.len(), 3, "{all:?}");
}

/// The marks of all batches that the server has.
pub fn list(bench: &super::Bench) -> Vec<String> {
    use openai_bulk::transport::{Exchange, Method, Transport};
    let stop = Stop::new();
    let headers = [("Authorization".to_owned(), "Bearer k".to_owned())];
    let url = "http://simulated/v1/batches?limit=100";
    let mut request = Exchange::new(Method::Get, url, b"", Duration::from_secs(9), &stop);
    request.headers = &headers;
    let answer = bench.server.exchange(&request).unwrap();
    let page: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let all = page["data"].as_array().unwrap();
    let mut marks: Vec<String> = all
        .iter()
        .map(|batch| batch["metadata"]["openai_bulk_part"].as_str().unwrap().to_owned())
        .collect();
    marks.sort();
    marks
}

#[test]
fn a_batch_that_was_made_elsewhere_is_adopted_and_fetched() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(chats(3));
    bench.job().submit(|_| {}).unwrap();
    let id = bench.batches().status(&bench.batches().store().jobs().unwrap()[0]).unwrap()[0]
        .batch_id
        .clone()
        .unwrap();
    // A machine that knows nothing of it.
    std::fs::remove_file(bench.path("store.db")).unwrap();
    std::fs::remove_dir_all(bench.path("store.db.files")).unwrap();
    std::fs::remove_file(bench.path("out.jsonl")).unwrap();
    let batches = bench.batches();
    let job = batches.adopt(&id, &bench.path("out.jsonl")).unwrap();
    assert_eq!(job.rows, 3);
    assert!(batches.adopt(&id, &bench.path("out.jsonl")).is_err(), "a job has it already");
    assert!(batches.adopt("batch_nobody_knows", &bench.path("x.jsonl")).is_err());
    drop(batches);
    let summary = bench.run().unwrap();
    assert_eq!((summary.run.rows.succeeded, summary.run.rows.not_sent), (3, 0));
    assert_eq!(bench.asked("POST", "/v1/batches"), 1);
}

#[test]
fn bad_lines_are_refused_before_anything_is_sent_or_become_failed_rows() {
    let bench = bench(simulator().batch_speed(slow()));
    bench.write(format!("{}nope\n{}", chat(0), chat(1)));
    assert!(bench.run().unwrap_err().to_string().contains("in.jsonl:2"));
    assert_eq!(bench.server.stats().requests, 0);
    let summary = bench.job().skip_invalid(true).run(|_| {}).unwrap();
    let rows = &summary.run.rows;
    assert_eq!((rows.total, rows.succeeded, rows.failed), (3, 2, 1));
    assert_eq!(bench.rows()["line-2"]["error"]["code"], "invalid_line");
}
