use std::fmt;
use std::net::IpAddr;

/// The way that an exchange takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Straight to the server.
    Direct,
    /// Through the proxy for `http://`.
    HttpProxy,
    /// Through the proxy for `https://`.
    HttpsProxy,
}

/// A proxy's address, and which setting it came from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProxyUrl {
    pub(super) url: String,
    pub(super) from: String,
}

/// Proxies by scheme, and the hosts that are reached without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    pub(super) http: Option<ProxyUrl>,
    pub(super) https: Option<ProxyUrl>,
    pub(super) except: String,
}

impl Proxies {
    /// What the usual variables say; `lookup` gives the value of one.
    ///
    /// Lower case comes first, as with curl. A scheme's own variable comes before `ALL_PROXY`.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<String>) -> Proxies {
        let read = |name: &str| {
            let value = lookup(name).filter(|value| !value.trim().is_empty())?;
            Some(ProxyUrl { url: value.trim().to_owned(), from: name.to_owned() })
        };
        let either = |name: &str| {
            // A CGI program gets a request's `Proxy:` header in this one: "httpoxy".
            let forged = name == "HTTP_PROXY" && lookup("REQUEST_METHOD").is_some();
            read(&name.to_lowercase()).or_else(|| if forged { None } else { read(name) })
        };
        let all = either("ALL_PROXY");
        Proxies {
            http: either("HTTP_PROXY").or_else(|| all.clone()),
            https: either("HTTPS_PROXY").or(all),
            except: either("NO_PROXY").map(|value| value.url).unwrap_or_default(),
        }
    }

    /// The way to `host`. This machine is never reached through a proxy.
    pub(super) fn route(&self, secure: bool, host: &str, port: u16) -> Route {
        let (proxy, route) = match secure {
            true => (&self.https, Route::HttpsProxy),
            false => (&self.http, Route::HttpProxy),
        };
        if proxy.is_none() || is_loopback(host) || self.is_excepted(host, port) {
            return Route::Direct;
        }
        route
    }

    /// The proxy of a way, if there is one.
    pub(super) fn of(&self, route: Route) -> Option<&ProxyUrl> {
        match route {
            Route::Direct => None,
            Route::HttpProxy => self.http.as_ref(),
            Route::HttpsProxy => self.https.as_ref(),
        }
    }

    fn is_excepted(&self, host: &str, port: u16) -> bool {
        let entries = self.except.split([',', ' ']).map(str::trim);
        entries.filter(|each| !each.is_empty()).any(|each| matches(each, host, port))
    }
}

fn is_loopback(host: &str) -> bool {
    let host = bare(host);
    let local = host.eq_ignore_ascii_case("localhost") || ends_with(host, ".localhost");
    local || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether an entry of `NO_PROXY` speaks of this host: `*`, a domain with all below it, an
/// address, or a network such as `10.0.0.0/8`; a name may carry a port.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let host = bare(host);
    if let Ok(address) = host.parse::<IpAddr>() {
        if bare(entry).parse() == Ok(address) {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return is_within(address, network, bits);
        }
    }
    let (name, only) = match entry.rsplit_once(':').map(|(name, only)| (name, only.parse())) {
        Some((name, Ok(only))) if !name.contains(':') => (name, only),
        _ => (entry, port),
    };
    let name = name.trim_start_matches("*.").trim_start_matches('.');
    let below = || host.len() > name.len() && ends_with(host, &format!(".{name}"));
    only == port && !name.is_empty() && (host.eq_ignore_ascii_case(name) || below())
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (bare(network).parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    let same =
        |a: u128, b: u128, width: u32| bits == 0 || (a ^ b) >> width.saturating_sub(bits) == 0;
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn ends_with(host: &str, tail: &str) -> bool {
    host.len() >= tail.len()
        && host.is_char_boundary(host.len() - tail.len())
        && host[host.len() - tail.len()..].eq_ignore_ascii_case(tail)
}

impl fmt::Debug for ProxyUrl {
    /// Tells where the address came from; it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<from {}>", self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            let found = variables.iter().find(|(each, _)| *each == name)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn each_scheme_has_its_own_proxy() {
        let only_http = proxies(&[("HTTP_PROXY", "http://p:1")]);
        assert_eq!(only_http.route(false, "api.test", 80), Route::HttpProxy);
        assert_eq!(only_http.route(true, "api.test", 443), Route::Direct);
        let both = proxies(&[("ALL_PROXY", "http://all:1"), ("https_proxy", "http://s:2")]);
        assert_eq!(both.of(Route::HttpProxy).unwrap().url, "http://all:1");
        assert_eq!(both.of(Route::HttpsProxy).unwrap().url, "http://s:2");
    }

    #[test]
    fn lower_case_comes_first_and_an_empty_value_says_nothing() {
        let set = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:1")];
        assert_eq!(proxies(&set).https.unwrap().url, "http://lower:1");
        let set = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", " ")];
        assert_eq!(proxies(&set).https.unwrap().url, "http://upper:1");
        assert_eq!(proxies(&[("HTTPS_PROXY", "")]).https, None);
    }

    #[test]
    fn a_header_of_a_request_to_a_cgi_program_is_no_proxy() {
        let set = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(proxies(&set).http, None);
    }

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        let set = proxies(&[("ALL_PROXY", "http://p:1")]);
        for host in ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.8.9.1", "[::1]"] {
            assert_eq!(set.route(true, host, 443), Route::Direct, "{host}");
        }
        assert_eq!(set.route(true, "notlocalhost", 443), Route::HttpsProxy);
    }

    #[test]
    fn no_proxy_names_hosts_domains_addresses_networks_and_ports() {
        let cases = [
            ("*", "api.test", true),
            ("api.test", "api.test", true),
            ("test", "api.test", true),
            (".test", "api.test", true),
            ("*.test", "api.test", true),
            ("other, API.test", "api.test", true),
            ("pi.test", "api.test", false),
            ("api.test:8080", "api.test", false),
            ("api.test:443", "api.test", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("2001:db8::/32", "[2001:db8::7]", true),
            ("", "api.test", false),
            (",", "api.test", false),
        ];
        for (list, host, excepted) in cases {
            let set = proxies(&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", list)]);
            let expected = if excepted { Route::Direct } else { Route::HttpsProxy };
            assert_eq!(set.route(true, host, 443), expected, "{list} {host}");
        }
    }

    #[test]
    fn a_proxy_s_password_is_not_shown() {
        let set = proxies(&[("HTTPS_PROXY", "http://me:secret@p:1")]);
        assert!(!format!("{set:?}").contains("secret"));
    }
}
