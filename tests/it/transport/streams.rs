//! Answers that are read while they come.

use super::serve::{Request, Server, answer};
use super::{LONG, http, pause};
use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::{Exchange, Http, HttpOptions, Incoming, Method, Patience, Transport};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const SHORT: Duration = Duration::from_millis(300);

fn open(http: &Http, server: &Server, stop: &Stop) -> Result<Incoming, TransportError> {
    let patience = Patience { first_byte: 2 * SHORT, idle: SHORT };
    let url = server.url();
    http.stream(&Exchange::new(Method::Post, &url, b"{}", LONG, stop), patience)
}

/// Everything that comes, and how it ends.
fn drain(incoming: Result<Incoming, TransportError>) -> (String, Result<(), Kind>) {
    let mut text = String::new();
    let mut incoming = match incoming {
        Ok(incoming) => incoming,
        Err(e) => return (text, Err(e.kind)),
    };
    loop {
        match incoming.pieces.next_piece() {
            Ok(Some(piece)) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Ok(None) => return (text, Ok(())),
            Err(e) => {
                assert!(e.sent);
                return (text, Err(e.kind));
            }
        }
    }
}

/// A server that reads a request and does this.
fn server(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Server {
    Server::raw(move |mut stream| {
        Request::read(&mut BufReader::new(&stream));
        answer(&mut stream);
    })
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).ok();
}

#[test]
fn a_stream_that_drips_is_given_piece_by_piece_and_lives_longer_than_its_patience() {
    let server = server(|stream| {
        send(stream, HEAD);
        for _ in 0..12 {
            // A chunk that is torn, too.
            send(stream, "7\r\ndat");
            pause(Duration::from_millis(30));
            send(stream, "a: a\r\n");
            pause(Duration::from_millis(30));
        }
        send(stream, "0\r\n\r\n");
        pause(SHORT);
    });
    let (clock, stop) = (SystemClock::new(), Stop::new());
    let mut incoming = open(&http(), &server, &stop).unwrap();
    assert!(!incoming.pieces.next_piece().unwrap().unwrap().is_empty());
    let first = clock.now().since_origin();
    let (rest, end) = drain(Ok(incoming));
    assert_eq!((rest.matches("a: a").count(), end), (12, Ok(())));
    assert!(clock.now().since_origin() > 2 * first, "the first piece did not wait for the last");
}

#[test]
fn silence_ends_a_stream_before_its_first_byte_and_in_its_middle() {
    let before = server(|_| pause(5 * SHORT));
    let only_head = server(|stream| {
        send(stream, HEAD);
        pause(5 * SHORT);
    });
    for server in [before, only_head] {
        let (text, end) = drain(open(&http(), &server, &Stop::new()));
        assert_eq!((text.as_str(), end), ("", Err(Kind::Timeout(TimeoutStage::FirstByte))));
    }
    let middle = server(|stream| {
        send(stream, &(HEAD.to_owned() + &chunk("data: a\n\n")));
        pause(5 * SHORT);
    });
    let (text, end) = drain(open(&http(), &middle, &Stop::new()));
    assert_eq!((text.as_str(), end), ("data: a\n\n", Err(Kind::Timeout(TimeoutStage::Idle))));
}

#[test]
fn the_whole_time_ends_a_stream_that_goes_on() {
    let server = server(|stream| {
        send(stream, HEAD);
        for _ in 0..100 {
            send(stream, &chunk("data: a\n\n"));
            pause(Duration::from_millis(20));
        }
    });
    let (stop, url) = (Stop::new(), server.url());
    let request = Exchange::new(Method::Post, &url, b"{}", SHORT, &stop);
    let patience = Patience { first_byte: LONG, idle: LONG };
    let (text, end) = drain(http().stream(&request, patience));
    assert!(!text.is_empty());
    assert_eq!(end, Err(Kind::Timeout(TimeoutStage::Deadline)));
}

