//! What must hold between settings, and what deserves a warning.

use std::time::Duration;

use super::base_url::BaseUrl;
use super::getters::KeySource;
use super::table::settings;
use super::units::format_duration;
use super::values::{Config, Origin, Problem};
use crate::error::{Error, Result};

pub(super) const NO_KEY: &str =
    "missing: set it in the environment or in .env, or name a file in OPENAI_API_KEY_FILE";

impl Config {
    /// Checks every setting against its range, and the settings against one another.
    ///
    /// A default gives way: only what was set can be longer than it may be. The file of a key is
    /// not read.
    ///
    /// # Errors
    ///
    /// All that is wrong, a line each: the setting, what is allowed, and where it was set.
    pub fn validate(&self) -> Result<()> {
        let mut problems = self.out_of_range();
        if problems.is_empty() {
            problems.extend(self.too_long());
            problems.extend(self.floor_above_ceiling());
            problems.extend(self.two_keys());
            problems.extend(self.no_server());
        }
        Problem::all(problems)
    }

    fn out_of_range(&self) -> Vec<Problem> {
        let mut values = self.values.clone();
        let check = |setting: &super::Setting| {
            let message = (setting.slot)(&mut values).check().err()?;
            Some(self.problem(setting.name, message))
        };
        settings().iter().filter_map(check).collect()
    }

    fn problem(&self, name: &'static str, message: impl AsRef<str>) -> Problem {
        let message = match self.origin_of(name) {
            Origin::Default => message.as_ref().to_string(),
            origin => format!("{} ({origin})", message.as_ref()),
        };
        Problem { name, message }
    }

    fn too_long(&self) -> Vec<Problem> {
        let v = &self.values;
        let pairs: [(&'static str, Duration, &'static str, Duration); 3] = [
            ("OPENAI_CONNECT_TIMEOUT", v.connect_timeout, "OPENAI_TIMEOUT", self.get_timeout()),
            ("OPENAI_TIMEOUT", v.timeout, "OPENAI_DEADLINE", v.deadline),
            ("OPENAI_BACKOFF_BASE", v.backoff_base, "OPENAI_BACKOFF_CAP", v.backoff_cap),
        ];
        let set_too_long = pairs.into_iter().filter(|(name, value, _, most)| {
            value > most && self.origin_of(name) != Origin::Default
        });
        let told = set_too_long.map(|(name, value, other, most)| {
            let (value, most) = (format_duration(value), format_duration(most));
            let from = self.origin_of(other);
            let message =
                format!("{value} is not allowed: at most {other}, which is {most} ({from})");
            self.problem(name, message)
        });
        told.collect()
    }

    fn floor_above_ceiling(&self) -> Option<Problem> {
        let (floor, ceiling) = (self.values.min_concurrency, self.values.max_concurrency);
        (floor > ceiling).then(|| {
            let from = self.origin_of("OPENAI_MAX_CONCURRENCY");
            let message = format!(
                "{floor} is not allowed: at most OPENAI_MAX_CONCURRENCY, which is {ceiling} ({from})"
            );
            self.problem("OPENAI_MIN_CONCURRENCY", message)
        })
    }

    fn two_keys(&self) -> Option<Problem> {
        let (key, file) = (self.origin_of("OPENAI_API_KEY"), self.origin_of("OPENAI_API_KEY_FILE"));
        (key != Origin::Default && key == file).then(|| {
            self.problem(
                "OPENAI_API_KEY",
                "set together with OPENAI_API_KEY_FILE: keep one of them",
            )
        })
    }

    fn no_server(&self) -> Option<Problem> {
        let (name, url) = self.base_url_setting();
        let openai = BaseUrl::parse(url).is_ok_and(|base| base.is_openai());
        if openai && self.is_azure() {
            let message = "azure needs the address in AZURE_OPENAI_ENDPOINT or OPENAI_BASE_URL";
            return Some(self.problem("OPENAI_API_TYPE", message));
        }
        let endpoint = match self.get_endpoint() {
            Ok(endpoint) => endpoint,
            Err(Error::Validation(e)) if e.what == "OPENAI_API_VERSION" => {
                return Some(self.problem("OPENAI_API_VERSION", &e.message));
            }
            Err(e) => return Some(self.problem(name, e.to_string())),
        };
        if endpoint.needs_key() && !endpoint.is_https() {
            let message = "not allowed: the key would be sent unencrypted over http";
            return Some(self.problem(name, message));
        }
        let no_key = matches!(self.key_source(), KeySource::None);
        (endpoint.needs_key() && no_key).then(|| self.problem("OPENAI_API_KEY", NO_KEY))
    }

    /// A warning if a file has chosen the server that gets a key which the file does not hold: the
    /// file may have come with somebody else's folder.
    pub(super) fn exposure(&self) -> Option<String> {
        let (name, _) = self.base_url_setting();
        let Origin::File(path) = self.origin_of(name) else { return None };
        let endpoint = self.get_endpoint().ok()?;
        let from = match self.key_source() {
            KeySource::Key(_, key) => self.origin_of(key),
            KeySource::File(_) => self.origin_of("OPENAI_API_KEY_FILE"),
            KeySource::None => return None,
        };
        let known = endpoint.is_loopback() || endpoint.is_openai();
        (from == Origin::Environment && !known).then(|| {
            let (path, host) = (path.display(), endpoint.host());
            format!("{name} in {path} sends the key of the environment to {host}")
        })
    }
}
