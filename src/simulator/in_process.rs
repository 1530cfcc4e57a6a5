//! The simulator without a socket: a transport that answers by itself.

use super::builder::Settings;
use super::core::Core;
use super::fault::Fault;
use super::http::Head;
use super::service::{self, Asked};
use super::stats::{Received, Stats};
use crate::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use crate::transport::{Answer, Exchange, Method, Transport};
use std::fmt;
use std::sync::Arc;

/// A simulator that is a [`Transport`]; see
/// [`SimulatorBuilder::in_process`](super::SimulatorBuilder::in_process). Clones are the same server.
#[derive(Clone)]
pub struct InProcess(Arc<Core>);

impl InProcess {
    pub(super) fn new(settings: Settings) -> InProcess {
        InProcess(Arc::new(Core::new(settings)))
    }

    /// What it has seen so far.
    pub fn stats(&self) -> Stats {
        self.0.stats.snapshot()
    }

    /// The newest requests, oldest first, as far as
    /// [`log_requests`](super::SimulatorBuilder::log_requests) keeps them.
    pub fn received(&self) -> Vec<Received> {
        self.0.stats.log()
    }

    /// Shows a fault to each of the next requests.
    pub fn fail_next(&self, requests: usize, fault: Fault) {
        self.0.faults.fail_next(requests, fault);
    }
}

impl Transport for InProcess {
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        let core = &*self.0;
        let head = head(request);
        let fault = core.faults.choose(head.path(), request.body, None);
        let _in_flight = core.stats.received(&head, request.body, fault);
        if let Some(fault) = fault.filter(|fault| fault.is_before_work()) {
            return Err(broken(fault, request));
        }
        let reply = service::respond(core, &Asked { head: &head, body: request.body, fault });
        core.clock.sleep(reply.latency, request.stop);
        let response = reply.response;
        core.stats.answered(response.status);
        if response.status < 400 && matches!(fault, Some(Fault::HalfBody | Fault::HalfChunked)) {
            return Err(TransportError::new(Kind::Cut, true, "half of it came"));
        }
        let answer = Answer::new(response.status, response.body.bytes().into_owned());
        let headers = response.headers.iter();
        Ok(headers.fold(answer, |answer, (name, value)| answer.header(name, value)))
    }
}

/// The request's head as it would have been sent.
fn head(request: &Exchange<'_>) -> Head {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    let rest = request.url.split_once("://").map_or(request.url, |(_, rest)| rest);
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for (name, value) in request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Head::parse(text.as_bytes()).expect("an exchange makes a valid head")
}

fn broken(fault: Fault, request: &Exchange<'_>) -> TransportError {
    let kind = match fault {
        Fault::Garbage => Kind::Protocol,
        Fault::Hang => {
            let limit = request.timeout;
            return TransportError::new(
                Kind::Timeout(TimeoutStage::FirstByte),
                true,
                format!("nothing came for {limit:?}"),
            );
        }
        _ => Kind::Reset,
    };
    TransportError::new(kind, true, "as it was asked to")
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Simulator;
    use super::*;
    use crate::clock::Stop;
    use std::time::Duration;

    #[test]
    fn it_answers_as_the_one_with_a_socket_does() {
        let server = Simulator::builder().in_process();
        let stop = Stop::new();
        let headers = [("Authorization".to_owned(), "Bearer k".to_owned())];
        let url = "http://any/v1/models";
        let mut request = Exchange::new(Method::Get, url, b"", Duration::from_secs(1), &stop);
        assert_eq!(server.exchange(&request).unwrap().status, 401);
        request.headers = &headers;
        let answer = server.exchange(&request).unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.headers.value("x-request-id").is_some());
        server.fail_next(1, Fault::Reset);
        assert_eq!(server.exchange(&request).unwrap_err().kind, Kind::Reset);
        assert_eq!(server.stats().requests, 3);
    }
}
