use super::names::NameError;
use super::watch::Reached;
use crate::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use std::io;

/// What ureq's error means, given how far the exchange had come.
///
/// `server` is the host and port that the exchange was for; `proxied` says that the way led
/// through a proxy.
pub(super) fn judge(
    e: ureq::Error,
    reached: Reached,
    server: &str,
    proxied: bool,
) -> TransportError {
    let (kind, message) = match e {
        ureq::Error::Timeout(_) => (Kind::Timeout(stage(reached)), server.to_owned()),
        ureq::Error::Other(e) => match e.downcast::<NameError>() {
            Ok(e) => name(*e, server, proxied),
            Err(e) => (broken(reached, proxied), e.to_string()),
        },
        ureq::Error::Io(e) => io_error(&e, reached, server, proxied),
        ureq::Error::BodyExceedsLimit(limit) => (Kind::TooLarge, format!("{limit} bytes")),
        ureq::Error::LargeResponseHeader(size, limit) => {
            (Kind::TooLarge, format!("its header has {size} bytes; {limit} are allowed"))
        }
        ureq::Error::ConnectProxyFailed(reason) => (Kind::Proxy, proxy_refusal(&reason)),
        ureq::Error::Protocol(e) if reached < Reached::Waiting && proxied => {
            (Kind::Proxy, format!("what it answered is not HTTP: {e}"))
        }
        ureq::Error::Protocol(e) => (Kind::Protocol, e.to_string()),
        ureq::Error::HostNotFound => name(NameError::Failed("unknown".into()), server, proxied),
        // OpenSSL has no kind of its own for a connection that ends.
        e if reached == Reached::Securing && !e.to_string().contains("unexpected EOF") => {
            (Kind::Tls, tls_advice(&e.to_string(), server))
        }
        e => (broken(reached, proxied), format!("{server}: {e}")),
    };
    TransportError::new(kind, reached >= Reached::Sending, message)
}

/// Whether the machine has run out of something that a connection needs.
pub(super) fn is_exhaustion(e: &io::Error) -> bool {
    const FULL: &[i32] = match cfg!(windows) {
        // WSAEMFILE, WSAENOBUFS
        true => &[10024, 10055],
        // ENOMEM, ENFILE, EMFILE, and ENOBUFS of Linux and of the BSDs
        false => &[12, 23, 24, 105, 55],
    };
    e.raw_os_error().is_some_and(|code| FULL.contains(&code))
        || e.kind() == io::ErrorKind::OutOfMemory
}

fn stage(reached: Reached) -> TimeoutStage {
    match reached {
        Reached::Names => TimeoutStage::Resolve,
        Reached::Connecting | Reached::Securing => TimeoutStage::Connect,
        Reached::Sending => TimeoutStage::Send,
        Reached::Waiting => TimeoutStage::FirstByte,
        Reached::Answering => TimeoutStage::Body,
    }
}

/// What a failure without a cause of its own is called.
fn broken(reached: Reached, proxied: bool) -> Kind {
    match reached {
        Reached::Names | Reached::Connecting | Reached::Securing if proxied => Kind::Proxy,
        Reached::Names | Reached::Connecting | Reached::Securing => Kind::Connect,
        Reached::Sending | Reached::Waiting => Kind::Reset,
        Reached::Answering => Kind::Cut,
    }
}

fn name(e: NameError, server: &str, proxied: bool) -> (Kind, String) {
    let kind = match e {
        NameError::Exhausted(_) => Kind::Exhausted,
        NameError::Timeout => return (Kind::Timeout(TimeoutStage::Resolve), server.to_owned()),
        NameError::Interrupted => return (Kind::Interrupted, String::new()),
        NameError::Failed(_) if proxied => Kind::Proxy,
        NameError::Failed(_) => Kind::Resolve,
    };
    let what = if proxied { "the proxy's name" } else { server };
    (kind, format!("{what}: {e}"))
}

fn io_error(e: &io::Error, reached: Reached, server: &str, proxied: bool) -> (Kind, String) {
    if is_exhaustion(e) {
        return (Kind::Exhausted, e.to_string());
    }
    match (e.kind(), reached) {
        // What the TLS library itself says comes as invalid data; the rest is the network's.
        (io::ErrorKind::InvalidData, Reached::Securing) => {
            (Kind::Tls, tls_advice(&e.to_string(), server))
        }
        (_, Reached::Securing) => {
            (broken(reached, proxied), format!("{server}: while TLS was agreed on: {e}"))
        }
        _ if reached < Reached::Sending && proxied => {
            (Kind::Proxy, format!("it could not be reached, or broke: {e}"))
        }
        _ => (broken(reached, proxied), format!("{server}: {e}")),
    }
}

