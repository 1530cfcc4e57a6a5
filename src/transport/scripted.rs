use super::{Answer, Exchange, Incoming, Method, Patience, StreamScript, Transport};
use crate::clock::{Clock, Stage};
use crate::error::{TransportError, TransportErrorKind as Kind};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A fake server: it answers from a script and remembers what it was asked.
///
/// Clones are the same server. A script that is used up is an error of kind
/// [`TransportErrorKind::Protocol`](crate::error::TransportErrorKind::Protocol) that says so.
///
/// ```
/// use openai_bulk::clock::Stop;
/// use openai_bulk::transport::{Answer, Exchange, Method, Scripted, Transport};
/// use std::time::Duration;
///
/// let server = Scripted::answers([Answer::new(429, "{}"), Answer::new(200, "{}")]);
/// let stop = Stop::new();
/// let request = Exchange::new(Method::Post, "http://a/v1", b"{}", Duration::from_secs(1), &stop);
/// assert_eq!(server.exchange(&request).unwrap().status, 429);
/// assert_eq!(server.exchange(&request).unwrap().status, 200);
/// assert_eq!(server.requests().len(), 2);
/// ```
#[derive(Clone)]
pub struct Scripted(Arc<Inner>);

struct Inner {
    script: Script,
    delay: Mutex<Option<Delay>>,
    requests: Mutex<Vec<Recorded>>,
}

enum Script {
    Queue(Mutex<VecDeque<Item>>),
    Rule(Rule),
}

/// One answer of a queue.
enum Item {
    Whole(Result<Answer, TransportError>),
    Stream(StreamScript),
}

type Rule = Box<dyn Fn(&Recorded) -> Result<Answer, TransportError> + Send + Sync>;

#[derive(Clone)]
struct Delay {
    length: Duration,
    clock: Arc<dyn Clock>,
}

/// A request that a [`Scripted`] server was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Which request it was, counted from 0.
    pub index: usize,
    /// HTTP method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The headers, in the order in which they were given.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the exchange was allowed to take.
    pub timeout: Duration,
}

impl Recorded {
    /// The first value of the header `name`, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the request's body is not text")
    }
}

impl Scripted {
    /// A server that gives these answers, one after another.
    pub fn answers(answers: impl IntoIterator<Item = Answer>) -> Scripted {
        Scripted::results(answers.into_iter().map(Ok))
    }

    /// A server that gives these answers and failures, one after another.
    pub fn results(results: impl IntoIterator<Item = Result<Answer, TransportError>>) -> Scripted {
        let items = results.into_iter().map(Item::Whole).collect();
        Scripted::with(Script::Queue(Mutex::new(items)))
    }

    /// A server that gives these streams, one after another.
    pub fn streams(streams: impl IntoIterator<Item = StreamScript>) -> Scripted {
        let items = streams.into_iter().map(Item::Stream).collect();
        Scripted::with(Script::Queue(Mutex::new(items)))
    }

    /// A server that makes up its answer to each request, without end.
    pub fn rule(
        rule: impl Fn(&Recorded) -> Result<Answer, TransportError> + Send + Sync + 'static,
    ) -> Scripted {
        Scripted::with(Script::Rule(Box::new(rule)))
    }

    fn with(script: Script) -> Scripted {
        Scripted(Arc::new(Inner { script, delay: Mutex::default(), requests: Mutex::default() }))
    }

    /// The same server, which takes `length` on `clock` for each answer. Default: no time.
    ///
    /// An exchange whose timeout is shorter ends with it, and one that is aborted ends at once.
    pub fn latency(self, length: Duration, clock: Arc<dyn Clock>) -> Scripted {
        *self.0.delay.lock() = Some(Delay { length, clock });
        self
    }

    /// Adds an answer or a failure to the end of the queue.
    ///
    /// # Panics
    ///
    /// If the server answers by a rule.
    pub fn push(&self, result: Result<Answer, TransportError>) {
        self.put(Item::Whole(result));
    }

    /// Adds a stream to the end of the queue.
    ///
    /// # Panics
    ///
    /// If the server answers by a rule.
    pub fn push_stream(&self, stream: StreamScript) {
        self.put(Item::Stream(stream));
    }

    fn put(&self, item: Item) {
        match &self.0.script {
            Script::Queue(queue) => queue.lock().push_back(item),
            Script::Rule(_) => panic!("a server that answers by a rule has no queue"),
        }
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.0.requests.lock().clone()
    }

    /// How many answers are left; those of a rule have no number.
    pub fn remaining(&self) -> Option<usize> {
        match &self.0.script {
            Script::Queue(queue) => Some(queue.lock().len()),
            Script::Rule(_) => None,
        }
    }

    /// Remembers the request, and takes its answer from the queue in the same order.
    fn receive(&self, request: &Exchange<'_>) -> (Recorded, Option<Item>) {
        let mut requests = self.0.requests.lock();
        let recorded = Recorded {
            index: requests.len(),
            method: request.method,
            url: request.url.to_owned(),
            headers: request.headers.to_vec(),
            body: request.body.to_vec(),
            timeout: request.timeout,
        };
        requests.push(recorded.clone());
        let next = match &self.0.script {
            Script::Queue(queue) => {
                let next = queue.lock().pop_front();
                Some(next.unwrap_or_else(|| Item::Whole(Err(used_up(&recorded)))))
            }
            Script::Rule(_) => None,
        };
        (recorded, next)
    }

