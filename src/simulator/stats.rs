//! What the simulator has seen.

use super::fault::Fault;
use super::http::Head;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Counts of what the simulator has seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that came whole.
    pub requests: u64,
    /// Answers by status; those that a fault cut short or spoiled are counted too.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests by method and path, with ids and deployments replaced by `{}`.
    pub by_endpoint: BTreeMap<String, u64>,
    /// Faults that were shown.
    pub by_fault: BTreeMap<Fault, u64>,
    /// Requests by the value of the header that is to be counted.
    pub by_header: BTreeMap<String, u64>,
    /// Answers that a model made, whether or not they arrived: what would be billed.
    pub answers: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// Requests that are being answered now.
    pub in_flight: u64,
    /// The most that were answered at one time.
    pub peak_in_flight: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that are open now.
    pub open_connections: u64,
    /// The most that were open at one time.
    pub peak_connections: u64,
}

impl Stats {
    /// How many answers had this status.
    pub fn status(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// How often this fault was shown.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.by_fault.get(&fault).copied().unwrap_or(0)
    }
}

/// A request as it came, kept where that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// All headers, the key among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Counts and the log.
pub(super) struct Counter {
    stats: Mutex<Stats>,
    header: Option<String>,
    /// How many requests the log keeps.
    room: usize,
    log: Mutex<VecDeque<Received>>,
}

impl Counter {
    pub(super) fn new(header: Option<String>, room: usize) -> Counter {
        Counter { stats: Mutex::default(), header, room, log: Mutex::default() }
    }

    pub(super) fn snapshot(&self) -> Stats {
        self.stats.lock().clone()
    }

    pub(super) fn log(&self) -> Vec<Received> {
        self.log.lock().iter().cloned().collect()
    }

    pub(super) fn opened(&self) {
        let stats = &mut *self.stats.lock();
        stats.connections += 1;
        stats.open_connections += 1;
        stats.peak_connections = stats.peak_connections.max(stats.open_connections);
    }

    pub(super) fn closed(&self) {
        self.stats.lock().open_connections -= 1;
    }

    pub(super) fn billed(&self, prompt_tokens: u64, completion_tokens: u64) {
        let stats = &mut *self.stats.lock();
        stats.answers += 1;
        stats.prompt_tokens += prompt_tokens;
        stats.completion_tokens += completion_tokens;
    }

    /// Counts a request; it is in flight until the value that is returned is dropped.
    pub(super) fn received(&self, head: &Head, body: &[u8], fault: Option<Fault>) -> InFlight<'_> {
        {
            let stats = &mut *self.stats.lock();
            stats.requests += 1;
            stats.in_flight += 1;
            stats.peak_in_flight = stats.peak_in_flight.max(stats.in_flight);
            count(&mut stats.by_endpoint, &endpoint(head));
            if let Some(fault) = fault {
                *stats.by_fault.entry(fault).or_default() += 1;
            }
            if let Some(name) = &self.header {
                count(&mut stats.by_header, head.header(name).unwrap_or(""));
            }
        }
        if self.room > 0 {
            let mut log = self.log.lock();
            if log.len() == self.room {
                log.pop_front();
            }
            log.push_back(Received {
                method: head.method().into(),
                path: head.target().into(),
                headers: head.headers().map(|(n, v)| (n.into(), v.into())).collect(),
                body: body.to_vec(),
            });
        }
        InFlight(self)
    }

    pub(super) fn answered(&self, status: u16) {
        *self.stats.lock().by_status.entry(status).or_default() += 1;
    }
}

/// A request that is being answered.
pub(super) struct InFlight<'a>(&'a Counter);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.stats.lock().in_flight -= 1;
    }
}

fn count(map: &mut BTreeMap<String, u64>, key: &str) {
    // Most keys are there already, and need no new string.
    match map.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(map.insert(key.into(), 1)),
    }
}

/// Method and path, with `{}` for what differs from request to request.
fn endpoint(head: &Head) -> String {
    let mut text = String::with_capacity(48);
    text.push_str(head.method());
    text.push(' ');
    let mut before = "";
    for (at, segment) in head.path().split('/').enumerate() {
        if at > 0 {
            text.push('/');
        }
        let is_id = matches!(before, "files" | "batches" | "models" | "deployments");
        text.push_str(if is_id { "{}" } else { segment });
        before = segment;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_make_endpoints() {
        for (line, name) in [
            ("POST /v1/chat/completions", "POST /v1/chat/completions"),
            ("GET /v1/files/file-1/content", "GET /v1/files/{}/content"),
            ("GET /v1/batches?limit=1", "GET /v1/batches"),
            ("POST /v1/batches/batch_1/cancel", "POST /v1/batches/{}/cancel"),
        ] {
            let head = Head::parse(format!("{line} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
            assert_eq!(endpoint(&head), name);
        }
    }
}
