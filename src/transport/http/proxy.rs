//! Which requests go through a proxy.

use super::ProxyRules;
use crate::error::Error;
use std::net::IpAddr;
use ureq::Proxy;

/// A way for each scheme, and the direct one.
pub(super) struct Routes<R> {
    direct: R,
    http: Option<R>,
    https: Option<R>,
    no_proxy: Vec<String>,
}

impl<R> Routes<R> {
    pub(super) fn new(
        rules: &ProxyRules,
        route: impl Fn(Option<Proxy>) -> R,
    ) -> Result<Routes<R>, Error> {
        let through = |name: &str, address: &Option<String>| -> Result<Option<R>, Error> {
            let Some(address) = address.as_deref().filter(|address| !address.is_empty()) else {
                return Ok(None);
            };
            // The address may hold a password: it is not repeated.
            let message = "the proxy's address is not valid; it looks like http://host:port";
            let proxy = Proxy::new(address).map_err(|_| Error::invalid(name, message))?;
            Ok(Some(route(Some(proxy))))
        };
        Ok(Routes {
            http: through("HTTP_PROXY", &rules.http)?,
            https: through("HTTPS_PROXY", &rules.https)?,
            direct: route(None),
            no_proxy: list(rules.no_proxy.as_deref().unwrap_or_default()),
        })
    }

    /// The way to `url`.
    pub(super) fn choose(&self, url: &str) -> &R {
        let Some((scheme, rest)) = url.split_once("://") else { return &self.direct };
        let proxied = if scheme.eq_ignore_ascii_case("https") { &self.https } else { &self.http };
        match proxied {
            Some(route) if !self.is_direct(host(rest)) => route,
            _ => &self.direct,
        }
    }

    fn is_direct(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        is_loopback(&host) || self.no_proxy.iter().any(|rule| matches_rule(&host, rule))
    }
}

fn list(text: &str) -> Vec<String> {
    let entries =
        text.split(',').map(|entry| entry.trim().trim_start_matches("*.").to_ascii_lowercase());
    // A port narrows a rule to less than we can tell apart; the host is what counts.
    entries
        .map(|entry| host(&entry).trim_start_matches('.').to_string())
        .filter(|e| !e.is_empty())
        .collect()
}

fn matches_rule(host: &str, rule: &str) -> bool {
    rule == "*" || host == rule || host.strip_suffix(rule).is_some_and(|rest| rest.ends_with('.'))
}

/// The host of what follows a scheme: without user, port, path and brackets.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split(']').next().unwrap_or_default();
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.chars().all(|c| c.is_ascii_digit()) => {
            host
        }
        _ => authority,
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_own_proxy_and_this_machine_has_none() {
        let rules = ProxyRules {
            http: Some("http://one:1".into()),
            https: Some("http://two:2".into()),
            no_proxy: Some("internal.example, *.corp, 10.0.0.1, .dotted:8080,".into()),
        };
        let name = |proxy: Option<Proxy>| proxy.map_or("direct".into(), |p| p.host().to_string());
        let routes = Routes::new(&rules, name).unwrap();
        for (url, expected) in [
            ("http://api.example/v1", "one"),
            ("https://api.example/v1", "two"),
            ("HTTPS://API.example:443/v1", "two"),
            ("http://localhost:8080/v1", "direct"),
            ("http://127.0.0.1/v1", "direct"),
            ("http://127.9.9.9:1/v1", "direct"),
            ("http://[::1]:8080/v1", "direct"),
            ("https://internal.example/v1", "direct"),
            ("https://a.internal.example/v1", "direct"),
            ("https://notinternal.example/v1", "two"),
            ("https://x.corp/v1", "direct"),
            ("https://10.0.0.1:9/v1", "direct"),
            ("https://a.dotted/v1", "direct"),
        ] {
            assert_eq!(routes.choose(url), expected, "{url}");
        }
    }

    #[test]
    fn one_schemes_proxy_does_not_capture_the_other() {
        let rules = ProxyRules { http: Some("http://one:1".into()), ..ProxyRules::default() };
        let routes = Routes::new(&rules, |proxy| proxy.is_some()).unwrap();
        assert!(routes.choose("http://api.example/"));
        assert!(!routes.choose("https://api.example/"));
    }

    #[test]
    fn a_proxy_that_is_no_address_is_refused_without_its_password() {
        let rules =
            ProxyRules { https: Some("http://user:secret@ bad".into()), ..ProxyRules::default() };
        let error = Routes::new(&rules, |_| ()).err().unwrap().to_string();
        assert!(error.contains("HTTPS_PROXY") && !error.contains("secret"), "{error}");
    }
}
