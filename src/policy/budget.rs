//! A rate budget: how much may be sent now, and when more may be.

use super::mirror::{Mark, Mirror};
use crate::clock::Time;
use crate::wire::headers::Level;
use ratelimit::{Clock as RefillClock, Ratelimiter, TryWaitError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many seconds' worth of the rate is left untouched. Source: simulation of buckets one second
/// deep.
const LEAD: f64 = 0.08;
/// The most that refusals may widen it to, as a multiple.
const SLACK_CAP: f64 = 16.0;
/// After this time without a refusal it narrows again.
const CALM: Duration = Duration::from_secs(10);
/// The time between two looks at what the server charges, and the units that must be spent between.
const SAMPLE: Duration = Duration::from_millis(500);
const SAMPLE_UNITS: f64 = 50.0;
/// What the server may charge for each unit of ours.
const CHEAPEST: f64 = 0.02;
const DEAREST: f64 = 20.0;
/// Parts of a unit: the bucket below counts whole tokens, rates need not be.
const FINE: f64 = 1_000.0;
const MINUTE: f64 = 60.0;
const DAY: f64 = 86_400.0;

pub use super::mirror::Receipt;

/// What a call may cost, and what it most likely will.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// What is read, and all that may be written.
    pub most: f64,
    /// What is read, and what such calls were seen to write.
    pub likely: f64,
}

impl Cost {
    /// A cost that is known beforehand.
    pub fn exact(cost: f64) -> Cost {
        Cost { most: cost, likely: cost }
    }
}

/// A way in which servers charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// All that may be written, for good, as OpenAI's guide says.
    #[default]
    Most,
    /// All that may be written, and what was not is given back when the call is done.
    GivenBack,
    /// What will be written, when the call comes.
    Foreseen,
    /// What was written, when the call is done.
    AtEnd,
}

/// One limit of a server, such as requests a minute, as a bucket that is refilled continuously.
///
/// The refill comes from a `ratelimit` bucket; the level beside it may be raised by refunds and go
/// below zero by a request that is larger than the bucket. Where the server tells what is left,
/// its word replaces the level, and what it is seen to charge for each unit of ours, whether by
/// its own rule of counting or because others spend from the same limit, becomes the price of those
/// units that it has not told of yet.
#[derive(Debug)]
pub struct Budget {
    rule: Rule,
    refill: Ratelimiter<Fed>,
    fed: Fed,
    level: f64,
    depth: f64,
    per_minute: f64,
    stated: Option<f64>,
    told: Option<f64>,
    /// When the call was sent whose answer told the limit.
    limit_at: Time,
    is_told: bool,
    spent: f64,
    mirror: Mirror,
    price: f64,
    /// What refusals have shown the price to be at least.
    floor: f64,
    mark: Option<Mark>,
    was_empty: bool,
    slack: f64,
    refused_at: Time,
}

/// The time that the refill sees: set before each look, so that the bucket has no clock of its own.
#[derive(Clone, Debug, Default)]
struct Fed(Arc<AtomicU64>);

impl Fed {
    fn set(&self, now: Time) {
        self.0.store(now.since_origin().as_nanos().min(u64::MAX as u128) as u64, Ordering::Relaxed);
    }
}

impl RefillClock for Fed {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl Budget {
    /// A budget that the user stated, of `per_minute`, whose bucket holds `burst` worth of it.
    pub fn stated(per_minute: f64, burst: Duration, now: Time) -> Budget {
        Budget::new(per_minute, Some(per_minute), burst, now)
    }

    /// A budget of `per_day` that the user stated. The bucket is full at first and holds a day's
    /// worth: what was spent before is the server's to tell.
    pub fn daily(per_day: f64, now: Time) -> Budget {
        let per_minute = per_day / (DAY / MINUTE);
        Budget::new(per_minute, Some(per_minute), Duration::from_secs(86_400), now)
    }

