//! Sends calls: each one within the limits, again where that helps, and never twice for nothing.
//!
//! - `call` - a request as bytes that can be sent again.
//! - `gate` - who may send now.
//! - `recall` - answers that need no sending.
//! - `twins` - calls that ask the same at the same time.
//! - `judge` - what an answer, or its absence, means.
//! - `attempt` - one attempt: exchange, judge, settle, decide.
//! - `receive` - an exchange whose answer is streamed.
//! - `stream` - a call whose answer is given out while it comes.
//! - `agenda` - what is to be done at a time.
//! - `feed` - the calls of a pool that wait.
//! - `pool` - many calls at once: the way in, and the results.
//! - `crew` - those who do a pool's work: the pacer and the workers.
//! - `mailbox` - how a worker gets its next call.
//! - `hedge` - second requests for stragglers.
//! - `secret` - keeps the key out of what servers send back.
//! - `meter` - what held a run back, and what it has done so far.
//! - `event` - what observers are told.

mod agenda;
mod attempt;
mod call;
mod crew;
mod event;
mod feed;
mod gate;
mod hedge;
mod judge;
mod mailbox;
mod meter;
mod pool;
mod recall;
mod receive;
mod secret;
#[cfg(test)]
mod simulated;
mod stream;
mod twins;

use crate::cache::Cache;
use crate::clock::{Clock, Stop};
use crate::error::{Error, TransportError};
use crate::policy::retry;
use crate::transport::{Answer, Exchange, Method, Patience, Transport};
use crate::usage::{Prices, Purse};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use attempt::{AnsweredBy, Facts, Reply};
pub use call::Call;
pub use event::{Event, Observer};
pub use gate::{Adjustment, Cause, Gate, Limits, Quantity};
pub use meter::{Held, HeldBack, Meter, Progress};
pub use pool::{Delivered, Intake, Job, Pool, PoolOptions, Received};
pub use stream::CallStream;

/// What every call of a client shares: the transport, the clock, the gate and the rules.
pub struct Dispatcher {
    /// Sends one request.
    pub transport: Arc<dyn Transport>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Admits calls.
    pub gate: Arc<Gate>,
    /// Says when to try again.
    pub rules: retry::Rules,
    /// Time for one attempt.
    pub timeout: Duration,
    /// How long a server may be silent while it streams an answer.
    pub patience: Patience,
    /// Time for a call with all its attempts, unless the call says otherwise.
    pub deadline: Duration,
    /// How many second requests for stragglers a pool may send, for each first one. 0 is none.
    pub hedge: f64,
    /// Headers of every request, the key among them.
    pub headers: Vec<(String, String)>,
    /// What a token costs.
    pub prices: Arc<Prices>,
    /// What may be spent, if that is capped.
    pub purse: Option<Arc<Purse>>,
    /// Answers that were paid for once.
    pub cache: Cache,
    /// Is told what happens.
    pub observer: Option<Observer>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The headers hold the key.
        f.debug_struct("Dispatcher")
            .field("rules", &self.rules)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Sends one call on the caller's thread, and waits until it is answered or has failed.
    pub fn send(&self, call: &Call, stop: &Stop) -> Result<Reply, Error> {
        let _hold = self.clock.hold();
        self.send_held(call, stop)
    }

    /// The same for a thread that holds the clock already: with two holds of one thread, no wait of
    /// it would move a manual clock, and where it let go of its own, others would.
    pub(crate) fn send_held(&self, call: &Call, stop: &Stop) -> Result<Reply, Error> {
        if let Some(reply) = self.recall(call) {
            return Ok(reply);
        }
        let mut history = attempt::History::begin(self, call, self.clock.now());
        loop {
            let deadline = Some((history.deadline(), history.allowed()));
            let permit = self
                .gate
                .enter(self, call, stop, deadline)
                .map_err(|error| history.overtaken(error))?;
            let step = attempt::attempt(self, call, &mut history, permit, stop);
            self.gate.signal().raise();
            match step {
                attempt::Step::Done(result) => return *result,
                attempt::Step::Again { after } => self.clock.sleep(after, stop),
            }
        }
    }

    /// One bare exchange with the headers of every request: it asks no gate, is tried once, and is
    /// counted nowhere. For a look at a server. What it says of a failure holds no key.
    ///
    /// # Errors
    /// When no complete answer came; an answer of any status is one.
    pub fn look(
        &self,
        method: Method,
        url: &str,
        body: &[u8],
        timeout: Duration,
        stop: &Stop,
    ) -> Result<Answer, TransportError> {
        let headers = &self.headers;
        let exchange = Exchange { method, url, headers, body, timeout, stop };
        secret::hide(self.transport.exchange(&exchange), headers)
    }

    fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}
