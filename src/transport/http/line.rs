use super::names::{NameError, Names};
use super::tcp::Spare;
use super::tls::Tls;
use super::watch::{Progress, Reached, Watch};
use super::ways::Ways;
use crate::clock::{Clock, Stage, Stop, Subscription, Time};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long a connection is kept that nobody uses. Default of the house: 60 seconds; servers
/// close after a few minutes.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// How many addresses of a host ureq takes.
const MOST_ADDRESSES: usize = 16;

/// An agent that serves one exchange at a time, and so holds one connection.
///
/// A ureq agent that is shared scans all of its connections under one lock, twice per request.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) agent: ureq::Agent,
    pub(super) progress: Arc<Progress>,
    idle_since: Time,
    /// Ends it with the transport.
    _closing: Subscription,
    /// What interrupts its exchange. It stays for the next one, which most often has the same.
    interruption: Option<(Stop, Subscription)>,
}

impl Line {
    fn new(parts: &Parts) -> Line {
        let progress = Arc::new(Progress::default());
        let ways = Ways::new(&parts.tls, &parts.spare, &progress);
        let agent = ureq::Agent::with_parts(
            parts.config.clone(),
            Watch { ways, progress: progress.clone() },
            LineNames { names: parts.names.clone(), progress: progress.clone() },
        );
        let closing = interrupt(&agent, &progress, &parts.closing);
        Line { agent, progress, idle_since: Time::ZERO, _closing: closing, interruption: None }
    }

    /// Interrupts the exchanges on this line when `stop` is aborted, until it is given another.
    pub(super) fn interrupted_by(&mut self, stop: &Stop) {
        if self.interruption.as_ref().is_none_or(|(known, _)| !known.is_same(stop)) {
            let subscription = interrupt(&self.agent, &self.progress, stop);
            self.interruption = Some((stop.clone(), subscription));
        }
    }
}

fn interrupt(agent: &ureq::Agent, progress: &Arc<Progress>, stop: &Stop) -> Subscription {
    let (agent, progress) = (agent.clone(), progress.clone());
    stop.subscribe(move |stage| {
        if stage == Stage::Abort {
            progress.stop();
            agent.clone().shutdown();
        }
    })
}

/// What the lines of a stock are made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) config: Config,
    pub(super) names: Arc<Names>,
    pub(super) tls: Tls,
    pub(super) spare: Arc<Spare>,
    pub(super) closing: Stop,
}

/// The lines that nobody uses, the one used last on top.
///
/// It holds as many as there were exchanges at once within the last minute.
#[derive(Debug)]
pub(super) struct Stock {
    parts: Parts,
    clock: Arc<dyn Clock>,
    idle: Mutex<VecDeque<Line>>,
}

impl Stock {
    pub(super) fn new(parts: Parts, clock: Arc<dyn Clock>) -> Stock {
        Stock { parts, clock, idle: Mutex::default() }
    }

    /// A line that is ready for an exchange of at most `within`, which `stop` interrupts.
    pub(super) fn take(&self, within: Duration, stop: &Stop) -> Line {
        let last = self.idle.lock().pop_back();
        let mut line = match last {
            Some(line) if !line.progress.is_stopped() => line,
            _ => Line::new(&self.parts),
        };
        line.progress.begin(within);
        line.interrupted_by(stop);
        line
    }

    /// Takes back a line whose exchange came to its end in order.
    pub(super) fn put_back(&self, mut line: Line) {
        if line.progress.is_stopped() {
            return;
        }
        let now = self.clock.now();
        line.idle_since = now;
        let mut idle = self.idle.lock();
        idle.push_back(line);
        let old = idle.iter().take_while(|each| now.since(each.idle_since) > IDLE).count();
        let old: Vec<Line> = idle.drain(..old).collect();
        // Closing takes system calls, which nobody should wait for.
        drop(idle);
        drop(old);
    }

    /// Closes the connections that nobody uses.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.idle.lock());
        drop(all);
    }
}

/// The shared names, as one agent's resolver.
#[derive(Debug)]
struct LineNames {
    names: Arc<Names>,
    progress: Arc<Progress>,
}

impl Resolver for LineNames {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let before = self.progress.reached();
        self.progress.reach(Reached::Names);
        let (Some(host), Some(port)) = (uri.host(), port(uri)) else {
            return Err(ureq::Error::HostNotFound);
        };
        let found = self
            .names
            .addresses(host, self.progress.left().min(*timeout.after), &self.progress)
            .map_err(|e: NameError| ureq::Error::Other(Box::new(e)))?;
        self.progress.reach(before);
        let mut addresses = self.empty();
        for ip in found.into_iter().take(MOST_ADDRESSES) {
            addresses.push(SocketAddr::new(ip, port));
        }
        Ok(addresses)
    }
}

/// The port of an address, or the one that its scheme implies.
pub(super) fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| match uri.scheme_str()? {
        "http" => Some(80),
        "https" => Some(443),
        scheme if scheme.starts_with("socks") => Some(1080),
        _ => None,
    })
}