#[test]
fn a_stream_that_is_cut_or_reset_says_so_and_gives_what_came() {
    let cut = server(|stream| send(stream, &(HEAD.to_owned() + &chunk("data: a\n\n"))));
    let torn = server(|stream| send(stream, &(HEAD.to_owned() + "ff\r\ndata: a\n\n")));
    let reset = Server::raw(|mut stream| {
        // What was not read makes the system close with a reset.
        stream.read_exact(&mut [0; 10]).unwrap();
        send(&mut stream, &(HEAD.to_owned() + &chunk("data: a\n\n")));
        pause(Duration::from_millis(100));
    });
    for (server, must) in [(cut, true), (torn, true), (reset, false)] {
        let (text, end) = drain(open(&http(), &server, &Stop::new()));
        // A reset may throw away what had come.
        assert!(text == "data: a\n\n" || (!must && text.is_empty()), "{text}");
        assert_eq!(end, Err(Kind::Cut));
    }
}

#[test]
fn a_stream_without_framing_ends_with_its_connection() {
    let server = server(|stream| send(stream, "HTTP/1.0 200 OK\r\n\r\ndata: a\n\n"));
    let (text, end) = drain(open(&http(), &server, &Stop::new()));
    assert_eq!((text.as_str(), end), ("data: a\n\n", Ok(())));
}

#[test]
fn an_abort_from_another_thread_ends_a_blocked_read_at_once() {
    // Without a length, what has come so far would look like all of it.
    for head in
        [HEAD.to_owned() + &chunk("data: a\n\n"), "HTTP/1.1 200 OK\r\n\r\ndata: a\n\n".into()]
    {
        let server = server(move |stream| {
            send(stream, &head);
            pause(LONG);
        });
        let (stop, clock, http) = (Stop::new(), SystemClock::new(), http());
        let url = server.url();
        let request = Exchange::new(Method::Post, &url, b"{}", LONG, &stop);
        let patience = Patience { first_byte: LONG, idle: LONG };
        let mut incoming = http.stream(&request, patience).unwrap();
        assert_eq!(incoming.pieces.next_piece().unwrap().unwrap(), b"data: a\n\n");
        let stopping = stop.clone();
        let aborter = thread::spawn(move || {
            pause(Duration::from_millis(200));
            stopping.abort();
        });
        let e = incoming.pieces.next_piece().unwrap_err();
        assert_eq!((e.kind, e.sent), (Kind::Interrupted, true));
        assert!(clock.now().since_origin() < Duration::from_secs(5), "it did not wait for more");
        aborter.join().unwrap();
    }
}

#[test]
fn a_stream_that_is_dropped_closes_its_connection_and_one_at_its_end_keeps_it() {
    let (ended, closed) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let endless = server(move |stream| {
        send(stream, &(HEAD.to_owned() + &chunk("data: a\n\n")));
        let closes = !matches!(stream.read(&mut [0; 1]), Ok(1..));
        ended.lock().unwrap().send(closes).unwrap();
    });
    let stop = Stop::new();
    let http = http();
    let mut incoming = open(&http, &endless, &stop).unwrap();
    incoming.pieces.next_piece().unwrap();
    drop(incoming);
    assert_eq!(closed.recv_timeout(Duration::from_secs(10)), Ok(true));

    let whole = HEAD.to_owned() + &chunk("data: [DONE]\n\n") + "0\r\n\r\n";
    let keeping = Server::answering(move |_| whole.clone().into_bytes());
    for way in 0..4 {
        let mut incoming = open(&http, &keeping, &stop).unwrap();
        incoming.pieces.next_piece().unwrap();
        match way % 2 {
            0 => incoming.pieces.finish(),
            _ => assert_eq!(incoming.pieces.next_piece().unwrap(), None),
        }
    }
    assert_eq!((keeping.connections(), keeping.requests().len()), (1, 4));
}

#[test]
fn a_stream_over_the_limit_is_too_large() {
    let server = server(|stream| {
        send(stream, HEAD);
        let line = chunk(&"a".repeat(4000));
        for _ in 0..100 {
            send(stream, &line);
        }
    });
    let http = Http::new(HttpOptions::default().max_answer_bytes(10_000)).unwrap();
    let (text, end) = drain(open(&http, &server, &Stop::new()));
    assert!(text.len() <= 10_000);
    assert_eq!(end, Err(Kind::TooLarge));
}

#[test]
fn an_error_instead_of_a_stream_is_an_answer() {
    let server = Server::answering(|_| answer("429 Too Many", &[("retry-after", "7")], b"{}"));
    let incoming = open(&http(), &server, &Stop::new()).unwrap();
    let answer = incoming.read_all().unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (429, &b"{}"[..]));
    assert_eq!(answer.headers.value("retry-after"), Some("7"));
}
