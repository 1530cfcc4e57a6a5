//! How batches are made and watched, and who is told of their steps.

use super::split::PartLimits;
use std::sync::Arc;
use std::time::Duration;

/// How batches are made and watched.
#[derive(Clone)]
#[non_exhaustive]
pub struct BatchOptions {
    /// The first wait before the state of a batch is asked for; later ones are a tenth of its age,
    /// up to two minutes. Default: 5 seconds.
    pub poll_interval: Duration,
    /// How large a part may be.
    pub limits: PartLimits,
    /// The time in which a batch is to be done, as the server writes it. Default: `24h`, the only
    /// one that it knows.
    pub completion_window: String,
    /// The most input tokens of one model that may wait at the server. A lower limit that the server
    /// tells goes before it. Default: none.
    pub enqueued_tokens: Option<u64>,
    /// In how many batches a row may be, before it fails. Default: 3, by own choice.
    pub most_batches: u32,
    /// How long to wait before a batch that was maybe made is looked for: a request that was on its
    /// way may still arrive. Default: 10 seconds, by own choice.
    pub grace: Duration,
    /// Leaves the files at the server. Default: no, they are deleted when the results are safe.
    pub keep_files: bool,
    /// Is told before and after each step. Default: nobody.
    pub observer: Option<StepObserver>,
}

/// Is called with every step.
pub type StepObserver = Arc<dyn Fn(&StepEvent<'_>) + Send + Sync>;

/// A step of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepEvent<'a> {
    /// The number of the part in its job.
    pub part: u32,
    /// What is done: `upload`, `create`, `find`, `poll`, `cancel`, `fetch`, `settle`, `clean`,
    /// `split`, and `withdraw`.
    pub step: &'a str,
    /// How far it has come.
    pub moment: Moment,
}

/// How far a step has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// What is about to be done is written down.
    Begun,
    /// It is done, and nothing of that is written down yet.
    Acted,
    /// What came of it is written down.
    Kept,
}

impl Default for BatchOptions {
    fn default() -> BatchOptions {
        BatchOptions {
            poll_interval: Duration::from_secs(5),
            limits: PartLimits::default(),
            completion_window: "24h".into(),
            enqueued_tokens: None,
            most_batches: 3,
            grace: Duration::from_secs(10),
            keep_files: false,
            observer: None,
        }
    }
}

impl std::fmt::Debug for BatchOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchOptions")
            .field("poll_interval", &self.poll_interval)
            .field("limits", &self.limits)
            .field("enqueued_tokens", &self.enqueued_tokens)
            .finish_non_exhaustive()
    }
}
