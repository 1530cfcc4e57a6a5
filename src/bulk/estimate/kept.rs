//! Which rows the cache of answers would answer.

use super::survey::{Fate, Judged};
use crate::api::Caller;
use crate::bulk::Repeats;

/// Looks into the cache of a caller, row by row in the order of the input, and reads no answer.
pub(super) struct Kept<'a> {
    caller: &'a Caller,
    repeats: Repeats,
}

impl<'a> Kept<'a> {
    pub(super) fn new(caller: &'a Caller) -> Kept<'a> {
        Kept { caller, repeats: Repeats::new(&caller.dispatcher.cache) }
    }

    /// Whether the row that comes next has its answer there.
    pub(super) fn has(&mut self, row: &Judged) -> bool {
        let repeat = self.repeats.count(row.fingerprint);
        let Fate::Send(counted) = &row.fate else { return false };
        let Some((request, mut sample)) = counted.question else { return false };
        sample.repeat = repeat;
        let dispatcher = &self.caller.dispatcher;
        dispatcher.cache.has(&request.sample(sample), dispatcher.clock.date())
    }
}
