//! The proxies that the environment names.

use std::fmt;

use super::base_url::shown;

/// The proxies that the environment names, as they are written there.
///
/// The variables are `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; the name in lower
/// case goes before the name in upper case, as in curl. `Debug` shows no user name and password.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxies {
    /// For requests to `http` addresses.
    pub http: Option<String>,
    /// For requests to `https` addresses.
    pub https: Option<String>,
    /// For requests that no other names.
    pub all: Option<String>,
    /// Hosts that are reached without a proxy, separated by commas.
    pub no_proxy: Option<String>,
}

/// All names that are read.
pub(super) const NAMES: &[&str] = &[
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "REQUEST_METHOD",
];

impl Proxies {
    /// Reads the variables through `lookup`; an empty one counts as none.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Proxies {
        let one = |name: &str| {
            let text = lookup(name)?.trim().to_string();
            (!text.is_empty()).then_some(text)
        };
        let either = |lower: &str| one(lower).or_else(|| one(&lower.to_ascii_uppercase()));
        // In a CGI program the header `Proxy` of any visitor arrives as HTTP_PROXY.
        let visited = one("REQUEST_METHOD").is_some();
        Proxies {
            http: if visited { one("http_proxy") } else { either("http_proxy") },
            https: either("https_proxy"),
            all: either("all_proxy"),
            no_proxy: either("no_proxy"),
        }
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.as_deref().map(shown))
            .field("https", &self.https.as_deref().map(shown))
            .field("all", &self.all.as_deref().map(shown))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Proxies {
        Proxies::read(|name| {
            vars.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn the_lower_case_goes_first_and_an_empty_value_is_none() {
        let proxies = read(&[
            ("http_proxy", "a:1"),
            ("HTTP_PROXY", "b:1"),
            ("https_proxy", " "),
            ("HTTPS_PROXY", "c:1"),
            ("NO_PROXY", "localhost,.local"),
        ]);
        assert_eq!(proxies.http.as_deref(), Some("a:1"));
        assert_eq!(proxies.https.as_deref(), Some("c:1"));
        assert_eq!(proxies.all, None);
        assert_eq!(proxies.no_proxy.as_deref(), Some("localhost,.local"));
    }

    #[test]
    fn a_visitor_cannot_name_a_proxy() {
        assert_eq!(read(&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")]).http, None);
    }

    #[test]
    fn passwords_are_not_shown() {
        let proxies =
            read(&[("ALL_PROXY", "http://me:secret@proxy:1"), ("https_proxy", "me:secret@p")]);
        assert!(!format!("{proxies:?}").contains("secret"));
    }
}
