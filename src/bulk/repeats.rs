//! Requests that occur several times in a run.

use super::input::Taken;
use crate::api::Caller;
use crate::cache::Cache;
use crate::dispatch::Call;
use crate::transport::Method;
use crate::wire::row::Row;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

type Build = BuildHasherDefault<Taken>;

/// Numbers requests that are the same, so that each has an answer of its own in the cache.
///
/// It remembers 64 bits of each request: two that it takes for the same are only numbered.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// Where nothing is kept, or the same requests are to have the same answer, nothing is counted.
    is_counting: bool,
    once: HashSet<u64, Build>,
    more: HashMap<u64, u32, Build>,
}

impl Repeats {
    pub(crate) fn new(cache: &Cache) -> Repeats {
        let is_counting = cache.is_on() && !cache.is_coalescing();
        Repeats { is_counting, once: HashSet::default(), more: HashMap::default() }
    }

    /// How often the request of this hash came before.
    pub(crate) fn count(&mut self, hash: u64) -> u32 {
        if !self.is_counting || self.once.insert(hash) {
            return 0;
        }
        let count = self.more.entry(hash).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Numbers a call.
    pub(super) fn number(&mut self, call: &mut Call, cache: &Cache) {
        if self.is_counting
            && let Some(request) = call.request(cache)
        {
            let repeat = self.count(request.number());
            set(call, repeat);
        }
    }
}

/// The call of a row that sends it as it is, if answers are looked up or kept.
pub(crate) fn question(caller: &Caller, row: &Row) -> Option<Call> {
    let model = row.model.as_deref().unwrap_or_default();
    let is_on = caller.dispatcher.cache.is_on();
    is_on.then(|| caller.raw_call(Method::Post, &row.url, model, row.body.clone()))
}

/// Lets a call ask for the sample of this number.
pub(crate) fn set(call: &mut Call, repeat: u32) {
    if let Some(sample) = &mut call.sample {
        sample.repeat = repeat;
    }
}
