//! Servers that refuse what they have no room for.

use crate::clock::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Moments of refusal that must agree: where the server speaks of a limit, which may be one of the
/// rate, and where it says that it is overloaded. Source: own choice.
const EPISODES: (usize, usize) = (3, 1);
/// The least room that is told from a limit of the rate, where the server speaks of a limit: few in
/// flight look the same under both.
const LEAST: usize = 4;
/// How far the numbers that were held may lie apart, as a share and besides one.
const SPREAD: f64 = 1.1;
/// How old the first of these moments may be.
const AGE: Duration = Duration::from_secs(120);
/// A server without room says so at once: a refusal takes at most this share of an answer's time.
const QUICK: f64 = 0.5;
/// A call that is out for so many times as long as a refusal takes was not refused.
const SURE: f64 = 2.0;
/// How long until one more is tried, at first and at most; it doubles with each refusal.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// The limit is binding if it held somebody back within this time.
const BINDING: Duration = Duration::from_secs(1);
/// Refusals within [`AGE`] that only lower the limit, and down to which share of it; more of them mean
/// that it is none.
const STRIKES: (u32, f64) = (4, 0.8);
/// How long no room is looked for after such a mistake, at first and at most; it doubles.
const DOUBT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));

/// Finds out whether a server has room for a certain number of requests at once, and refuses others.
///
/// Such a server holds the same number of calls after each moment of refusals, never more. Under a
/// limit of the rate that number differs: few are held when calls go again after a pause, and many
/// more after a time without refusals.
#[derive(Debug, Default)]
pub struct Slots {
    episodes: VecDeque<Episode>,
    young: Young,
    /// The mean time of an answer and of a refusal, in seconds.
    usual: f64,
    quick: f64,
    found: Option<Found>,
    quiet_until: Time,
    doubt: Duration,
}

/// Refusals of one moment.
#[derive(Clone, Copy, Debug)]
struct Episode {
    at: Time,
    /// How many were under way.
    crowd: usize,
    /// The most that the server held from then on.
    held: usize,
}

#[derive(Clone, Copy, Debug)]
struct Found {
    limit: usize,
    since: Time,
    bound_at: Option<Time>,
    /// The limit before, while more are tried, and since when.
    trial: Option<(usize, Time)>,
    trial_at: Time,
    interval: Duration,
    strikes: u32,
    struck_at: Time,
    /// The limit before the first of them.
    unstruck: usize,
}

/// What a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing about the room.
    Unknown,
    /// That the room has a limit that was not known.
    Found,
    /// That the room is full, as is known.
    Full,
}

/// Calls that were sent a moment ago and may still be refused, by the millisecond.
#[derive(Debug, Default)]
struct Young(VecDeque<(u128, usize)>);

impl Young {
    fn sent(&mut self, at: Time) {
        let at = at.since_origin().as_millis();
        match self.0.back_mut() {
            Some((last, count)) if *last >= at => *count += 1,
            _ => self.0.push_back((at, 1)),
        }
    }

    fn settled(&mut self, sent_at: Time) {
        let at = sent_at.since_origin().as_millis();
        if let Ok(place) = self.0.binary_search_by_key(&at, |(at, _)| *at) {
            self.0[place].1 = self.0[place].1.saturating_sub(1);
        }
    }

