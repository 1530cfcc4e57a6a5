//! A server whose word cannot be taken: what it made is not lost, and not made twice.

use super::{Bench, SECOND, bench, chats, reconciles, simulator};
use openai_bulk::batch::{BatchRun, BatchSummary};
use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::error::TransportError;
use openai_bulk::simulator::BatchSpeed;
use openai_bulk::transport::{Answer, Exchange, Method, Transport};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

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

fn run(bench: &Bench, transport: impl Transport) -> BatchSummary {
    let (input, output) = (bench.path("in.jsonl"), bench.path("out.jsonl"));
    let summary = BatchRun::new(bench.batches_over(transport), input, output).run(|_| {}).unwrap();
    reconciles(&summary);
    summary
}

fn four() -> Bench {
    let bench = bench(simulator());
    bench.write(chats(4));
    bench
}

/// All four rows were answered by one batch.
fn is_done_once(bench: &Bench, summary: &BatchSummary) {
    assert_eq!((summary.run.rows.succeeded, bench.rows().len()), (4, 4));
    assert_eq!(bench.asked("POST", "/v1/batches"), 1);
    assert!(!bench.path("out.jsonl.spent").exists(), "nothing is in doubt");
}

fn is_made(request: &Exchange<'_>) -> bool {
    request.method == Method::Post && request.url.ends_with("/batches")
}

fn is_list(request: &Exchange<'_>) -> bool {
    request.url.contains("/batches?")
}

fn is_content(request: &Exchange<'_>) -> bool {
    request.method == Method::Get && request.url.ends_with("/content")
}

fn is_look(request: &Exchange<'_>) -> bool {
    request.method == Method::Get && request.url.contains("/batches/")
}

fn lost() -> Answer {
    Answer::new(500, "{}")
}

fn edited(answer: &Answer, edit: impl FnOnce(&mut Value)) -> Answer {
    let mut json = serde_json::from_slice(&answer.body).unwrap();
    edit(&mut json);
    Answer::new(answer.status, json.to_string())
}

