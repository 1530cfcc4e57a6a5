//! Whether the server is worth asking at all.

use crate::clock::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// When the circuit opens and closes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rules {
    /// How far back results count. Default: 30 s.
    pub window: Duration,
    /// How many results there must be before their share means anything. Default: 20.
    pub min_calls: u32,
    /// The share of failures that opens the circuit, from 0 to 1. Default: 0.5.
    pub failure_share: f64,
    /// Failures in a row that open it as well, whatever was before. Default: 20.
    pub failures_in_a_row: u32,
    /// Connections in a row that could not be made, which open it as well. Default: 10.
    pub connect_failures: u32,
    /// How long it stays open at first; each time that a probe fails, half as long again.
    /// Default: 2 s.
    pub open: Duration,
    /// How long it stays open at most before the next probe. Default: 10 s.
    pub open_cap: Duration,
    /// How long it may be open before callers are told. Default: 5 min.
    pub patience: Duration,
    /// The same, as long as the server was never reached: what is wrong then is most often its address.
    /// No longer than `patience`. Default: 20 s.
    pub first_patience: Duration,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            window: Duration::from_secs(30),
            min_calls: 20,
            failure_share: 0.5,
            failures_in_a_row: 20,
            connect_failures: 10,
            open: Duration::from_secs(2),
            open_cap: Duration::from_secs(10),
            patience: Duration::from_secs(300),
            first_patience: Duration::from_secs(20),
        }
    }
}

/// What the breaker hears of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server did its work.
    Ok,
    /// The server is in trouble.
    Ill,
    /// It says nothing about the server's health: a refusal, a bad request, a cancelled call.
    Ignored,
}

/// What the breaker says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go.
    Yes,
    /// Go, as one of the counted probes; its result must be recorded as a probe's.
    Probe,
    /// Ask again then.
    Until(Time),
}

/// A result, as the breaker hears of it.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Whether the call was admitted as a probe.
    pub is_probe: bool,
    /// The number that the call was admitted under.
    pub number: u64,
    /// When it was admitted.
    pub sent_at: Time,
    /// What became of it.
    pub verdict: Verdict,
    /// Whether no connection could be made.
    pub is_connect_failure: bool,
    /// Whether the request may have reached the server.
    pub is_sent: bool,
}

/// A change that a result brought about, for those who tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The circuit is open, for this long before the next probe.
    Opened(Duration),
    /// The circuit is closed again.
    Closed,
}

/// Parts of the window: old results leave it a part at a time.
const PARTS: usize = 10;
/// Failures that are looked at together, and the share of them among the calls that were sent
/// between the first and the last one from which the server is in trouble. Where failures come
/// sooner than answers, a few of very many calls are all that is heard at first.
const TOGETHER: usize = 20;
const DENSE: f64 = 0.4;
/// Probes of the second round, before the circuit closes.
const SECOND_ROUND: u32 = 4;
/// How long a probe may be without a result before the next one is let through.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);

/// A circuit breaker: closed, open, or half-open with a counted number of probes.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    state: State,
    parts: [Part; PARTS],
    failures_in_a_row: u32,
    connect_failures: u32,
    /// How many calls were admitted.
    admitted: u64,
    /// The numbers of the latest failures.
    latest: VecDeque<u64>,
    /// How often it has opened without closing in between.
    openings: u32,
    /// Since when it has not been closed.
    open_since: Option<Time>,
    /// When it closed last.
    closed_at: Time,
    /// Whether any call ever came as far as the server.
    was_reached: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Time },
    HalfOpen { since: Time, allowed: u32, under_way: u32, succeeded: u32 },
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: u64,
    ok: u32,
    ill: u32,
}

impl Breaker {
    /// A closed one.
    pub fn new(rules: Rules) -> Breaker {
        Breaker {
            rules,
            state: State::Closed,
            parts: [Part::default(); PARTS],
            failures_in_a_row: 0,
            connect_failures: 0,
            admitted: 0,
            latest: VecDeque::new(),
            openings: 0,
            open_since: None,
            closed_at: Time::ZERO,
            was_reached: false,
        }
    }

    /// Since when it has not been closed; `None` when it is.
    pub fn open_since(&self) -> Option<Time> {
        self.open_since
    }

    /// Whether any call ever came as far as the server, which need not have been well.
    pub fn was_reached(&self) -> bool {
        self.was_reached
    }

    /// For how long it has been open, if that is longer than callers should wait.
    pub fn given_up(&self, now: Time) -> Option<Duration> {
        let patience = match self.was_reached {
            true => self.rules.patience,
            false => self.rules.patience.min(self.rules.first_patience),
        };
        let open_for = self.open_since.map_or(Duration::ZERO, |since| now.since(since));
        (open_for >= patience).then_some(open_for)
    }

