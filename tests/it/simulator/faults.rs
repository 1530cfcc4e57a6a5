use super::wire::{Answer, CHAT, Wire, chat, post, try_call};
use openai_bulk::clock::{Clock, SystemClock};
use openai_bulk::simulator::{Fault, Simulator};
use serde_json::json;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

/// The first request meets the fault, and the second does not.
fn meet(fault: Fault) -> io::Result<Answer> {
    let simulator = Simulator::builder().slow_body(Duration::from_millis(200)).start().unwrap();
    simulator.fail_next(1, fault);
    let first = try_call(&simulator, "POST", CHAT, chat("x").to_string());
    assert_eq!(post(&simulator, CHAT, chat("x")).status, 200);
    assert_eq!(simulator.stats().fault(fault), 1);
    first
}

#[test]
fn each_status_has_the_shape_of_the_real_one() {
    for (fault, status, kind, code) in [
        (Fault::ServerError, 500, "server_error", json!(null)),
        (Fault::Overloaded, 503, "service_unavailable_error", json!("server_is_overloaded")),
        (Fault::OldOverloaded, 503, "server_error", json!(null)),
        (Fault::RateLimited, 429, "requests", json!("rate_limit_exceeded")),
        (Fault::SlowDown, 429, "rate_limit_error", json!("slow_down")),
        (Fault::InsufficientQuota, 429, "insufficient_quota", json!("insufficient_quota")),
        (Fault::Unauthorized, 401, "invalid_request_error", json!("invalid_api_key")),
        (Fault::BadRequest, 400, "invalid_request_error", json!("invalid_prompt")),
    ] {
        let answer = meet(fault).unwrap();
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status);
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code));
        let is_hinted = answer.header("retry-after").is_some();
        assert_eq!(is_hinted, fault == Fault::RateLimited, "{fault}");
    }
    let hinted = meet(Fault::RateLimited).unwrap();
    assert_eq!(hinted.header("retry-after"), Some("1"));
    assert_eq!(hinted.header("retry-after-ms"), Some("100"));
}

#[test]
fn spoiled_answers_look_like_answers() {
    let gateway = meet(Fault::BadGateway).unwrap();
    assert_eq!((gateway.status, gateway.header("content-type")), (502, Some("text/html")));
    assert!(gateway.text().starts_with("<html>"));
    let text = meet(Fault::NotJson).unwrap();
    assert_eq!(text.status, 200);
    assert!(serde_json::from_slice::<serde_json::Value>(&text.body).is_err());
    let empty = meet(Fault::Empty).unwrap();
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let error = meet(Fault::ErrorObject).unwrap();
    assert_eq!((error.status, &error.json()["error"]["type"]), (200, &json!("server_error")));
}

#[test]
fn a_reset_is_a_reset() {
    let said = meet(Fault::Reset).unwrap_err();
    assert_eq!(said.kind(), ErrorKind::ConnectionReset);
    // A large body, which cannot be in one read, is no exception.
    let simulator = Simulator::start().unwrap();
    simulator.fail_next(1, Fault::Reset);
    let large = chat(&"long ".repeat(500_000)).to_string();
    let said = try_call(&simulator, "POST", CHAT, large).unwrap_err();
    assert_eq!(said.kind(), ErrorKind::ConnectionReset);
    assert_eq!(simulator.stats().answers, 0);
}

#[test]
fn a_reset_may_also_hit_a_connection_that_was_used_before() {
    let simulator = Simulator::start().unwrap();
    let mut wire = Wire::to(&simulator);
    let body = chat("x").to_string();
    wire.call("POST", CHAT, body.as_bytes()).unwrap();
    simulator.fail_next(1, Fault::Reset);
    let said = wire.call("POST", CHAT, body.as_bytes()).unwrap_err();
    assert_eq!(said.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn broken_answers_end_too_early() {
    for fault in [Fault::Close, Fault::HalfBody, Fault::HalfChunked] {
        assert_eq!(meet(fault).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{fault}");
    }
    assert!(meet(Fault::Garbage).is_err());
}

#[test]
fn a_slow_body_comes_whole_in_the_end() {
    let clock = SystemClock::new();
    let answer = meet(Fault::SlowBody).unwrap();
    assert_eq!(answer.json()["object"], "chat.completion");
    assert!(clock.now().since_origin() >= Duration::from_millis(180));
}

#[test]
fn a_hanging_request_ends_with_the_simulator() {
    let simulator = Simulator::builder().fault(Fault::Hang, 1.0).start().unwrap();
    let mut wire = Wire::to(&simulator);
    wire.send("POST", CHAT, "", chat("x").to_string().as_bytes());
    wire.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let said = wire.socket.read(&mut [0; 1]).unwrap_err();
    assert!(matches!(said.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{said}");
    assert_eq!(simulator.stats().in_flight, 1);
    let clock = SystemClock::new();
    drop(simulator);
    assert!(clock.now().since_origin() < Duration::from_secs(1));
    assert_eq!(wire.socket.read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn the_first_attempts_fail_and_the_next_one_succeeds() {
    let simulator =
        Simulator::builder().fault(Fault::ServerError, 1.0).faults_on_first(2).start().unwrap();
    for text in ["a", "b"] {
        let status = || post(&simulator, CHAT, chat(text)).status;
        assert_eq!([status(), status(), status()], [500, 500, 200]);
    }
    assert_eq!(simulator.stats().answers, 2);
}

#[test]
fn a_fault_can_be_given_to_the_request_with_a_number() {
    let simulator = Simulator::builder().fault_at(2, Fault::Overloaded).start().unwrap();
    let statuses: Vec<_> = (0..3).map(|_| post(&simulator, CHAT, chat("x")).status).collect();
    assert_eq!(statuses, [200, 503, 200]);
}

#[test]
fn a_stream_that_breaks_says_so_in_an_event_or_not_at_all() {
    let simulator = Simulator::start().unwrap();
    let mut body = chat("x");
    body["stream"] = json!(true);
    simulator.fail_next(1, Fault::ErrorObject);
    let events = post(&simulator, CHAT, body.clone()).events();
    let last: serde_json::Value = serde_json::from_str(&events.last().unwrap().1).unwrap();
    assert_eq!(last["error"]["type"], "server_error");
    simulator.fail_next(1, Fault::HalfChunked);
    assert!(try_call(&simulator, "POST", CHAT, body.to_string()).is_err());
}
