use super::line::port;
use super::names::{Lookup, ask_system};
use super::proxies::{Proxies, ProxyUrl};
use crate::clock::{Clock, SystemClock};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

/// What can be set about the connections to the server.
///
/// Nothing is read from the environment except through [`HttpOptions::proxies_from`].
#[derive(Clone)]
pub struct HttpOptions {
    pub(super) connect_timeout: Duration,
    pub(super) max_answer_bytes: u64,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) proxies: Proxies,
    pub(super) user_agent: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) lookup: Lookup,
}

impl Default for HttpOptions {
    fn default() -> HttpOptions {
        HttpOptions {
            connect_timeout: Duration::from_secs(10),
            max_answer_bytes: 256 << 20,
            ca_file: None,
            proxies: Proxies::default(),
            user_agent: concat!("openai-bulk/", env!("CARGO_PKG_VERSION")).into(),
            clock: Arc::new(SystemClock::new()),
            lookup: Arc::new(ask_system),
        }
    }
}

impl HttpOptions {
    /// How long making a connection may take, proxy and TLS included.
    ///
    /// An exchange's own timeout ends it earlier. Default: 10 seconds; `openai-python` has 5,
    /// which is short for a machine that opens thousands of connections at once.
    pub fn connect_timeout(mut self, limit: Duration) -> HttpOptions {
        self.connect_timeout = limit;
        self
    }

    /// How large an answer's body may be.
    ///
    /// Default: 256 MiB; a results file of the Batch API has at most 50,000 lines, and ureq's own
    /// limit of 10 MiB cuts large embeddings.
    pub fn max_answer_bytes(mut self, limit: u64) -> HttpOptions {
        self.max_answer_bytes = limit;
        self
    }

    /// A PEM file with certificates of authorities that are trusted besides the platform's.
    ///
    /// It is what a company's proxy that opens TLS needs. Default: none.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> HttpOptions {
        self.ca_file = Some(path.into());
        self
    }

    /// The proxy for `http://` addresses, as `http://[name:password@]host:port`.
    ///
    /// `https`, `socks4`, `socks4a`, `socks5` and `socks5h` are schemes that a proxy may have too.
    /// This machine is never reached through a proxy. Default: none.
    pub fn http_proxy(mut self, url: impl Into<String>) -> HttpOptions {
        self.proxies.http = Some(ProxyUrl { url: url.into(), from: "http_proxy".into() });
        self
    }

    /// The proxy for `https://` addresses; see [`HttpOptions::http_proxy`]. Default: none.
    pub fn https_proxy(mut self, url: impl Into<String>) -> HttpOptions {
        self.proxies.https = Some(ProxyUrl { url: url.into(), from: "https_proxy".into() });
        self
    }

    /// The hosts that are reached without a proxy, divided by commas.
    ///
    /// An entry is a domain (with all below it), an address, a network such as `10.0.0.0/8`, or
    /// `*`; a domain may carry a port. Default: none.
    pub fn no_proxy(mut self, list: impl Into<String>) -> HttpOptions {
        self.proxies.except = list.into();
        self
    }

    /// The proxies that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name.
    ///
    /// `lookup` gives a variable's value. Names in lower case come first; `ALL_PROXY` stands in
    /// for a scheme that has no proxy of its own.
    pub fn proxies_from(mut self, lookup: impl Fn(&str) -> Option<String>) -> HttpOptions {
        self.proxies = Proxies::read(lookup);
        self
    }

    /// The host and port of the proxy that an exchange with `url` goes through; `None` if the way
    /// leads straight to the server.
    pub fn proxy_for(&self, url: &str) -> Option<&str> {
        let uri: ureq::http::Uri = url.parse().ok()?;
        let is_secure = uri.scheme_str() == Some("https");
        let route = self.proxies.route(is_secure, uri.host()?, port(&uri)?);
        let proxy = self.proxies.of(route)?.url.as_str();
        let bare = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
        // What stands before the host is a name and a password.
        Some(bare.rsplit_once('@').map_or(bare, |(_, host)| host).trim_end_matches('/'))
    }

    /// The `User-Agent` header. Default: `openai-bulk/` and the version.
    pub fn user_agent(mut self, name: impl Into<String>) -> HttpOptions {
        self.user_agent = name.into();
        self
    }

    /// The clock that tells how old looked-up addresses and idle connections are.
    ///
    /// Timeouts of an exchange are those of the machine. Default: the machine's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> HttpOptions {
        self.clock = clock;
        self
    }

    /// What turns a host's name into addresses; its answer is used for 60 seconds.
    ///
    /// It runs on a thread of its own. Default: the system's resolver.
    pub fn lookup(
        mut self,
        lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> HttpOptions {
        self.lookup = Arc::new(lookup);
        self
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("connect_timeout", &self.connect_timeout)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .field("ca_file", &self.ca_file)
            .field("proxies", &self.proxies)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}
