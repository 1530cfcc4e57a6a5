//! A model of a server: buckets, latency, capacity and troubles.

use super::seconds;
use crate::clock::Time;
use crate::error::TransportError;
use crate::transport::Answer;
use crate::usage::Weight;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// One request as the server sees it.
pub(super) struct Work {
    pub(super) weight: Weight,
}

/// How a server charges tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Charge {
    /// What is read and all that may be written, for good.
    Ceiling,
    /// The larger of the two, for good.
    Larger,
    /// All that may be written, corrected to what was used when it is done.
    Settled,
    /// What was used, when it is done.
    Used,
    /// What will be used, at once.
    Foreseen,
}

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    pub(super) per_minute: f64,
    pub(super) burst: f64,
    level: f64,
    at: Time,
}

impl Bucket {
    pub(super) fn new(per_minute: f64, burst: f64) -> Bucket {
        let level = (per_minute / 60.0 * burst).max(1.0);
        Bucket { per_minute, burst, level, at: Time::ZERO }
    }

    fn depth(&self) -> f64 {
        (self.per_minute / 60.0 * self.burst).max(1.0)
    }

    fn advance(&mut self, now: Time) {
        self.level += now.since(self.at).as_secs_f64() * self.per_minute / 60.0;
        self.level = self.level.min(self.depth());
        self.at = now;
    }

    fn has(&self, cost: f64) -> bool {
        self.level + 1e-9 >= cost.min(self.depth())
    }
}

/// What a request meets.
pub(super) struct Server {
    pub(super) requests: Option<Bucket>,
    pub(super) tokens: Option<Bucket>,
    pub(super) charge: Charge,
    pub(super) has_headers: bool,
    /// Whether the headers tell a minute's bucket although a bucket of a second is enforced.
    pub(super) claims_minute: bool,
    /// Whether the headers say anything that comes to mind.
    pub(super) lies: bool,
    pub(super) retry_after: Option<f64>,
    /// Median and sigma of the time that a request takes, in seconds.
    pub(super) latency: (f64, f64),
    /// The way there and back each take up to this, in seconds.
    pub(super) way: f64,
    /// The share of what may be written that is written.
    pub(super) written: f64,
    /// Requests that are worked on at once; others wait, or are refused.
    pub(super) slots: Option<usize>,
    /// The status of those refusals, if there is one.
    pub(super) refuses_when_full: Option<u16>,
    /// The share of requests that fail, and the status.
    pub(super) faults: f64,
    pub(super) fault: u16,
    /// Everything fails with 503 in this time.
    pub(super) outage: Option<(Time, Time)>,
    /// What others take from the buckets: requests a minute, tokens a minute.
    pub(super) others: (f64, f64),
    others_at: Time,
    busy: BinaryHeap<Reverse<Time>>,
    rng: fastrand::Rng,
}

pub(super) const OK: &str = r#"{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":"#;

impl Server {
    /// A server without limits that answers after `latency` seconds.
    pub(super) fn new(latency: f64) -> Server {
        Server {
            requests: None,
            tokens: None,
            charge: Charge::Ceiling,
            has_headers: true,
            claims_minute: false,
            lies: false,
            retry_after: None,
            latency: (latency, 0.0),
            way: 0.004,
            written: 0.1,
            slots: None,
            refuses_when_full: None,
            faults: 0.0,
            fault: 500,
            outage: None,
            others: (0.0, 0.0),
            others_at: Time::ZERO,
            busy: BinaryHeap::new(),
            rng: fastrand::Rng::with_seed(1),
        }
    }

    pub(super) fn requests(mut self, per_minute: f64, burst: f64) -> Server {
        self.requests = Some(Bucket::new(per_minute, burst));
        self
    }