fn proxy_refusal(reason: &str) -> String {
    if reason.contains("407") {
        return "it wants a name and a password: http://name:password@host:port".into();
    }
    reason.to_owned()
}

/// Says what to do about a certificate that was refused.
///
/// The texts are those of rustls and of OpenSSL; an unknown one is given without advice.
fn tls_advice(said: &str, server: &str) -> String {
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|each| lower.contains(each));
    let advice = if has(&[
        "unknownissuer",
        // An authority of the same name with another key: it was made anew.
        "badsignature",
        "certificate signature failure",
        "self-signed",
        "self signed",
        "unable to get local issuer",
    ]) {
        "its certificate is signed by an authority that this machine does not trust; if a proxy \
         or a server of your own stands there, name its authority's certificate with --ca-file"
    } else if has(&[
        "not valid for name",
        "notvalidforname",
        "hostname mismatch",
        "ip address mismatch",
    ]) {
        "its certificate is for another host; check the base URL (--ca-file does not help here)"
    } else if has(&["expired"]) {
        "its certificate has expired, or the clock of this machine is wrong (--ca-file does not \
         help here)"
    } else if has(&["no ca certificates", "no root certificates"]) {
        "this machine has no certificates of authorities; install them (ca-certificates) or name \
         a file with --ca-file"
    } else if has(&["invalidcontenttype", "corrupt message", "wrong version number"]) {
        "what answers there does not speak TLS; check whether the base URL should begin with http:"
    } else {
        return format!("{server}: {said}");
    };
    format!("{server}: {advice} ({said})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: io::ErrorKind) -> ureq::Error {
        ureq::Error::Io(kind.into())
    }

    #[test]
    fn the_same_failure_means_another_thing_at_another_stage() {
        let cases = [
            (Reached::Connecting, Kind::Connect, false),
            (Reached::Securing, Kind::Connect, false),
            (Reached::Sending, Kind::Reset, true),
            (Reached::Waiting, Kind::Reset, true),
            (Reached::Answering, Kind::Cut, true),
        ];
        for (reached, kind, sent) in cases {
            let e = judge(io(io::ErrorKind::ConnectionReset), reached, "a:1", false);
            assert_eq!((e.kind, e.sent), (kind, sent), "{reached:?}");
        }
    }

    #[test]
    fn a_timeout_tells_its_stage() {
        let cases = [
            (Reached::Names, TimeoutStage::Resolve, false),
            (Reached::Securing, TimeoutStage::Connect, false),
            (Reached::Sending, TimeoutStage::Send, true),
            (Reached::Waiting, TimeoutStage::FirstByte, true),
            (Reached::Answering, TimeoutStage::Body, true),
        ];
        for (reached, stage, sent) in cases {
            let e = judge(ureq::Error::Timeout(ureq::Timeout::Global), reached, "a:1", false);
            assert_eq!((e.kind, e.sent), (Kind::Timeout(stage), sent));
        }
    }

    #[cfg(unix)]
    #[test]
    fn too_many_open_files_is_the_machine_s_fault_and_nothing_was_sent() {
        for code in [23, 24] {
            let e = ureq::Error::Io(io::Error::from_raw_os_error(code));
            let e = judge(e, Reached::Connecting, "a:1", true);
            assert_eq!((e.kind, e.sent), (Kind::Exhausted, false));
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_reached_or_refuses_is_named_as_the_cause() {
        let refused = ureq::Error::ConnectProxyFailed("proxy server responded 407/407".into());
        for e in [io(io::ErrorKind::ConnectionRefused), refused] {
            let e = judge(e, Reached::Connecting, "a:1", true);
            assert_eq!((e.kind, e.sent), (Kind::Proxy, false));
        }
    }

    #[test]
    fn each_known_refusal_of_a_certificate_says_what_to_do() {
        for (said, advice) in [
            ("invalid peer certificate: UnknownIssuer", "--ca-file"),
            ("invalid peer certificate: certificate expired: x", "clock"),
            ("invalid peer certificate: certificate not valid for name \"a\"", "base URL"),
            ("received corrupt message of type InvalidContentType", "http:"),
        ] {
            let e = io::Error::new(io::ErrorKind::InvalidData, said);
            let e = judge(ureq::Error::Io(e), Reached::Securing, "a:1", false);
            assert_eq!(e.kind, Kind::Tls);
            assert!(e.message.contains(advice), "{}", e.message);
        }
    }
}