    /// A budget that is known from the server only.
    pub fn told(per_minute: f64, burst: Duration, now: Time) -> Budget {
        let mut budget = Budget::new(per_minute, None, burst, now);
        budget.told = Some(per_minute);
        budget
    }

    fn new(per_minute: f64, stated: Option<f64>, burst: Duration, now: Time) -> Budget {
        let per_minute = per_minute.max(0.001);
        let depth = (per_minute / MINUTE * burst.as_secs_f64()).max(1.0);
        let fed = Fed::default();
        fed.set(now);
        let refill = Ratelimiter::with_clock(1, fed.clone());
        // The level has its own depth; what pays a debt of hours must not run over meanwhile.
        refill.set_max_tokens(10_000_000_000_000);
        let mut budget = Budget {
            rule: Rule::default(),
            refill,
            fed,
            level: depth,
            depth,
            per_minute,
            stated,
            told: None,
            limit_at: Time::ZERO,
            is_told: false,
            spent: 0.0,
            mirror: Mirror::default(),
            price: 1.0,
            floor: CHEAPEST,
            mark: None,
            was_empty: false,
            slack: 1.0,
            refused_at: now,
        };
        budget.set_rate(per_minute);
        // What the fresh bucket made of the time before it existed is not ours to spend.
        budget.collect(now);
        budget.level = depth;
        budget
    }

    /// Charges calls by `rule`. Default: the most that they may cost.
    pub fn by(mut self, rule: Rule) -> Budget {
        self.rule = rule;
        self
    }

    /// The way in which calls are charged.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    fn price_of(&self, cost: Cost) -> f64 {
        match self.rule {
            Rule::Most | Rule::GivenBack => cost.most,
            Rule::Foreseen | Rule::AtEnd => cost.likely,
        }
    }

    /// Begins with what the server tells to be left, of which `open` may be taken already.
    pub fn begin_at(&mut self, left: f64, open: f64) {
        self.is_told = true;
        self.depth = self.depth.max(left);
        self.level = (left - open).max(-self.depth);
    }

    /// The rate in force, a minute.
    pub fn per_minute(&self) -> f64 {
        self.per_minute
    }

    /// Whether the server tells what is left of it.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// Takes another rate that the user states, in place of the one from before.
    pub fn restate(&mut self, per_minute: Option<f64>, now: Time) {
        self.collect(now);
        self.stated = per_minute;
        self.apply();
    }

    /// Takes the limit that the server named outside of its headers, such as in a refusal's text.
    pub fn name_limit(&mut self, per_minute: f64, now: Time) {
        self.collect(now);
        self.told = Some(per_minute);
        self.apply();
    }

    /// How long a call of `cost` has to wait; zero when it may go now.
    ///
    /// A call that is larger than the bucket waits for a full bucket and no longer.
    pub fn wait(&mut self, now: Time, cost: Cost) -> Duration {
        let cost = self.price_of(cost);
        self.collect(now);
        // From a bucket that nobody has touched, one request may take all.
        let lead = if self.spent == 0.0 { 0.0 } else { self.lead() };
        let need = (cost * self.price).min(self.depth) + lead;
        let missing = need - self.level;
        // Less than a thousandth of a token is rounding, not a debt.
        if missing <= 0.001 {
            return Duration::ZERO;
        }
        // The refill knows best when as much is due.
        match self.refill.try_wait_n((missing * FINE).ceil() as u64) {
            Err(TryWaitError::Insufficient(wait)) => wait.max(Duration::from_micros(50)),
            _ => Duration::from_secs_f64((missing / self.per_second()).min(1e6)),
        }
    }

    /// Takes in what was refilled until now.
    pub fn look(&mut self, now: Time) {
        self.collect(now);
    }

