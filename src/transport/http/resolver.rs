//! Addresses, remembered for a while: looking one up for each request would cost a thread each.

use crate::clock::{Clock, Time};
use crossbeam_channel::bounded;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Error, Timeout};

/// How long an address is used without another look: what many name services say themselves.
const FRESH: Duration = Duration::from_secs(60);
/// The longest wait for a name service that has no other limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks a name up once a minute, for all connections. While the name service is out of order, old
/// addresses are used.
#[derive(Clone)]
pub(super) struct CachingResolver(Arc<Inner>);

/// Asks the system for a host's addresses with a port.
type Lookup = Box<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

struct Inner {
    clock: Arc<dyn Clock>,
    lookup: Lookup,
    names: Mutex<HashMap<(String, u16), Arc<Name>>>,
    turn: AtomicUsize,
}

/// A name's addresses; the lock is held during a look-up, so that only one is under way.
#[derive(Default)]
struct Name(Mutex<Option<(Time, Vec<SocketAddr>)>>);

impl CachingResolver {
    pub(super) fn new(clock: Arc<dyn Clock>) -> CachingResolver {
        CachingResolver::with_lookup(clock, |host, port| {
            (host, port).to_socket_addrs().map(Iterator::collect)
        })
    }

    fn with_lookup(
        clock: Arc<dyn Clock>,
        lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> CachingResolver {
        CachingResolver(Arc::new(Inner {
            clock,
            lookup: Box::new(lookup),
            names: Mutex::default(),
            turn: AtomicUsize::new(0),
        }))
    }

    fn addresses(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, Error> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let name = self.0.names.lock().entry((host.to_string(), port)).or_default().clone();
        let Some(mut known) = name.0.try_lock_for(timeout) else {
            return Err(Error::Timeout(Timeout::Resolve));
        };
        let now = self.0.clock.now();
        if let Some((at, addresses)) = &*known
            && now.since(*at) < FRESH
        {
            return Ok(addresses.clone());
        }
        match (self.look_up(host, port, timeout), &mut *known) {
            (Ok(found), known) if !found.is_empty() => {
                *known = Some((now, found.clone()));
                Ok(found)
            }
            // Old addresses are better than none, for another minute.
            (_, Some((at, old))) => {
                *at = now;
                Ok(old.clone())
            }
            (Err(error), None) => Err(error),
            (Ok(_), None) => Err(Error::HostNotFound),
        }
    }

    /// Asks the system, on a thread of its own, because it cannot be told to give up.
    fn look_up(&self, host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
        let (tell, answer) = bounded(1);
        let (inner, host) = (self.0.clone(), host.to_string());
        let asking = thread::Builder::new().name("openai-bulk-resolve".into()).spawn(move || {
            let _ = tell.send((inner.lookup)(&host, port));
        });
        asking.map_err(Error::Io)?;
        match answer.recv_timeout(timeout) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) => Err(Error::HostNotFound),
            Err(_) => Err(Error::Timeout(Timeout::Resolve)),
        }
    }
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?.trim_matches(['[', ']']);
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let mut found = self.addresses(host, port, (*timeout.after).min(PATIENCE))?;
        // Connections are spread over the addresses of the family that the system prefers.
        let first_is_v4 = found[0].is_ipv4();
        let family = found.iter().take_while(|address| address.is_ipv4() == first_is_v4).count();
        found[..family].rotate_left(self.0.turn.fetch_add(1, Ordering::Relaxed) % family);
        let mut all = self.empty();
        for address in found.into_iter().take(16) {
            all.push(address);
        }
        Ok(all)
    }
}

impl std::fmt::Debug for CachingResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CachingResolver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_name_is_looked_up_once_a_minute_and_old_addresses_serve_in_need() {
        let clock = ManualClock::new();
        let looks = Arc::new(AtomicUsize::new(0));
        let count = looks.clone();
        let resolver = CachingResolver::with_lookup(Arc::new(clock.clone()), move |_, port| {
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(vec![SocketAddr::from(([10, 0, 0, 1], port))]),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        });
        for _ in 0..100 {
            resolver.addresses("api.test", 443, SECOND).unwrap();
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        clock.advance(61 * SECOND);
        let old = resolver.addresses("api.test", 443, SECOND).unwrap();
        assert_eq!((old[0].port(), looks.load(Ordering::SeqCst)), (443, 2));
        assert!(matches!(resolver.addresses("other.test", 443, SECOND), Err(Error::HostNotFound)));
        assert_eq!(resolver.addresses("::1", 80, SECOND).unwrap()[0].port(), 80);
        assert_eq!(looks.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_name_service_that_hangs_is_left_in_time() {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
        let (_keep, never) = bounded::<()>(1);
        let resolver = CachingResolver::with_lookup(clock, move |_, _| {
            let _ = never.recv();
            Ok(Vec::new())
        });
        let result = resolver.addresses("api.test", 443, Duration::from_millis(20));
        assert!(matches!(result, Err(Error::Timeout(Timeout::Resolve))));
    }
}