    /// The number of the call that was admitted last.
    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    /// Whether a call may go now. A probe is counted from here on, until its result is recorded.
    pub fn admit(&mut self, now: Time) -> Admission {
        let admission = self.may_pass(now);
        self.admitted += u64::from(!matches!(admission, Admission::Until(_)));
        admission
    }

    fn may_pass(&mut self, now: Time) -> Admission {
        if let State::Open { until } = self.state {
            if now < until {
                return Admission::Until(until);
            }
            self.state = State::HalfOpen { since: now, allowed: 1, under_way: 0, succeeded: 0 };
        }
        let State::HalfOpen { since, allowed, under_way, succeeded } = &mut self.state else {
            return Admission::Yes;
        };
        if *under_way + *succeeded < *allowed {
            *under_way += 1;
            *since = now;
            return Admission::Probe;
        }
        let patience_ends = *since + PROBE_PATIENCE;
        if now >= patience_ends {
            // The probe hangs, as it may in an outage; another one tells more than waiting does.
            *since = now;
            *under_way += 1;
            return Admission::Probe;
        }
        Admission::Until(patience_ends)
    }

    /// Takes in a result. `roll` from 0 to 1 spreads the time for which the circuit is open.
    pub fn record(&mut self, now: Time, heard: &Heard, roll: f64) -> Option<Change> {
        self.was_reached |= heard.is_sent;
        match (heard.is_probe, self.state) {
            (true, State::HalfOpen { .. }) => self.record_probe(now, heard.verdict, roll),
            (_, State::Closed) => self.record_call(now, heard, roll),
            // The late result of a call from before says nothing of the server now.
            _ => None,
        }
    }

    fn record_probe(&mut self, now: Time, verdict: Verdict, roll: f64) -> Option<Change> {
        let State::HalfOpen { allowed, under_way, succeeded, .. } = &mut self.state else {
            return None;
        };
        *under_way = under_way.saturating_sub(1);
        match verdict {
            // No verdict: the place of the probe is free for another one.
            Verdict::Ignored => None,
            Verdict::Ill => Some(self.open(now, roll)),
            Verdict::Ok => {
                *succeeded += 1;
                if *succeeded < *allowed {
                    return None;
                }
                if *allowed > 1 {
                    return Some(self.close(now));
                }
                (*allowed, *succeeded) = (SECOND_ROUND, 0);
                None
            }
        }
    }

    fn record_call(&mut self, now: Time, heard: &Heard, roll: f64) -> Option<Change> {
        match heard.verdict {
            Verdict::Ignored => return None,
            // A call from before the circuit was open tells of that time.
            _ if heard.sent_at < self.closed_at => return None,
            Verdict::Ok => {
                self.failures_in_a_row = 0;
                self.connect_failures = 0;
                self.part(now).ok += 1;
                return None;
            }
            Verdict::Ill => {
                self.failures_in_a_row += 1;
                self.connect_failures =
                    if heard.is_connect_failure { self.connect_failures + 1 } else { 0 };
                self.part(now).ill += 1;
                if self.latest.len() == TOGETHER {
                    self.latest.pop_front();
                }
                self.latest.push_back(heard.number);
            }
        }
        let is_dead = self.connect_failures >= self.rules.connect_failures
            || self.failures_in_a_row >= self.rules.failures_in_a_row;
        ((is_dead || self.is_failing(now)) && self.is_dense()).then(|| self.open(now, roll))
    }

    fn is_dense(&self) -> bool {
        let (first, last) = (self.latest.iter().min(), self.latest.iter().max());
        let between = first.zip(last).map_or(0, |(first, last)| last - first + 1);
        self.latest.len() as f64 >= DENSE * between as f64
    }

    fn is_failing(&self, now: Time) -> bool {
        let oldest = self.number(now).saturating_sub(PARTS as u64 - 1);
        let recent = self.parts.iter().filter(|part| part.number >= oldest);
        let (ok, ill) = recent.fold((0, 0), |(ok, ill), part| (ok + part.ok, ill + part.ill));
        let all = ok + ill;
        all >= self.rules.min_calls.max(1)
            && f64::from(ill) >= self.rules.failure_share * f64::from(all)
    }

    fn part(&mut self, now: Time) -> &mut Part {
        let number = self.number(now);
        let part = &mut self.parts[(number % PARTS as u64) as usize];
        if part.number != number {
            *part = Part { number, ..Part::default() };
        }
        part
    }

    fn number(&self, now: Time) -> u64 {
        let part = (self.rules.window.as_nanos() / PARTS as u128).max(1);
        // The first part is 1, so that an unused one, of number 0, is always old.
        (now.since_origin().as_nanos() / part) as u64 + PARTS as u64
    }