    /// Takes `cost`, below zero if it must be; call it only after [`Budget::wait`] gave zero.
    pub fn charge(&mut self, now: Time, cost: Cost) -> Receipt {
        let cost = self.price_of(cost);
        self.level -= cost * self.price;
        self.spent += cost;
        let number = self.mirror.sent(now, cost * self.price);
        let (spent, shift) = (self.spent, self.mirror.shift);
        // What is charged at the end is not missing yet when the call is served.
        let open = if self.rule == Rule::AtEnd { self.mirror.open } else { 0.0 };
        let level = self.level + open;
        Receipt { cost, spent, level, shift, number }
    }

    /// Gives back what a call was charged too much: all of it if it was never sent.
    pub fn refund(&mut self, amount: f64) {
        self.level = (self.level + amount * self.price).min(self.cap());
        self.spent -= amount;
    }

    /// Corrects what a call was charged by what it really used.
    pub fn settle(&mut self, receipt: Receipt, used: f64) {
        let over = receipt.cost - used;
        match self.rule {
            Rule::Most if self.is_told => {}
            // Its answer, and those that were served after it, told of what it used.
            Rule::Foreseen if self.is_told => {
                self.mirror.shift += over * self.price;
                self.refund(over);
            }
            _ => self.refund(over),
        }
    }

    /// The call of `receipt` was never sent.
    pub fn cancel(&mut self, now: Time, receipt: Receipt) {
        self.mirror.close(receipt.number, now);
        self.refund(receipt.cost);
    }

    /// Takes over what the server says of the bucket in its answer to a call, or that it answered
    /// without a word.
    ///
    /// The level that an answer tells is that of the moment when its call was served, so it is
    /// compared with our own count at that moment, and the count corrected by the difference. Gives
    /// that difference whenever it has become clear.
    pub fn learn(
        &mut self,
        now: Time,
        level: &Level,
        receipt: Receipt,
        sent_at: Time,
    ) -> Option<f64> {
        self.collect(now);
        // An answer that took long tells of the limit of its time.
        let limit = level.limit.filter(|&limit| limit > 0 && sent_at >= self.limit_at);
        if let Some(limit) = limit {
            self.limit_at = sent_at;
            let told = limit as f64 * MINUTE / period(level);
            if self.told.is_none_or(|known| (known - told).abs() > 1e-9) {
                self.told = Some(told);
                let before = self.per_second();
                self.apply();
                // What was refilled since at a rate that is too high is not there.
                let too_fast = (before - self.per_second()).max(0.0);
                self.depth = self.depth.min(limit as f64).max(1.0);
                let refilled = self.level - too_fast * now.since(sent_at).as_secs_f64();
                self.level = refilled.max(self.worst().min(self.level));
                self.mark = None;
            }
        }
        let Some(left) = level.remaining else {
            self.mirror.close(receipt.number, now);
            return None;
        };
        // More than the limit is never there, whatever is told.
        let left = level.limit.map_or(left, |limit| left.min(limit)) as f64;
        self.is_told = true;
        self.depth = self.depth.max(left);
        let off = self.mirror.correction(now, sent_at, left, receipt);
        let mark = self.mirror.mark.take();
        let surprise = mark.is_some().then_some(off);
        // The other rules explain by themselves what a server charges.
        if let Some(mark) = mark.filter(|_| self.rule == Rule::Most) {
            self.sample(mark, left == 0.0);
        }
        // A limit that the user set below the server's keeps its own count.
        if off < 0.0 || !self.is_own() {
            // An empty bucket is no word on a debt of ours.
            let floor = self.worst();
            let worst = floor.min(self.level);
            let is_debt = left == 0.0 && self.level < floor;
            let best = if is_debt { self.level } else { self.cap() };
            let to = (self.level + off).clamp(worst, best.max(worst));
            self.mirror.shift += to - self.level - off;
            self.level = to;
        } else {
            self.mirror.shift -= off;
        }
        surprise
    }

