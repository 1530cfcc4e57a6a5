//! The values, where each came from, and how they are read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::key::ApiKey;
use super::proxies::Proxies;
use super::setting::Setting;
use super::table::{find, settings};
use crate::error::{Error, Result};
use crate::usage::Money;

/// Every setting, with where its value came from.
///
/// ```
/// use std::time::Duration;
/// use openai_bulk::config::Config;
///
/// let config = Config::new().base_url("http://localhost:8000/v1").timeout(Duration::from_secs(60));
/// config.validate()?;
/// assert_eq!(config.get_max_retries(), 8);
/// # Ok::<(), openai_bulk::Error>(())
/// ```
#[derive(Clone)]
pub struct Config {
    pub(super) values: Values,
    pub(super) origins: BTreeMap<&'static str, Origin>,
    pub(super) proxies: Proxies,
    pub(super) warnings: Vec<String>,
    pub(super) files: Vec<Arc<Path>>,
}

/// The bare values; the table of settings holds their defaults and ranges.
#[derive(Clone, Default)]
pub(super) struct Values {
    pub(super) api_key: Option<ApiKey>,
    pub(super) api_key_file: Option<PathBuf>,
    pub(super) base_url: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) project: Option<String>,
    pub(super) model: Option<String>,
    pub(super) timeout: Duration,
    pub(super) deadline: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) first_byte: Duration,
    pub(super) idle: Duration,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) max_answer_size: u64,
    pub(super) api_type: Option<String>,
    pub(super) api_version: Option<String>,
    pub(super) azure_api_key: Option<ApiKey>,
    pub(super) azure_endpoint: Option<String>,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    pub(super) requests_per_day: Option<u64>,
    pub(super) tokens_per_day: Option<u64>,
    pub(super) limit_groups: Option<String>,
    pub(super) min_concurrency: u64,
    pub(super) max_concurrency: u64,
    pub(super) hedge: f64,
    pub(super) rate_limit_burst: Duration,
    pub(super) max_cost: Option<Money>,
    pub(super) max_tokens_total: Option<u64>,
    pub(super) prices_file: Option<PathBuf>,
    pub(super) max_retries: u64,
    pub(super) backoff_base: Duration,
    pub(super) backoff_cap: Duration,
    pub(super) circuit_failure_share: f64,
    pub(super) circuit_min_calls: u64,
    pub(super) circuit_patience: Duration,
    pub(super) circuit_first_patience: Duration,
    pub(super) cache: Option<String>,
    pub(super) cache_file: Option<PathBuf>,
    pub(super) cache_max_size: u64,
    pub(super) cache_max_age: Duration,
    pub(super) coalesce: Option<String>,
    pub(super) batch_poll_interval: Duration,
    pub(super) batch_max_requests: u64,
    pub(super) batch_max_bytes: u64,
    pub(super) batch_max_inputs: u64,
    pub(super) batch_store: Option<PathBuf>,
    pub(super) batch_completion_window: Option<String>,
    pub(super) batch_enqueued_tokens: Option<u64>,
    pub(super) run_deadline: Option<Duration>,
    pub(super) auto_batch_rows: u64,
    pub(super) auto_batch_time: Duration,
    pub(super) auto_in_time: f64,
    pub(super) auto_margin: f64,
    pub(super) auto_cancel_time: Duration,
    pub(super) auto_allow_double: Option<String>,
}

/// Where a value came from; a later one goes before an earlier one, and of two files that which
/// [`Config::files`] names first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file of settings, or a `.env` file.
    File(Arc<Path>),
    /// The environment of the process.
    Environment,
    /// The caller, through a setter.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("the default"),
            Origin::File(path) => write!(f, "set in {}", path.display()),
            Origin::Environment => f.write_str("set in the environment"),
            Origin::Code => f.write_str("set by the caller"),
        }
    }
}

/// Something that is wrong with a setting.
pub(super) struct Problem {
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl Problem {
    /// One error for all of them, a line each.
    pub(super) fn all(problems: Vec<Problem>) -> Result<()> {
        let mut problems = problems.into_iter();
        let Some(first) = problems.next() else { return Ok(()) };
        let mut message = first.message;
        for Problem { name, message: more } in problems {
            message.push_str(&format!("\n{name}: {more}"));
        }
        Err(Error::invalid(first.name, message))
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Config {
        let mut values = Values::default();
        for setting in settings() {
            if let Some(text) = setting.default_text() {
                let put = (setting.slot)(&mut values).put(text);
                debug_assert!(put.is_ok(), "the default of {} is not allowed", setting.name);
            }
        }
        Config {
            values,
            origins: BTreeMap::new(),
            proxies: Proxies::default(),
            warnings: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The defaults, overlaid with what `lookup` has under the names of the environment.
    ///
    /// A value that is empty counts as none. Files are not touched.
    ///
    /// # Errors
    ///
    /// If a value cannot be read or lies out of its range; all such values are named. What must
    /// hold between settings is left to [`Config::validate`], because flags may come after.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Config> {
        Config::read_from(|name| Some((lookup(name)?, Origin::Environment)))
    }

    pub(super) fn read_from(lookup: impl Fn(&str) -> Option<(String, Origin)>) -> Result<Config> {
        let mut config = Config::new();
        let mut problems = Vec::new();
        for setting in settings() {
            let Some((text, origin)) = lookup(setting.name) else { continue };
            if text.trim().is_empty() {
                continue;
            }
            if let Err(e) = (setting.slot)(&mut config.values).put(&text) {
                problems.push(Problem { name: setting.name, message: format!("{e} ({origin})") });
            }
            config.origins.insert(setting.name, origin);
        }
        Problem::all(problems)?;
        config.proxies = Proxies::read(|name| lookup(name).map(|(text, _)| text));
        Ok(config)
    }

    /// Where the value of a setting came from; nothing if there is no setting of this name.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        find(name).map(|setting| self.origin_of(setting.name))
    }

    pub(super) fn origin_of(&self, name: &'static str) -> Origin {
        self.origins.get(name).cloned().unwrap_or(Origin::Default)
    }

    /// The value of a setting as it may be shown: of a key no more than its last characters.
    ///
    /// Nothing if it has none, or if there is no setting of this name.
    pub fn show(&self, name: &str) -> Option<String> {
        find(name).and_then(|setting| self.shown(setting))
    }

    fn shown(&self, setting: &Setting) -> Option<String> {
        (setting.slot)(&mut self.values.clone()).show()
    }

    /// What is allowed but most likely not meant, a sentence each: misspelt names, and a key that
    /// a file would send to a stranger.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The files that settings were read from; the first goes before those that follow it.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|path| &**path)
    }

    /// Stores a value that the caller has set.
    pub(super) fn put(mut self, name: &'static str, write: impl FnOnce(&mut Values)) -> Config {
        debug_assert!(find(name).is_some(), "{name} is no setting");
        write(&mut self.values);
        self.origins.insert(name, Origin::Code);
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_struct("Config");
        for setting in settings() {
            if let Some(value) = self.shown(setting) {
                let origin = self.origin_of(setting.name);
                map.field(setting.name, &format_args!("{value} ({origin})"));
            }
        }
        map.field("proxies", &self.proxies).finish()
    }
}