    fn open(&mut self, now: Time, roll: f64) -> Change {
        // Growing by half, a probe comes at most a third of the outage too late.
        let length = self
            .rules
            .open
            .mul_f64(1.5f64.powi(self.openings.min(40) as i32))
            .min(self.rules.open_cap);
        // Equal jitter: half of it is certain, half is chance.
        let length = length.mul_f64(0.5 + 0.5 * roll.clamp(0.0, 1.0)).max(Duration::from_millis(1));
        self.state = State::Open { until: now + length };
        self.openings += 1;
        self.open_since.get_or_insert(now);
        Change::Opened(length)
    }

    fn close(&mut self, now: Time) -> Change {
        self.state = State::Closed;
        self.closed_at = now;
        self.parts = [Part::default(); PARTS];
        self.failures_in_a_row = 0;
        self.connect_failures = 0;
        self.latest.clear();
        self.openings = 0;
        self.open_since = None;
        Change::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> Time {
        Time::from_origin(Duration::from_secs_f64(seconds))
    }

    fn heard(is_probe: bool, sent_at: f64, verdict: Verdict, is_connect_failure: bool) -> Heard {
        let is_sent = !is_connect_failure;
        Heard { is_probe, number: 1, sent_at: at(sent_at), verdict, is_connect_failure, is_sent }
    }

    fn feed(breaker: &mut Breaker, now: f64, verdict: Verdict, count: u32) {
        for _ in 0..count {
            breaker.record(at(now), &heard(false, now, verdict, false), 1.0);
        }
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(Rules::default());
        feed(&mut breaker, 1.0, Verdict::Ill, 20);
        breaker
    }

    #[test]
    fn it_opens_at_half_failures_but_not_before_enough_calls() {
        let mut breaker = Breaker::new(Rules::default());
        feed(&mut breaker, 1.0, Verdict::Ill, 19);
        assert_eq!(breaker.admit(at(1.0)), Admission::Yes);
        let mut breaker = Breaker::new(Rules::default());
        feed(&mut breaker, 1.0, Verdict::Ok, 20);
        feed(&mut breaker, 1.0, Verdict::Ill, 19);
        assert_eq!(breaker.admit(at(1.0)), Admission::Yes);
        feed(&mut breaker, 1.0, Verdict::Ill, 1);
        assert_eq!(breaker.admit(at(1.0)), Admission::Until(at(3.0)));
        assert_eq!(breaker.open_since(), Some(at(1.0)));
    }

    #[test]
    fn a_few_of_very_many_that_fail_before_any_answer_comes_do_not_open_it() {
        let mut breaker = Breaker::new(Rules::default());
        let fail = |breaker: &mut Breaker, number| {
            let heard = Heard { number, ..heard(false, 1.0, Verdict::Ill, false) };
            breaker.record(at(1.0), &heard, 1.0)
        };
        for number in 0..200 {
            assert_eq!(fail(&mut breaker, 100 * number), None);
        }
        for number in 0..19 {
            assert_eq!(fail(&mut breaker, 30_000 + number), None);
        }
        assert!(fail(&mut breaker, 30_019).is_some(), "all of them one after another do");
    }

    #[test]
    fn old_failures_are_forgotten() {
        let mut breaker = Breaker::new(Rules::default());
        feed(&mut breaker, 1.0, Verdict::Ill, 19);
        feed(&mut breaker, 39.0, Verdict::Ok, 1);
        feed(&mut breaker, 40.0, Verdict::Ill, 18);
        assert_eq!(breaker.admit(at(40.0)), Admission::Yes);
    }

    #[test]
    fn refusals_and_bad_requests_never_open_it() {
        let mut breaker = Breaker::new(Rules::default());
        feed(&mut breaker, 1.0, Verdict::Ignored, 10_000);
        assert_eq!(breaker.admit(at(1.0)), Admission::Yes);
    }

    #[test]
    fn ten_connections_in_a_row_that_fail_open_it() {
        let mut breaker = Breaker::new(Rules::default());
        for n in 0..10 {
            assert_eq!(breaker.admit(at(1.0)), Admission::Yes, "{n}");
            breaker.record(at(1.0), &heard(false, 1.0, Verdict::Ill, true), 1.0);
        }
        assert!(matches!(breaker.admit(at(1.0)), Admission::Until(_)));
    }

    #[test]
    fn a_server_that_was_never_reached_is_given_up_sooner() {
        let reached = [
            ("an answer", Some(heard(false, 0.5, Verdict::Ok, false))),
            ("an error", Some(heard(false, 0.5, Verdict::Ill, false))),
            ("a refusal", Some(heard(false, 0.5, Verdict::Ignored, false))),
        ];
        let unreached = [
            ("nothing", None),
            ("a call that was taken back", Some(heard(false, 0.5, Verdict::Ignored, true))),
            ("no connection", Some(heard(false, 0.5, Verdict::Ill, true))),
        ];
        let short = Rules { patience: Duration::from_secs(5), ..Rules::default() };
        let cases = reached.into_iter().map(|case| (case, 301.0));
        for ((name, first), ends) in cases.chain(unreached.into_iter().map(|case| (case, 21.0))) {
            for (rules, ends) in [(Rules::default(), ends), (short, 6.0)] {
                let mut breaker = Breaker::new(rules);
                if let Some(first) = first {
                    breaker.record(at(0.5), &first, 1.0);
                }
                for _ in 0..40 {
                    breaker.record(at(1.0), &heard(false, 1.0, Verdict::Ill, true), 1.0);
                }
                assert_eq!(breaker.given_up(at(ends - 0.1)), None, "{name}");
                let open_for = Some(Duration::from_secs_f64(ends - 1.0));
                assert_eq!(breaker.given_up(at(ends)), open_for, "{name}");
            }
        }
    }

    #[test]
    fn one_probe_then_four_then_it_closes() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(6.0)), Admission::Probe);
        assert!(matches!(breaker.admit(at(6.0)), Admission::Until(_)));
        breaker.record(at(6.5), &heard(true, 6.0, Verdict::Ok, false), 1.0);
        for _ in 0..4 {
            assert_eq!(breaker.admit(at(7.0)), Admission::Probe);
        }
        assert!(matches!(breaker.admit(at(7.0)), Admission::Until(_)));
        for _ in 0..4 {
            breaker.record(at(7.5), &heard(true, 7.0, Verdict::Ok, false), 1.0);
        }
        assert_eq!(breaker.admit(at(7.5)), Admission::Yes);
        assert_eq!(breaker.open_since(), None);
    }

    #[test]
    fn a_probe_that_fails_lengthens_the_time_up_to_the_cap() {
        let mut breaker = opened();
        let mut now = 6.0;
        for length in [3.0, 4.5, 6.75, 10.0, 10.0] {
            assert_eq!(breaker.admit(at(now)), Admission::Probe);
            breaker.record(at(now), &heard(true, now, Verdict::Ill, false), 1.0);
            let Admission::Until(until) = breaker.admit(at(now)) else { panic!("it is open") };
            assert!(until.since(at(now + length - 0.001)) <= Duration::from_millis(2), "{until:?}");
            now += length + 0.001;
        }
        assert_eq!(breaker.open_since(), Some(at(1.0)));
    }

    #[test]
    fn a_probe_without_a_verdict_frees_its_place() {
        // The classic fault: half-open for ever because a probe was cancelled.
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(6.0)), Admission::Probe);
        breaker.record(at(6.0), &heard(true, 6.0, Verdict::Ignored, false), 1.0);
        assert_eq!(breaker.admit(at(6.0)), Admission::Probe);
    }

    #[test]
    fn late_results_of_earlier_calls_change_nothing() {
        let mut breaker = opened();
        feed(&mut breaker, 2.0, Verdict::Ok, 100);
        assert!(matches!(breaker.admit(at(2.0)), Admission::Until(_)));
        assert_eq!(breaker.admit(at(6.0)), Admission::Probe);
        feed(&mut breaker, 6.1, Verdict::Ok, 100);
        assert!(matches!(breaker.admit(at(6.1)), Admission::Until(_)));
    }

    proptest! {
        /// Whatever happens, there is a way on: a yes, a probe, or a time that is not far.
        #[test]
        fn it_never_locks_up(steps in proptest::collection::vec((0u8..6, 0.0f64..10.0, 0.0f64..=1.0), 1..300)) {
            let mut breaker = Breaker::new(Rules::default());
            let (mut now, mut probes) = (0.0, 0u32);
            for (step, gap, roll) in steps {
                now += gap;
                match step {
                    0 | 1 => match breaker.admit(at(now)) {
                        Admission::Yes => {}
                        Admission::Probe => probes += 1,
                        Admission::Until(until) => {
                            prop_assert!(until > at(now) && until <= at(now + 61.0));
                        }
                    },
                    2 | 3 => {
                        let verdict = if step == 2 { Verdict::Ok } else { Verdict::Ill };
                        let is_probe = probes > 0;
                        probes -= u32::from(is_probe);
                        breaker.record(at(now), &heard(is_probe, now, verdict, false), roll);
                    }
                    4 => feed(&mut breaker, now, Verdict::Ill, 20),
                    _ => feed(&mut breaker, now, Verdict::Ok, 20),
                }
            }
        }
    }
}
