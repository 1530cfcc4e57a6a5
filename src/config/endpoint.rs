//! Where requests go, and the headers that say who sends them.

use std::fmt;

use super::base_url::BaseUrl;
use super::key::ApiKey;
use crate::error::{Error, Result};

/// Paths that Azure keeps under the name of a deployment.
///
/// Source: the Azure client of the official Python SDK.
const DEPLOYMENT_PATHS: &[&str] = &[
    "completions",
    "chat/completions",
    "embeddings",
    "audio/transcriptions",
    "audio/translations",
    "audio/speech",
    "images/generations",
    "images/edits",
];

/// Where requests go, and the headers that say who sends them.
///
/// ```
/// let config = openai_bulk::config::Config::new();
/// let endpoint = config.get_endpoint()?;
/// assert_eq!(endpoint.url("/v1/files", None), "https://api.openai.com/v1/files");
/// assert_eq!(endpoint.url("files", None), "https://api.openai.com/v1/files");
/// # Ok::<(), openai_bulk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    base: BaseUrl,
    style: Style,
    organization: Option<String>,
    project: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Style {
    OpenAi,
    /// Azure's newer API: the paths of OpenAI below `/openai/v1`.
    AzureV1,
    /// Azure's older API: the model is a deployment in the path, the version in the query.
    AzureDeployments {
        version: String,
        deployment: Option<String>,
    },
}

impl Endpoint {
    /// An endpoint that speaks as OpenAI does.
    ///
    /// # Errors
    ///
    /// If the base URL is none.
    pub fn openai(base_url: &str) -> Result<Endpoint> {
        Ok(Endpoint::at(parse(base_url)?, Style::OpenAi))
    }

    /// An endpoint on Azure; a base URL that ends in `/openai/v1` needs no version.
    ///
    /// # Errors
    ///
    /// If the base URL is none, or the version is missing.
    pub fn azure(base_url: &str, version: Option<&str>) -> Result<Endpoint> {
        let mut base = parse(base_url)?;
        if base.path.ends_with("/openai/v1") {
            return Ok(Endpoint::at(base, Style::AzureV1));
        }
        let Some(version) = version.filter(|v| !v.is_empty()) else {
            return Err(Error::invalid("OPENAI_API_VERSION", NO_VERSION));
        };
        let path = std::mem::take(&mut base.path);
        let (root, deployment) = match path.split_once("/openai/deployments/") {
            Some((root, name)) => (root, Some(name.to_string())),
            None => (path.strip_suffix("/openai").unwrap_or(&path), None),
        };
        base.path = root.to_string();
        let style = Style::AzureDeployments { version: version.to_string(), deployment };
        Ok(Endpoint::at(base, style))
    }

    fn at(base: BaseUrl, style: Style) -> Endpoint {
        Endpoint { base, style, organization: None, project: None }
    }

    /// Bills to an organization and a project; Azure knows neither.
    pub fn billed_to(mut self, organization: Option<&str>, project: Option<&str>) -> Endpoint {
        self.organization = organization.map(str::to_string);
        self.project = project.map(str::to_string);
        self
    }

    /// The URL of `path`, which may be given with `/v1` or without.
    ///
    /// On Azure's older API `model` is the deployment, where the path belongs to one.
    pub fn url(&self, path: &str, model: Option<&str>) -> String {
        let path = below_version(path);
        let Style::AzureDeployments { version, deployment } = &self.style else {
            return format!("{}/{path}", self.base);
        };
        let bare = path.split('?').next().unwrap_or_default();
        let model = model.map(encoded);
        let place = match deployment.as_deref().or(model.as_deref()) {
            Some(name) if DEPLOYMENT_PATHS.contains(&bare) => format!("deployments/{name}/"),
            _ => String::new(),
        };
        let mark = if path.contains('?') { '&' } else { '?' };
        let version = encoded(version);
        format!("{}/openai/{place}{path}{mark}api-version={version}", self.base)
    }

    /// The headers that say who sends a request; without a key none that carries it.
    pub fn headers(&self, key: Option<&ApiKey>) -> Vec<(String, String)> {
        let named = |name: &str, value: &str| (name.to_string(), value.to_string());
        let mut headers = Vec::new();
        if self.is_azure() {
            headers.extend(key.map(|key| named("api-key", key.expose())));
            return headers;
        }
        let key = key.map(|key| named("Authorization", &format!("Bearer {}", key.expose())));
        headers.extend(key);
        headers.extend(self.organization.as_deref().map(|id| named("OpenAI-Organization", id)));
        headers.extend(self.project.as_deref().map(|id| named("OpenAI-Project", id)));
        headers
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        &self.base.host
    }

    /// The port, also where the URL names none.
    pub fn port(&self) -> u16 {
        self.base.port.unwrap_or(if self.base.https { 443 } else { 80 })
    }

    /// Whether the exchange is encrypted.
    pub fn is_https(&self) -> bool {
        self.base.https
    }

    /// Whether the server runs on this machine.
    pub fn is_loopback(&self) -> bool {
        self.base.is_loopback()
    }

    /// Whether the server is Azure's.
    pub fn is_azure(&self) -> bool {
        self.style != Style::OpenAi
    }

    /// Whether the server is OpenAI's own.
    pub fn is_openai(&self) -> bool {
        self.base.is_openai()
    }

