use super::wire::{CHAT, Wire, chat, get, try_call};
use openai_bulk::simulator::Simulator;
use std::io::Write;

fn start() -> Simulator {
    Simulator::start().unwrap()
}

#[test]
fn a_connection_serves_many_requests() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    for _ in 0..50 {
        let answer = wire.call("POST", CHAT, chat("x").to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 200);
    }
    let stats = simulator.stats();
    assert_eq!((stats.connections, stats.requests, stats.peak_in_flight), (1, 50, 1));
    assert_eq!(stats.by_endpoint["POST /v1/chat/completions"], 50);
}

#[test]
fn requests_may_come_one_behind_the_other() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    for text in ["one", "two", "three"] {
        wire.send("POST", CHAT, "", chat(text).to_string().as_bytes());
    }
    let said: Vec<_> = (0..3).map(|_| wire.answer().unwrap().json()["choices"].clone()).collect();
    assert_ne!(said[0], said[1]);
    assert_eq!(simulator.stats().status(200), 3);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    let body = chat("x").to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nAUTHORIZATION: Bearer k\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for byte in head.bytes().chain(body.bytes()) {
        wire.socket.write_all(&[byte]).unwrap();
    }
    assert_eq!(wire.answer().unwrap().status, 200);
}

#[test]
fn bodies_may_come_in_chunks_and_large_ones_in_parts() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    let body = chat("in chunks").to_string();
    let (one, two) = body.split_at(20);
    write!(
        wire.socket,
        "POST {CHAT} HTTP/1.1\r\nauthorization: Bearer k\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    )
    .unwrap();
    assert_eq!(wire.answer().unwrap().status, 200);
    let large = chat(&"long ".repeat(1_000_000)).to_string();
    assert_eq!(wire.call("POST", CHAT, large.as_bytes()).unwrap().status, 200);
    assert_eq!(wire.call("POST", CHAT, body.as_bytes()).unwrap().status, 200);
}

#[test]
fn a_client_that_asks_for_leave_gets_it() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    let body = chat("x").to_string();
    write!(
        wire.socket,
        "POST {CHAT} HTTP/1.1\r\nauthorization: Bearer k\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut leave = [0; 25];
    std::io::Read::read_exact(&mut wire.socket, &mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    wire.socket.write_all(body.as_bytes()).unwrap();
    assert_eq!(wire.answer().unwrap().status, 200);
}

#[test]
fn what_is_no_request_is_refused_and_the_connection_closed() {
    let simulator = start();
    for bytes in ["hello\r\n\r\n", "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n"] {
        let mut wire = Wire::to(&simulator);
        wire.socket.write_all(bytes.as_bytes()).unwrap();
        let answer = wire.answer().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
        assert!(wire.answer().is_err());
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    let head = format!("POST {CHAT} HTTP/1.1\r\ncontent-length: 70000000\r\n\r\n");
    wire.socket.write_all(head.as_bytes()).unwrap();
    let answer = wire.answer().unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"]["type"], "server_error");
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let simulator = start();
    assert_eq!(get(&simulator, "/v1/nothing").status, 404);
    let message = get(&simulator, "/nothing").json()["error"]["message"].clone();
    assert_eq!(message, "Invalid URL (GET /nothing)");
    assert_eq!(get(&simulator, CHAT).status, 405);
    assert_eq!(try_call(&simulator, "OPTIONS", CHAT, "").unwrap().status, 405);
}

#[test]
fn a_client_that_wants_to_close_is_obeyed() {
    let simulator = start();
    let mut wire = Wire::to(&simulator);
    wire.send("GET", "/v1/models", "Connection: close\r\n", b"");
    assert_eq!(wire.answer().unwrap().header("connection"), Some("close"));
    assert!(wire.answer().is_err());
}

#[test]
fn requests_are_kept_where_that_is_asked_for() {
    let simulator = Simulator::builder().log_requests(2).count_header("x-who").start().unwrap();
    let mut wire = Wire::to(&simulator);
    for path in ["/v1/models/a", "/v1/models/b", "/v1/models/c"] {
        wire.send("GET", path, "X-Who: me\r\n", b"");
        wire.answer().unwrap();
    }
    let kept = simulator.received();
    assert_eq!(
        kept.iter().map(|each| &*each.path).collect::<Vec<_>>(),
        ["/v1/models/b", "/v1/models/c"]
    );
    assert_eq!(kept[0].header("authorization"), Some("Bearer sk-test"));
    assert_eq!(simulator.stats().by_header["me"], 3);
}

#[test]
fn hundreds_of_connections_are_served_at_once_and_all_closed_at_the_end() {
    let simulator = Simulator::builder().latency("100ms".parse().unwrap()).start().unwrap();
    let body = chat("x").to_string();
    let mut wires: Vec<_> = (0..300).map(|_| Wire::to(&simulator)).collect();
    for wire in &mut wires {
        wire.send("POST", CHAT, "", body.as_bytes());
    }
    for wire in &mut wires {
        assert_eq!(wire.answer().unwrap().status, 200);
    }
    let stats = simulator.stats();
    assert_eq!((stats.connections, stats.open_connections), (300, 300));
    assert!(stats.peak_in_flight > 100, "{}", stats.peak_in_flight);
    drop(simulator);
    for wire in &mut wires {
        assert!(wire.answer().is_err());
    }
}
