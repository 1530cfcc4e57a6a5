//! Judges what the server answered, or that it did not.

use super::finding::Finding;
use super::probe::Looked;
use openai_bulk::config::{Config, nearest_of};
use openai_bulk::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::Answer;
use openai_bulk::wire::fault::read_fault;
use openai_bulk::wire::headers::{RateReport, server_date};
use openai_bulk::{Client, Error};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// How far a clock may be off before it is told: answers take some time too.
const SMALL: Duration = Duration::from_secs(30);
/// From here on certificates and dates of the server are misjudged.
const LARGE: Duration = Duration::from_secs(600);

/// What is asked, and where.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The base URL.
    pub base_url: String,
    pub is_https: bool,
    pub is_loopback: bool,
    pub is_azure: bool,
    pub has_key: bool,
    /// Host and port.
    pub proxy: Option<String>,
    pub has_ca_file: bool,
    pub model: String,
    pub models_url: String,
    pub ask_url: String,
}

impl Place {
    /// Where a client sends to.
    pub fn of(client: &Client) -> Result<Place, Error> {
        let config = client.config();
        let (endpoint, model) = (config.get_endpoint()?, config.get_model());
        let path = if embeds(model) { "/v1/embeddings" } else { "/v1/chat/completions" };
        Ok(Place {
            base_url: endpoint.to_string(),
            is_https: endpoint.is_https(),
            is_loopback: endpoint.is_loopback(),
            is_azure: endpoint.is_azure(),
            has_key: config.load_key()?.is_some(),
            proxy: client.proxy(),
            has_ca_file: config.get_ca_file().is_some(),
            model: model.into(),
            models_url: endpoint.url("/v1/models", None),
            ask_url: endpoint.url(path, Some(model)),
        })
    }

    /// The cheapest request there is.
    pub fn question(&self) -> String {
        let body = match embeds(&self.model) {
            true => json!({"model": self.model, "input": "."}),
            false => json!({
                "model": self.model,
                "messages": [{"role": "user", "content": "."}],
                "max_completion_tokens": 1,
            }),
        };
        body.to_string()
    }

    fn has_version(&self) -> bool {
        let path = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        path.split_once('/').is_some_and(|(_, path)| !path.is_empty())
    }
}

fn embeds(model: &str) -> bool {
    model.contains("embedding")
}

/// The way to the server: its name, the connection, TLS, the proxy, and what it answers at all.
pub fn connection(place: &Place, looked: &Looked) -> Vec<Finding> {
    match looked {
        Err(error) => broken(place, error),
        Ok(answer) => {
            let mut findings = vec![reached(place, answer)];
            findings.push(encryption(place));
            findings.push(match &place.proxy {
                Some(proxy) => Finding::ok("proxy", format!("requests go through {proxy}")),
                None => Finding::ok("proxy", "none: requests go straight to the server"),
            });
            findings
        }
    }
}

fn encryption(place: &Place) -> Finding {
    match (place.is_https, place.is_loopback) {
        (true, _) if place.has_ca_file => {
            Finding::ok("tls", "the certificate is good, by the system's authorities or the file's")
        }
        (true, _) => Finding::ok("tls", "the certificate is good, by the system's authorities"),
        (false, true) => Finding::ok("tls", "not used: the server is on this machine"),
        (false, false) => {
            let fix = "write https:// in OPENAI_BASE_URL if the server speaks it";
            Finding::warning("tls", "not used: requests can be read on their way", fix)
        }
    }
}

fn reached(place: &Place, answer: &Answer) -> Finding {
    let url = &place.base_url;
    let is_json = serde_json::from_slice::<Value>(&answer.body).is_ok();
    let status = answer.status;
    match status {
        300..400 => {
            let to = answer.headers.value("location").unwrap_or("elsewhere");
            let found = format!("{url} sends on to {to}, which is not followed");
            Finding::error("base_url", found, "set OPENAI_BASE_URL to where it sends")
        }
        404 | 405 if !place.has_version() && !place.is_azure => {
            let found = format!("{url} answers {status}: no API is found there");
            Finding::error("base_url", found, format!("most servers have it at {url}/v1"))
        }
        200..300 if !is_json => {
            let found = format!("{url} answers {status}, but what it says is not JSON");
            let fix = "set OPENAI_BASE_URL to the API of the server, which most often ends in /v1";
            Finding::error("base_url", found, fix)
        }
        500.. => {
            let found = format!("{url} answers {}", said(answer));
            Finding::warning("base_url", found, "the server is in trouble: try again later")
        }
        _ => Finding::ok("base_url", format!("{url} answers")),
    }
}

