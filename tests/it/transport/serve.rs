//! The smallest servers that a test can need.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server that runs until the test's process ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    requests: Mutex<Vec<Request>>,
}

/// A request, with the names of its headers in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// Hands each connection to `serve`, on a thread of its own.
    pub(crate) fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Server {
        Server::start(move |stream, _| serve(stream))
    }

    /// Writes what `answer` makes of each request, as it is, and keeps the connection.
    pub(crate) fn answering(
        answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    ) -> Server {
        Server::start(move |stream, seen| {
            let mut reader = BufReader::new(&stream);
            while let Some(request) = Request::read(&mut reader) {
                seen.requests.lock().unwrap().push(request.clone());
                if (&stream).write_all(&answer(&request)).is_err() {
                    return;
                }
            }
        })
    }

    /// Answers each request with these bytes and closes the connection.
    pub(crate) fn closing(answer: impl Into<Vec<u8>>) -> Server {
        let answer = answer.into();
        Server::raw(move |mut stream| {
            Request::read(&mut BufReader::new(&stream));
            stream.write_all(&answer).ok();
        })
    }

    /// Reads each request and never answers.
    pub(crate) fn silent() -> Server {
        Server::raw(|stream| {
            let mut reader = BufReader::new(stream);
            while Request::read(&mut reader).is_some() {}
        })
    }

    fn start(serve: impl Fn(TcpStream, &Seen) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (theirs, serve) = (seen.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, serve) = (theirs.clone(), serve.clone());
                thread::spawn(move || {
                    seen.connections.fetch_add(1, Ordering::SeqCst);
                    let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                    seen.most_open.fetch_max(open, Ordering::SeqCst);
                    serve(stream, &seen);
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { address, seen }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.seen.most_open.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Request {
    pub(crate) fn read(reader: &mut impl BufRead) -> Option<Request> {
        let mut request = Request { line: line(reader)?, ..Request::default() };
        loop {
            let each = line(reader)?;
            let Some((name, value)) = each.split_once(':') else { break };
            request.headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = request.header("content-length").map_or(0, |value| value.parse().unwrap());
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    match reader.read_line(&mut line) {
        Ok(read) if read > 0 => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// A whole answer with a declared length.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body].concat()
}

/// Copies both ways until one side ends.
pub(crate) fn splice(a: TcpStream, b: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        thread::spawn(move || {
            let mut buffer = [0; 16384];
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            to.shutdown(std::net::Shutdown::Both).ok();
        })
    };
    let there = copy(a.try_clone().unwrap(), b.try_clone().unwrap());
    copy(b, a).join().unwrap();
    there.join().unwrap();
}