    pub(super) fn tokens(mut self, per_minute: f64, burst: f64) -> Server {
        self.tokens = Some(Bucket::new(per_minute, burst));
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Server)) -> Server {
        change(&mut self);
        self
    }

    /// Changes the limit of requests, and keeps what is in the bucket.
    pub(super) fn set_requests(&mut self, per_minute: f64) {
        let bucket = self.requests.as_mut().expect("there is a limit");
        bucket.per_minute = per_minute;
        bucket.level = bucket.level.min(bucket.depth());
    }

    /// Begins other chances.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.rng = fastrand::Rng::with_seed(seed);
    }

    /// The time of the way there, or back.
    pub(super) fn way(&mut self) -> Duration {
        seconds(self.way * self.rng.f64())
    }

    fn used(&self, weight: Weight) -> u64 {
        weight.input + (weight.ceiling as f64 * self.written) as u64
    }

    fn cost(&self, weight: Weight) -> f64 {
        match self.charge {
            Charge::Ceiling | Charge::Settled => weight.total() as f64,
            Charge::Larger => weight.ceiling.max(weight.input) as f64,
            Charge::Used => 0.0,
            Charge::Foreseen => self.used(weight) as f64,
        }
    }

    /// The answer, and the time that it takes.
    pub(super) fn serve(
        &mut self,
        now: Time,
        work: &Work,
    ) -> (Result<Answer, TransportError>, Duration) {
        self.advance(now);
        if self.outage.is_some_and(|(from, to)| (from..to).contains(&now)) {
            return (Ok(error(503, "down", "")), seconds(0.01));
        }
        let cost = self.cost(work.weight);
        let (r, t) = (self.requests.as_ref(), self.tokens.as_ref());
        let lacks = if r.is_some_and(|bucket| !bucket.has(1.0)) {
            Some("requests")
        } else if t.is_some_and(|bucket| !bucket.has(cost)) {
            Some("tokens")
        } else {
            None
        };
        if let Some(kind) = lacks {
            let mut answer = self.headers(error(429, "rate_limit_exceeded", kind));
            if let Some(after) = self.retry_after {
                answer = answer.header("retry-after", &after.to_string());
            }
            return (Ok(answer), seconds(0.001));
        }
        while self.busy.peek().is_some_and(|Reverse(end)| *end <= now) {
            self.busy.pop();
        }
        let is_full = self.slots.is_some_and(|slots| self.busy.len() >= slots);
        if let Some(status) = self.refuses_when_full.filter(|_| is_full) {
            return (Ok(error(status, "too_many", "")), seconds(0.001));
        }
        if let Some(bucket) = &mut self.requests {
            bucket.level -= 1.0;
        }
        if let Some(bucket) = &mut self.tokens {
            bucket.level -= cost;
        }
        if self.rng.f64() < self.faults {
            return (Ok(self.headers(error(self.fault, "oops", ""))), seconds(0.01));
        }
        let (median, sigma) = self.latency;
        let length = seconds(median * (sigma * self.normal()).exp());
        let ends = self.queue(now, length);
        let body = format!("{OK}{}}}}}", self.used(work.weight));
        (Ok(self.headers(Answer::new(200, body))), ends.since(now))
    }

    /// When work that takes `length` is done: it waits where all slots are busy.
    fn queue(&mut self, now: Time, length: Duration) -> Time {
        let Some(slots) = self.slots else { return now + length };
        let begins = if self.busy.len() < slots {
            now
        } else {
            let Reverse(free) = self.busy.pop().expect("it has slots");
            free
        };
        self.busy.push(Reverse(begins + length));
        begins + length
    }

    /// A request is done.
    pub(super) fn done(&mut self, now: Time, work: &Work) {
        self.advance(now);
        let (used, charged) = (self.used(work.weight) as f64, self.cost(work.weight));
        if let (Charge::Settled | Charge::Used, Some(bucket)) = (self.charge, &mut self.tokens) {
            bucket.level = (bucket.level + charged - used).min(bucket.depth());
        }
    }

    fn advance(&mut self, now: Time) {
        let passed = now.since(self.others_at).as_secs_f64() / 60.0;
        self.others_at = now;
        for (bucket, others) in
            [(&mut self.requests, self.others.0), (&mut self.tokens, self.others.1)]
        {
            if let Some(bucket) = bucket {
                bucket.advance(now);
                bucket.level = (bucket.level - others * passed).max(bucket.level.min(0.0));
            }
        }
    }

    fn headers(&mut self, mut answer: Answer) -> Answer {
        if self.lies {
            let words = ["0", "1", "-1", "17", "6000", "999999999999", "99999999999999999999", "x"];
            for name in ["limit-requests", "remaining-requests", "limit-tokens", "remaining-tokens"]
            {
                let word = words[self.rng.usize(3..words.len())];
                let word =
                    if name.starts_with("limit") { word } else { words[self.rng.usize(..8)] };
                answer = answer.header(&format!("x-ratelimit-{name}"), word);
            }
            return answer.header("x-ratelimit-reset-requests", words[self.rng.usize(..8)]);
        }
        if !self.has_headers {
            return answer;
        }
        for (name, bucket) in [("requests", &self.requests), ("tokens", &self.tokens)] {
            let Some(bucket) = bucket else { continue };
            let hidden = if self.claims_minute { bucket.per_minute - bucket.depth() } else { 0.0 };
            let left = (bucket.level + hidden).max(0.0) as u64;
            let limit = bucket.per_minute as u64;
            answer = answer
                .header(&format!("x-ratelimit-limit-{name}"), &limit.to_string())
                .header(&format!("x-ratelimit-remaining-{name}"), &left.to_string());
        }
        answer
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.rng.f64().max(1e-12), self.rng.f64());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

pub(super) fn error(status: u16, code: &str, kind: &str) -> Answer {
    Answer::new(
        status,
        format!(r#"{{"error":{{"message":"no","type":"{kind}","code":"{code}"}}}}"#),
    )
}
