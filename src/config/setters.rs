//! A setter for each setting. Ranges are checked by `validate`, so that all problems are told at
//! once.

use std::path::PathBuf;
use std::time::Duration;

use super::key::ApiKey;
use super::near::meant;
use super::proxies::Proxies;
use super::table::find;
use super::values::{Config, Origin};
use crate::cache::Access;
use crate::error::{Error, Result};
use crate::usage::Money;

/// Setters.
impl Config {
    /// Sets any setting by its name in the environment, from text, as the environment would.
    ///
    /// # Errors
    ///
    /// If there is no setting of this name, or the text is not allowed for it.
    pub fn set(mut self, name: &str, text: &str) -> Result<Config> {
        let Some(setting) = find(name) else {
            let hint = meant(name).map(|near| format!("; did you mean {near}?"));
            let message = format!("there is no setting of this name{}", hint.unwrap_or_default());
            return Err(Error::invalid(name, message));
        };
        (setting.slot)(&mut self.values)
            .put(text)
            .map_err(|message| Error::invalid(name, format!("{message} ({})", Origin::Code)))?;
        self.origins.insert(setting.name, Origin::Code);
        Ok(self)
    }

    /// The key; it takes the place of a file that was set before.
    ///
    /// `OPENAI_API_KEY`. Default: none. Unit: text. Source: the official Python SDK.
    pub fn api_key(mut self, key: ApiKey) -> Config {
        self.values.api_key_file = None;
        self.origins.remove("OPENAI_API_KEY_FILE");
        self.put("OPENAI_API_KEY", |v| v.api_key = Some(key))
    }

    /// A file that holds the key and nothing else; it takes the place of a key that was set
    /// before. The file is read by [`Config::load_key`].
    ///
    /// `OPENAI_API_KEY_FILE`. Default: none. Unit: path. Source: own choice.
    pub fn api_key_file(mut self, path: impl Into<PathBuf>) -> Config {
        self.values.api_key = None;
        self.origins.remove("OPENAI_API_KEY");
        self.put("OPENAI_API_KEY_FILE", |v| v.api_key_file = Some(path.into()))
    }

    /// Where the API is found, up to and with its version.
    ///
    /// `OPENAI_BASE_URL`. Default: <https://api.openai.com/v1>. Unit: URL. Source: the official
    /// Python SDK.
    pub fn base_url(self, url: impl Into<String>) -> Config {
        self.put("OPENAI_BASE_URL", |v| v.base_url = Some(url.into()))
    }

    /// The organization that is billed.
    ///
    /// `OPENAI_ORG_ID`. Default: none. Unit: text. Source: the official Python SDK.
    pub fn organization(self, id: impl Into<String>) -> Config {
        self.put("OPENAI_ORG_ID", |v| v.organization = Some(id.into()))
    }

    /// The project that is billed.
    ///
    /// `OPENAI_PROJECT_ID`. Default: none. Unit: text. Source: the official Python SDK.
    pub fn project(self, id: impl Into<String>) -> Config {
        self.put("OPENAI_PROJECT_ID", |v| v.project = Some(id.into()))
    }

    /// The model of requests that name none.
    ///
    /// `OPENAI_MODEL`. Default: gpt-4o-mini. Unit: text. Source: own choice.
    pub fn model(self, model: impl Into<String>) -> Config {
        self.put("OPENAI_MODEL", |v| v.model = Some(model.into()))
    }

    /// How long one attempt may take.
    ///
    /// `OPENAI_TIMEOUT`. Default: 10m. Unit: duration. Source: the official Python SDK.
    pub fn timeout(self, timeout: Duration) -> Config {
        self.put("OPENAI_TIMEOUT", |v| v.timeout = timeout)
    }

    /// How long a request may take with all its attempts and waits, from when it first asks to be
    /// sent.
    ///
    /// `OPENAI_DEADLINE`. Default: 30m. Unit: duration. Source: own choice, three attempts that
    /// time out.
    pub fn deadline(self, deadline: Duration) -> Config {
        self.put("OPENAI_DEADLINE", |v| v.deadline = deadline)
    }

    /// How long connecting may take, TLS included.
    ///
    /// `OPENAI_CONNECT_TIMEOUT`. Default: 10s. Unit: duration. Source: own choice, twice that of
    /// the official Python SDK, for many connections at once.
    pub fn connect_timeout(self, timeout: Duration) -> Config {
        self.put("OPENAI_CONNECT_TIMEOUT", |v| v.connect_timeout = timeout)
    }

