use std::sync::Arc;
use std::time::Duration;

/// Is called with everything that happens, on the thread where it happens: it should be quick.
pub type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Something that happened to a call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An attempt was sent; the first is 1.
    Sent {
        /// Limit group, most often the model.
        group: &'a str,
        /// Which attempt of the call it is.
        attempt: u32,
    },
    /// A call was answered.
    Answered {
        /// Limit group, most often the model.
        group: &'a str,
        /// From the first byte sent to the last byte received.
        latency: Duration,
    },
    /// An attempt failed and another one follows.
    Retrying {
        /// Limit group, most often the model.
        group: &'a str,
        /// Which attempt failed.
        attempt: u32,
        /// How long until the next one may be sent.
        after: Duration,
        /// What failed.
        cause: &'a str,
        /// Whether the server refused for its rate limit.
        is_refusal: bool,
    },
    /// A call failed for good.
    Failed {
        /// Limit group, most often the model.
        group: &'a str,
        /// How many attempts were made.
        attempts: u32,
        /// What failed.
        cause: &'a str,
    },
}