    /// How many of those sent since `from` are under way.
    fn count(&mut self, from: Time) -> usize {
        let from = from.since_origin().as_millis();
        while self.0.front().is_some_and(|(at, _)| *at < from) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl Slots {
    /// How many the server has room for, if it is known.
    pub fn limit(&self) -> Option<usize> {
        self.found.map(|found| found.limit)
    }

    /// A call was held back because of it.
    pub fn bind(&mut self, now: Time) {
        if let Some(found) = &mut self.found {
            found.bound_at = Some(now);
        }
    }

    /// Tries a few more now and then. Tells whether the limit has changed.
    pub fn look(&mut self, now: Time) -> bool {
        let usual = seconds(2.0 * self.usual);
        let Some(found) = &mut self.found else { return false };
        let is_binding = found.bound_at.is_some_and(|at| now.since(at) <= BINDING);
        let due = match found.trial {
            // Nothing was refused: there is room for more.
            Some((_, since)) => since + usual.max(BINDING),
            None => found.trial_at,
        };
        if now < due || !is_binding {
            return false;
        }
        if found.trial.is_some() {
            found.interval = INTERVAL.0;
        }
        found.trial = Some((found.limit, now));
        found.limit += step(found.limit);
        true
    }

    /// A call is sent.
    pub fn sent(&mut self, now: Time) {
        if !self.episodes.is_empty() {
            self.young.sent(now);
        }
    }

    /// A call was answered, with which `in_flight` were under way, itself included.
    pub fn passed(&mut self, now: Time, sent_at: Time, in_flight: usize) {
        let latency = now.since(sent_at).as_secs_f64();
        self.usual = if self.usual == 0.0 { latency } else { 0.95 * self.usual + 0.05 * latency };
        self.young.settled(sent_at);
        self.hold(now, in_flight);
    }

    fn hold(&mut self, now: Time, in_flight: usize) {
        let sure = seconds(SURE * self.quick);
        let Some(episode) = self.episodes.back_mut() else { return };
        if now < episode.at + sure {
            return;
        }
        let young = self.young.count(Time::from_origin(now.since_origin().saturating_sub(sure)));
        episode.held = episode.held.max(in_flight.saturating_sub(young));
    }

    /// A call was refused, for a cause that may be a lack of room, with which `in_flight` were under
    /// way. `is_overload` is whether the server said so, and did not speak of a limit.
    pub fn refused(
        &mut self,
        now: Time,
        sent_at: Time,
        in_flight: usize,
        is_overload: bool,
    ) -> Room {
        let latency = now.since(sent_at).as_secs_f64();
        self.young.settled(sent_at);
        if self.found.is_some() {
            return self.refused_again(now, sent_at);
        }
        if now < self.quiet_until || latency > QUICK * self.usual {
            return Room::Unknown;
        }
        self.quick = latency.max(0.9 * self.quick);
        let answer = seconds(self.usual);
        if self.episodes.back().is_some_and(|last| sent_at <= last.at + answer) {
            return Room::Unknown;
        }
        self.episodes.retain(|episode| now.since(episode.at) <= AGE);
        let enough = if is_overload { EPISODES.1 } else { EPISODES.0 };
        let least = if is_overload { 1 } else { LEAST };
        let limit = self.judge(enough).filter(|limit| *limit >= least);
        if self.episodes.len() == EPISODES.0 {
            self.episodes.pop_front();
        }
        self.episodes.push_back(Episode { at: now, crowd: in_flight, held: 0 });
        let Some(limit) = limit else { return Room::Unknown };
        self.episodes.clear();
        self.young.0.clear();
        self.found = Some(Found {
            limit,
            since: now,
            bound_at: None,
            trial: None,
            trial_at: now + INTERVAL.0,
            interval: INTERVAL.0,
            strikes: 0,
            struck_at: now,
            unstruck: limit,
        });
        Room::Found
    }

    /// How many there is room for, if all that was held after the refusals of late says the same.
    fn judge(&self, enough: usize) -> Option<usize> {
        if self.episodes.len() < enough {
            return None;
        }
        let latest = || self.episodes.iter().rev().take(enough);
        let held = || latest().map(|episode| episode.held);
        let (low, high) = (held().min()?, held().max()?);
        let is_one = high as f64 <= low as f64 * SPREAD + 1.0;
        // Where as many were held as were under way, it was not for the room.
        let is_crowded = latest().all(|episode| episode.crowd > episode.held);
        (low >= 1 && is_one && is_crowded).then_some(high)
    }

    /// A refusal where the limit is known.
    fn refused_again(&mut self, now: Time, sent_at: Time) -> Room {
        let Some(found) = &mut self.found else { return Room::Unknown };
        if sent_at <= found.since {
            return Room::Full;
        }
        if let Some((before, _)) = found.trial.take() {
            found.limit = before;
            found.interval = (2 * found.interval).min(INTERVAL.1);
            (found.since, found.trial_at) = (now, now + found.interval);
            return Room::Full;
        }
        if now.since(found.struck_at) > AGE {
            (found.strikes, found.struck_at, found.unstruck) = (0, now, found.limit);
        }
        found.strikes += 1;
        let lower = found.limit - step(found.limit);
        if found.strikes <= STRIKES.0 && lower as f64 >= STRIKES.1 * found.unstruck as f64 {
            found.limit = lower;
            (found.since, found.trial_at) = (now, now + found.interval);
            return Room::Full;
        }
        self.found = None;
        self.doubt = (2 * self.doubt).clamp(DOUBT.0, DOUBT.1);
        self.quiet_until = now + self.doubt;
        Room::Unknown
    }
}

/// By how many the limit is changed.
fn step(limit: usize) -> usize {
    (limit / 50).max(1)
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.min(600.0))
}
