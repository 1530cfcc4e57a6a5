//! The settings themselves: name, default, range and help, in one place.

use std::time::Duration;

use super::setting::{Setting, Slot};
use crate::usage::Money;

/// Every setting, in the order in which help should list them.
///
/// ```
/// for setting in openai_bulk::config::settings() {
///     println!("{} | {} | {} | {}", setting.name, setting.default, setting.range(), setting.help);
/// }
/// ```
pub fn settings() -> &'static [Setting] {
    SETTINGS
}

pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

const SDK: &str = "the official Python SDK";
const OWN: &str = "own choice";
const LIMITS: &str = "the limits of the Batch API";

static SETTINGS: &[Setting] = &[
    Setting {
        name: "OPENAI_API_KEY",
        default: "none",
        unit: "text",
        help: "The key; OpenAI and Azure need one, other servers may not.",
        source: SDK,
        slot: |v| Slot::Key(&mut v.api_key),
    },
    Setting {
        name: "OPENAI_API_KEY_FILE",
        default: "none",
        unit: "path",
        help: "A file that holds the key and nothing else.",
        source: OWN,
        slot: |v| Slot::Path(&mut v.api_key_file),
    },
    Setting {
        name: "OPENAI_BASE_URL",
        default: "https://api.openai.com/v1",
        unit: "URL",
        help: "Where the API is found, up to and with its version.",
        source: SDK,
        slot: |v| Slot::Url(&mut v.base_url),
    },
    Setting {
        name: "OPENAI_ORG_ID",
        default: "none",
        unit: "text",
        help: "The organization that is billed.",
        source: SDK,
        slot: |v| Slot::Text(&mut v.organization),
    },
    Setting {
        name: "OPENAI_PROJECT_ID",
        default: "none",
        unit: "text",
        help: "The project that is billed.",
        source: SDK,
        slot: |v| Slot::Text(&mut v.project),
    },
    Setting {
        name: "OPENAI_MODEL",
        default: "gpt-4o-mini",
        unit: "text",
        help: "The model of requests that name none.",
        source: OWN,
        slot: |v| Slot::Text(&mut v.model),
    },
    Setting {
        name: "OPENAI_TIMEOUT",
        default: "10m",
        unit: "duration",
        help: "How long one attempt may take.",
        source: SDK,
        slot: |v| Slot::Time { at: &mut v.timeout, min: MS.saturating_mul(10), max: DAY },
    },
    Setting {
        name: "OPENAI_DEADLINE",
        default: "30m",
        unit: "duration",
        help: "How long a request may take with all its attempts and waits, from when it first asks \
               to be sent.",
        source: "own choice: three attempts that time out",
        slot: |v| Slot::Time {
            at: &mut v.deadline,
            min: MS.saturating_mul(10),
            max: DAY.saturating_mul(7),
        },
    },
    Setting {
        name: "OPENAI_CONNECT_TIMEOUT",
        default: "10s",
        unit: "duration",
        help: "How long connecting may take, TLS included.",
        source: "own choice: twice that of the official Python SDK, for many connections at once",
        slot: |v| Slot::Time {
            at: &mut v.connect_timeout,
            min: MS.saturating_mul(10),
            max: MINUTE.saturating_mul(5),
        },
    },
    Setting {
        name: "OPENAI_STREAM_FIRST_BYTE_TIMEOUT",
        default: "10m",
        unit: "duration",
        help: "How long the first byte of a streamed answer may take.",
        source: "own choice: that of OPENAI_TIMEOUT, since a model may think before it writes",
        slot: |v| Slot::Time { at: &mut v.first_byte, min: MS.saturating_mul(10), max: DAY },
    },
    Setting {
        name: "OPENAI_STREAM_IDLE_TIMEOUT",
        default: "5m",
        unit: "duration",
        help: "How long a streamed answer may pause; while it goes on, only OPENAI_DEADLINE ends it.",
        source: "own choice: a model may think between two words",
        slot: |v| Slot::Time { at: &mut v.idle, min: MS.saturating_mul(10), max: DAY },
    },
    Setting {
        name: "OPENAI_CA_FILE",
        default: "none",
        unit: "path",
        help: "Certificates in PEM form to trust besides those of the system.",
        source: OWN,
        slot: |v| Slot::Path(&mut v.ca_file),
    },
    Setting {
        name: "OPENAI_MAX_ANSWER_SIZE",
        default: "256MiB",
        unit: "bytes",
        help: "The largest answer that is read into memory.",
        source: OWN,
        slot: |v| Slot::Size { at: &mut v.max_answer_size, min: 1 << 10, max: 4 << 30 },
    },
    Setting {
        name: "OPENAI_API_TYPE",
        default: "none",
        unit: "text",
        help: "Whether the server speaks as OpenAI or as Azure; without it the host decides.",
        source: SDK,
        slot: |v| Slot::Choice(&mut v.api_type, &["openai", "open_ai", "azure"]),
    },
    Setting {
        name: "OPENAI_API_VERSION",
        default: "none",
        unit: "text",
        help: "The version of Azure's API; not needed if the base URL ends in /openai/v1.",
        source: SDK,
        slot: |v| Slot::Text(&mut v.api_version),
    },
    Setting {
        name: "AZURE_OPENAI_API_KEY",
        default: "none",
        unit: "text",
        help: "The key for Azure; there it goes before OPENAI_API_KEY, elsewhere it is not used.",
        source: SDK,
        slot: |v| Slot::Key(&mut v.azure_api_key),
    },
    Setting {
        name: "AZURE_OPENAI_ENDPOINT",
        default: "none",
        unit: "URL",
        help: "The base URL on Azure; used without OPENAI_BASE_URL, if the API type is azure or \
               there is no key for OpenAI.",
        source: SDK,
        slot: |v| Slot::Url(&mut v.azure_endpoint),
    },
    Setting {
        name: "OPENAI_REQUESTS_PER_MINUTE",
        default: "none",
        unit: "requests a minute",
        help: "The most requests a minute; without it the server's headers tell.",
        source: OWN,
        slot: |v| Slot::Limit { at: &mut v.requests_per_minute, min: 1, max: 10_000_000 },
    },
    Setting {
        name: "OPENAI_TOKENS_PER_MINUTE",
        default: "none",
        unit: "tokens a minute",
        help: "The most tokens a minute; without it the server's headers tell.",
        source: OWN,
        slot: |v| Slot::Limit { at: &mut v.tokens_per_minute, min: 1, max: 10_000_000_000 },
    },
    Setting {
        name: "OPENAI_REQUESTS_PER_DAY",
        default: "none",
        unit: "requests a day",
        help: "The most requests a day, of which a day's worth may be sent at once.",
        source: OWN,
        slot: |v| Slot::Limit { at: &mut v.requests_per_day, min: 1, max: 10_000_000_000 },
    },
    Setting {
        name: "OPENAI_TOKENS_PER_DAY",
        default: "none",
        unit: "tokens a day",
        help: "The most tokens a day, of which a day's worth may be sent at once.",
        source: OWN,
        slot: |v| Slot::Limit { at: &mut v.tokens_per_day, min: 1, max: 10_000_000_000_000 },
    },
    Setting {
        name: "OPENAI_LIMIT_GROUPS",
        default: "none",
        unit: "list",
        help: "Models that share their limits, such as `gpt-4o-2024-*=gpt-4o,o3*=o3`; without it \
               each model has its own.",
        source: "OpenAI's limits page",
        slot: |v| Slot::Groups(&mut v.limit_groups),
    },
    Setting {
        name: "OPENAI_MIN_CONCURRENCY",
        default: "1",
        unit: "requests",
        help: "The requests in flight below which slow or overloaded answers do not bring it; the \
               same as the maximum fixes their number.",
        source: OWN,
        slot: |v| Slot::Count { at: &mut v.min_concurrency, min: 1, max: 20_000 },
    },
    Setting {
        name: "OPENAI_MAX_CONCURRENCY",
        default: "1024",
        unit: "requests",
        help: "The most requests in flight; each has a thread. As many are used as the limits and \
               the server's latency need.",
        source: "own choice: 50 MB; 10,000 requests a minute of 6 s each",
        slot: |v| Slot::Count { at: &mut v.max_concurrency, min: 1, max: 20_000 },
    },
    Setting {
        name: "OPENAI_HEDGE",
        default: "0",
        unit: "share of requests",
        help: "How many requests of a run may be sent a second time when they take longer than 95 \
               of 100 others; the first answer counts, and both may be billed.",
        source: "off by own choice, because it costs money",
        slot: |v| Slot::Share { at: &mut v.hedge, min: 0.0, max: 1.0 },
    },
    Setting {
        name: "OPENAI_MAX_COST",
        default: "none",
        unit: "US dollars",
        help: "The most that may be spent, requests in flight at the most that they may cost \
               included.",
        source: OWN,
        slot: |v| Slot::Money {
            at: &mut v.max_cost,
            min: Money::ZERO,
            max: Money::from_dollars(1_000_000_000),
        },
    },
    Setting {
        name: "OPENAI_MAX_TOKENS_TOTAL",
        default: "none",
        unit: "tokens",
        help: "The most tokens that may be used, read and written together.",
        source: OWN,
        slot: |v| Slot::Limit { at: &mut v.max_tokens_total, min: 0, max: 1_000_000_000_000_000 },
    },
    Setting {
        name: "OPENAI_PRICES_FILE",
        default: "none",
        unit: "path",
        help: "Prices that go before those that are built in, in this program's format or in \
               LiteLLM's.",
        source: OWN,
        slot: |v| Slot::Path(&mut v.prices_file),
    },
    Setting {
        name: "OPENAI_RATE_LIMIT_BURST",
        default: "1s",
        unit: "duration",
        help: "How much of a minute's limit may be spent at once before the server has told its \
               level.",
        source: "own simulation: limits may be enforced by the second",
        slot: |v| Slot::Time { at: &mut v.rate_limit_burst, min: SECOND, max: MINUTE },
    },
    Setting {
        name: "OPENAI_MAX_RETRIES",
        default: "8",
        unit: "retries",
        help: "How often a request is sent again after a failure.",
        source: "own choice: the official Python SDK has 2, for single requests",
        slot: |v| Slot::Count { at: &mut v.max_retries, min: 0, max: 50 },
    },
    Setting {
        name: "OPENAI_BACKOFF_BASE",
        default: "500ms",
        unit: "duration",
        help: "The longest wait before the first retry; it doubles with each.",
        source: SDK,
        slot: |v| Slot::Time { at: &mut v.backoff_base, min: MS, max: MINUTE },
    },
    Setting {
        name: "OPENAI_BACKOFF_CAP",
        default: "20s",
        unit: "duration",
        help: "The longest wait before any retry, unless the server names a longer one.",
        source: "the SDKs of AWS",
        slot: |v| Slot::Time { at: &mut v.backoff_cap, min: MS, max: MINUTE.saturating_mul(10) },
    },
    Setting {
        name: "OPENAI_CIRCUIT_FAILURE_SHARE",
        default: "0.5",
        unit: "share",
        help: "The share of failed calls at which the circuit opens and sending pauses.",
        source: "resilience4j",
        slot: |v| Slot::Share { at: &mut v.circuit_failure_share, min: 0.01, max: 1.0 },
    },
    Setting {
        name: "OPENAI_CIRCUIT_MIN_CALLS",
        default: "20",
        unit: "calls",
        help: "The fewest calls from which that share is taken.",
        source: OWN,
        slot: |v| Slot::Count { at: &mut v.circuit_min_calls, min: 1, max: 10_000 },
    },
    Setting {
        name: "OPENAI_CIRCUIT_PATIENCE",
        default: "5m",
        unit: "duration",
        help: "How long the circuit may stay open before the run is stopped.",
        source: OWN,
        slot: |v| Slot::Time { at: &mut v.circuit_patience, min: Duration::ZERO, max: DAY },
    },
    Setting {
        name: "OPENAI_CIRCUIT_FIRST_PATIENCE",
        default: "20s",
        unit: "duration",
        help: "The same as long as the server was never reached; the shorter of both counts.",
        source: OWN,
        slot: |v| Slot::Time { at: &mut v.circuit_first_patience, min: Duration::ZERO, max: DAY },
    },
    Setting {
        name: "OPENAI_CACHE",
        default: "off",
        unit: "text",
        help: "Whether answers are kept on this machine, so that the same request is never paid for \
               twice; read-only takes what is there and adds nothing.",
        source: OWN,
        slot: |v| Slot::Choice(&mut v.cache, &["off", "on", "read-only"]),
    },
    Setting {
        name: "OPENAI_CACHE_FILE",
        default: "none",
        unit: "path",
        help: "The file that keeps answers; without it, one in the user's cache folder.",
        source: OWN,
        slot: |v| Slot::Path(&mut v.cache_file),
    },
    Setting {
        name: "OPENAI_CACHE_MAX_SIZE",
        default: "4GiB",
        unit: "bytes",
        help: "The most that the kept answers may take; those that were not used for the longest \
               time go first.",
        source: "own choice: a million chat answers",
        slot: |v| Slot::Size { at: &mut v.cache_max_size, min: 1 << 20, max: 1 << 40 },
    },
    Setting {
        name: "OPENAI_CACHE_MAX_AGE",
        default: "720h",
        unit: "duration",
        help: "How long an answer is kept.",
        source: "own choice: 30 days, because the model behind a name may change",
        slot: |v| Slot::Time {
            at: &mut v.cache_max_age,
            min: SECOND,
            max: DAY.saturating_mul(3_650),
        },
    },
    Setting {
        name: "OPENAI_COALESCE",
        default: "off",
        unit: "text",
        help: "Whether rows of a run that ask the same are one request: what is in flight is sent \
               once, and all have its answer.",
        source: OWN,
        slot: |v| Slot::Choice(&mut v.coalesce, &["off", "on"]),
    },
    Setting {
        name: "OPENAI_BATCH_POLL_INTERVAL",
        default: "5s",
        unit: "duration",
        help: "The first wait before the state of a batch is asked for; later ones are longer.",
        source: OWN,
        slot: |v| Slot::Time { at: &mut v.batch_poll_interval, min: SECOND, max: HOUR },
    },
    Setting {
        name: "OPENAI_BATCH_MAX_REQUESTS",
        default: "50000",
        unit: "requests",
        help: "The most requests in one batch.",
        source: LIMITS,
        slot: |v| Slot::Count { at: &mut v.batch_max_requests, min: 1, max: 50_000 },
    },
    Setting {
        name: "OPENAI_BATCH_MAX_BYTES",
        default: "190MB",
        unit: "bytes",
        help: "The largest file of one batch; the server takes 200 MB.",
        source: LIMITS,
        slot: |v| Slot::Size { at: &mut v.batch_max_bytes, min: 1_000, max: 200_000_000 },
    },
    Setting {
        name: "OPENAI_BATCH_MAX_INPUTS",
        default: "50000",
        unit: "texts",
        help: "The most texts to embed in one batch, over all its requests.",
        source: LIMITS,
        slot: |v| Slot::Count { at: &mut v.batch_max_inputs, min: 1, max: 50_000 },
    },
    Setting {
        name: "OPENAI_BATCH_STORE",
        default: "none",
        unit: "path",
        help: "The file that keeps the state of batches; without it, one in the user's state folder.",
        source: OWN,
        slot: |v| Slot::Path(&mut v.batch_store),
    },
    Setting {
        name: "OPENAI_BATCH_COMPLETION_WINDOW",
        default: "24h",
        unit: "text",
        help: "The time in which a batch is to be done; the server knows only this one.",
        source: LIMITS,
        slot: |v| Slot::Choice(&mut v.batch_completion_window, &["24h"]),
    },
    Setting {
        name: "OPENAI_BATCH_ENQUEUED_TOKENS",
        default: "none",
        unit: "tokens",
        help: "The most input tokens in all batches that wait at the server.",
        source: OWN,
        slot: |v| Slot::Limit { at: &mut v.batch_enqueued_tokens, min: 1, max: 1_000_000_000_000 },
    },
    Setting {
        name: "OPENAI_RUN_DEADLINE",
        default: "none",
        unit: "duration",
        help: "How long a whole run may take from its start; with `--mode auto` it decides what goes \
               by batch.",
        source: OWN,
        slot: |v| Slot::Span { at: &mut v.run_deadline, min: SECOND, max: DAY.saturating_mul(30) },
    },
    Setting {
        name: "OPENAI_AUTO_BATCH_ROWS",
        default: "100",
        unit: "rows",
        help: "With `--mode auto`, the fewest rows of one model and endpoint that go by batch.",
        source: "own choice: fewer save cents and wait hours",
        slot: |v| Slot::Count { at: &mut v.auto_batch_rows, min: 1, max: 1_000_000_000 },
    },
    Setting {
        name: "OPENAI_AUTO_BATCH_TIME",
        default: "4h",
        unit: "duration",
        help: "With `--mode auto`, how long a batch is expected to take before any of the same \
               account and model has ended.",
        source: "own choice: the server promises 24 hours and says that most end sooner",
        slot: |v| Slot::Time { at: &mut v.auto_batch_time, min: SECOND, max: DAY },
    },
    Setting {
        name: "OPENAI_AUTO_IN_TIME",
        default: "0.95",
        unit: "share of batches",
        help: "With `--mode auto`, the share of earlier batches that would have been in time, for a \
               new one to be expected to be.",
        source: OWN,
        slot: |v| Slot::Share { at: &mut v.auto_in_time, min: 0.5, max: 1.0 },
    },
    Setting {
        name: "OPENAI_AUTO_MARGIN",
        default: "0.5",
        unit: "share of time",
        help: "With `--mode auto`, how much more than its expected time is kept for sending live \
               what batches leave.",
        source: OWN,
        slot: |v| Slot::Share { at: &mut v.auto_margin, min: 0.0, max: 10.0 },
    },
    Setting {
        name: "OPENAI_AUTO_CANCEL_TIME",
        default: "10m",
        unit: "duration",
        help: "With `--mode auto`, the time that is kept for cancelling batches that will not be in \
               time.",
        source: "the reference of the Batch API",
        slot: |v| Slot::Time { at: &mut v.auto_cancel_time, min: Duration::ZERO, max: HOUR },
    },
    Setting {
        name: "OPENAI_AUTO_ALLOW_DOUBLE",
        default: "no",
        unit: "yes or no",
        help: "With `--mode auto`, whether rows of a late batch are sent live while it is still \
               being cancelled; some may be paid twice.",
        source: "off by own choice, because it costs money",
        slot: |v| Slot::Choice(&mut v.auto_allow_double, &["no", "yes"]),
    },
];