#[test]
fn a_batch_whose_making_was_not_answered_is_found_though_lists_show_it_late() {
    let bench = four();
    let lists = AtomicUsize::new(0);
    let server = through(&bench, move |request, answer| match request {
        request if is_made(request) => lost(),
        request if is_list(request) && lists.fetch_add(1, SeqCst) < 2 => {
            Answer::new(200, json!({"data": [], "has_more": false}).to_string())
        }
        _ => answer,
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
}

#[test]
fn a_batch_of_a_server_that_keeps_no_metadata_is_found_by_its_file() {
    let bench = four();
    let server = through(&bench, |request, answer| match request {
        request if is_made(request) => lost(),
        request if is_list(request) => edited(&answer, |list| {
            for batch in list["data"].as_array_mut().unwrap() {
                batch["metadata"] = Value::Null;
            }
        }),
        _ => answer,
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
}

#[test]
fn a_batch_is_found_in_a_list_that_begins_with_the_oldest_or_has_no_dates() {
    for dates in [[1_000_000, 2_000_000], [0, 0]] {
        let bench = four();
        let last = Mutex::new(None);
        let server = through(&bench, move |request, answer| match request {
            request if is_made(request) => lost(),
            request if is_list(request) && request.url.contains("after=") => {
                last.lock().clone().unwrap()
            }
            request if is_list(request) => {
                *last.lock() = Some(answer);
                let old = |n: usize| {
                    let id = format!("old_{n}");
                    json!({"id": id, "status": "completed", "created_at": dates[n]})
                };
                Answer::new(200, json!({"data": [old(0), old(1)], "has_more": true}).to_string())
            }
            _ => answer,
        });
        let summary = run(&bench, server);
        is_done_once(&bench, &summary);
    }
}

#[test]
fn a_list_that_never_ends_ends_the_look_for_a_batch() {
    let bench = four();
    let (made, lists) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let server = {
        let lists = lists.clone();
        through(&bench, move |request, answer| match request {
            request if is_made(request) && made.fetch_add(1, SeqCst) == 0 => lost(),
            request if is_list(request) => {
                lists.fetch_add(1, SeqCst);
                let other = json!({"id": "other", "status": "completed"});
                Answer::new(200, json!({"data": [other], "has_more": true}).to_string())
            }
            _ => answer,
        })
    };
    let summary = run(&bench, server);
    assert_eq!(summary.run.rows.succeeded, 4);
    assert!(lists.load(SeqCst) <= 6, "{lists:?} looks");
}

#[test]
fn answers_are_waited_for_whose_file_is_named_after_the_batch_has_ended() {
    let bench = four();
    let ended = AtomicUsize::new(0);
    let server = through(&bench, move |request, answer| {
        let is_early = is_look(request)
            && answer.body.windows(11).any(|part| part == b"\"completed\"")
            && ended.fetch_add(1, SeqCst) < 3;
        if is_early {
            edited(&answer, |batch| batch["output_file_id"] = Value::Null)
        } else {
            answer
        }
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
}

#[test]
fn answers_are_fetched_again_while_fewer_come_than_the_server_counts() {
    let bench = four();
    let fetched = AtomicUsize::new(0);
    let server = through(&bench, move |request, answer| {
        // Two whole lines, and no word of how long the file is.
        if request.method == Method::Get && request.url.contains("/files/") && !is_content(request)
        {
            return Answer::new(200, r#"{"id":"file"}"#);
        }
        if !is_content(request) || fetched.fetch_add(1, SeqCst) >= 3 {
            return answer;
        }
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        let two: String = text.split_inclusive('\n').take(2).collect();
        Answer::new(200, two)
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
}

#[test]
fn a_server_that_is_always_wrong_about_lengths_is_not_waited_for_for_ever() {
    let bench = four();
    let server = through(&bench, |request, answer| {
        let is_file = request.url.contains("/files") && !is_content(request);
        if is_file && request.method != Method::Delete {
            return edited(&answer, |file| file["bytes"] = json!(7));
        }
        answer
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
    assert!(bench.hours() < 3.0, "{} hours", bench.hours());
}

#[test]
fn one_word_that_a_file_is_gone_is_not_believed_however_much_went_wrong_before() {
    let bench = four();
    let fetched = AtomicUsize::new(0);
    let server = through(&bench, move |request, answer| {
        match is_content(request).then(|| fetched.fetch_add(1, SeqCst)) {
            Some(0..=5) => Answer::new(200, &answer.body[..answer.body.len() - 20]),
            Some(6) => Answer::new(404, "{}"),
            _ => answer,
        }
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
}

/// How many of the times are between two minutes.
fn within(times: &[Duration], from: u32, to: u32) -> usize {
    let span = from * 60 * SECOND..to * 60 * SECOND;
    times.iter().filter(|at| span.contains(*at)).count()
}

#[test]
fn what_the_server_refuses_again_and_again_is_tried_less_and_less_often() {
    for end in ["/files", "/batches"] {
        let bench = four();
        let tries = Arc::new(Mutex::new(Vec::new()));
        let server = {
            let (real, clock, tries) = (bench.server.clone(), bench.clock.clone(), tries.clone());
            move |request: &Exchange<'_>| -> Result<Answer, TransportError> {
                let is_busy = clock.now().since_origin() < 3 * 3_600 * SECOND;
                if request.method == Method::Post && request.url.ends_with(end) && is_busy {
                    tries.lock().push(clock.now().since_origin());
                    // The length is wrong, or there is no room now.
                    let file = Answer::new(200, r#"{"id":"file","bytes":7}"#);
                    return Ok(if end == "/files" { file } else { Answer::new(429, "{}") });
                }
                real.exchange(request)
            }
        };
        let summary = run(&bench, server);
        assert_eq!(summary.run.rows.failed + summary.run.rows.succeeded, 4, "{end}");
        let tries = tries.lock();
        let (first, last) = (within(&tries, 0, 10), within(&tries, 150, 160));
        // A length is believed after ten tries; where the batch over it is refused too, it begins anew.
        let is_slower = if end == "/files" { tries.len() < 80 } else { last >= 1 && first > last };
        assert!(is_slower, "{first} and {last} of {} tries of {end}", tries.len());
    }
}

#[test]
fn a_batch_that_failed_with_answers_keeps_them() {
    let bench = four();
    let server = through(&bench, |request, answer| {
        if !is_look(request) {
            return answer;
        }
        edited(&answer, |batch| {
            if batch["status"] == "completed" {
                batch["status"] = json!("failed");
            }
        })
    });
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
}

#[test]
fn a_server_that_refuses_to_cancel_is_asked_less_and_less_often() {
    let bench = bench(simulator().batch_speed(BatchSpeed::steps_of(3_600 * SECOND)));
    bench.write(chats(4));
    bench.job().submit(|_| {}).unwrap();
    let refused = Arc::new(Mutex::new(Vec::new()));
    let server = {
        let (refused, real) = (refused.clone(), bench.server.clone());
        let clock = bench.clock.clone();
        move |request: &Exchange<'_>| -> Result<Answer, TransportError> {
            if request.url.ends_with("/cancel") {
                refused.lock().push(clock.now().since_origin());
                return Ok(Answer::new(409, "{}"));
            }
            real.exchange(request)
        }
    };
    let run = BatchRun::resume(bench.batches_over(server), bench.path("out.jsonl"));
    let summary = run.recall(|_| {}).unwrap();
    assert_eq!(summary.run.rows.succeeded, 4, "it went on to its end");
    let refused = refused.lock();
    let (first, last) = (within(&refused, 0, 20), within(&refused, 90, 110));
    assert!(last >= 1 && first > last, "{first} and {last} in {} hours", bench.hours());
}

#[test]
fn a_batch_that_outlives_its_window_is_told_with_the_way_to_end_it() {
    let bench = four();
    let server = through(&bench, |request, answer| {
        if !is_look(request) {
            return answer;
        }
        edited(&answer, |batch| batch["status"] = json!("paused"))
    });
    let (stop, told) = (Stop::new(), Mutex::new(None));
    let (input, output) = (bench.path("in.jsonl"), bench.path("out.jsonl"));
    let run = BatchRun::new(bench.batches_over(server), input, output).stop(&stop);
    let summary = run.run(|now| {
        if let Some(trouble) = &now.parts[0].trouble {
            told.lock().get_or_insert((bench.hours(), trouble.clone()));
            stop.drain();
        }
    });
    reconciles(&summary.unwrap());
    let (hours, trouble) = told.into_inner().unwrap();
    assert!((25.0..25.2).contains(&hours) && trouble.contains("batch cancel"), "{hours} {trouble}");
}

#[test]
fn a_batch_is_no_older_than_the_request_for_it_whatever_the_server_says() {
    for created in [json!(1), json!(u64::MAX), Value::Null] {
        let bench = four();
        let server = through(&bench, move |request, answer| {
            if !is_made(request) && !is_look(request) {
                return answer;
            }
            edited(&answer, |batch| batch["created_at"] = created.clone())
        });
        let summary = run(&bench, server);
        is_done_once(&bench, &summary);
        let age = summary.parts[0].age_seconds.unwrap() as f64;
        assert!(age <= bench.hours() * 3_600.0, "{age} s");
    }
}

#[test]
fn no_time_passes_between_the_steps_of_a_part() {
    let bench = four();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let server = {
        let (asked, clock) = (asked.clone(), bench.clock.clone());
        through(&bench, move |request, answer| {
            if request.method == Method::Post {
                // Time for the run to wait for the next look.
                SystemClock::new().sleep(20 * SECOND / 1_000, &Stop::new());
                asked.lock().push(clock.now());
            }
            answer
        })
    };
    let summary = run(&bench, server);
    is_done_once(&bench, &summary);
    let asked = asked.lock();
    assert_eq!(asked.len(), 2, "the file and the batch");
    assert_eq!(asked[0], asked[1]);
}
