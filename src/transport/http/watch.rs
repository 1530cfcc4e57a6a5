use super::ways::Ways;
use crate::clock::{Clock, Signal, SystemClock, Time};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// How far an exchange has come. The order is that of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reached {
    /// Nothing has been done; a name may be being looked up.
    Names,
    /// A connection is being made.
    Connecting,
    /// A secure connection is being agreed on.
    Securing,
    /// Bytes of the request may have gone out.
    Sending,
    /// The request is out; no byte of the answer has come.
    Waiting,
    /// Bytes of the answer have come.
    Answering,
}

const ALL: [Reached; 6] = [
    Reached::Names,
    Reached::Connecting,
    Reached::Securing,
    Reached::Sending,
    Reached::Waiting,
    Reached::Answering,
];

/// What the parts of a connection tell about the exchange that goes over it.
///
/// It belongs to an agent, which serves one exchange at a time.
#[derive(Debug, Default)]
pub(super) struct Progress {
    reached: AtomicU8,
    clock: SystemClock,
    /// When the exchange has to be over, in nanoseconds after the clock's origin.
    deadline: AtomicU64,
    /// When it has to be over even if it was given more time, likewise.
    ends: AtomicU64,
    connecting: AtomicBool,
    broken: AtomicBool,
    stopped: AtomicBool,
    /// Raised when the exchange is interrupted.
    pub(super) signal: Signal,
}

impl Progress {
    /// Begins another exchange, which may last for `within`.
    ///
    /// The time is kept here and not by ureq: what is set for one request alone costs it a copy of
    /// the whole configuration, and a TLS configuration for each connection.
    pub(super) fn begin(&self, within: Duration) {
        let ends = self.after(within);
        self.ends.store(ends, Ordering::Relaxed);
        self.deadline.store(ends, Ordering::Relaxed);
        self.reach(Reached::Names);
        self.connecting.store(false, Ordering::Relaxed);
        self.broken.store(false, Ordering::Relaxed);
    }

    /// Gives what comes next this long from now, and never more than the exchange has.
    pub(super) fn allow(&self, within: Duration) {
        let deadline = self.after(within).min(self.ends.load(Ordering::Relaxed));
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Whether the time of the whole exchange is up.
    pub(super) fn is_over(&self) -> bool {
        self.after(Duration::ZERO) >= self.ends.load(Ordering::Relaxed)
    }

    fn after(&self, time: Duration) -> u64 {
        let nanos = (self.clock.now() + time).since_origin().as_nanos();
        nanos.try_into().unwrap_or(u64::MAX)
    }

    pub(super) fn reach(&self, point: Reached) {
        self.reached.store(point as u8, Ordering::Relaxed);
    }

    /// The time that is left for the exchange, which may be none.
    pub(super) fn left(&self) -> Duration {
        let deadline = Duration::from_nanos(self.deadline.load(Ordering::Relaxed));
        Time::from_origin(deadline).since(self.clock.now())
    }

    pub(super) fn reached(&self) -> Reached {
        ALL[usize::from(self.reached.load(Ordering::Relaxed))]
    }

    /// Whether the connection failed, as opposed to being closed in order.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// Says that the exchange is interrupted; its agent serves no other.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.signal.raise();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// The ways to a server, and what watches over the connection that they make.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) ways: Ways,
    pub(super) progress: Arc<Progress>,
}

impl Connector for Watch {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        // The way to a proxy runs through here a second time, from within: what is said to the
        // proxy is no part of the request.
        if self.progress.connecting.swap(true, Ordering::Relaxed) {
            return self.ways.connect(details);
        }
        self.progress.reach(Reached::Connecting);
        let made = self.ways.connect(details)?;
        self.progress.connecting.store(false, Ordering::Relaxed);
        let progress = self.progress.clone();
        Ok(made.map(|inner| Box::new(Watched { inner, progress }) as Box<dyn Transport>))
    }
}

/// A connection that tells how far the exchange over it has come.
struct Watched {
    inner: Box<dyn Transport>,
    progress: Arc<Progress>,
}

impl Transport for Watched {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.progress.reach(Reached::Sending);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.progress.reached() < Reached::Waiting {
            self.progress.reach(Reached::Waiting);
        }
        let came = self.inner.await_input(timeout);
        match &came {
            Ok(true) => self.progress.reach(Reached::Answering),
            Ok(false) => {}
            Err(_) => self.progress.broken.store(true, Ordering::Relaxed),
        }
        came
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
