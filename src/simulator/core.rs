//! What all connections of a simulator share.

use super::answers::Author;
use super::batches::Batches;
use super::builder::Settings;
use super::faults::Faults;
use super::files::Files;
use super::limits::Limiter;
use super::random::mix;
use super::stats::Counter;
use crate::clock::{Clock, SystemClock, Time};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

/// The state of a running simulator.
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) author: Author,
    pub(super) limiter: Limiter,
    pub(super) faults: Faults,
    pub(super) files: Files,
    pub(super) batches: Batches,
    pub(super) stats: Counter,
    pub(super) is_stopped: AtomicBool,
    next: AtomicU64,
    /// The date at the clock's origin, in seconds since 1970.
    origin: u64,
}

impl Core {
    pub(super) fn new(mut settings: Settings) -> Core {
        let clock = settings.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()));
        let date = clock.date().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seed = settings.seed;
        let author = Author {
            seed,
            words: settings.words.clone(),
            answers: std::mem::take(&mut settings.answers),
        };
        let faults = Faults::new(
            seed,
            std::mem::take(&mut settings.faults),
            settings.faults_on_first,
            std::mem::take(&mut settings.scripted),
        );
        let own = std::mem::take(&mut settings.model_limits);
        Core {
            author,
            limiter: Limiter::new(settings.limits.clone(), own),
            faults,
            files: Files::new(seed),
            batches: Batches::default(),
            stats: Counter::new(settings.count_header.take(), settings.log_requests),
            is_stopped: AtomicBool::new(false),
            next: AtomicU64::new(0),
            origin: date.as_secs(),
            clock,
            settings,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Seconds since 1970.
    pub(super) fn unix(&self, at: Time) -> u64 {
        self.origin + at.since_origin().as_secs()
    }

    /// A number that nothing else has, and that does not look like a count.
    pub(super) fn serial(&self) -> u64 {
        mix(self.settings.seed, self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn knows(&self, model: &str) -> bool {
        self.settings.models.is_empty() || self.settings.models.iter().any(|each| each == model)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }
}
