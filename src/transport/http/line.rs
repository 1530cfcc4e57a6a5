use super::names::{NameError, Names};
use super::tcp::Dial;
use super::tls::Tls;
use super::watch::{Progress, Reached, Watch};
use crate::clock::{Clock, Stage, Stop, Subscription, Time};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout, SocksConnector};

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
}

impl Line {
    fn new(config: &Config, names: &Arc<Names>, tls: &Tls) -> Line {
        let progress = Arc::new(Progress::default());
        let chain =
            ().chain(SocksConnector::default())
                .chain(ConnectProxyConnector::default())
                .chain(Dial)
                .chain(tls.link(&progress));
        let agent = ureq::Agent::with_parts(
            config.clone(),
            Watch { chain, progress: progress.clone() },
            LineNames { names: names.clone(), progress: progress.clone() },
        );
        Line { agent, progress, idle_since: Time::ZERO }
    }

    /// Interrupts the exchange on this line when `stop` is aborted, until the value is dropped.
    pub(super) fn interrupted_by(&self, stop: &Stop) -> Subscription {
        let (agent, progress) = (self.agent.clone(), self.progress.clone());
        stop.subscribe(move |stage| {
            if stage == Stage::Abort {
                progress.stop();
                agent.clone().shutdown();
            }
        })
    }
}

/// The lines that nobody uses, the one used last on top.
///
/// It holds as many as there were exchanges at once within the last minute.
#[derive(Debug)]
pub(super) struct Stock {
    config: Config,
    names: Arc<Names>,
    tls: Tls,
    clock: Arc<dyn Clock>,
    idle: Mutex<VecDeque<Line>>,
}

impl Stock {
    pub(super) fn new(config: Config, names: Arc<Names>, tls: Tls, clock: Arc<dyn Clock>) -> Stock {
        Stock { config, names, tls, clock, idle: Mutex::default() }
    }

    /// A line that is ready for an exchange.
    pub(super) fn take(&self) -> Line {
        let last = self.idle.lock().pop_back();
        let line = match last {
            Some(line) if !line.progress.is_stopped() => line,
            _ => Line::new(&self.config, &self.names, &self.tls),
        };
        line.progress.begin();
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
            .addresses(host, *timeout.after, &self.progress)
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
