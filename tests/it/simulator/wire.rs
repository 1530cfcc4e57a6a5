//! A small HTTP client that shows everything.

use openai_bulk::simulator::Simulator;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The events of a stream, each as its name and its data.
    pub(crate) fn events(&self) -> Vec<(Option<String>, String)> {
        let text = self.text();
        let frame = |frame: &str| {
            let line = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
            (line("event: ").map(str::to_owned), line("data: ").unwrap().to_owned())
        };
        text.split_terminator("\n\n").map(frame).collect()
    }
}

/// A connection that stays open.
pub(crate) struct Wire {
    pub(crate) socket: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(crate) fn to(simulator: &Simulator) -> Wire {
        let socket = TcpStream::connect(simulator.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.set_nodelay(true).unwrap();
        Wire { socket, read: Vec::new() }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, extra: &str, body: &[u8]) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\n{extra}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.socket.write_all(&bytes).unwrap();
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        self.send(method, path, "", body);
        self.answer()
    }

    /// Reads one answer; what is not complete is an error.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let end = loop {
            match self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at,
                None => self.more()?,
            }
        };
        let head = String::from_utf8(self.read[..end].to_vec()).map_err(|_| bad("not text"))?;
        self.read.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").ok_or(bad("not HTTP"))?;
        let status = status[..3].parse().map_err(|_| bad("no status"))?;
        let headers: Vec<_> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new() };
        answer.body = match answer.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap())?,
            None => self.chunks()?,
        };
        Ok(answer)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.read.windows(2).position(|two| two == b"\r\n") {
                    Some(at) => break at,
                    None => self.more()?,
                }
            };
            let size = std::str::from_utf8(&self.read[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            self.read.drain(..end + 2);
            let chunk = self.exactly(size + 2)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.more()?;
        }
        Ok(self.read.drain(..length).collect())
    }

    fn more(&mut self) -> io::Result<()> {
        let mut some = [0; 16 << 10];
        match self.socket.read(&mut some)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.read.extend_from_slice(&some[..count]);
                Ok(())
            }
        }
    }
}

/// One request on a connection of its own.
pub(crate) fn try_call(
    simulator: &Simulator,
    method: &str,
    path: &str,
    body: impl AsRef<[u8]>,
) -> io::Result<Answer> {
    Wire::to(simulator).call(method, path, body.as_ref())
}

pub(crate) fn get(simulator: &Simulator, path: &str) -> Answer {
    try_call(simulator, "GET", path, "").unwrap()
}

pub(crate) fn post(simulator: &Simulator, path: &str, body: Value) -> Answer {
    try_call(simulator, "POST", path, body.to_string()).unwrap()
}

/// A chat request that asks `text`.
pub(crate) fn chat(text: &str) -> Value {
    serde_json::json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]})
}

pub(crate) const CHAT: &str = "/v1/chat/completions";
