//! The faults that the simulator can show, and their spelling.

use super::failure::Failure;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Something that goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Status 500, `server_error`.
    ServerError,
    /// Status 503, `server_is_overloaded`.
    Overloaded,
    /// Status 503 in its older form, without a code.
    OldOverloaded,
    /// Status 429, `rate_limit_exceeded`, with the time to wait.
    RateLimited,
    /// Status 429, `slow_down`.
    SlowDown,
    /// Status 429, `insufficient_quota`.
    InsufficientQuota,
    /// Status 401, `invalid_api_key`.
    Unauthorized,
    /// Status 400, `invalid_prompt`.
    BadRequest,
    /// Status 502 with a page of HTML.
    BadGateway,
    /// The connection is reset before the request is answered or charged.
    Reset,
    /// The connection is closed in order, without an answer.
    Close,
    /// A length is announced, and the connection closes half-way through the body.
    HalfBody,
    /// A body in chunks ends half-way with its connection.
    HalfChunked,
    /// Bytes that are not HTTP.
    Garbage,
    /// Status 200 with a body that is not JSON.
    NotJson,
    /// Status 200 with an empty body.
    Empty,
    /// Status 200 with an `error` object.
    ErrorObject,
    /// No answer ever comes, and the connection stays open.
    Hang,
    /// The body comes in drips.
    SlowBody,
}

const NAMES: [(Fault, &str); 19] = [
    (Fault::ServerError, "500"),
    (Fault::Overloaded, "503"),
    (Fault::OldOverloaded, "503old"),
    (Fault::RateLimited, "429"),
    (Fault::SlowDown, "slow_down"),
    (Fault::InsufficientQuota, "quota"),
    (Fault::Unauthorized, "401"),
    (Fault::BadRequest, "400"),
    (Fault::BadGateway, "html502"),
    (Fault::Reset, "reset"),
    (Fault::Close, "close"),
    (Fault::HalfBody, "half"),
    (Fault::HalfChunked, "halfchunked"),
    (Fault::Garbage, "garbage"),
    (Fault::NotJson, "notjson"),
    (Fault::Empty, "empty"),
    (Fault::ErrorObject, "error200"),
    (Fault::Hang, "hang"),
    (Fault::SlowBody, "slow"),
];

impl Fault {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Fault> {
        NAMES.iter().map(|(fault, _)| *fault)
    }

    /// The name under which it is parsed.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(fault, _)| *fault == self).map_or("", |(_, name)| name)
    }

    /// Whether it comes instead of any work, so that the request leaves no trace.
    pub(super) fn is_before_work(self) -> bool {
        matches!(self, Fault::Reset | Fault::Close | Fault::Garbage | Fault::Hang)
    }

    /// The error answer that it stands for, if it is one in JSON.
    pub(super) fn failure(
        self,
        model: &str,
        organization: &str,
        wait: Duration,
    ) -> Option<Failure> {
        let failure = match self {
            Fault::ServerError => Failure::new(
                500,
                "server_error",
                "The server had an error while processing your request. Sorry about that!",
            ),
            Fault::Overloaded => Failure::new(
                503,
                "service_unavailable_error",
                "Our servers are currently overloaded. Please try again later.",
            )
            .code("server_is_overloaded"),
            Fault::OldOverloaded => Failure::new(
                503,
                "server_error",
                "The engine is currently overloaded, please try again later",
            ),
            Fault::RateLimited => Failure::new(
                429,
                "requests",
                format!(
                    "Rate limit reached for {model} in organization {organization} on requests \
                     per min (RPM): Limit 500, Used 500, Requested 1. Please try again in {}. \
                     Visit https://platform.openai.com/account/rate-limits to learn more.",
                    super::go_duration::go_duration(wait)
                ),
            )
            .code("rate_limit_exceeded")
            .retry_after(wait),
            Fault::SlowDown => Failure::new(
                429,
                "rate_limit_error",
                "Requests are growing too fast. Please slow down.",
            )
            .code("slow_down"),
            Fault::InsufficientQuota => Failure::new(
                429,
                "insufficient_quota",
                "You exceeded your current quota, please check your plan and billing details.",
            )
            .code("insufficient_quota"),
            Fault::Unauthorized => wrong_key("sk-simulated"),
            Fault::BadRequest => {
                Failure::plain("Invalid prompt: your prompt was flagged.").code("invalid_prompt")
            }
            _ => return None,
        };
        Some(failure)
    }
}

