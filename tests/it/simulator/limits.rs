use super::wire::{CHAT, chat, post};
use openai_bulk::clock::{Clock, SystemClock};
use openai_bulk::simulator::{Limits, Simulator};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_request_over_the_limit_is_told_when_to_come_back() {
    let limits = Limits::none().requests_per_minute(2).tokens_per_minute(1_000);
    let simulator = Simulator::builder().limits(limits).start().unwrap();
    let first = post(&simulator, CHAT, chat("x"));
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert_eq!(first.header("x-ratelimit-reset-requests"), Some("30s"));
    assert_eq!(first.header("x-ratelimit-remaining-tokens"), Some("999"));
    post(&simulator, CHAT, chat("x"));
    let refused = post(&simulator, CHAT, chat("x"));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert_eq!(refused.header("retry-after-ms"), Some("30000"));
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("requests"), &json!("rate_limit_exceeded"))
    );
    let words = "Rate limit reached for gpt-4o-mini in organization org-simulated on requests per \
                 min (RPM): Limit 2, Used 2, Requested 1. Please try again in 30s.";
    assert!(error["message"].as_str().unwrap().starts_with(words), "{error}");
    assert_eq!(simulator.stats().answers, 2);
}

#[test]
fn tokens_are_charged_for_what_may_be_produced() {
    let limits = Limits::none().tokens_per_minute(1_000);
    let simulator = Simulator::builder().limits(limits).start().unwrap();
    let mut body = chat("abcd");
    body["max_tokens"] = json!(300);
    body["n"] = json!(2);
    let answer = post(&simulator, CHAT, body.clone());
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some("399"));
    assert_eq!(post(&simulator, CHAT, body.clone()).json()["error"]["type"], "tokens");
    body["max_tokens"] = json!(600);
    let refused = post(&simulator, CHAT, body);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Request too large for gpt-4o-mini"), "{message}");
    assert!(message.contains("Limit 1000, Requested 1201."), "{message}");
    assert_eq!(refused.header("retry-after"), None);
}

#[test]
fn a_wrong_request_is_charged_like_another() {
    let limits = Limits::none().requests_per_minute(10);
    let simulator = Simulator::builder().limits(limits).start().unwrap();
    let wrong = post(&simulator, CHAT, json!({"model": "gpt-4o-mini"}));
    assert_eq!((wrong.status, wrong.header("x-ratelimit-remaining-requests")), (400, Some("9")));
}

#[test]
fn limits_may_change_while_it_runs() {
    let simulator =
        Simulator::builder().limits(Limits::none().requests_per_minute(1)).start().unwrap();
    let status = || post(&simulator, CHAT, chat("x")).status;
    assert_eq!([status(), status()], [200, 429]);
    simulator.set_limits(Limits::none());
    assert_eq!([status(), status()], [200, 200]);
    simulator.set_model_limits("gpt-4o-mini", Limits::none().requests_per_minute(1));
    assert_eq!([status(), status()], [200, 429]);
}

#[test]
fn the_headers_can_be_left_out() {
    let limits = Limits::none().requests_per_minute(10);
    let simulator = Simulator::builder().limits(limits).rate_limit_headers(false).start().unwrap();
    let answer = post(&simulator, CHAT, chat("x"));
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("x-ratelimit")));
}

#[test]
fn an_answer_takes_its_time_and_a_refusal_does_not() {
    let simulator = Simulator::builder()
        .latency("150ms".parse().unwrap())
        .limits(Limits::none().requests_per_minute(1))
        .start()
        .unwrap();
    let clock = SystemClock::new();
    let answer = post(&simulator, CHAT, chat("x"));
    let took = clock.now().since_origin();
    assert!(took >= Duration::from_millis(150), "{took:?}");
    assert_eq!(answer.header("openai-processing-ms"), Some("150"));
    let clock = SystemClock::new();
    assert_eq!(post(&simulator, CHAT, chat("x")).status, 429);
    assert!(clock.now().since_origin() < Duration::from_millis(120));
}