    /// Takes the time that an answer takes.
    fn wait(&self, request: &Exchange<'_>) -> Result<(), TransportError> {
        let delay = self.0.delay.lock().clone();
        if let Some(Delay { length, clock }) = delay {
            clock.sleep(length.min(request.timeout), request.stop);
            if request.stop.stage() != Stage::Abort && length > request.timeout {
                let kind = Kind::Timeout(crate::error::TimeoutStage::FirstByte);
                return Err(TransportError::new(kind, true, "the script's server is slower"));
            }
        }
        match request.stop.stage() {
            Stage::Abort => Err(TransportError::new(Kind::Interrupted, true, "")),
            _ => Ok(()),
        }
    }
}

impl Scripted {
    /// What comes next for a request, after the time that it takes.
    fn answer(&self, request: &Exchange<'_>) -> Result<Item, TransportError> {
        if request.stop.stage() == Stage::Abort {
            return Err(TransportError::new(Kind::Interrupted, false, ""));
        }
        let (recorded, next) = self.receive(request);
        self.wait(request)?;
        match (next, &self.0.script) {
            (Some(item), _) => Ok(item),
            (None, Script::Rule(rule)) => rule(&recorded).map(|answer| Item::Whole(Ok(answer))),
            (None, Script::Queue(_)) => Err(used_up(&recorded)),
        }
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.0.delay.lock().as_ref().map(|delay| delay.clock.clone())
    }
}

impl Transport for Scripted {
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        match self.answer(request)? {
            Item::Whole(result) => result,
            Item::Stream(stream) => stream.whole(self.clock(), request.stop, request.timeout),
        }
    }

    fn stream(
        &self,
        request: &Exchange<'_>,
        patience: Patience,
    ) -> Result<Incoming, TransportError> {
        match self.answer(request)? {
            Item::Whole(result) => result.map(Incoming::whole),
            Item::Stream(stream) => {
                Ok(stream.play(self.clock(), request.stop, patience, request.timeout))
            }
        }
    }
}

fn used_up(request: &Recorded) -> TransportError {
    let what = format!("the script has no answer for request {}", request.index + 1);
    TransportError::new(Kind::Protocol, true, what)
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("requests", &self.0.requests.lock().len())
            .field("remaining", &self.remaining())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Stop, Time};
    use crate::error::TimeoutStage;

    fn send(server: &Scripted, stop: &Stop) -> Result<Answer, TransportError> {
        let headers = [("Authorization".to_owned(), "Bearer k".to_owned())];
        let mut request =
            Exchange::new(Method::Post, "http://a/v1", b"hi", Duration::from_secs(60), stop);
        request.headers = &headers;
        server.exchange(&request)
    }

    #[test]
    fn answers_and_failures_come_in_order_and_the_requests_are_kept() {
        let server = Scripted::results([
            Ok(Answer::new(429, "slow").header("Retry-After", "1")),
            Err(TransportError::new(Kind::Reset, true, "gone")),
        ]);
        let stop = Stop::new();
        assert_eq!(send(&server, &stop).unwrap().headers.value("retry-after"), Some("1"));
        assert_eq!(send(&server.clone(), &stop).unwrap_err().kind, Kind::Reset);
        let requests = server.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[1].text(), "hi");
        assert_eq!(requests[1].header("authorization"), Some("Bearer k"));
    }

    #[test]
    fn a_script_that_is_used_up_says_so() {
        let server = Scripted::answers([]);
        let e = send(&server, &Stop::new()).unwrap_err();
        assert!(e.message.contains("no answer for request 1"), "{e}");
        server.push(Ok(Answer::new(200, "")));
        assert_eq!(send(&server, &Stop::new()).unwrap().status, 200);
    }

    #[test]
    fn a_rule_sees_the_request_and_its_number() {
        let server = Scripted::rule(|asked| {
            Ok(Answer::new(200, format!("{}{}", asked.index, asked.text())))
        });
        let stop = Stop::new();
        send(&server, &stop).unwrap();
        assert_eq!(send(&server, &stop).unwrap().body, b"1hi");
    }

    #[test]
    fn latency_is_taken_from_the_clock() {
        let clock = ManualClock::new();
        let _hold = clock.hold();
        let server = Scripted::rule(|_| Ok(Answer::new(200, "")))
            .latency(Duration::from_secs(40), Arc::new(clock.clone()));
        send(&server, &Stop::new()).unwrap();
        assert_eq!(clock.now(), Time::from_origin(Duration::from_secs(40)));
        let server = server.latency(Duration::from_secs(70), Arc::new(clock.clone()));
        let e = send(&server, &Stop::new()).unwrap_err();
        assert_eq!(e.kind, Kind::Timeout(TimeoutStage::FirstByte));
        assert_eq!(clock.now(), Time::from_origin(Duration::from_secs(100)));
    }

    #[test]
    fn an_aborted_exchange_is_not_received() {
        let server = Scripted::answers([Answer::new(200, "")]);
        let stop = Stop::new();
        stop.abort();
        assert_eq!(send(&server, &stop).unwrap_err().kind, Kind::Interrupted);
        assert!(server.requests().is_empty());
        assert_eq!(server.remaining(), Some(1));
    }
}