/// What it means that no answer came.
fn broken(place: &Place, error: &TransportError) -> Vec<Finding> {
    let url = &place.base_url;
    let error_of = |check, fix: &str| Finding::error(check, error.to_string(), fix);
    let ok = Finding::ok("base_url", format!("{url} is reached"));
    match error.kind {
        Kind::Resolve | Kind::Timeout(TimeoutStage::Resolve) => {
            let fix =
                "look at the spelling of OPENAI_BASE_URL, and at this machine's network and DNS";
            vec![error_of("base_url", fix)]
        }
        Kind::Tls => vec![ok, error_of("tls", tls_fix(&error.message))],
        Kind::Proxy => {
            let proxy = place.proxy.as_deref().unwrap_or("the proxy");
            let fix = format!(
                "{proxy} is named by HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: correct it, or name the \
                 server's host in NO_PROXY"
            );
            vec![error_of("proxy", &fix)]
        }
        Kind::Exhausted => vec![error_of("open_files", "raise the limit with `ulimit -n`")],
        Kind::Connect | Kind::Timeout(TimeoutStage::Connect) if place.is_loopback => {
            let fix = "start the server, or correct the port in OPENAI_BASE_URL";
            vec![error_of("base_url", fix)]
        }
        Kind::Connect | Kind::Timeout(TimeoutStage::Connect) => {
            let fix = "look whether a firewall is in the way; if only a proxy leads outside, name it \
                       in HTTPS_PROXY";
            vec![error_of("base_url", fix)]
        }
        _ => {
            let fix = "look whether a server of OpenAI's shape stands at OPENAI_BASE_URL, and try \
                       again";
            vec![error_of("base_url", fix)]
        }
    }
}

fn tls_fix(message: &str) -> &'static str {
    match () {
        () if message.contains("expired") => {
            "set this machine's clock if it is wrong; else the server's certificate is to be renewed"
        }
        () if message.contains("another host") => "correct the host in OPENAI_BASE_URL",
        () if message.contains("speak TLS") => {
            "write http:// instead of https:// in OPENAI_BASE_URL"
        }
        () if message.contains("ca-certificates") => "install the package ca-certificates",
        () => "name the certificate of the authority with --ca-file FILE (OPENAI_CA_FILE)",
    }
}

/// This machine's clock against the server's.
pub fn clock(answer: &Answer, now: SystemTime) -> Finding {
    let Some(theirs) = server_date(&answer.headers) else {
        return Finding::skipped("clock", "not known: the server does not tell the time");
    };
    let (off, word) = match now.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let found = format!("{} s {word} the server's", off.as_secs());
    let fix = "set this machine's clock (`timedatectl set-ntp true`): certificates, and when to try \
               again, are judged by it";
    match off {
        _ if off <= SMALL => Finding::ok("clock", "as the server's"),
        _ if off <= LARGE => Finding::warning("clock", found, fix),
        _ => Finding::error("clock", found, fix),
    }
}

/// Whether the server takes the key.
pub fn key(place: &Place, listed: &Answer, asked: Option<&Looked>) -> Option<Finding> {
    const NEW: &str = "make a new key at https://platform.openai.com/api-keys, and look whether it \
                       belongs to the project and the organization of OPENAI_PROJECT_ID and \
                       OPENAI_ORG_ID";
    let asked = asked.and_then(|looked| looked.as_ref().ok());
    let answers = || [asked, Some(listed)].into_iter().flatten();
    if let Some(answer) = answers().find(|answer| answer.status == 401) {
        let fix = match place.has_key {
            true => NEW,
            false => {
                "this server wants a key: set OPENAI_API_KEY, or name a file with --api-key-file"
            }
        };
        return Some(Finding::error("key", format!("refused: {}", said(answer)), fix));
    }
    if let Some(answer) = asked.filter(|answer| is_broke(answer)) {
        let fix = "add credit or raise the limit at https://platform.openai.com/settings/organization/billing";
        return Some(Finding::error("key", format!("it cannot pay: {}", said(answer)), fix));
    }
    let is_good = answers().any(|answer| (200..300).contains(&answer.status));
    if is_good {
        return place.has_key.then(|| Finding::ok("key", "the server takes it"));
    }
    let refusal = answers().find(|answer| answer.status == 403)?;
    let fix = "allow it at https://platform.openai.com/api-keys (permissions of the key), or take \
               another key";
    Some(Finding::error("key", format!("not allowed: {}", said(refusal)), fix))
}

