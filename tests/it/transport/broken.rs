//! What can go wrong, and what it is called.

use super::serve::{Request, Server, answer};
use super::{LONG, http, pause, post, post_within};
use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::{Exchange, Http, HttpOptions, Method, Transport};
use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn failure(server: &Server) -> (Kind, bool) {
    let e = post(&http(), &server.url(), b"{}").unwrap_err();
    (e.kind, e.sent)
}

#[test]
fn an_answer_that_ends_early_is_cut() {
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"half\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
    ] {
        assert_eq!(failure(&Server::closing(half)), (Kind::Cut, true), "{half}");
    }
}

#[test]
fn an_answer_that_ends_with_the_connection_is_taken_unless_the_connection_broke() {
    let head = "HTTP/1.0 200 OK\r\n\r\n{}";
    assert_eq!(post(&http(), &Server::closing(head).url(), b"{}").unwrap().body, b"{}");
    let broken = Server::raw(move |mut stream| {
        // What was not read makes the system close with a reset.
        stream.read_exact(&mut [0; 10]).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        pause(Duration::from_millis(100));
    });
    assert_eq!(failure(&broken), (Kind::Cut, true));
}

#[test]
fn a_connection_that_ends_before_the_answer_is_reset() {
    let reset = Server::raw(|mut stream| stream.read_exact(&mut [0; 10]).unwrap());
    assert_eq!(failure(&reset), (Kind::Reset, true));
    assert_eq!(failure(&Server::closing("")), (Kind::Reset, true));
}

#[test]
fn what_is_not_http_is_a_breach_of_protocol() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
    ] {
        assert_eq!(failure(&Server::closing(garbage)), (Kind::Protocol, true), "{garbage}");
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn an_answer_that_comes_packed_without_being_asked_for_is_unpacked_within_the_limit() {
    let gzip = [("Content-Encoding", "gzip")];
    let whole = Server::answering(move |request| {
        assert!(!request.headers.contains_key("accept-encoding"));
        answer("200 OK", &gzip, &packed(b"{\"a\":1}"))
    });
    assert_eq!(post(&http(), &whole.url(), b"{}").unwrap().body, b"{\"a\":1}");
    let half = packed(&[b'a'; 500]);
    let cut = Server::answering(move |_| answer("200 OK", &gzip, &half[..half.len() - 9]));
    assert_eq!(failure(&cut), (Kind::Cut, true));
    let bomb = Server::answering(move |_| answer("200 OK", &gzip, &packed(&[0; 100_000])));
    let http = Http::new(HttpOptions::default().max_answer_bytes(1000)).unwrap();
    let e = post(&http, &bomb.url(), b"{}").unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::TooLarge, true));
}

#[test]
fn an_answer_over_the_limit_is_too_large_whether_it_is_declared_or_not() {
    let http = Http::new(HttpOptions::default().max_answer_bytes(1000)).unwrap();
    let body = [b'a'; 1001];
    let ended = Server::closing([b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat());
    let framed = Server::answering(move |_| answer("200 OK", &[], &body));
    let declared = Server::closing("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    for server in [&ended, &framed, &declared] {
        let e = post(&http, &server.url(), b"{}").unwrap_err();
        assert_eq!((e.kind, e.sent), (Kind::TooLarge, true));
    }
    let fits = Server::answering(move |_| answer("200 OK", &[], &body[..1000]));
    assert_eq!(post(&http, &fits.url(), b"{}").unwrap().body.len(), 1000);
}

#[test]
fn a_silent_server_times_out_while_the_first_byte_is_awaited() {
    let (e, took) = post_within(&http(), &Server::silent().url(), Duration::from_millis(200));
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::FirstByte), true));
    assert!((190..1200).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_server_that_drips_does_not_stretch_the_time() {
    let server = Server::raw(|mut stream| {
        Request::read(&mut BufReader::new(&stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").unwrap();
        while stream.write_all(b"a").is_ok() {
            pause(Duration::from_millis(20));
        }
    });
    let (e, took) = post_within(&http(), &server.url(), Duration::from_millis(300));
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::Body), true));
    assert!((300..1300).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_server_that_does_not_read_times_out_while_the_request_is_sent() {
    let server = Server::raw(|stream| {
        pause(Duration::from_secs(5));
        drop(stream);
    });
    let body = vec![b'a'; 32 << 20];
    let (stop, url) = (Stop::new(), server.url());
    let e = http()
        .exchange(&Exchange::new(Method::Post, &url, &body, Duration::from_millis(300), &stop))
        .unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::Send), true));
}

#[test]
fn a_name_that_takes_too_long_times_out_while_it_is_looked_up() {
    let options = HttpOptions::default().lookup(|_| {
        pause(Duration::from_secs(5));
        Ok(vec![])
    });
    let http = Http::new(options).unwrap();
    let (e, took) = post_within(&http, "http://api.test/", Duration::from_millis(200));
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::Resolve), false));
    assert!(took < Duration::from_millis(1200), "{took:?}");
}

#[test]
fn no_time_at_all_is_a_timeout_of_which_the_server_hears_nothing() {
    let server = Server::silent();
    let (e, _) = post_within(&http(), &server.url(), Duration::ZERO);
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::Attempt), false));
    assert_eq!(server.connections(), 0);
}

/// A port of this machine that does not answer: its queue is full and nobody takes from it.
#[cfg(target_os = "linux")]
fn unanswering() -> (String, Vec<socket2::Socket>) {
    use socket2::{Domain, Socket, Type};
    let new = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = new();
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let socket = new();
        socket.connect_timeout(&address, Duration::from_millis(50)).ok();
        sockets.push(socket);
    }
    (format!("http://{}/", address.as_socket().unwrap()), sockets)
}