    /// How long the first byte of a streamed answer may take; it is never more than one attempt may.
    ///
    /// `OPENAI_STREAM_FIRST_BYTE_TIMEOUT`. Default: 10m. Unit: duration. Source: own choice, that of
    /// `OPENAI_TIMEOUT`, since a model may think before it writes.
    pub fn stream_first_byte_timeout(self, timeout: Duration) -> Config {
        self.put("OPENAI_STREAM_FIRST_BYTE_TIMEOUT", |v| v.first_byte = timeout)
    }

    /// How long a streamed answer may pause; while it goes on, only the deadline ends it.
    ///
    /// `OPENAI_STREAM_IDLE_TIMEOUT`. Default: 5m. Unit: duration. Source: own choice, a model may
    /// think between two words.
    pub fn stream_idle_timeout(self, timeout: Duration) -> Config {
        self.put("OPENAI_STREAM_IDLE_TIMEOUT", |v| v.idle = timeout)
    }

    /// Certificates in PEM form to trust besides those of the system.
    ///
    /// `OPENAI_CA_FILE`. Default: none. Unit: path. Source: own choice.
    pub fn ca_file(self, path: impl Into<PathBuf>) -> Config {
        self.put("OPENAI_CA_FILE", |v| v.ca_file = Some(path.into()))
    }

    /// The largest answer that is read into memory.
    ///
    /// `OPENAI_MAX_ANSWER_SIZE`. Default: 256MiB. Unit: bytes. Source: own choice.
    pub fn max_answer_size(self, bytes: u64) -> Config {
        self.put("OPENAI_MAX_ANSWER_SIZE", |v| v.max_answer_size = bytes)
    }

    /// Whether the server speaks as `openai` or as `azure`; without it the host decides.
    ///
    /// `OPENAI_API_TYPE`. Default: none. Unit: text. Source: the official Python SDK.
    pub fn api_type(self, name: impl Into<String>) -> Config {
        self.put("OPENAI_API_TYPE", |v| v.api_type = Some(name.into()))
    }

    /// The version of Azure's API; not needed if the base URL ends in `/openai/v1`.
    ///
    /// `OPENAI_API_VERSION`. Default: none. Unit: text. Source: the official Python SDK.
    pub fn api_version(self, version: impl Into<String>) -> Config {
        self.put("OPENAI_API_VERSION", |v| v.api_version = Some(version.into()))
    }

    /// The most requests a minute; without it the server's headers tell.
    ///
    /// `OPENAI_REQUESTS_PER_MINUTE`. Default: none. Unit: requests a minute. Source: own choice.
    pub fn requests_per_minute(self, limit: impl Into<Option<u64>>) -> Config {
        self.put("OPENAI_REQUESTS_PER_MINUTE", |v| v.requests_per_minute = limit.into())
    }

    /// The most tokens a minute; without it the server's headers tell.
    ///
    /// `OPENAI_TOKENS_PER_MINUTE`. Default: none. Unit: tokens a minute. Source: own choice.
    pub fn tokens_per_minute(self, limit: impl Into<Option<u64>>) -> Config {
        self.put("OPENAI_TOKENS_PER_MINUTE", |v| v.tokens_per_minute = limit.into())
    }

    /// The most requests a day, of which a day's worth may be sent at once.
    ///
    /// `OPENAI_REQUESTS_PER_DAY`. Default: none. Unit: requests a day. Source: own choice.
    pub fn requests_per_day(self, limit: impl Into<Option<u64>>) -> Config {
        self.put("OPENAI_REQUESTS_PER_DAY", |v| v.requests_per_day = limit.into())
    }

    /// The most tokens a day, of which a day's worth may be sent at once.
    ///
    /// `OPENAI_TOKENS_PER_DAY`. Default: none. Unit: tokens a day. Source: own choice.
    pub fn tokens_per_day(self, limit: impl Into<Option<u64>>) -> Config {
        self.put("OPENAI_TOKENS_PER_DAY", |v| v.tokens_per_day = limit.into())
    }

    /// Models that share their limits, such as `gpt-4o-2024-*=gpt-4o,o3*=o3`; a `*` at the end of a
    /// pattern stands for any rest, and the first pattern that fits counts.
    ///
    /// Without it, each model has its own.
    ///
    /// `OPENAI_LIMIT_GROUPS`. Default: none. Unit: list. Source: OpenAI's limits page.
    pub fn limit_groups(self, groups: impl Into<String>) -> Config {
        self.put("OPENAI_LIMIT_GROUPS", |v| v.limit_groups = Some(groups.into()))
    }

