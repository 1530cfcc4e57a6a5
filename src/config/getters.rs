//! A getter for each setting, as it is to be used: a default gives way to what was set.

use crate::api::LimitGroups;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::base_url::BaseUrl;
use super::endpoint::Endpoint;
use super::key::ApiKey;
use super::proxies::Proxies;
use super::values::{Config, Origin};
use crate::cache::Access;
use crate::error::{Error, Result};
use crate::hybrid::Thresholds;
use crate::transport::Patience;
use crate::usage::{Caps, Prices};

/// Where the key is to be taken from.
pub(super) enum KeySource<'a> {
    Key(&'a ApiKey, &'static str),
    File(&'a PathBuf),
    None,
}

/// Getters.
impl Config {
    /// The key: as it was set, or from its file, which is read now. None is a key too, if the
    /// server asks for none.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or holds no key, or if OpenAI or Azure is asked without one.
    pub fn load_key(&self) -> Result<Option<ApiKey>> {
        match self.key_source() {
            KeySource::Key(key, _) => Ok(Some(key.clone())),
            KeySource::File(path) => ApiKey::from_file(path).map(Some),
            KeySource::None if self.get_endpoint()?.needs_key() => {
                Err(Error::invalid("OPENAI_API_KEY", super::rules::NO_KEY))
            }
            KeySource::None => Ok(None),
        }
    }