/// The answer to a key that is not known; only its ends are shown, as the real server does.
pub(super) fn wrong_key(key: &str) -> Failure {
    let shown = match (key.get(..8), key.get(key.len().saturating_sub(4)..)) {
        (Some(start), Some(end)) if key.len() > 12 => format!("{start}*****{end}"),
        _ => "*****".into(),
    };
    let message = format!(
        "Incorrect API key provided: {shown}. You can find your API key at \
         https://platform.openai.com/account/api-keys."
    );
    Failure::new(401, "invalid_request_error", message).code("invalid_api_key")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = Error;

    fn from_str(text: &str) -> Result<Fault> {
        let text = if text == "502" { "html502" } else { text };
        NAMES.iter().find(|(_, name)| *name == text).map(|(fault, _)| *fault).ok_or_else(|| {
            let known: Vec<_> = NAMES.iter().map(|(_, name)| *name).collect();
            Error::invalid(
                "fault",
                format!("there is no `{text}`; use one of {}", known.join(", ")),
            )
        })
    }
}

/// A fault and how likely it is, written `500=5%` or `500:0.05`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct FaultSpec {
    /// What goes wrong.
    pub fault: Fault,
    /// How likely it is for one attempt, from 0 to 1.
    pub probability: f64,
}

impl FaultSpec {
    /// A fault that befalls this share of the attempts.
    pub fn new(fault: Fault, probability: f64) -> FaultSpec {
        FaultSpec { fault, probability }
    }
}

impl fmt::Display for FaultSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.fault, self.probability)
    }
}

impl FromStr for FaultSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<FaultSpec> {
        let wrong = |why: &str| {
            Error::invalid(
                "fault",
                format!("`{text}`: {why}; write it like `500=5%` or `reset:0.03`"),
            )
        };
        let (name, share) =
            text.split_once(['=', ':']).ok_or_else(|| wrong("it says no probability"))?;
        let fault = name.trim().parse()?;
        let share = share.trim();
        let (number, unit) = match share.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (share, 1.0),
        };
        let number: f64 = number.parse().map_err(|_| wrong("the probability is not a number"))?;
        let probability = number / unit;
        if !(0.0..=1.0).contains(&probability) {
            return Err(wrong("the probability is not between 0 and 1, or 0 % and 100 %"));
        }
        Ok(FaultSpec { fault, probability })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_read_in_each_spelling() {
        for text in ["500=5%", "500:0.05", " 500 = 5 %", "500=0.05"] {
            let spec: FaultSpec = text.parse().unwrap();
            assert_eq!(spec.fault, Fault::ServerError, "{text}");
            assert!((spec.probability - 0.05).abs() < 1e-12, "{text}");
        }
        assert_eq!("502=1%".parse::<FaultSpec>().unwrap().fault, Fault::BadGateway);
    }

    #[test]
    fn each_fault_is_read_back_from_what_it_prints() {
        for fault in Fault::all() {
            assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
            let spec = FaultSpec::new(fault, 0.25);
            assert_eq!(spec.to_string().parse::<FaultSpec>().unwrap(), spec);
        }
    }

    #[test]
    fn a_wrong_spec_is_told_what_is_wrong() {
        for (text, part) in [
            ("500", "no probability"),
            ("500=x", "not a number"),
            ("500=101%", "not between"),
            ("500:1.5", "not between"),
            ("500=-1%", "not between"),
            ("500=NaN", "not between"),
            ("boom=1%", "no `boom`; use one of 500"),
        ] {
            let said = text.parse::<FaultSpec>().unwrap_err().to_string();
            assert!(said.contains(part), "{text}: {said}");
        }
    }

    #[test]
    fn of_a_wrong_key_only_the_ends_are_shown() {
        let said = wrong_key("sk-notarealkeyatall").message;
        assert!(said.contains("sk-notar*****tall"), "{said}");
        assert!(!wrong_key("short").message.contains("short"));
    }
}