    /// The requests in flight below which slow or overloaded answers do not bring it; the same as
    /// the maximum fixes their number.
    ///
    /// `OPENAI_MIN_CONCURRENCY`. Default: 1. Unit: requests. Source: own choice.
    pub fn min_concurrency(self, requests: usize) -> Config {
        self.put("OPENAI_MIN_CONCURRENCY", |v| v.min_concurrency = requests as u64)
    }

    /// How many requests of a run may be sent a second time when they take longer than 95 of 100
    /// others; the first answer counts, and both may be billed.
    ///
    /// `OPENAI_HEDGE`. Default: 0. Unit: share of requests. Source: off by own choice, because it
    /// costs money.
    pub fn hedge(self, share: f64) -> Config {
        self.put("OPENAI_HEDGE", |v| v.hedge = share)
    }

    /// The most requests in flight; each has a thread. As many are used as the limits and the
    /// server's latency need.
    ///
    /// `OPENAI_MAX_CONCURRENCY`. Default: 1024. Unit: requests. Source: own choice: 50 MB;
    /// 10,000 requests a minute of 6 s each.
    pub fn max_concurrency(self, requests: usize) -> Config {
        self.put("OPENAI_MAX_CONCURRENCY", |v| v.max_concurrency = requests as u64)
    }

    /// The most that may be spent by the client, requests in flight at the most that they may cost
    /// included. A price that is not known is refused then.
    ///
    /// `OPENAI_MAX_COST`. Default: none. Unit: US dollars. Source: own choice.
    pub fn max_cost(self, most: impl Into<Option<Money>>) -> Config {
        self.put("OPENAI_MAX_COST", |v| v.max_cost = most.into())
    }

    /// The most tokens that may be used by the client, read and written together.
    ///
    /// `OPENAI_MAX_TOKENS_TOTAL`. Default: none. Unit: tokens. Source: own choice.
    pub fn max_tokens_total(self, most: impl Into<Option<u64>>) -> Config {
        self.put("OPENAI_MAX_TOKENS_TOTAL", |v| v.max_tokens_total = most.into())
    }

    /// Prices that go before those that are built in; see
    /// [`Prices::with_file`](crate::usage::Prices::with_file). The file is read by
    /// [`Config::load_prices`].
    ///
    /// `OPENAI_PRICES_FILE`. Default: none. Unit: path. Source: own choice.
    pub fn prices_file(self, path: impl Into<PathBuf>) -> Config {
        self.put("OPENAI_PRICES_FILE", |v| v.prices_file = Some(path.into()))
    }

    /// How much of a minute's limit may be spent at once before the server has told its level.
    ///
    /// A limit of 60,000 a minute may be enforced as 1,000 a second, and then a minute's worth at
    /// the start would be refused almost whole.
    ///
    /// `OPENAI_RATE_LIMIT_BURST`. Default: 1s. Unit: duration. Source: own simulation.
    pub fn rate_limit_burst(self, depth: Duration) -> Config {
        self.put("OPENAI_RATE_LIMIT_BURST", |v| v.rate_limit_burst = depth)
    }

    /// How often a request is sent again after a failure.
    ///
    /// `OPENAI_MAX_RETRIES`. Default: 8. Unit: retries. Source: own choice; the official Python
    /// SDK has 2, for single requests.
    pub fn max_retries(self, retries: u32) -> Config {
        self.put("OPENAI_MAX_RETRIES", |v| v.max_retries = retries.into())
    }

    /// The longest wait before the first retry; it doubles with each.
    ///
    /// `OPENAI_BACKOFF_BASE`. Default: 500ms. Unit: duration. Source: the official Python SDK.
    pub fn backoff_base(self, base: Duration) -> Config {
        self.put("OPENAI_BACKOFF_BASE", |v| v.backoff_base = base)
    }

    /// The longest wait before any retry, unless the server names a longer one.
    ///
    /// `OPENAI_BACKOFF_CAP`. Default: 20s. Unit: duration. Source: the SDKs of AWS.
    pub fn backoff_cap(self, cap: Duration) -> Config {
        self.put("OPENAI_BACKOFF_CAP", |v| v.backoff_cap = cap)
    }

    /// The share of failed calls at which the circuit opens and sending pauses.
    ///
    /// `OPENAI_CIRCUIT_FAILURE_SHARE`. Default: 0.5. Unit: share. Source: resilience4j.
    pub fn circuit_failure_share(self, share: f64) -> Config {
        self.put("OPENAI_CIRCUIT_FAILURE_SHARE", |v| v.circuit_failure_share = share)
    }

    /// The fewest calls from which that share is taken.
    ///
    /// `OPENAI_CIRCUIT_MIN_CALLS`. Default: 20. Unit: calls. Source: own choice.
    pub fn circuit_min_calls(self, calls: u32) -> Config {
        self.put("OPENAI_CIRCUIT_MIN_CALLS", |v| v.circuit_min_calls = calls.into())
    }