    /// The key for Azure is used at Azure only, and there before one for OpenAI, unless the caller
    /// has set one: no key is to reach a stranger.
    pub(super) fn key_source(&self) -> KeySource<'_> {
        let v = &self.values;
        let from_key = self.origin_of("OPENAI_API_KEY");
        let from_file = self.origin_of("OPENAI_API_KEY_FILE");
        let by_caller = from_key == Origin::Code || from_file == Origin::Code;
        if let Some(key) = v.azure_api_key.as_ref().filter(|_| self.is_azure() && !by_caller) {
            return KeySource::Key(key, "AZURE_OPENAI_API_KEY");
        }
        match (&v.api_key, &v.api_key_file) {
            (Some(_), Some(path)) if self.goes_before(&from_file, &from_key) => {
                KeySource::File(path)
            }
            (Some(key), _) => KeySource::Key(key, "OPENAI_API_KEY"),
            (None, Some(path)) => KeySource::File(path),
            (None, None) => KeySource::None,
        }
    }

    /// Whether a value from `one` hides one from `other`; of two files, that which is read first.
    fn goes_before(&self, one: &Origin, other: &Origin) -> bool {
        let place = |path| self.files.iter().position(|file| file == path);
        match (one, other) {
            (Origin::File(one), Origin::File(other)) => place(one) < place(other),
            (one, other) => one > other,
        }
    }

    /// The setting that names the base URL, and its value.
    pub(super) fn base_url_setting(&self) -> (&'static str, &str) {
        let v = &self.values;
        let by_azure = v.azure_endpoint.as_deref().filter(|_| {
            let no_other_key = v.api_key.is_none() && v.api_key_file.is_none();
            self.origin_of("OPENAI_BASE_URL") == Origin::Default
                && (v.api_type.as_deref() == Some("azure")
                    || (v.api_type.is_none() && no_other_key))
        });
        match by_azure {
            Some(url) => ("AZURE_OPENAI_ENDPOINT", url),
            None => ("OPENAI_BASE_URL", v.base_url.as_deref().unwrap_or_default()),
        }
    }

    pub(super) fn is_azure(&self) -> bool {
        match self.values.api_type.as_deref() {
            Some(name) => name == "azure",
            None => {
                let (name, url) = self.base_url_setting();
                name == "AZURE_OPENAI_ENDPOINT"
                    || BaseUrl::parse(url).is_ok_and(|base| base.has_azure_host())
            }
        }
    }

    /// Where requests go, and the headers that say who sends them.
    ///
    /// # Errors
    ///
    /// If the base URL is none, or Azure's version is missing.
    pub fn get_endpoint(&self) -> Result<Endpoint> {
        let (name, url) = self.base_url_setting();
        BaseUrl::parse(url).map_err(|e| Error::invalid(name, e))?;
        let v = &self.values;
        let endpoint = if self.is_azure() {
            Endpoint::azure(url, v.api_version.as_deref())?
        } else {
            Endpoint::openai(url)?
        };
        Ok(endpoint.billed_to(v.organization.as_deref(), v.project.as_deref()))
    }

    /// The model of requests that name none.
    pub fn get_model(&self) -> &str {
        self.values.model.as_deref().unwrap_or_default()
    }

    /// How long one attempt may take; no default is longer than the deadline.
    pub fn get_timeout(&self) -> Duration {
        self.values.timeout.min(self.values.deadline)
    }

    /// How long a request may take with all its attempts and waits.
    pub fn get_deadline(&self) -> Duration {
        self.values.deadline
    }

    /// How long connecting may take; no default is longer than an attempt.
    pub fn get_connect_timeout(&self) -> Duration {
        self.values.connect_timeout.min(self.get_timeout())
    }

    /// How long a server may be silent while it streams; no default is longer than an attempt.
    pub fn get_patience(&self) -> Patience {
        let first_byte = self.values.first_byte.min(self.get_timeout());
        Patience { first_byte, idle: self.values.idle.min(self.values.deadline) }
    }

    /// Certificates in PEM form to trust besides those of the system.
    pub fn get_ca_file(&self) -> Option<&Path> {
        self.values.ca_file.as_deref()
    }

    /// The largest answer that is read into memory, in bytes.
    pub fn get_max_answer_size(&self) -> u64 {
        self.values.max_answer_size
    }

    /// The most requests a minute.
    pub fn get_requests_per_minute(&self) -> Option<u64> {
        self.values.requests_per_minute
    }

    /// The most tokens a minute.
    pub fn get_tokens_per_minute(&self) -> Option<u64> {
        self.values.tokens_per_minute
    }

    /// The most requests a day.
    pub fn get_requests_per_day(&self) -> Option<u64> {
        self.values.requests_per_day
    }

    /// The most tokens a day.
    pub fn get_tokens_per_day(&self) -> Option<u64> {
        self.values.tokens_per_day
    }

    /// Models that share their limits.
    pub fn get_limit_groups(&self) -> LimitGroups {
        let text = self.values.limit_groups.as_deref().unwrap_or_default();
        LimitGroups::parse(text).unwrap_or_default()
    }

    /// The requests in flight that are always allowed, if the maximum is no lower.
    pub fn get_min_concurrency(&self) -> usize {
        usize::try_from(self.values.min_concurrency).unwrap_or(usize::MAX)
    }

    /// How many second requests for stragglers a run may send, for each first one.
    pub fn get_hedge(&self) -> f64 {
        self.values.hedge
    }

    /// The most requests in flight.
    pub fn get_max_concurrency(&self) -> usize {
        usize::try_from(self.values.max_concurrency).unwrap_or(usize::MAX)
    }

    /// The most that may be spent, in money and in tokens.
    pub fn get_caps(&self) -> Caps {
        Caps { money: self.values.max_cost, tokens: self.values.max_tokens_total }
    }

    /// The file of prices.
    pub fn get_prices_file(&self) -> Option<&Path> {
        self.values.prices_file.as_deref()
    }

    /// The prices: those that are built in, those of the file before them, as they are charged
    /// where requests go (`eu.api.openai.com` is in the region `eu`). The file is read now.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or has a price that cannot be meant.
    pub fn load_prices(&self) -> Result<Prices> {
        let prices = match self.get_prices_file() {
            Some(path) => Prices::builtin().with_file(path)?,
            None => Prices::builtin(),
        };
        let endpoint = self.get_endpoint()?;
        let region = endpoint.host().strip_suffix(".api.openai.com");
        Ok(prices.in_region(region))
    }

    /// How much of a minute's limit may be spent at once before the server has told its level.
    pub fn get_rate_limit_burst(&self) -> Duration {
        self.values.rate_limit_burst
    }

    /// How often a request is sent again after a failure.
    pub fn get_max_retries(&self) -> u32 {
        u32::try_from(self.values.max_retries).unwrap_or(u32::MAX)
    }

    /// The longest wait before the first retry; no default is longer than the cap.
    pub fn get_backoff_base(&self) -> Duration {
        self.values.backoff_base.min(self.values.backoff_cap)
    }

    /// The longest wait before any retry.
    pub fn get_backoff_cap(&self) -> Duration {
        self.values.backoff_cap
    }

    /// The share of failed calls at which the circuit opens.
    pub fn get_circuit_failure_share(&self) -> f64 {
        self.values.circuit_failure_share
    }

    /// The fewest calls from which that share is taken.
    pub fn get_circuit_min_calls(&self) -> u32 {
        u32::try_from(self.values.circuit_min_calls).unwrap_or(u32::MAX)
    }

    /// How long the circuit may stay open before the run is stopped.
    pub fn get_circuit_patience(&self) -> Duration {
        self.values.circuit_patience
    }

    /// How long it may stay open as long as the server was never reached.
    pub fn get_circuit_first_patience(&self) -> Duration {
        self.values.circuit_first_patience
    }

    /// What the cache of answers may be used for.
    pub fn get_cache(&self) -> Access {
        self.values.cache.as_deref().and_then(Access::from_name).unwrap_or_default()
    }

    /// The file that keeps answers, if one is set; see [`Config::find_cache_file`].
    pub fn get_cache_file(&self) -> Option<&Path> {
        self.values.cache_file.as_deref()
    }

    /// The most that the kept answers may take, in bytes.
    pub fn get_cache_max_size(&self) -> u64 {
        self.values.cache_max_size
    }

    /// How long an answer is kept.
    pub fn get_cache_max_age(&self) -> Duration {
        self.values.cache_max_age
    }

    /// Whether rows of a run that ask the same are one request.
    pub fn get_coalesce(&self) -> bool {
        self.values.coalesce.as_deref() == Some("on")
    }

    /// The first wait before the state of a batch is asked for.
    pub fn get_batch_poll_interval(&self) -> Duration {
        self.values.batch_poll_interval
    }

    /// The most requests in one batch.
    pub fn get_batch_max_requests(&self) -> usize {
        usize::try_from(self.values.batch_max_requests).unwrap_or(usize::MAX)
    }

    /// The largest file of one batch, in bytes.
    pub fn get_batch_max_bytes(&self) -> u64 {
        self.values.batch_max_bytes
    }

    /// The most texts to embed in one batch.
    pub fn get_batch_max_inputs(&self) -> usize {
        usize::try_from(self.values.batch_max_inputs).unwrap_or(usize::MAX)
    }

    /// The file that keeps the state of batches, if one is set; see
    /// [`Config::find_batch_store`].
    pub fn get_batch_store(&self) -> Option<&Path> {
        self.values.batch_store.as_deref()
    }

    /// The time in which a batch is to be done, as the server writes it.
    pub fn get_batch_completion_window(&self) -> &str {
        self.values.batch_completion_window.as_deref().unwrap_or_default()
    }

    /// The most input tokens in all batches that wait at the server.
    pub fn get_batch_enqueued_tokens(&self) -> Option<u64> {
        self.values.batch_enqueued_tokens
    }

    /// How long a whole run may take, if that is set.
    pub fn get_run_deadline(&self) -> Option<Duration> {
        self.values.run_deadline
    }

    /// By what a plan decides between batches and sending live.
    pub fn get_thresholds(&self) -> Thresholds {
        let values = &self.values;
        Thresholds {
            batch_rows: values.auto_batch_rows,
            batch_time: values.auto_batch_time,
            in_time: values.auto_in_time,
            margin: values.auto_margin,
            cancel_time: values.auto_cancel_time,
            allow_double: values.auto_allow_double.as_deref() == Some("yes"),
        }
    }

    /// The proxies that the environment or the caller named.
    pub fn get_proxies(&self) -> &Proxies {
        &self.proxies
    }
}
