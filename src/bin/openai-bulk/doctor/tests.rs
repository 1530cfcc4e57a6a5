//! What is said of what was seen.

use super::finding::{Finding, Level};
use super::here;
use super::probe::{Batches, Disk, Looked};
use super::there::{self, Place};
use openai_bulk::config::Config;
use openai_bulk::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::Answer;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

fn place() -> Place {
    Place {
        base_url: "https://api.test/v1".into(),
        is_https: true,
        has_key: true,
        model: "gpt-4o-mini".into(),
        ..Place::default()
    }
}

fn models() -> Answer {
    Answer::new(200, r#"{"data":[{"id":"gpt-4o"},{"id":"gpt-4o-mini"}]}"#)
}

fn fault(status: u16, code: &str) -> Answer {
    Answer::new(status, format!(r#"{{"error":{{"message":"so it is","code":"{code}"}}}}"#))
}

#[track_caller]
fn told(finding: &Finding, check: &str, level: Level, found: &str, fix: &str) {
    let is_so = finding.check == check
        && finding.level == level
        && finding.found.contains(found)
        && finding.fix.as_deref().unwrap_or_default().contains(fix);
    assert!(is_so, "{finding:?}");
}

#[test]
fn a_way_that_is_broken_is_told_by_where_it_broke() {
    let timeout = |stage| Kind::Timeout(stage);
    for (kind, message, check, fix) in [
        (Kind::Resolve, "api.test: no such host", "base_url", "DNS"),
        (timeout(TimeoutStage::Resolve), "api.test", "base_url", "DNS"),
        (Kind::Connect, "refused", "base_url", "firewall"),
        (timeout(TimeoutStage::Connect), "api.test", "base_url", "HTTPS_PROXY"),
        (Kind::Tls, "its certificate has expired", "tls", "clock"),
        (Kind::Tls, "its certificate is for another host", "tls", "OPENAI_BASE_URL"),
        (Kind::Tls, "what answers there does not speak TLS", "tls", "http://"),
        (Kind::Tls, "an authority that this machine does not trust", "tls", "--ca-file"),
        (Kind::Proxy, "it wants a name", "proxy", "NO_PROXY"),
        (Kind::Exhausted, "too many open files", "open_files", "ulimit -n"),
        (timeout(TimeoutStage::FirstByte), "api.test", "base_url", "try"),
        (Kind::Protocol, "not HTTP", "base_url", "OpenAI's shape"),
    ] {
        let findings = there::connection(&place(), &Err(TransportError::new(kind, false, message)));
        told(findings.last().unwrap(), check, Level::Error, message, fix);
    }
    let here = Place { is_loopback: true, ..place() };
    let gone = Err(TransportError::new(Kind::Connect, false, "refused"));
    told(
        &there::connection(&here, &gone)[0],
        "base_url",
        Level::Error,
        "refused",
        "start the server",
    );
}

#[test]
fn what_answers_is_told_from_what_is_no_api() {
    let bare = |url: &str| Place { base_url: url.into(), ..place() };
    for (place, answer, level, found, fix) in [
        (place(), models(), Level::Ok, "https://api.test/v1 answers", ""),
        (place(), fault(404, "x"), Level::Ok, "answers", ""),
        (bare("https://api.test"), fault(404, "x"), Level::Error, "404", "https://api.test/v1"),
        (place(), Answer::new(200, "<html>"), Level::Error, "not JSON", "/v1"),
        (
            place(),
            Answer::new(301, "").header("location", "https://new.test"),
            Level::Error,
            "https://new.test",
            "where it sends",
        ),
        (place(), fault(503, "busy"), Level::Warning, "503 (busy): so it is", "later"),
    ] {
        told(&there::connection(&place, &Ok(answer))[0], "base_url", level, found, fix);
    }
    let plain = Place { is_https: false, ..place() };
    let findings = there::connection(&plain, &Ok(models()));
    told(&findings[1], "tls", Level::Warning, "read on their way", "https://");
    let proxied = Place { proxy: Some("proxy.test:3128".into()), ..place() };
    let findings = there::connection(&proxied, &Ok(models()));
    told(&findings[2], "proxy", Level::Ok, "through proxy.test:3128", "");
}

#[test]
fn a_clock_that_is_off_is_told_by_how_much() {
    let answer = models().header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let at = |seconds: i64| {
        let off = Duration::from_secs(seconds.unsigned_abs());
        there::clock(&answer, if seconds < 0 { theirs - off } else { theirs + off })
    };
    told(&at(20), "clock", Level::Ok, "as the server's", "");
    told(&at(-90), "clock", Level::Warning, "90 s behind", "timedatectl");
    told(&at(90), "clock", Level::Warning, "90 s ahead of", "timedatectl");
    told(&at(-86_400), "clock", Level::Error, "86400 s behind", "timedatectl");
    told(&there::clock(&models(), theirs), "clock", Level::Skipped, "not known", "");
}

#[test]
fn a_key_is_good_refused_broke_or_not_allowed() {
    let key = |listed: Answer, asked: Option<Answer>| {
        let asked: Option<Looked> = asked.map(Ok);
        there::key(&place(), &listed, asked.as_ref())
    };
    let good = Some(Answer::new(200, "{}"));
    told(&key(models(), None).unwrap(), "key", Level::Ok, "takes it", "");
    // A key may be good for the model and not for the list.
    told(&key(fault(403, "scopes"), good).unwrap(), "key", Level::Ok, "takes it", "");
    let refused = key(fault(401, "invalid_api_key"), None).unwrap();
    told(&refused, "key", Level::Error, "401 (invalid_api_key)", "platform.openai.com/api-keys");
    let broke = key(models(), Some(fault(429, "insufficient_quota"))).unwrap();
    told(&broke, "key", Level::Error, "cannot pay", "billing");
    let closed = key(fault(403, "scopes"), None).unwrap();
    told(&closed, "key", Level::Error, "403 (scopes)", "permissions");
    let keyless = Place { has_key: false, ..place() };
    let wanted = there::key(&keyless, &fault(401, "x"), None).unwrap();
    told(&wanted, "key", Level::Error, "401", "OPENAI_API_KEY");
    assert_eq!(there::key(&keyless, &models(), None), None);
}

#[test]
fn a_model_is_there_or_one_of_a_similar_name_is() {
    let model = |name: &str, listed: &Answer, asked: Option<Answer>| {
        let asked: Option<Looked> = asked.map(Ok);
        there::model(&Place { model: name.into(), ..place() }, listed, asked.as_ref())
    };
    told(&model("gpt-4o", &models(), None), "model", Level::Ok, "among 2", "");
    let unlisted = Some(Answer::new(200, "{}"));
    told(&model("o9", &models(), unlisted), "model", Level::Ok, "o9 answers", "");
    let typo = model("gpt-4o-mni", &models(), None);
    told(&typo, "model", Level::Error, "not among the 2", "did you mean gpt-4o-mini?");
    let gone = model("gpt-9", &models(), Some(fault(404, "model_not_found")));
    told(&gone, "model", Level::Error, "404 (model_not_found)", "--model");
    told(&model("x", &fault(404, "y"), None), "model", Level::Skipped, "not known", "");
}

#[test]
fn limits_are_those_of_the_headers() {
    let answer = Answer::new(200, "{}")
        .header("x-ratelimit-limit-requests", "500")
        .header("x-ratelimit-remaining-requests", "499")
        .header("x-ratelimit-limit-tokens", "200000");
    let limits = |config: &Config, asked: Looked| there::limits(&place(), config, &asked);
    let new = Config::new();
    let found = "500 requests (499 left) and 200000 tokens a minute for gpt-4o-mini";
    told(&limits(&new, Ok(answer.clone())), "limits", Level::Ok, found, "");
    let high = Config::new().requests_per_minute(5_000);
    told(&limits(&high, Ok(answer)), "limits", Level::Warning, "5000", "lower it");
    told(&limits(&new, Ok(Answer::new(200, "{}"))), "limits", Level::Ok, "starts slowly", "");
    told(&limits(&new, Ok(fault(429, "x"))), "limits", Level::Warning, "429 (x)", "above");
    let broken = Err(TransportError::new(Kind::Reset, true, ""));
    told(&limits(&new, broken), "limits", Level::Warning, "broke", "try again");
}

#[test]
fn what_this_machine_lacks_is_told_with_a_way_out() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let disk = |free, written| {
        here::disk(&Disk { folder: PathBuf::from("/answers"), free: Some(free), written })
    };
    told(&disk(5 << 30, Ok(())), "disk", Level::Ok, "5GiB free", "");
    told(&disk(9 << 20, Ok(())), "disk", Level::Warning, "9MiB free", "make room");
    told(&disk(5 << 30, Err(denied())), "disk", Level::Error, "/answers cannot be", "another");
    let path = || PathBuf::from("/state/batches.db");
    let missing = |written| here::store(&Batches::Missing(path(), written));
    told(&missing(Ok(())), "store", Level::Ok, "made by the first batch", "");
    told(&missing(Err(denied())), "store", Level::Error, "cannot be made", "--store");
    let seen = here::store(&Batches::There { path: path(), seen: Ok((1, 7, 2)) });
    told(&seen, "store", Level::Ok, "7 jobs, 2 under way, format 1", "");
    let config = Config::new().max_concurrency(2_000);
    told(&here::open_files(&config, 5_000), "open_files", Level::Ok, "enough for 2000", "");
    let few = here::open_files(&config, 1_024);
    told(&few, "open_files", Level::Warning, "no more than 960", "ulimit -n 2064");
    let unpriced = here::prices("mine", &Config::new().load_prices());
    told(&unpriced, "prices", Level::Warning, "no price is known of mine", "--prices FILE");
}

#[test]
fn a_key_is_judged_by_its_shape_and_shown_by_its_end() {
    let key = |config: &Config| here::key(config, &config.load_key());
    let with = |text: &str| Config::new().set("OPENAI_API_KEY", text).unwrap();
    let good = key(&with("sk-proj-0123456789abcd")).unwrap();
    told(&good, "key", Level::Ok, "sk-…abcd", "");
    let odd = key(&with("0123456789abcdefgh")).unwrap();
    told(&odd, "key", Level::Warning, "…efgh", "begin with sk-");
    assert!(!odd.found.contains("0123"), "{odd:?}");
    told(&key(&Config::new()).unwrap(), "key", Level::Error, "missing", "api-keys");
    let local = Config::new().base_url("http://localhost:1/v1");
    told(&key(&local).unwrap(), "key", Level::Ok, "may want none", "");
}