    /// Compares what the server charged since the last mark with what we thought that it would.
    fn sample(&mut self, new: Mark, is_empty: bool) {
        let Some(old) = self.mark else {
            self.mark = Some(new);
            return;
        };
        let (passed, ours) = (new.at.since(old.at), new.spent - old.spent);
        let doubt = (old.doubt + new.doubt) / self.price;
        if passed < SAMPLE || ours < SAMPLE_UNITS.max(20.0 * doubt) {
            return;
        }
        self.mark = Some(new);
        let refilled = self.told.unwrap_or(self.per_minute) / MINUTE * passed.as_secs_f64();
        // An empty bucket may as well be in debt, which is being repaid while we send little.
        let was_empty = std::mem::replace(&mut self.was_empty, is_empty);
        if was_empty && is_empty && ours * self.price < 0.3 * refilled {
            return;
        }
        let theirs = old.left + refilled - new.left;
        let seen = (theirs / ours).clamp(self.floor, DEAREST);
        // Where the bucket was full in between, refill was lost, and less was charged.
        let full = 0.98 * self.depth;
        if (old.left >= full || new.left >= full) && seen >= self.price {
            return;
        }
        // A server may charge all that could be written and give back later what was not: cheap on
        // the whole, and dear while calls are in flight. Only where much is left although our own
        // count holds calls back, they are really cheaper than we think.
        let is_idle = old.left.min(new.left) >= 0.5 * self.depth;
        let seen = if is_idle { seen } else { seen.max(self.price.min(1.0)) };
        // Levels are told in whole units, so that a little off is nothing.
        let seen = if (seen - 1.0).abs() < 0.04 { 1.0 } else { seen };
        let gain = if seen > self.price { 0.5 } else { 0.4 };
        self.price += gain * (seen - self.price);
    }

    /// Empties the bucket: the server refused although something seemed to be left.
    pub fn empty(&mut self, now: Time) {
        self.collect(now);
        self.level = self.level.min(0.0);
    }

    /// The server refused for this limit: more is left untouched for a while.
    pub fn refused(&mut self, now: Time) {
        self.slack = (self.slack * 2.0).min(SLACK_CAP);
        // Calls were not as cheap as they seemed.
        self.floor = (2.0 * self.price).min(1.0).max(self.floor);
        self.price = self.price.max(self.floor);
        self.refused_at = now;
    }

    fn per_second(&self) -> f64 {
        self.per_minute / MINUTE
    }

    /// Nothing that is told can be worse than all calls still to come, and a minute to wait.
    fn worst(&self) -> f64 {
        -self.mirror.open.max(0.0) - self.depth.min(self.per_minute)
    }

    fn lead(&self) -> f64 {
        (LEAD * self.slack * self.per_second()).min(0.25 * self.depth)
    }

    /// The most that the level rises to.
    fn cap(&self) -> f64 {
        self.depth + self.lead()
    }

    /// Whether the user's own limit binds, and not the server's.
    fn is_own(&self) -> bool {
        matches!((self.stated, self.told), (Some(stated), Some(told)) if stated < 0.999 * told)
    }

    /// Brings what the user stated and what the server told into force, whichever is lower.
    fn apply(&mut self) {
        let rate = match (self.stated, self.told) {
            (Some(stated), Some(told)) => stated.min(told),
            (Some(rate), None) | (None, Some(rate)) => rate,
            (None, None) => return,
        };
        let before = self.per_minute;
        self.set_rate(rate.max(0.001));
        if !self.is_told || self.is_own() {
            // Unless the server tells its level, the bucket holds the same time's worth as before.
            self.depth = (self.depth * self.per_minute / before).max(1.0);
            self.level = self.level.min(self.cap());
        } else if self.per_minute < before {
            // What was a minute to wait at the rate from before may be hours at this one.
            self.level = self.level.max(self.worst());
        }
    }

    fn set_rate(&mut self, per_minute: f64) {
        self.per_minute = per_minute;
        let rate = (per_minute * FINE).round().max(1.0) as u64;
        self.refill.set_rate_per(rate, Duration::from_secs(60));
    }

