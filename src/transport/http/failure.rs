//! What an error means.

use super::connector::Unsent;
use crate::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use std::io;
use ureq::{Error, Timeout};

/// How far an exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No connection yet.
    Connect,
    /// Connected; no status line yet.
    Head,
    /// The body was on its way.
    Body,
}

/// What to do about a certificate that is not trusted.
const TRUST: &str = "if the server's certificate comes from an authority of your own, name its \
                     certificate with --ca-file or OPENAI_CA_FILE";

/// The transport's error for an error of ureq.
pub(super) fn failure(error: Error, phase: Phase) -> TransportError {
    let (error, phase) = match error {
        Error::Other(other) if other.is::<Unsent>() => {
            let Unsent(mut inner) = *other.downcast::<Unsent>().expect("it was just asked");
            // Through a proxy the connector is used twice.
            while let Error::Other(other) = inner {
                match other.downcast::<Unsent>() {
                    Ok(unsent) => inner = unsent.0,
                    Err(other) => {
                        inner = Error::Other(other);
                        break;
                    }
                }
            }
            (inner, Phase::Connect)
        }
        error => (error, phase),
    };
    let kind = kind(&error, phase);
    let is_sent = phase != Phase::Connect && !matches!(kind, Kind::Resolve | Kind::Exhausted);
    TransportError::new(kind, is_sent && !is_before(kind), message(&error, kind))
}

/// Whether a timeout came before the request could be sent.
fn is_before(kind: Kind) -> bool {
    matches!(kind, Kind::Timeout(TimeoutStage::Resolve | TimeoutStage::Connect))
}

fn kind(error: &Error, phase: Phase) -> Kind {
    match error {
        Error::HostNotFound => Kind::Resolve,
        Error::Timeout(timeout) => Kind::Timeout(stage(*timeout, phase)),
        Error::BodyExceedsLimit(_) => Kind::TooLarge,
        Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => Kind::Proxy,
        Error::Tls(_) | Error::TlsRequired => Kind::Tls,
        #[cfg(feature = "rustls")]
        Error::Rustls(_) | Error::Pem(_) => Kind::Tls,
        Error::Io(e) => io_kind(e, phase),
        Error::Protocol(_) | Error::Http(_) | Error::LargeResponseHeader(..)
            if phase == Phase::Body =>
        {
            Kind::Cut
        }
        Error::Protocol(_) | Error::Http(_) | Error::LargeResponseHeader(..) => Kind::Protocol,
        _ if phase == Phase::Connect => Kind::Connect,
        _ => Kind::Reset,
    }
}

fn io_kind(e: &io::Error, phase: Phase) -> Kind {
    // EMFILE and ENFILE, which have no kind of their own.
    if cfg!(unix) && matches!(e.raw_os_error(), Some(23 | 24)) {
        return Kind::Exhausted;
    }
    match (phase, e.kind()) {
        // rustls wraps its errors so, and a handshake that ends early looks so.
        (Phase::Connect, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => Kind::Tls,
        (Phase::Connect, _) => Kind::Connect,
        (Phase::Head, _) => Kind::Reset,
        (Phase::Body, _) => Kind::Cut,
    }
}

fn stage(timeout: Timeout, phase: Phase) -> TimeoutStage {
    match (timeout, phase) {
        (Timeout::Resolve, _) => TimeoutStage::Resolve,
        (Timeout::Connect, _) | (_, Phase::Connect) => TimeoutStage::Connect,
        (Timeout::SendRequest | Timeout::SendBody, _) => TimeoutStage::Send,
        (_, Phase::Head) => TimeoutStage::FirstByte,
        (_, Phase::Body) => TimeoutStage::Body,
    }
}

fn message(error: &Error, kind: Kind) -> String {
    let text = match error {
        Error::Io(e) => e.to_string(),
        Error::HostNotFound => "check the base URL, or the network's name service".into(),
        Error::Timeout(_) => String::new(),
        other => other.to_string(),
    };
    match kind {
        Kind::Tls => format!("{text}; {TRUST}"),
        _ => text,
    }
}