    /// How long the circuit may stay open before the run is stopped.
    ///
    /// `OPENAI_CIRCUIT_PATIENCE`. Default: 5m. Unit: duration. Source: own choice.
    pub fn circuit_patience(self, patience: Duration) -> Config {
        self.put("OPENAI_CIRCUIT_PATIENCE", |v| v.circuit_patience = patience)
    }

    /// The same as long as the server was never reached, where its address is most often wrong. The
    /// shorter of both counts.
    ///
    /// `OPENAI_CIRCUIT_FIRST_PATIENCE`. Default: 20s. Unit: duration. Source: own choice.
    pub fn circuit_first_patience(self, patience: Duration) -> Config {
        self.put("OPENAI_CIRCUIT_FIRST_PATIENCE", |v| v.circuit_first_patience = patience)
    }

    /// Whether answers are kept on this machine, so that the same request is never paid for twice.
    ///
    /// `OPENAI_CACHE`. Default: off. Unit: text. Source: own choice.
    pub fn cache(self, access: Access) -> Config {
        self.put("OPENAI_CACHE", |v| v.cache = Some(access.name().into()))
    }

    /// The file that keeps answers; without it, one in the user's cache folder.
    ///
    /// `OPENAI_CACHE_FILE`. Default: none. Unit: path. Source: own choice.
    pub fn cache_file(self, path: impl Into<PathBuf>) -> Config {
        self.put("OPENAI_CACHE_FILE", |v| v.cache_file = Some(path.into()))
    }

    /// The most that the kept answers may take; those that were not used for the longest time go
    /// first.
    ///
    /// `OPENAI_CACHE_MAX_SIZE`. Default: 4GiB. Unit: bytes. Source: own choice: a million chat
    /// answers.
    pub fn cache_max_size(self, bytes: u64) -> Config {
        self.put("OPENAI_CACHE_MAX_SIZE", |v| v.cache_max_size = bytes)
    }

    /// How long an answer is kept.
    ///
    /// `OPENAI_CACHE_MAX_AGE`. Default: 720h. Unit: duration. Source: own choice: 30 days, because
    /// the model behind a name may change.
    pub fn cache_max_age(self, age: Duration) -> Config {
        self.put("OPENAI_CACHE_MAX_AGE", |v| v.cache_max_age = age)
    }

    /// Whether rows of a run that ask the same are one request: what is in flight is sent once, and
    /// all have its answer.
    ///
    /// `OPENAI_COALESCE`. Default: off. Unit: text. Source: own choice.
    pub fn coalesce(self, is_coalescing: bool) -> Config {
        let text = if is_coalescing { "on" } else { "off" };
        self.put("OPENAI_COALESCE", |v| v.coalesce = Some(text.into()))
    }

    /// The first wait before the state of a batch is asked for; later ones are longer.
    ///
    /// `OPENAI_BATCH_POLL_INTERVAL`. Default: 5s. Unit: duration. Source: own choice.
    pub fn batch_poll_interval(self, interval: Duration) -> Config {
        self.put("OPENAI_BATCH_POLL_INTERVAL", |v| v.batch_poll_interval = interval)
    }

    /// The most requests in one batch.
    ///
    /// `OPENAI_BATCH_MAX_REQUESTS`. Default: 50000. Unit: requests. Source: the limits of the
    /// Batch API.
    pub fn batch_max_requests(self, requests: usize) -> Config {
        self.put("OPENAI_BATCH_MAX_REQUESTS", |v| v.batch_max_requests = requests as u64)
    }

    /// The largest file of one batch; the server takes 200 MB.
    ///
    /// `OPENAI_BATCH_MAX_BYTES`. Default: 190MB. Unit: bytes. Source: the limits of the Batch API.
    pub fn batch_max_bytes(self, bytes: u64) -> Config {
        self.put("OPENAI_BATCH_MAX_BYTES", |v| v.batch_max_bytes = bytes)
    }

    /// The most texts to embed in one batch, over all its requests.
    ///
    /// `OPENAI_BATCH_MAX_INPUTS`. Default: 50000. Unit: texts. Source: the limits of the Batch API.
    pub fn batch_max_inputs(self, texts: usize) -> Config {
        self.put("OPENAI_BATCH_MAX_INPUTS", |v| v.batch_max_inputs = texts as u64)
    }

    /// The file that keeps the state of batches; without it, one in the user's state folder.
    ///
    /// `OPENAI_BATCH_STORE`. Default: none. Unit: path. Source: own choice.
    pub fn batch_store(self, path: impl Into<PathBuf>) -> Config {
        self.put("OPENAI_BATCH_STORE", |v| v.batch_store = Some(path.into()))
    }