    /// Whether the server answers nobody without a key: OpenAI and Azure do not, others may.
    pub fn needs_key(&self) -> bool {
        self.base.is_openai() || (self.is_azure() && !self.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.base.fmt(f)
    }
}

const NO_VERSION: &str = "missing: Azure needs a version such as 2024-10-21, or a base URL that \
                          ends in /openai/v1, which needs none";

fn parse(base_url: &str) -> Result<BaseUrl> {
    BaseUrl::parse(base_url).map_err(|e| Error::invalid("OPENAI_BASE_URL", e))
}

/// The lines of a batch name paths in full, and the base URL most often ends in `/v1` too.
fn below_version(path: &str) -> &str {
    let path = path.trim_start_matches('/');
    match path.strip_prefix("v1") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest.trim_start_matches('/'),
        _ => path,
    }
}

fn encoded(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                result.push(b as char);
            }
            _ => result.push_str(&format!("%{b:02X}")),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_never_doubled() {
        for base in ["https://api.openai.com/v1", "https://api.openai.com/v1/"] {
            let endpoint = Endpoint::openai(base).unwrap();
            for path in [
                "chat/completions",
                "/chat/completions",
                "v1/chat/completions",
                "/v1/chat/completions",
            ] {
                let url = endpoint.url(path, Some("gpt-4o"));
                assert_eq!(url, "https://api.openai.com/v1/chat/completions", "{base} {path}");
            }
        }
    }

    #[test]
    fn other_base_urls_are_taken_as_they_are() {
        for (base, path, url) in [
            ("http://localhost:8000", "/v1/embeddings", "http://localhost:8000/embeddings"),
            ("http://localhost:8000/", "embeddings", "http://localhost:8000/embeddings"),
            ("https://x.ai/api/v1", "/v1/responses", "https://x.ai/api/v1/responses"),
            ("https://x.ai/v2/", "/v1/responses", "https://x.ai/v2/responses"),
            ("https://x.ai/v1", "/v1beta/models", "https://x.ai/v1/v1beta/models"),
            ("https://x.ai/v1", "/batches?limit=2", "https://x.ai/v1/batches?limit=2"),
        ] {
            assert_eq!(Endpoint::openai(base).unwrap().url(path, None), url, "{base} {path}");
        }
    }

    #[test]
    fn azure_puts_the_model_into_the_path() {
        let chat = "https://x.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";
        for base in [
            "https://x.openai.azure.com",
            "https://x.openai.azure.com/",
            "https://x.openai.azure.com/openai/",
        ] {
            let endpoint = Endpoint::azure(base, Some("2024-10-21")).unwrap();
            assert_eq!(endpoint.url("/v1/chat/completions", Some("my-gpt")), chat, "{base}");
            assert_eq!(endpoint.url("chat/completions", Some("my-gpt")), chat, "{base}");
            assert_eq!(
                endpoint.url("/v1/files?limit=1", None),
                "https://x.openai.azure.com/openai/files?limit=1&api-version=2024-10-21"
            );
            assert_eq!(
                endpoint.url("/v1/responses", Some("my-gpt")),
                "https://x.openai.azure.com/openai/responses?api-version=2024-10-21"
            );
        }
        let fixed = "https://x.openai.azure.com/openai/deployments/my-gpt";
        let fixed = Endpoint::azure(fixed, Some("2024-10-21")).unwrap();
        assert_eq!(fixed.url("chat/completions", Some("other")), chat);
        let strange = Endpoint::azure("https://x.openai.azure.com", Some("v")).unwrap();
        assert_eq!(
            strange.url("embeddings", Some("a/../b?c")),
            "https://x.openai.azure.com/openai/deployments/a%2F..%2Fb%3Fc/embeddings?api-version=v"
        );
    }

    #[test]
    fn the_newer_azure_takes_the_paths_of_openai() {
        for base in
            ["https://x.openai.azure.com/openai/v1", "https://x.openai.azure.com/openai/v1/"]
        {
            let endpoint = Endpoint::azure(base, None).unwrap();
            assert_eq!(
                endpoint.url("/v1/chat/completions", Some("gpt")),
                "https://x.openai.azure.com/openai/v1/chat/completions"
            );
        }
        let missing = Endpoint::azure("https://x.openai.azure.com", None).unwrap_err().to_string();
        assert!(missing.starts_with("OPENAI_API_VERSION: missing"), "{missing}");
    }

    #[test]
    fn headers_say_who_sends() {
        let key = ApiKey::new("sk-0123456789").unwrap();
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        let openai = Endpoint::openai("https://api.openai.com/v1").unwrap();
        assert_eq!(openai.headers(Some(&key)), [pair("Authorization", "Bearer sk-0123456789")]);
        assert_eq!(openai.headers(None), []);
        let billed = openai.billed_to(Some("org-1"), Some("proj_1"));
        assert_eq!(
            billed.headers(Some(&key))[1..],
            [pair("OpenAI-Organization", "org-1"), pair("OpenAI-Project", "proj_1")]
        );
        let azure = Endpoint::azure("https://x.openai.azure.com/openai/v1", None).unwrap();
        let azure = azure.billed_to(Some("org-1"), None);
        assert_eq!(azure.headers(Some(&key)), [pair("api-key", "sk-0123456789")]);
    }

    #[test]
    fn only_openai_and_azure_need_a_key() {
        for (base, needs) in [
            ("https://api.openai.com/v1", true),
            ("https://eu.api.openai.com/v1", true),
            ("http://localhost:8000/v1", false),
            ("https://openrouter.ai/api/v1", false),
            ("https://api.openai.com.evil.org/v1", false),
        ] {
            assert_eq!(Endpoint::openai(base).unwrap().needs_key(), needs, "{base}");
        }
        assert!(Endpoint::azure("https://x.openai.azure.com/openai/v1", None).unwrap().needs_key());
    }
}
