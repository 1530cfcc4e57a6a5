use super::{Answer, Exchange, Method, Transport};
use crate::clock::Clock;
use crate::error::{TransportError, TransportErrorKind};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A transport for tests: it gives the answers of a script, one after the other, and remembers what
/// it was asked. Clones share the script.
///
/// When the script is used up, the exchange fails as a connection that is refused.
#[derive(Clone, Default)]
pub struct Scripted(Arc<Inner>);

#[derive(Default)]
struct Inner {
    script: Mutex<VecDeque<Result<Answer, TransportError>>>,
    asked: Mutex<Vec<Recorded>>,
    latency: Mutex<Option<(Arc<dyn Clock>, Duration)>>,
}

/// A request that a [`Scripted`] transport was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// HTTP method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// The headers, the key among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Scripted {
    /// A transport with an empty script.
    pub fn new() -> Scripted {
        Scripted::default()
    }

    /// Adds an answer to the script.
    pub fn answer(self, answer: Answer) -> Scripted {
        self.0.script.lock().push_back(Ok(answer));
        self
    }

    /// Adds a failure to the script.
    pub fn fail(self, error: TransportError) -> Scripted {
        self.0.script.lock().push_back(Err(error));
        self
    }

    /// Lets each exchange take `latency` on `clock`. Default: no time.
    pub fn latency(self, clock: impl Clock, latency: Duration) -> Scripted {
        *self.0.latency.lock() = Some((Arc::new(clock), latency));
        self
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Recorded> {
        self.0.asked.lock().clone()
    }
}

impl Transport for Scripted {
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        self.0.asked.lock().push(Recorded {
            method: request.method,
            url: request.url.to_string(),
            headers: request.headers.to_vec(),
            body: request.body.to_vec(),
        });
        let latency = self.0.latency.lock().clone();
        if let Some((clock, latency)) = latency {
            clock.sleep(latency, request.stop);
        }
        let next = self.0.script.lock().pop_front();
        next.unwrap_or_else(|| {
            let message = "the script has no more answers";
            Err(TransportError::new(TransportErrorKind::Connect, false, message))
        })
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("left", &self.0.script.lock().len())
            .finish_non_exhaustive()
    }
}
