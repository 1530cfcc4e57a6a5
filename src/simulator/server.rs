//! The running simulator: it accepts connections and ends them.

use super::builder::{Settings, SimulatorBuilder};
use super::connection::Connection;
use super::core::Core;
use super::fault::Fault;
use super::limits::Limits;
use super::stats::{Received, Stats};
use crate::clock::{Signal, Time};
use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Deep JSON is what needs most of it. Only what is touched costs memory.
const STACK: usize = 512 << 10;

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 16_384;

/// A running server that looks like OpenAI's. It stops when it is dropped.
///
/// Each connection has a thread of its own. See [`SimulatorBuilder`] for all that can be set.
pub struct Simulator {
    core: Arc<Core>,
    address: SocketAddr,
    peers: Arc<Peers>,
    threads: Vec<JoinHandle<()>>,
}

/// The open connections.
#[derive(Default)]
struct Peers {
    open: Mutex<HashMap<u64, Peer>>,
    /// Raised when the last one has gone.
    empty: Signal,
}

struct Peer {
    /// Weak, so that a socket is closed by its thread alone and at a time that it knows.
    socket: Weak<TcpStream>,
    signal: Signal,
}

impl Simulator {
    /// Sets up a simulator.
    pub fn builder() -> SimulatorBuilder {
        SimulatorBuilder::default()
    }

    /// Starts one with all defaults.
    pub fn start() -> Result<Simulator> {
        Simulator::builder().start()
    }

    pub(super) fn listen(settings: Settings) -> Result<Simulator> {
        let asked = settings.address;
        let failed = |what: &str, e: std::io::Error| {
            Error::invalid("simulator", format!("cannot {what} {asked}: {e}"))
        };
        let listener = TcpListener::bind(asked).map_err(|e| failed("listen on", e))?;
        // The standard library lets 128 connections wait. A client that opens thousands at once would
        // find no place for some, and they would try again only after a second.
        let widened = socket2::SockRef::from(&listener).listen(BACKLOG);
        widened.map_err(|e| failed("listen on", e))?;
        let address = listener.local_addr().map_err(|e| failed("listen on", e))?;
        let core = Arc::new(Core::new(settings));
        let peers = Arc::new(Peers::default());
        // Accepting takes less time than starting a thread, and the queue of the system is short:
        // one thread does nothing but accept.
        let (sender, accepted) = channel();
        let accept = {
            let core = core.clone();
            move || accept(&core, &listener, |socket| drop(sender.send(socket)))
        };
        let start = {
            let (core, peers) = (core.clone(), peers.clone());
            move || start_connections(&core, &peers, &accepted)
        };
        let mut simulator = Simulator { core, address, peers, threads: Vec::new() };
        for (name, work) in [
            ("simulator-accept", Box::new(accept) as Box<dyn FnOnce() + Send>),
            ("simulator-start", Box::new(start)),
        ] {
            let builder = thread::Builder::new().name(name.into());
            let thread = builder.spawn(work).map_err(|e| failed("start a thread for", e))?;
            simulator.threads.push(thread);
        }
        Ok(simulator)
    }

    /// The address to which clients send, such as `http://127.0.0.1:40123/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.reachable())
    }

    /// The address of the server itself, where Azure's paths begin.
    pub fn origin(&self) -> String {
        format!("http://{}", self.reachable())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen so far.
    pub fn stats(&self) -> Stats {
        self.core.stats.snapshot()
    }

    /// The newest requests, oldest first, as far as [`SimulatorBuilder::log_requests`] keeps them.
    pub fn received(&self) -> Vec<Received> {
        self.core.stats.log()
    }

    /// Changes the rate limits of each model without limits of its own, at once.
    pub fn set_limits(&self, limits: Limits) {
        self.core.limiter.set(None, limits, self.core.now());
    }

    /// Changes the rate limits of one model, at once.
    pub fn set_model_limits(&self, model: &str, limits: Limits) {
        self.core.limiter.set(Some(model), limits, self.core.now());
    }

    /// Shows a fault to each of the next requests.
    pub fn fail_next(&self, requests: usize, fault: Fault) {
        self.core.faults.fail_next(requests, fault);
    }

    /// An address that can be reached also when it listens on all of them.
    fn reachable(&self) -> SocketAddr {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            match address {
                SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            }
        }
        address
    }
}

fn accept(core: &Core, listener: &TcpListener, take: impl Fn(TcpStream)) {
    while !core.is_stopped() {
        match listener.accept() {
            Ok((socket, _)) => take(socket),
            // Most likely there are too many open files: some may be closed soon.
            Err(_) => core.clock.sleep(Duration::from_millis(5), &crate::clock::Stop::new()),
        }
    }
}

fn start_connections(core: &Arc<Core>, peers: &Arc<Peers>, accepted: &Receiver<TcpStream>) {
    for (number, socket) in (0u64..).zip(accepted) {
        if core.is_stopped() {
            return;
        }
        let socket = Arc::new(socket);
        let signal = Signal::new();
        let peer = Peer { socket: Arc::downgrade(&socket), signal: signal.clone() };
        peers.open.lock().insert(number, peer);
        core.stats.opened();
        let leave = Leave { core: core.clone(), peers: peers.clone(), number };
        let core = core.clone();
        let work = move || {
            let leave = leave;
            Connection { core: &core, socket: &socket, signal: &signal }.serve();
            drop(socket);
            drop(leave);
        };
        // Where no thread can be had, the connection is closed.
        let _ = thread::Builder::new().name("simulator".into()).stack_size(STACK).spawn(work);
    }
}

/// Takes a connection off the list, whatever ends it.
struct Leave {
    core: Arc<Core>,
    peers: Arc<Peers>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.core.stats.closed();
        let mut open = self.peers.open.lock();
        open.remove(&self.number);
        if open.is_empty() {
            self.peers.empty.raise();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.core.is_stopped.store(true, Ordering::Release);
        // An accept that waits is ended by a connection.
        let _ = TcpStream::connect_timeout(&self.reachable(), Duration::from_secs(1));
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        for peer in self.peers.open.lock().values() {
            peer.signal.raise();
            if let Some(socket) = peer.socket.upgrade() {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        self.wait_for_the_last();
    }
}

impl Simulator {
    fn wait_for_the_last(&self) {
        let clock = &self.core.clock;
        // A thread may be at work on something long; it ends by itself afterwards.
        let patience: Time = clock.now() + Duration::from_secs(2);
        loop {
            let seen = self.peers.empty.seen();
            if self.peers.open.lock().is_empty() || clock.now() >= patience {
                return;
            }
            clock.wait(&self.peers.empty, seen, Some(patience));
        }
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}