fn is_broke(answer: &Answer) -> bool {
    let fault = read_fault(answer.status, &answer.body);
    let words = [fault.code.as_deref(), fault.kind.as_deref()];
    answer.status == 402
        || words.into_iter().flatten().any(|word| {
            word.contains("quota")
                || word.contains("billing")
                || word.contains("spend_limit")
                || word.contains("credit")
        })
}

/// Whether there is such a model.
pub fn model(place: &Place, listed: &Answer, asked: Option<&Looked>) -> Finding {
    let model = &place.model;
    let asked = asked.and_then(|looked| looked.as_ref().ok());
    if asked.is_some_and(|answer| (200..300).contains(&answer.status)) {
        return Finding::ok("model", format!("{model} answers"));
    }
    let list: Option<Value> = serde_json::from_slice(&listed.body).ok();
    let data = list.as_ref().and_then(|list| list["data"].as_array());
    let names: Vec<_> = data.into_iter().flatten().filter_map(|each| each["id"].as_str()).collect();
    let fix = || {
        let near = nearest_of(model, names.iter().copied());
        let near = near.map(|near| format!("did you mean {near}? ")).unwrap_or_default();
        format!("{near}Set OPENAI_MODEL or --model to one that the server has")
    };
    if let Some(answer) = asked.filter(|answer| answer.status == 404) {
        return Finding::error("model", format!("{model}: {}", said(answer)), fix());
    }
    // The list of Azure names models, and requests name deployments.
    match names.contains(&model.as_str()) {
        true => Finding::ok("model", format!("{model} is among {} models", names.len())),
        false if names.is_empty() || place.is_azure => {
            Finding::skipped("model", "not known: the server lists no models")
        }
        false => {
            let found = format!("{model} is not among the {} models of the server", names.len());
            Finding::error("model", found, fix())
        }
    }
}

/// The limits that the headers tell, against those that are set.
pub fn limits(place: &Place, config: &Config, asked: &Looked) -> Finding {
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) => {
            let fix = "try again; if it stays, `openai-bulk run -vv` tells more";
            return Finding::warning("limits", error.to_string(), fix);
        }
    };
    let report = RateReport::read(&answer.headers);
    let (requests, tokens) = (report.requests.limit, report.tokens.limit);
    let stated = (config.get_requests_per_minute(), config.get_tokens_per_minute());
    for (name, stated, told) in [
        ("OPENAI_REQUESTS_PER_MINUTE", stated.0, requests),
        ("OPENAI_TOKENS_PER_MINUTE", stated.1, tokens),
    ] {
        if let (Some(stated), Some(told)) = (stated, told)
            && stated > told
        {
            let found = format!("{name} is {stated}, and the server allows {told}");
            return Finding::warning(
                "limits",
                found,
                "lower it, or leave it out: the server's counts",
            );
        }
    }
    let told: Vec<String> = [
        (requests, report.requests.remaining, "requests"),
        (tokens, report.tokens.remaining, "tokens"),
    ]
    .into_iter()
    .filter_map(|(limit, left, what)| {
        let left = left.map(|left| format!(" ({left} left)")).unwrap_or_default();
        Some(format!("{} {what}{left}", limit?))
    })
    .collect();
    if !told.is_empty() {
        let found = format!("{} a minute for {}", told.join(" and "), place.model);
        return Finding::ok("limits", found);
    }
    if !(200..300).contains(&answer.status) {
        let fix = "mend what is wrong above; without limits a run finds them by itself";
        return Finding::warning("limits", format!("not told: {}", said(answer)), fix);
    }
    let found = match stated {
        (None, None) => {
            "the server tells none: a run starts slowly, and finds them by what is refused; \
             --requests-per-minute states one that you know"
        }
        _ => "the server tells none: those that are set are kept",
    };
    Finding::ok("limits", found)
}

/// An error of the server in a few words.
fn said(answer: &Answer) -> String {
    let fault = read_fault(answer.status, &answer.body);
    let code = fault.code.or(fault.kind).map(|code| format!(" ({code})")).unwrap_or_default();
    let message = match fault.message.chars().count() {
        0 => String::new(),
        _ => format!(": {}", fault.message.chars().take(300).collect::<String>()),
    };
    format!("{}{code}{message}", answer.status)
}
