//! What to do about what went wrong, where the error itself does not say.

use crate::failure::Failure;
use openai_bulk::Error;
use openai_bulk::bulk::Summary;
use std::io::ErrorKind;

/// What to do about a failure that ends the program.
pub fn advice(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Library(Error::File(e)) => {
            let path = e.path.display();
            match e.source.kind() {
                ErrorKind::NotFound => {
                    let here = std::env::current_dir().unwrap_or_default();
                    Some(format!(
                        "look at the name {path}; the current folder is {}",
                        here.display()
                    ))
                }
                ErrorKind::IsADirectory => {
                    let name = if e.doing == "read" { "requests.jsonl" } else { "answers.jsonl" };
                    Some(format!("name a file in it, such as {path}/{name}"))
                }
                ErrorKind::PermissionDenied => Some(
                    "take a place that you may read and write, or change its permissions".into(),
                ),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    Some("make room; the same command then sends what is missing".into())
                }
                _ => None,
            }
        }
        Failure::Library(Error::Validation(e)) => about_setting(&e.what, &e.message),
        Failure::Library(error) if error.is_fatal_for_run() => about_stop(&error.to_string()),
        Failure::Library(Error::Transport(_) | Error::Timeout(_)) => Some(DOCTOR.into()),
        _ => None,
    }
}

const DOCTOR: &str = "`openai-bulk doctor` looks at the way to the server";

fn about_setting(what: &str, message: &str) -> Option<String> {
    match what {
        "OPENAI_API_KEY" if message.starts_with("missing") => {
            let how = "export OPENAI_API_KEY=..., or --api-key-file FILE; keys are made at \
                       https://platform.openai.com/api-keys, and --simulate needs none";
            Some(how.into())
        }
        "OPENAI_BASE_URL" => {
            Some("write it like https://api.openai.com/v1 or http://localhost:8000/v1".into())
        }
        "output" => {
            let folder = message.strip_prefix("the folder ")?.strip_suffix(" does not exist")?;
            Some(format!("make it: mkdir -p {folder}"))
        }
        "job" => Some("`openai-bulk batch list` has the names of all".into()),
        what if what.starts_with("OPENAI_") || what.starts_with("AZURE_OPENAI_") => {
            Some("`openai-bulk config --all` has every setting".into())
        }
        _ if message.contains(".grading.jsonl has the answer to") => Some(
            "remove that file to let another grader judge: --fresh would ask for the answers again too"
                .into(),
        ),
        _ => None,
    }
}

/// What to do about a run that the account or the server stopped.
pub fn about_stop(reason: &str) -> Option<String> {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let text = match () {
        () if has(&["quota", "billing", "credit", "spend_limit"]) => {
            "add credit or raise the limit at https://platform.openai.com/settings/organization/billing"
        }
        () if has(&["answered 401", "answered 403"]) => {
            "`openai-bulk doctor` looks at the key, where it came from, and what it may do"
        }
        () if has(&["could not be reached"]) => {
            "look at the address (--base-url or OPENAI_BASE_URL) and whether the server runs; where it \
             starts slowly, set OPENAI_CIRCUIT_FIRST_PATIENCE"
        }
        () if has(&["out of order"]) => {
            "try again later; `openai-bulk doctor` tells whether the server answers"
        }
        () => return None,
    };
    Some(text.into())
}

/// What to do about failed rows, if most of them failed for one cause that concerns them all.
pub fn about_rows(summary: &Summary) -> Option<&'static str> {
    let kinds = &summary.rows.failed_by_kind;
    let (kind, count) = kinds.iter().max_by_key(|(_, count)| **count)?;
    if count * 2 <= summary.rows.failed {
        return None;
    }
    match kind.as_str() {
        "unknown_host" | "connection_failed" | "tls_failed" | "proxy_failed" | "not_http" => {
            Some(DOCTOR)
        }
        "model_not_found" => {
            Some("name another model with --model; `openai-bulk doctor` tells whether it is there")
        }
        "timeout" => Some("give each attempt more time with --timeout, or lower --max-concurrency"),
        "context_length_exceeded" => {
            Some("`openai-bulk estimate` lists the rows that are too long for their model")
        }
        "http_404" => Some("look whether the base URL ends in /v1: `openai-bulk doctor` does it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: ErrorKind) -> Failure {
        Failure::Library(Error::file("read", "here/x.jsonl", kind.into()))
    }

    fn setting(what: &str, message: &str) -> Failure {
        Failure::Library(Error::invalid(what, message))
    }

    #[test]
    fn each_likely_mistake_is_told_what_to_do() {
        for (failure, part) in [
            (file(ErrorKind::NotFound), "the current folder is"),
            (file(ErrorKind::IsADirectory), "here/x.jsonl/requests.jsonl"),
            (file(ErrorKind::PermissionDenied), "permissions"),
            (file(ErrorKind::StorageFull), "make room"),
            (setting("OPENAI_API_KEY", "missing: set it"), "export OPENAI_API_KEY"),
            (setting("OPENAI_BASE_URL", "no"), "https://api.openai.com/v1"),
            (setting("OPENAI_TIMEOUT", "no"), "config --all"),
            (setting("output", "the folder a/b does not exist"), "mkdir -p a/b"),
            (setting("job", "there is no job `x`"), "batch list"),
            (setting("line 1", "... o.grading.jsonl has the answer to; ..."), "remove that file"),
        ] {
            let told = advice(&failure).unwrap_or_default();
            assert!(told.contains(part), "{failure}: {told:?}");
        }
        for failure in [
            setting("in.jsonl:3", "not JSON"),
            setting("output", "x is the input; choose another output"),
            Failure::Usage("--set".into()),
        ] {
            assert_eq!(advice(&failure), None, "{failure} says it itself");
        }
    }

    #[test]
    fn what_stops_a_run_is_told_from_its_reason() {
        for (reason, part) in [
            ("the server answered 429 (insufficient_quota): x", "billing"),
            ("the server answered 401 (invalid_api_key): x", "doctor"),
            ("the server has been out of order for 300s; last seen: x", "later"),
            ("the server could not be reached even once for 20s; last seen: x", "--base-url"),
        ] {
            assert!(about_stop(reason).unwrap().contains(part), "{reason}");
        }
        assert_eq!(about_stop("something else"), None);
    }

    #[test]
    fn what_concerns_most_failed_rows_is_told_once() {
        let failed = |kinds: &[(&str, u64)]| {
            let mut summary = Summary::default();
            summary.rows.failed = kinds.iter().map(|(_, count)| count).sum();
            let kinds = kinds.iter().map(|(kind, count)| (kind.to_string(), *count));
            summary.rows.failed_by_kind = kinds.collect();
            about_rows(&summary)
        };
        assert!(failed(&[("proxy_failed", 3)]).unwrap().contains("doctor"));
        assert!(failed(&[("model_not_found", 3), ("timeout", 1)]).unwrap().contains("--model"));
        assert_eq!(failed(&[("timeout", 2), ("model_not_found", 2)]), None, "no cause has most");
        assert_eq!(failed(&[("content_filter", 3)]), None);
        assert_eq!(failed(&[]), None);
    }
}