#[cfg(target_os = "linux")]
#[test]
fn a_host_that_does_not_answer_times_out_while_connecting() {
    let (url, _full) = unanswering();
    let options = HttpOptions::default().connect_timeout(Duration::from_millis(200));
    let http = Http::new(options).unwrap();
    let (e, took) = post_within(&http, &url, Duration::from_secs(10));
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::Connect), false));
    assert!((190..1200).contains(&took.as_millis()), "{took:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_abort_ends_an_exchange_that_waits_for_a_connection() {
    let (url, _full) = unanswering();
    let (result, took) = interrupted(http(), url, |_, stop| stop.abort());
    let e = result.unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Interrupted, false));
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_refused_connection_was_never_sent() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let e = post(&http(), &format!("http://{free}/"), b"{}").unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Connect, false));
    assert!(e.to_string().contains(&free.to_string()), "{e}");
}

#[test]
fn an_unknown_host_was_never_sent() {
    let options =
        HttpOptions::default().lookup(|_| Err(std::io::Error::other("Name or service not known")));
    let http = Http::new(options).unwrap();
    let e = post(&http, "http://no-such-host.test/", b"{}").unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Resolve, false));
    assert!(e.to_string().contains("no-such-host.test"), "{e}");
}

#[test]
fn an_address_that_is_none_is_refused_without_a_connection() {
    for url in ["", "api.openai.com/v1", "ftp://a/b", "http://", "http:///v1", "http://a b/"] {
        let e = post(&http(), url, b"{}").unwrap_err();
        assert_eq!((e.kind, e.sent), (Kind::Connect, false), "{url}");
    }
}

#[test]
fn a_bad_header_is_named_and_its_value_is_not_told() {
    let headers = [("Authorization".to_owned(), "Bearer sk-secret\n".to_owned())];
    let stop = Stop::new();
    let mut request = Exchange::new(Method::Post, "http://127.0.0.1:1/", b"", LONG, &stop);
    request.headers = &headers;
    let e = http().exchange(&request).unwrap_err();
    assert!(e.message.contains("Authorization") && !e.message.contains("secret"), "{e}");
    assert!(!e.sent);
}

/// Begins an exchange, interrupts it after a moment, and tells how it ended and how soon.
fn interrupted(
    http: Http,
    url: String,
    interrupt: impl FnOnce(&Http, &Stop),
) -> (Result<u16, TransportError>, Duration) {
    let (http, stop, clock) = (Arc::new(http), Stop::new(), Arc::new(SystemClock::new()));
    let worker = {
        let (http, stop, clock) = (http.clone(), stop.clone(), clock.clone());
        thread::spawn(move || {
            let request = Exchange::new(Method::Post, &url, b"{}", LONG, &stop);
            (http.exchange(&request).map(|answer| answer.status), clock.now())
        })
    };
    pause(Duration::from_millis(200));
    let asked = clock.now();
    interrupt(&http, &stop);
    let (result, ended) = worker.join().unwrap();
    (result, ended.since(asked))
}

#[test]
fn an_abort_ends_an_exchange_at_once_wherever_it_is() {
    let mid_body = Server::raw(|mut stream| {
        Request::read(&mut BufReader::new(&stream));
        // Without a length, what has come so far would look like all of it.
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{}").unwrap();
        pause(Duration::from_secs(20));
    });
    for (server, sent) in [(Server::silent(), true), (mid_body, true)] {
        let (result, took) = interrupted(http(), server.url(), |_, stop| stop.abort());
        let e = result.unwrap_err();
        assert_eq!((e.kind, e.sent), (Kind::Interrupted, sent));
        assert!(took < Duration::from_millis(500), "{took:?}");
    }
    let slow_name = HttpOptions::default().lookup(|_| {
        pause(Duration::from_secs(20));
        Ok(vec![])
    });
    let http = Http::new(slow_name).unwrap();
    let (result, took) = interrupted(http, "http://api.test/".into(), |_, stop| stop.abort());
    let e = result.unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Interrupted, false));
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_shutdown_ends_all_exchanges_and_refuses_later_ones() {
    let server = Server::silent();
    let url = server.url();
    let (result, took) = interrupted(http(), url.clone(), |http, _| {
        http.shutdown();
        assert_eq!(post(http, &url, b"{}").unwrap_err().kind, Kind::Interrupted);
    });
    assert_eq!(result.unwrap_err().kind, Kind::Interrupted);
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn a_drain_lets_an_exchange_come_to_its_end() {
    let server = Server::answering(|_| {
        pause(Duration::from_millis(400));
        answer("200 OK", &[], b"{}")
    });
    let (result, _) = interrupted(http(), server.url(), |_, stop| stop.drain());
    assert_eq!(result.unwrap(), 200);
}

#[test]
fn an_exchange_that_is_aborted_beforehand_is_not_sent() {
    let server = Server::silent();
    let stop = Stop::new();
    stop.abort();
    let (http, url) = (http(), server.url());
    let e = http.exchange(&Exchange::new(Method::Post, &url, b"", LONG, &stop)).unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Interrupted, false));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_failure_leaves_the_next_exchange_unharmed() {
    let server = Server::raw(|mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = Request::read(&mut reader) {
            let reply = match &*request.body {
                b"cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec(),
                body => answer("200 OK", &[], body),
            };
            stream.write_all(&reply).unwrap();
            if request.body == b"cut" {
                return;
            }
        }
    });
    let (http, url) = (http(), server.url());
    for _ in 0..10 {
        assert_eq!(post(&http, &url, b"whole").unwrap().body, b"whole");
        assert_eq!(post(&http, &url, b"cut").unwrap_err().kind, Kind::Cut);
    }
}
