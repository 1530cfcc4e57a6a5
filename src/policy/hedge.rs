//! When a request that takes unusually long is sent a second time.

use std::time::Duration;

/// Answers whose times are remembered.
const RECENT: usize = 200;
/// Answers from which a straggler can be told.
const ENOUGH: usize = 40;
/// A request is a straggler when it takes longer than this share of the others.
const USUAL: f64 = 0.95;
/// Second requests that may be saved up for a moment when many are wanted.
const SAVED: f64 = 100.0;

/// Learns how long requests of one limit group take, and keeps to a share of second requests.
///
/// Each first request earns `share` of a second one, of which a hundred are kept at most.
#[derive(Clone, Debug)]
pub struct Hedge {
    share: f64,
    earned: f64,
    times: Vec<Duration>,
    next: usize,
    patience: Option<Duration>,
}

impl Hedge {
    /// One that allows `share` second requests for each first one; 0.02 is one in fifty.
    pub fn new(share: f64) -> Hedge {
        Hedge { share, earned: 0.0, times: Vec::new(), next: 0, patience: None }
    }

    /// A first request is sent: how long to wait for it before a second one, if that is known yet.
    pub fn sent(&mut self) -> Option<Duration> {
        self.earned = (self.earned + self.share).min(SAVED);
        self.patience
    }

    /// How long to wait for a first request before a second one.
    pub fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// A first request took this long, or was given up after it.
    pub fn took(&mut self, time: Duration) {
        if self.times.len() < RECENT {
            self.times.push(time);
        } else {
            self.times[self.next] = time;
            self.next = (self.next + 1) % RECENT;
        }
        // A few answers more or less do not move it by much.
        let is_due = self.times.len() == ENOUGH || self.next.is_multiple_of(10);
        if self.times.len() >= ENOUGH && is_due {
            let mut sorted = self.times.clone();
            let at = (USUAL * sorted.len() as f64).ceil() as usize - 1;
            self.patience = Some(*sorted.select_nth_unstable(at).1);
        }
    }

    /// Whether a second request may be sent.
    pub fn may_send(&self) -> bool {
        self.earned >= 1.0
    }

    /// A second request is sent.
    pub fn spend(&mut self) {
        self.earned -= 1.0;
    }

    /// A second request was not sent after all.
    pub fn give_back(&mut self) {
        self.earned += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straggler_is_known_by_the_others() {
        let mut hedge = Hedge::new(0.1);
        for ms in 1..40 {
            hedge.took(Duration::from_millis(ms));
        }
        assert_eq!(hedge.sent(), None, "too few to tell");
        hedge.took(Duration::from_secs(9));
        assert_eq!(hedge.sent(), Some(Duration::from_millis(38)));
        for _ in 0..500 {
            hedge.took(Duration::from_millis(700));
        }
        assert_eq!(hedge.patience(), Some(Duration::from_millis(700)));
        assert!(hedge.times.len() <= RECENT);
    }

    #[test]
    fn second_requests_keep_to_their_share() {
        let mut hedge = Hedge::new(0.02);
        let mut second = 0;
        for _ in 0..1_000 {
            hedge.sent();
            if hedge.may_send() {
                hedge.spend();
                second += 1;
            }
        }
        assert!((19..=20).contains(&second), "{second}");
        for _ in 0..100_000 {
            hedge.sent();
        }
        let saved = (0..1_000).filter(|_| {
            let may = hedge.may_send();
            if may {
                hedge.spend();
            }
            may
        });
        assert_eq!(saved.count(), 100);
    }
}
