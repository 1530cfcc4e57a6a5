//! HTTP over ureq: the only place that names it.
//!
//! - `exchange` - one request and its answer.
//! - `connector` - connections that share their TLS settings, and failures before anything is sent.
//! - `failure` - what an error means.
//! - `proxy` - which requests go through a proxy.
//! - `resolver` - addresses, remembered for a while.
//! - `tls` - which certificates are trusted.

mod connector;
mod exchange;
mod failure;
mod proxy;
mod resolver;
mod tls;

use crate::clock::{Clock, SystemClock};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use exchange::Http;

/// How HTTP is spoken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Time to connect, TLS included. Default: 10 s.
    pub connect_timeout: Duration,
    /// The largest answer that is read, in bytes. Default: 256 MiB.
    pub max_answer_bytes: u64,
    /// Certificates (PEM) that are trusted besides the system's. Default: none.
    pub ca_file: Option<PathBuf>,
    /// Proxies. Default: none.
    pub proxies: ProxyRules,
    /// Tells how old a looked-up address is. Default: the machine's clock.
    pub clock: Arc<dyn Clock>,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            connect_timeout: Duration::from_secs(10),
            max_answer_bytes: 256 << 20,
            ca_file: None,
            proxies: ProxyRules::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

/// The proxies for each scheme. Requests to this machine never go through one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyRules {
    /// For `http://` addresses.
    pub http: Option<String>,
    /// For `https://` addresses.
    pub https: Option<String>,
    /// Hosts that are reached directly: names with their subdomains, addresses, or `*`, with
    /// commas between them.
    pub no_proxy: Option<String>,
}
