//! The pause after a refusal.

use super::permit::Refused;
use crate::clock::Time;
use crate::wire::fault::Scope;
use std::time::Duration;

/// The shortest pause after a refusal, which doubles while nothing but refusals comes.
const PAUSE: Duration = Duration::from_millis(250);

/// Holds everybody back after a refusal, once for all refusals of the same moment.
#[derive(Debug, Default)]
pub(super) struct Pause {
    pub(super) began: Option<Time>,
    pub(super) until: Time,
    /// Pauses since the last answer.
    pub(super) strikes: u32,
}

impl Pause {
    /// Begins a pause, unless the refused call was sent before the last one began.
    pub(super) fn begin(&mut self, sent_at: Time, now: Time, refused: &Refused) -> bool {
        if self.began.is_some_and(|began| sent_at <= began) {
            return false;
        }
        self.began = Some(now);
        let grown = PAUSE.saturating_mul(1 << self.strikes.min(10));
        self.strikes += 1;
        // The hint is for the call that was refused; others may pass sooner, and find out slowly.
        let length = match refused.scope {
            Scope::Day => refused.pause,
            _ => refused.pause.min(grown),
        };
        self.until = self.until.max(now + length);
        true
    }
}
