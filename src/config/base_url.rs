//! The address under which the API is found.

use std::fmt;

/// The parts of a base URL that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    pub(super) https: bool,
    /// In lower case; an IPv6 address in brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Empty, or with a slash at the start and none at the end.
    pub(super) path: String,
}

impl BaseUrl {
    /// The message does not repeat the text: a key may have been put there by mistake.
    pub(super) fn parse(text: &str) -> Result<BaseUrl, &'static str> {
        let text = text.trim();
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err("it holds a character that no URL has");
        }
        let (scheme, rest) = text.split_once("://").ok_or("it must start with https://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err("it must start with https:// or http://"),
        };
        if rest.contains(['?', '#']) {
            return Err("it must have no query and no fragment");
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("it must hold no user name or password");
        }
        let (host, port) = host_and_port(authority)?;
        let path = path.trim_end_matches('/').to_string();
        if path.ends_with("/chat/completions") || path.ends_with("/responses") {
            return Err("it must end before the path of the request, such as /v1");
        }
        Ok(BaseUrl { https, host, port, path })
    }

    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || address.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
    }

    pub(super) fn is_openai(&self) -> bool {
        self.host == "api.openai.com" || self.host.ends_with(".api.openai.com")
    }

    pub(super) fn has_azure_host(&self) -> bool {
        [
            ".openai.azure.com",
            ".openai.azure.us",
            ".cognitiveservices.azure.com",
            ".services.ai.azure.com",
        ]
        .iter()
        .any(|end| self.host.ends_with(end))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|p| *p > 0).ok_or("its port must be from 1 to 65535")?)
        }
        _ => return Err("its port must be from 1 to 65535"),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = !host.is_empty()
        && !host.starts_with(['.', '-'])
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if is_address || is_name {
        Ok((host.to_ascii_lowercase(), port))
    } else {
        Err("it must name a host")
    }
}

/// A URL as it may be shown: without user name, password, query and fragment.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.rsplit_once('@').map_or_else(|| rest.to_string(), |(_, r)| format!("…@{r}"));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match scheme {
        "" if rest.contains("sk-") => "…".into(),
        "" => rest.into(),
        _ => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_brought_into_one_form() {
        for (text, written) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            ("HTTPS://API.OpenAI.com/v1//", "https://api.openai.com/v1"),
            ("http://localhost:8000", "http://localhost:8000"),
            ("http://localhost:8000/", "http://localhost:8000"),
            ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
            (" http://my_host/V1 \n", "http://my_host/V1"),
        ] {
            assert_eq!(BaseUrl::parse(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "api.openai.com",
            "api.openai.com/v1",
            "ftp://host/v1",
            "https://",
            "https:///v1",
            "https://user:pw@host/v1",
            "https://user@host",
            "https://host/v1?x=1",
            "https://host#f",
            "https://ho st/",
            "https://host:0",
            "https://host:65536",
            "https://host:",
            "https://h:x",
            "https://[::1",
            "https://[::1]x",
            "https://hö.de",
            "https://host\\@evil",
            "https://.x",
            "https://[nonsense]",
            "https://api.openai.com/v1/chat/completions",
            "https://a:b:1",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (url, is) in [
            ("http://localhost", true),
            ("http://a.localhost", true),
            ("http://127.0.0.2:1", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
            ("http://localhost.evil.com", false),
            ("http://127.0.0.1.evil.com", false),
        ] {
            assert_eq!(BaseUrl::parse(url).unwrap().is_loopback(), is, "{url}");
        }
    }

    #[test]
    fn a_shown_url_has_no_password_and_no_query() {
        assert_eq!(shown("http://user:pw@proxy:3128/a?k=v"), "http://…@proxy:3128/a");
        assert_eq!(shown("user:p@w@proxy:3128"), "…@proxy:3128");
        assert_eq!(shown("https://host/v1#f"), "https://host/v1");
        assert_eq!(shown("sk-0123456789"), "…");
    }
}
