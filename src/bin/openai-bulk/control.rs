//! A file whose content changes the limits of a run that goes on.

use openai_bulk::Client;
use openai_bulk::dispatch::Limits;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Follows a file of `NAME = VALUE` lines.
pub struct Control {
    path: PathBuf,
    client: Client,
    /// What holds where the file says nothing.
    stated: Limits,
    looked: Option<Duration>,
    seen: Option<(SystemTime, u64)>,
}

impl Control {
    pub fn new(path: PathBuf, client: &Client) -> Control {
        Control { path, client: client.clone(), stated: client.limits(), looked: None, seen: None }
    }

    /// Takes over what has changed in the file; `elapsed` is the time since the run began.
    pub fn look(&mut self, elapsed: Duration) {
        if self.looked.is_some_and(|last| elapsed < last + LOOK) {
            return;
        }
        self.looked = Some(elapsed);
        let state =
            std::fs::metadata(&self.path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        if state == self.seen {
            return;
        }
        self.seen = state;
        // Without the file, what was stated first holds again.
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        match read(&text, self.stated.clone()) {
            Ok(limits) => self.client.set_limits(limits),
            Err(problem) => {
                let path = self.path.display();
                log::warn!(target: "openai_bulk::limits", "{path} is not obeyed: {problem}");
            }
        }
    }
}

/// The limits that `text` states on top of `limits`.
fn read(text: &str, mut limits: Limits) -> Result<Limits, String> {
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let at = number + 1;
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("line {at}: write it as NAME = VALUE"))?;
        let (name, value) = (name.trim(), value.trim().replace('_', ""));
        let rate = || match value.as_str() {
            "none" => Ok(None),
            _ => match value.parse::<f64>() {
                Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(Some(rate)),
                _ => Err(format!("line {at}: {name} is a number above 0, or none")),
            },
        };
        let count = || match value.parse::<usize>() {
            Ok(count) if (1..=20_000).contains(&count) => Ok(count),
            _ => Err(format!("line {at}: {name} is a whole number from 1 to 20000")),
        };
        match name {
            "requests_per_minute" => limits.requests_per_minute = rate()?,
            "tokens_per_minute" => limits.tokens_per_minute = rate()?,
            "requests_per_day" => limits.requests_per_day = rate()?,
            "tokens_per_day" => limits.tokens_per_day = rate()?,
            "min_concurrency" => limits.min_concurrency = count()?,
            "max_concurrency" => limits.max_concurrency = count()?,
            "concurrency" => {
                (limits.min_concurrency, limits.max_concurrency) = (count()?, count()?);
            }
            _ => {
                return Err(format!(
                    "line {at}: {name} is none of requests_per_minute, tokens_per_minute, \
                     requests_per_day, tokens_per_day, min_concurrency, max_concurrency, \
                     concurrency"
                ));
            }
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_states_is_changed_and_the_rest_stays() {
        let mut limits = Limits::default();
        limits.tokens_per_minute = Some(9.0);
        let text = "# slower\nrequests_per_minute = 1_000\n\nconcurrency=7 # fixed\n";
        let read = read(text, limits).unwrap();
        assert_eq!(read.requests_per_minute, Some(1_000.0));
        assert_eq!((read.min_concurrency, read.max_concurrency), (7, 7));
        assert_eq!(read.tokens_per_minute, Some(9.0));
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (text, told) in [
            ("requests_per_minute = fast", "line 1: requests_per_minute is a number"),
            ("\nmax_concurrency = 0", "line 2: max_concurrency is a whole number"),
            ("speed = 3", "line 1: speed is none of"),
            ("concurrency", "line 1: write it as"),
        ] {
            let problem = read(text, Limits::default()).unwrap_err();
            assert!(problem.starts_with(told), "{problem}");
        }
    }
}
