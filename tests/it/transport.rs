//! The real transport against servers on this machine.

mod broken;
mod connections;
mod files;
mod proxies;
pub(crate) mod serve;
mod streams;
#[cfg(any(feature = "rustls", feature = "tls-aws-lc", feature = "native-tls"))]
pub(crate) mod tls;

use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::error::TransportError;
use openai_bulk::transport::{Answer, Exchange, Http, HttpOptions, Method, Transport};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn http() -> Http {
    Http::new(HttpOptions::default()).unwrap()
}

/// Posts `body`, with all the time in the world.
fn post(http: &Http, url: &str, body: &[u8]) -> Result<Answer, TransportError> {
    http.exchange(&Exchange::new(Method::Post, url, body, LONG, &Stop::new()))
}

/// Posts within `timeout`, and tells how long it took.
fn post_within(http: &Http, url: &str, timeout: Duration) -> (TransportError, Duration) {
    let clock = SystemClock::new();
    let stop = Stop::new();
    let e = http.exchange(&Exchange::new(Method::Post, url, b"{}", timeout, &stop)).unwrap_err();
    (e, clock.now().since_origin())
}

fn pause(length: Duration) {
    SystemClock::new().sleep(length, &Stop::new());
}