    /// The time in which a batch is to be done; the server knows only this one.
    ///
    /// `OPENAI_BATCH_COMPLETION_WINDOW`. Default: 24h. Unit: text. Source: the limits of the Batch
    /// API.
    pub fn batch_completion_window(self, window: impl Into<String>) -> Config {
        self.put("OPENAI_BATCH_COMPLETION_WINDOW", |v| {
            v.batch_completion_window = Some(window.into());
        })
    }

    /// The most input tokens in all batches that wait at the server.
    ///
    /// `OPENAI_BATCH_ENQUEUED_TOKENS`. Default: none. Unit: tokens. Source: own choice.
    pub fn batch_enqueued_tokens(self, tokens: impl Into<Option<u64>>) -> Config {
        self.put("OPENAI_BATCH_ENQUEUED_TOKENS", |v| v.batch_enqueued_tokens = tokens.into())
    }

    /// How long a whole run may take from its start; with `--mode auto` it decides what goes by
    /// batch.
    ///
    /// `OPENAI_RUN_DEADLINE`. Default: none. Unit: duration. Source: own choice.
    pub fn run_deadline(self, time: impl Into<Option<Duration>>) -> Config {
        self.put("OPENAI_RUN_DEADLINE", |v| v.run_deadline = time.into())
    }

    /// The fewest rows of one model and endpoint that go by batch in an automatic run.
    ///
    /// `OPENAI_AUTO_BATCH_ROWS`. Default: 100. Unit: rows. Source: own choice.
    pub fn auto_batch_rows(self, rows: u64) -> Config {
        self.put("OPENAI_AUTO_BATCH_ROWS", |v| v.auto_batch_rows = rows)
    }

    /// How long a batch is expected to take before any of the same account and model has ended.
    ///
    /// `OPENAI_AUTO_BATCH_TIME`. Default: 4h. Unit: duration. Source: own choice.
    pub fn auto_batch_time(self, time: Duration) -> Config {
        self.put("OPENAI_AUTO_BATCH_TIME", |v| v.auto_batch_time = time)
    }

    /// The share of earlier batches that would have been in time, for a new one to be expected to
    /// be.
    ///
    /// `OPENAI_AUTO_IN_TIME`. Default: 0.95. Unit: share of batches. Source: own choice.
    pub fn auto_in_time(self, share: f64) -> Config {
        self.put("OPENAI_AUTO_IN_TIME", |v| v.auto_in_time = share)
    }

    /// How much more than its expected time is kept for sending live what batches leave.
    ///
    /// `OPENAI_AUTO_MARGIN`. Default: 0.5. Unit: share of time. Source: own choice.
    pub fn auto_margin(self, share: f64) -> Config {
        self.put("OPENAI_AUTO_MARGIN", |v| v.auto_margin = share)
    }

    /// The time that is kept for cancelling batches that will not be in time.
    ///
    /// `OPENAI_AUTO_CANCEL_TIME`. Default: 10m. Unit: duration. Source: the reference of the Batch
    /// API.
    pub fn auto_cancel_time(self, time: Duration) -> Config {
        self.put("OPENAI_AUTO_CANCEL_TIME", |v| v.auto_cancel_time = time)
    }

    /// Whether rows of a late batch are sent live while it is still being cancelled; some may be
    /// paid twice.
    ///
    /// `OPENAI_AUTO_ALLOW_DOUBLE`. Default: no. Unit: yes or no. Source: off by own choice, because
    /// it costs money.
    pub fn auto_allow_double(self, allows: bool) -> Config {
        let word = if allows { "yes" } else { "no" };
        self.put("OPENAI_AUTO_ALLOW_DOUBLE", |v| v.auto_allow_double = Some(word.into()))
    }

    /// The proxies, in place of those that the environment names.
    pub fn proxies(mut self, proxies: Proxies) -> Config {
        self.proxies = proxies;
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::config::settings;

    #[test]
    fn the_doc_of_each_setter_ends_with_the_facts_of_the_table() {
        let docs = include_str!("setters.rs").replace("\n    /// ", " ").replace(['<', '>'], "");
        for setting in settings().iter().filter(|s| !s.name.starts_with("AZURE_")) {
            let facts = format!(
                "`{}`. Default: {}. Unit: {}. Source: {}",
                setting.name,
                setting.default,
                setting.unit,
                setting.source.split([':', ';', ',']).next().unwrap(),
            );
            assert!(docs.contains(&facts), "{facts}");
        }
    }
}
