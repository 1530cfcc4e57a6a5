//! An answer's headers: limits, retry hints, request id.

use super::duration::{from_seconds, go_duration, leading_duration};
use std::time::{Duration, SystemTime};

/// The headers of an answer, by name without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    /// Adds one; its name is kept in lower case.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_ascii_lowercase().into(), value.into()));
    }

    /// The first value under `name`, which is given in lower case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(each, _)| &**each == name).map(|(_, value)| &**value)
    }

    /// All of them, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

/// What an answer tells of one bucket of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// What the bucket gives in a minute.
    pub limit: Option<u64>,
    /// What is left in it.
    pub remaining: Option<u64>,
    /// The time until it is full, not until the next request may be sent.
    pub reset: Option<Duration>,
}

/// What an answer tells of the server's limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateReport {
    /// Requests.
    pub requests: Level,
    /// Tokens.
    pub tokens: Level,
    /// Tokens of the project, where it has a limit of its own.
    pub project_tokens: Level,
}

impl RateReport {
    /// Reads the `x-ratelimit-*` headers; what is missing or absurd (Azure sends -1) is unknown.
    pub fn read(headers: &Headers) -> RateReport {
        let mut report = RateReport::default();
        for (name, value) in headers.iter() {
            let Some(name) = name.strip_prefix("x-ratelimit-") else { continue };
            let Some((what, bucket)) = name.split_once('-') else { continue };
            let level = match bucket {
                "requests" => &mut report.requests,
                "tokens" => &mut report.tokens,
                "project-tokens" => &mut report.project_tokens,
                _ => continue,
            };
            match what {
                "limit" => level.limit = count(value),
                "remaining" => level.remaining = count(value),
                "reset" => level.reset = go_duration(value),
                _ => {}
            }
        }
        report
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        *self == RateReport::default()
    }
}

fn count(text: &str) -> Option<u64> {
    // No limit comes near this; what does is a server's way of saying that it has none.
    text.trim().parse().ok().filter(|&n: &u64| n < 1_000_000_000_000)
}

/// When the server says that another try makes sense. `date` is now.
///
/// In this order: `retry-after-ms`, `retry-after` as seconds or as a date, "try again in ..." in the
/// error's text, and the reset time of a bucket that is empty. No wait is no hint.
pub fn retry_hint(headers: &Headers, date: SystemTime, message: &str) -> Option<Duration> {
    let hint = after_ms(headers)
        .or_else(|| after(headers, date))
        .or_else(|| try_again_in(message))
        .or_else(|| reset_of_empty(&RateReport::read(headers)));
    hint.filter(|hint| !hint.is_zero())
}

fn after_ms(headers: &Headers) -> Option<Duration> {
    let ms: f64 = headers.value("retry-after-ms")?.trim().parse().ok()?;
    from_seconds(ms / 1000.0)
}

fn after(headers: &Headers, date: SystemTime) -> Option<Duration> {
    let text = headers.value("retry-after")?.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    httpdate::parse_http_date(text).ok()?.duration_since(date).ok()
}

fn try_again_in(message: &str) -> Option<Duration> {
    const PHRASE: &str = "try again in ";
    let at = message.to_ascii_lowercase().find(PHRASE)?;
    leading_duration(&message[at + PHRASE.len()..])
}

fn reset_of_empty(report: &RateReport) -> Option<Duration> {
    [report.requests, report.tokens, report.project_tokens]
        .iter()
        .filter(|level| level.remaining == Some(0))
        .filter_map(|level| level.reset)
        .max()
}

/// What `x-should-retry` says, if it is there: it wins over the status.
pub fn should_retry(headers: &Headers) -> Option<bool> {
    match headers.value("x-should-retry") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    }
}

/// The server's own time, when it answered.
pub fn server_date(headers: &Headers) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.value("date")?.trim()).ok()
}

/// The id that the server gave to the request.
pub fn request_id(headers: &Headers) -> Option<&str> {
    headers.value("x-request-id").or_else(|| headers.value("apim-request-id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.push(name, value);
        }
        headers
    }

    #[test]
    fn limits_are_read_and_absurd_ones_are_unknown() {
        let report = RateReport::read(&headers(&[
            ("X-RateLimit-Limit-Requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "-1"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-remaining-project-tokens", "57000"),
            ("x-ratelimit-remaining-moons", "3"),
        ]));
        let requests =
            Level { limit: Some(60), remaining: Some(59), reset: Some(Duration::from_secs(1)) };
        assert_eq!(report.requests, requests);
        assert_eq!(report.tokens, Level { remaining: Some(0), ..Level::default() });
        assert_eq!(report.project_tokens.remaining, Some(57_000));
        assert!(RateReport::read(&headers(&[("date", "x")])).is_empty());
    }

    #[test]
    fn the_hint_is_the_most_exact_one_that_makes_sense() {
        let date = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:30 GMT").unwrap();
        let limit = [("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6s")];
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<f64>);
        let cases: &[Case<'_>] = &[
            (&[("retry-after-ms", "45190"), ("retry-after", "46")], "", Some(45.19)),
            (&[("retry-after", "46")], "try again in 1s", Some(46.0)),
            (&[("retry-after", "1.5")], "", Some(1.5)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], "", Some(7.0)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT")], "", None),
            (&[("retry-after", "-5")], "Please try again in 45.19s. Visit x", Some(45.19)),
            (&[("retry-after", "soon")], "Please try again in 7m12s.", Some(432.0)),
            (&[], "Try again in 120ms", Some(0.12)),
            (&[], "please try again in 20 seconds.", Some(20.0)),
            (&[], "please try again in 2 minutes", Some(120.0)),
            (&[], "max 15 tokens", None),
            (&[("retry-after-ms", "NaN"), ("retry-after", "inf")], "", None),
            (&[("retry-after", "0")], "", None),
            (&limit, "", Some(6.0)),
        ];
        for (pairs, message, seconds) in cases {
            let hint = retry_hint(&headers(pairs), date, message);
            assert_eq!(hint, seconds.map(Duration::from_secs_f64), "{pairs:?} {message}");
        }
    }

    proptest! {
        #[test]
        fn no_headers_make_it_panic(value in "\\PC{0,30}", message in "\\PC{0,60}") {
            let all = headers(&[
                ("retry-after", &value),
                ("retry-after-ms", &value),
                ("x-ratelimit-limit-tokens", &value),
                ("x-ratelimit-reset-tokens", &value),
            ]);
            let _ = retry_hint(&all, SystemTime::UNIX_EPOCH, &format!("try again in {message}"));
            let _ = RateReport::read(&all);
        }
    }
}
