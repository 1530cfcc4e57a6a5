//! Connections: how many, how they are reused, and what goes over them.

use super::serve::{Server, answer};
use super::{LONG, http, pause, post};
use openai_bulk::clock::Stop;
use openai_bulk::transport::{Exchange, Http, HttpOptions, Method, Transport};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

#[test]
fn sixty_four_threads_that_pause_between_requests_open_sixty_four_connections() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let (http, url) = (http(), server.url());
    thread::scope(|scope| {
        for thread in 0..64 {
            let (http, url) = (&http, &url);
            scope.spawn(move || {
                for round in 0..40 {
                    assert_eq!(post(http, url, b"{}").unwrap().status, 200);
                    pause(Duration::from_millis((thread * 7 + round * 3) % 20));
                }
            });
        }
    });
    assert_eq!(server.requests().len(), 2560);
    assert!(server.connections() <= 64, "{} connections", server.connections());
}

#[test]
fn two_hundred_exchanges_at_once_use_two_hundred_sockets() {
    let all_here = Arc::new(Barrier::new(200));
    let server = Server::answering(move |_| {
        all_here.wait();
        answer("200 OK", &[], b"{}")
    });
    let (http, url) = (http(), server.url());
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| post(&http, &url, b"{}").unwrap());
        }
    });
    assert_eq!(server.most_open(), 200);
}

#[test]
fn a_worker_with_a_small_stack_is_enough() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let (http, url) = (http(), server.url());
    let worker = thread::Builder::new().stack_size(512 << 10);
    let answer = worker.spawn(move || post(&http, &url, b"{}")).unwrap().join().unwrap();
    assert_eq!(answer.unwrap().status, 200);
}

#[test]
fn every_status_is_an_answer_with_its_body() {
    for status in [200, 204, 400, 401, 404, 429, 500, 503, 529] {
        let body: &[u8] = if status == 204 { b"" } else { br#"{"error":{}}"# };
        let reply = match status {
            204 => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            _ => answer(&format!("{status} X"), &[], body),
        };
        let server = Server::answering(move |_| reply.clone());
        let answer = post(&http(), &server.url(), b"{}").unwrap();
        assert_eq!((answer.status, &*answer.body), (status, body));
    }
}

#[test]
fn the_headers_of_limits_retries_and_identity_are_kept() {
    let server = Server::answering(|_| {
        let headers = [
            ("X-RateLimit-Remaining-Requests", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("Retry-After", "20"),
            ("retry-after-ms", "19500"),
            ("x-should-retry", "true"),
            ("x-request-id", "req_1"),
            ("openai-processing-ms", "12"),
            ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("Set-Cookie", "a=b"),
            ("CF-Cache-Status", "DYNAMIC"),
        ];
        answer("429 Too Many Requests", &headers, b"{}")
    });
    let answer = post(&http(), &server.url(), b"{}").unwrap();
    assert_eq!(answer.status, 429);
    for (name, value) in [
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-reset-tokens", "6m0s"),
        ("retry-after", "20"),
        ("retry-after-ms", "19500"),
        ("x-should-retry", "true"),
        ("x-request-id", "req_1"),
        ("openai-processing-ms", "12"),
    ] {
        assert_eq!(answer.headers.value(name), Some(value), "{name}");
    }
    assert!(answer.headers.value("date").is_some());
    assert_eq!(answer.headers.value("set-cookie"), None);
    assert_eq!(answer.headers.iter().count(), 8);
}

#[test]
fn what_is_sent_is_what_was_given() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let stop = Stop::new();
    let headers = [("Authorization".to_owned(), "Bearer k".to_owned())];
    let url = server.url();
    for (method, body) in
        [(Method::Post, &b"{\"a\":1}"[..]), (Method::Get, b""), (Method::Delete, b"")]
    {
        let mut request = Exchange::new(method, &url, body, LONG, &stop);
        request.headers = &headers;
        http().exchange(&request).unwrap();
    }
    let requests = server.requests();
    assert_eq!(requests[0].line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(requests[0].header("authorization"), Some("Bearer k"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].header("cookie"), None);
    let agent = format!("openai-bulk/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(requests[0].header("user-agent"), Some(&*agent));
    assert_eq!(requests[0].body, b"{\"a\":1}");
    assert_eq!(requests[1].line, "GET /v1/chat/completions HTTP/1.1");
    assert_eq!(requests[1].header("content-type"), None);
    assert_eq!(requests[2].line, "DELETE /v1/chat/completions HTTP/1.1");
}

#[test]
fn a_redirect_is_given_back_and_the_key_goes_nowhere_else() {
    let other = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let there = other.url();
    let server = Server::answering(move |_| answer("307 Moved", &[("Location", &there)], b"moved"));
    let answer = post(&http(), &server.url(), b"{}").unwrap();
    assert_eq!((answer.status, &*answer.body), (307, &b"moved"[..]));
    assert_eq!(answer.headers.value("location"), Some(&*other.url()));
    assert_eq!(other.connections(), 0);
}

#[test]
fn an_answer_of_twenty_megabytes_comes_whole_however_it_is_framed() {
    let body: Arc<Vec<u8>> = Arc::new((0..20 << 20).map(|i| (i % 251) as u8).collect());
    let framed = {
        let body = body.clone();
        Server::answering(move |_| answer("200 OK", &[], &body))
    };
    let chunked = {
        let body = body.clone();
        Server::answering(move |_| {
            let mut reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for chunk in body.chunks(70_000) {
                reply.extend(format!("{:x}\r\n", chunk.len()).bytes());
                reply.extend_from_slice(chunk);
                reply.extend(b"\r\n");
            }
            reply.extend(b"0\r\n\r\n");
            reply
        })
    };
    let ended = Server::closing([b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat());
    for server in [framed, chunked, ended] {
        assert!(post(&http(), &server.url(), b"{}").unwrap().body == *body);
    }
}

#[test]
fn a_request_of_twenty_megabytes_arrives_whole() {
    let server = Server::answering(|request| {
        answer("200 OK", &[], request.body.len().to_string().as_bytes())
    });
    let body = vec![b'a'; 20 << 20];
    assert_eq!(post(&http(), &server.url(), &body).unwrap().body, b"20971520");
}

#[test]
fn a_connection_that_the_server_closed_while_idle_is_not_used_again() {
    let server = Server::closing(answer("200 OK", &[], b"{}"));
    let http = http();
    for _ in 0..5 {
        post(&http, &server.url(), b"{}").unwrap();
        pause(Duration::from_millis(20));
    }
    assert_eq!(server.connections(), 5);
}

#[test]
fn a_name_is_looked_up_once_for_many_exchanges() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let looked_up = Arc::new(AtomicUsize::new(0));
    let count = looked_up.clone();
    let options = HttpOptions::default().lookup(move |host| {
        assert_eq!(host, "api.test");
        count.fetch_add(1, Ordering::SeqCst);
        Ok(vec![[127, 0, 0, 1].into()])
    });
    let http = Http::new(options).unwrap();
    let url = format!("http://api.test:{}/v1", server.address.port());
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..10).for_each(|_| drop(post(&http, &url, b"{}").unwrap())));
        }
    });
    assert_eq!(server.requests().len(), 160);
    assert_eq!(looked_up.load(Ordering::SeqCst), 1);
}