    /// Moves what was refilled since the last look into the level.
    fn collect(&mut self, now: Time) {
        self.fed.set(now);
        if now.since(self.refused_at) > CALM {
            self.slack = (self.slack / 2.0).max(1.0);
            self.floor = (self.floor * 0.9).max(CHEAPEST);
            self.refused_at = now;
        }
        let most = self.refill.max_tokens();
        // Asking for a full bucket makes it count the time; it is nearly always refused.
        let taken = match self.refill.try_wait_n(most) {
            Ok(()) => most,
            Err(_) => {
                let there = self.refill.available();
                self.refill.try_wait_n(there).map_or(0, |()| there)
            }
        };
        if taken > 0 {
            self.level = (self.level + taken as f64 / FINE).min(self.cap());
        }
    }
}

/// The time in seconds to which a limit in the headers applies: a minute, unless the time until the
/// bucket is full says that it is a day, as it does for models with a limit of requests a day.
fn period(level: &Level) -> f64 {
    let (Some(limit), Some(left), Some(reset)) = (level.limit, level.remaining, level.reset) else {
        return MINUTE;
    };
    let used = limit.saturating_sub(left);
    if used == 0 {
        return MINUTE;
    }
    let period = reset.as_secs_f64() * limit as f64 / used as f64;
    if (period / DAY - 1.0).abs() < 0.05 { DAY } else { MINUTE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> Time {
        Time::from_origin(Duration::from_secs_f64(seconds))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_bucket_lets_its_depth_go_at_once_and_then_the_rate() {
        let mut budget = Budget::stated(600.0, SECOND, at(5.0));
        // Ten deep, of which a twentieth of a second's worth is left untouched.
        for _ in 0..9 {
            assert_eq!(budget.wait(at(5.0), Cost::exact(1.0)), Duration::ZERO);
            budget.charge(at(0.0), Cost::exact(1.0));
        }
        let wait = budget.wait(at(5.0), Cost::exact(1.0));
        assert!((0.05..=0.101).contains(&wait.as_secs_f64()), "{wait:?}");
        assert_eq!(budget.wait(at(5.1001), Cost::exact(1.0)), Duration::ZERO);
    }

    #[test]
    fn a_request_larger_than_the_bucket_goes_when_it_is_full_and_its_debt_is_repaid() {
        let mut budget = Budget::stated(6_000.0, SECOND, at(0.0)); // 100 a second, 100 deep
        assert_eq!(budget.wait(at(0.0), Cost::exact(350.0)), Duration::ZERO);
        budget.charge(at(0.0), Cost::exact(350.0));
        // 250 below zero: a call of 10, and 8 to be left, have to wait for 268 tokens.
        let wait = budget.wait(at(0.0), Cost::exact(10.0)).as_secs_f64();
        assert!((wait - 2.68).abs() < 0.02, "{wait}");
        assert_eq!(budget.wait(at(2.7), Cost::exact(10.0)), Duration::ZERO);
    }

    #[test]
    fn a_debt_of_many_minutes_is_repaid_while_nobody_looks() {
        let mut budget = Budget::stated(60.0, SECOND, at(0.0));
        budget.charge(at(0.0), Cost::exact(601.0));
        assert_eq!(budget.wait(at(601.6), Cost::exact(1.0)), Duration::ZERO);
    }

    #[test]
    fn a_thousand_failures_that_are_refunded_leave_the_level_as_it_was() {
        let mut budget = Budget::stated(60_000.0, SECOND, at(0.0));
        for _ in 0..1_000 {
            assert_eq!(budget.wait(at(0.0), Cost::exact(400.0)), Duration::ZERO);
            budget.charge(at(0.0), Cost::exact(400.0));
            budget.refund(400.0);
        }
        assert_eq!(budget.wait(at(0.0), Cost::exact(1_000.0)), Duration::ZERO);
    }

    #[test]
    fn the_servers_level_replaces_ours_less_what_was_sent_since() {
        let mut budget = Budget::stated(600.0, SECOND, at(0.0));
        let first = budget.charge(at(0.0), Cost::exact(1.0));
        budget.charge(at(0.0), Cost::exact(1.0));
        let level = Level { limit: Some(600), remaining: Some(5), reset: None };
        budget.learn(at(0.0), &level, first, at(0.0));
        // 5 were left after the first; the second is on its way: 4, less the reserve of 0.2.
        for _ in 0..3 {
            assert_eq!(budget.wait(at(0.0), Cost::exact(1.0)), Duration::ZERO);
            budget.charge(at(0.0), Cost::exact(1.0));
        }
        assert!(budget.wait(at(0.0), Cost::exact(1.0)) > Duration::ZERO);
    }

    #[test]
    fn an_older_answer_is_no_news() {
        let mut budget = Budget::stated(600.0, SECOND, at(0.0));
        let first = budget.charge(at(0.0), Cost::exact(1.0));
        let second = budget.charge(at(1.0), Cost::exact(1.0));
        let full = Level { limit: Some(600), remaining: Some(500), reset: None };
        let empty = Level { limit: Some(600), remaining: Some(0), reset: None };
        budget.learn(at(1.1), &empty, second, at(1.0));
        budget.learn(at(1.1), &full, first, at(0.0));
        assert!(budget.wait(at(1.1), Cost::exact(5.0)) > Duration::ZERO);
    }

    #[test]
    fn a_limit_below_the_stated_one_is_obeyed_and_one_above_is_not_used() {
        let mut budget = Budget::stated(600.0, SECOND, at(0.0));
        let level = |limit| Level { limit: Some(limit), remaining: None, reset: None };
        budget.learn(at(0.0), &level(60), Receipt::default(), at(0.0));
        assert_eq!(budget.per_minute(), 60.0);
        budget.learn(at(0.0), &level(6_000), Receipt::default(), at(0.0));
        assert_eq!(budget.per_minute(), 600.0);
    }

    #[test]
    fn three_a_minute_are_one_every_twenty_seconds() {
        let mut budget = Budget::stated(3.0, SECOND, at(0.0));
        budget.charge(at(0.0), Cost::exact(1.0));
        let wait = budget.wait(at(0.0), Cost::exact(1.0)).as_secs_f64();
        assert!((wait - 20.0).abs() < 0.1, "{wait}");
    }

    proptest! {
        /// Whatever is asked for and whenever, no more passes than the bucket and its refill.
        #[test]
        fn never_more_than_depth_and_refill(
            per_minute in 1u32..100_000,
            asks in proptest::collection::vec((0.0f64..2.0, 0.1f64..50.0), 1..200),
        ) {
            let per_minute = f64::from(per_minute);
            let mut budget = Budget::stated(per_minute, SECOND, at(0.0));
            let depth = (per_minute / 60.0).max(1.0);
            let (mut now, mut passed, mut largest) = (0.0, 0.0, 0.0f64);
            for (gap, cost) in asks {
                now += gap;
                if budget.wait(at(now), Cost::exact(cost)) == Duration::ZERO {
                    budget.charge(at(0.0), Cost::exact(cost));
                    passed += cost;
                    largest = largest.max(cost);
                }
                // One that is larger than the bucket may run into debt by itself.
                prop_assert!(passed <= depth + per_minute / 60.0 * now + largest + 1.0);
            }
        }

        /// The wait that is told is enough, and nothing is held longer than needed by much.
        #[test]
        fn the_wait_that_is_told_is_enough(
            per_minute in 1u32..1_000_000,
            spend in 0.0f64..5_000.0,
            cost in 0.1f64..5_000.0,
        ) {
            let mut budget = Budget::stated(f64::from(per_minute), SECOND, at(0.0));
            budget.charge(at(0.0), Cost::exact(spend));
            let mut now = Time::ZERO;
            for _ in 0..4 {
                let wait = budget.wait(now, Cost::exact(cost));
                now = now + wait;
                if wait == Duration::ZERO { break }
            }
            prop_assert_eq!(budget.wait(now, Cost::exact(cost)), Duration::ZERO);
        }
    }
}
