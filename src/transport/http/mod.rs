//! The real transport: HTTP/1.1 over ureq, and the only place that names it.
//!
//! - `client` - [`Http`]: one exchange from beginning to end.
//! - `body` - what comes back, and whether it is all.
//! - `options` - [`HttpOptions`]: what can be set.
//! - `line` - an agent that serves one exchange at a time, and the stock of them.
//! - `watch` - how far an exchange has come, which decides what its failure means.
//! - `fault` - ureq's errors as ours.
//! - `names` - addresses of hosts, looked up once a minute.
//! - `proxies` - which exchange goes through which proxy.
//! - `ways` - straight to the server, or by a proxy.
//! - `streamed` - answers that are read while they come.
//! - `tcp` - sockets, which can be interrupted from the moment that they are dialled.
//! - `secure` - secure connections that hold no buffers while they wait.
//! - `tls` - certificates, and one TLS configuration for all connections.

mod body;
mod client;
mod fault;
mod line;
mod names;
mod options;
mod proxies;
mod secure;
mod streamed;
mod tcp;
mod tls;
mod watch;
mod ways;

pub use client::Http;
pub use options::HttpOptions;
