//! The names under which log records tell what they tell.
//!
//! Records go to the `log` crate; whoever installs a logger gets them. Their targets begin with
//! `openai_bulk::`, and what they tell beside their text has stable names: those of OpenTelemetry's
//! conventions where they have one, else `openai_bulk.*`, with the unit at the end. No record holds a
//! prompt, an answer or a key.
//!
//! At `debug` there is one record for each attempt (target `openai_bulk::attempt`) and one for the
//! end of each row of a file (`openai_bulk::row`).

/// What is asked for, such as `chat` or `embeddings` (OpenTelemetry).
pub const OPERATION: &str = "gen_ai.operation.name";
/// The model that is asked (OpenTelemetry).
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The model that answered (OpenTelemetry).
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Tokens that were read (OpenTelemetry).
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens that were written (OpenTelemetry).
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// The server's host (OpenTelemetry).
pub const SERVER: &str = "server.address";
/// HTTP status (OpenTelemetry).
pub const STATUS: &str = "http.response.status_code";
/// A short, stable word for what failed (OpenTelemetry).
pub const ERROR_TYPE: &str = "error.type";
/// What was said about a failure (OpenTelemetry).
pub const ERROR_MESSAGE: &str = "error.message";
/// The server's id for the request.
pub const REQUEST_ID: &str = "openai_bulk.request_id";
/// Which attempt of its request it is, or how many there were.
pub const ATTEMPT: &str = "openai_bulk.attempt";
/// From the first byte sent to the last byte received.
pub const DURATION: &str = "openai_bulk.duration_seconds";
/// A wait that is to come, or all those that were.
pub const WAIT: &str = "openai_bulk.wait_seconds";
/// The limit group, most often the model.
pub const GROUP: &str = "openai_bulk.limit_group";
/// For which limit a request was refused.
pub const SCOPE: &str = "openai_bulk.limit_scope";
/// A limit that changes.
pub const LIMIT: &str = "openai_bulk.limit";
/// The value of a limit from then on.
pub const LIMIT_TO: &str = "openai_bulk.limit_to";
/// Why something changes.
pub const REASON: &str = "openai_bulk.reason";
/// How many requests may be in flight.
pub const MAX_CONCURRENCY: &str = "openai_bulk.max_concurrency";
/// How long a circuit stays open.
pub const OPEN: &str = "openai_bulk.open_seconds";
/// The number of a line of the input.
pub const LINE: &str = "openai_bulk.row.line";
/// Bytes that are concerned.
pub const BYTES: &str = "openai_bulk.bytes";
/// The name of a job of batches, shortened.
pub const JOB: &str = "openai_bulk.batch.job";
/// The number of a part of a job.
pub const PART: &str = "openai_bulk.batch.part";
/// How many parts there are.
pub const PARTS: &str = "openai_bulk.batch.parts";
/// The server's id of a batch.
pub const BATCH: &str = "openai_bulk.batch.id";
/// The server's id of a file.
pub const FILE: &str = "openai_bulk.batch.file";
/// How far a part has come.
pub const STATE: &str = "openai_bulk.batch.state";
/// Rows of a job or a part.
pub const ROWS: &str = "openai_bulk.batch.rows";
/// Rows that succeeded.
pub const SUCCEEDED: &str = "openai_bulk.batch.succeeded";
/// Rows that failed.
pub const FAILED: &str = "openai_bulk.batch.failed";
/// Rows that are left.
pub const LEFT: &str = "openai_bulk.batch.left";
/// Lines of results that cannot be read.
pub const UNREADABLE: &str = "openai_bulk.batch.unreadable_lines";
/// Lines of results for rows that nobody asked for.
pub const UNKNOWN: &str = "openai_bulk.batch.unknown_lines";
/// Lines of results for rows that have one already.
pub const REPEATED: &str = "openai_bulk.batch.repeated_lines";
/// Rows without a line of results.
pub const MISSING: &str = "openai_bulk.batch.missing_lines";
/// How often in a row something failed.
pub const FAILURES: &str = "openai_bulk.batch.failures";
/// Tokens that may be in the server's queue.
pub const QUEUE: &str = "openai_bulk.batch.queue_tokens";
/// Rows that go now by a plan.
pub const LIVE_ROWS: &str = "openai_bulk.plan.live_rows";
/// Rows that go by batch by a plan.
pub const BATCH_ROWS: &str = "openai_bulk.plan.batch_rows";
/// Whether a plan is in time and within the cap.
pub const VERDICT: &str = "openai_bulk.plan.verdict";

/// Every name.
pub const ALL: [&str; 41] = [
    OPERATION,
    REQUEST_MODEL,
    RESPONSE_MODEL,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    SERVER,
    STATUS,
    ERROR_TYPE,
    ERROR_MESSAGE,
    REQUEST_ID,
    ATTEMPT,
    DURATION,
    WAIT,
    GROUP,
    SCOPE,
    LIMIT,
    LIMIT_TO,
    REASON,
    MAX_CONCURRENCY,
    OPEN,
    LINE,
    BYTES,
    JOB,
    PART,
    PARTS,
    BATCH,
    FILE,
    STATE,
    ROWS,
    SUCCEEDED,
    FAILED,
    LEFT,
    UNREADABLE,
    UNKNOWN,
    REPEATED,
    MISSING,
    FAILURES,
    QUEUE,
    LIVE_ROWS,
    BATCH_ROWS,
    VERDICT,
];

/// What a request to `url` asks for, as OpenTelemetry calls it; else the last part of its path.
pub(crate) fn operation(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default().trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "completions" if path.ends_with("/chat/completions") => "chat",
        "completions" => "text_completion",
        "responses" => "chat",
        other => other,
    }
}

/// The host of a URL.
pub(crate) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    match authority.rfind(':').filter(|_| !authority.ends_with(']')) {
        Some(colon) => &authority[..colon],
        None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_one_form_and_each_is_there_once() {
        let mut names = ALL.to_vec();
        assert!(names.iter().all(|name| is_well_formed(name)), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        let others = names.iter().filter(|name| !name.starts_with("openai_bulk.")).count();
        assert_eq!(others, 9, "the names of OpenTelemetry");
    }

    fn is_well_formed(name: &str) -> bool {
        name.contains('.') && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
    }

    #[test]
    fn an_address_tells_the_operation_and_the_server() {
        for (url, what, server) in [
            ("https://api.openai.com/v1/chat/completions", "chat", "api.openai.com"),
            ("http://127.0.0.1:8000/v1/completions", "text_completion", "127.0.0.1"),
            ("http://[::1]:8000/v1/embeddings", "embeddings", "[::1]"),
            ("http://[::1]/v1/responses", "chat", "[::1]"),
            (
                "https://x.test/openai/deployments/m/chat/completions?api-version=1",
                "chat",
                "x.test",
            ),
            ("https://x.test/v1/batches", "batches", "x.test"),
        ] {
            assert_eq!((operation(url), host(url)), (what, server), "{url}");
        }
    }
}
