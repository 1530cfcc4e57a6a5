//! Keeping our count of a bucket in step with the server's.

use crate::clock::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// Calls that were sent within this time of one another may reach the server in any order.
const JITTER: Duration = Duration::from_millis(50);
/// A call that is answered later tells nothing of the level any more.
const STRAGGLER: Duration = Duration::from_secs(60);

/// What a call was charged, and what was left by our own count: an answer is read against it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receipt {
    pub(super) cost: f64,
    pub(super) spent: f64,
    pub(super) level: f64,
    pub(super) shift: f64,
    pub(super) number: u64,
}

impl Receipt {
    /// What the call was charged.
    pub fn cost(&self) -> f64 {
        self.cost
    }
}

/// How our count of the level is kept in step with the server's.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// The calls whose answers are being compared: those sent at this time or up to [`JITTER`]
    /// later.
    window: Option<Time>,
    /// The first of them that was answered.
    head: Receipt,
    /// Set when the level at one moment has become clear.
    pub(super) mark: Option<Mark>,
    /// What their answers were off by, and how many they are.
    off: (f64, u32),
    /// All corrections until now.
    pub(super) shift: f64,
    /// The latest calls: when they were sent, and what they cost until they are answered.
    calls: VecDeque<(Time, f64)>,
    /// What those cost that are not answered.
    pub(super) open: f64,
    /// The number of the first of them.
    first: u64,
    /// The number of the first that may be in the window and not answered.
    looked: u64,
}

impl Mirror {
    pub(super) fn sent(&mut self, now: Time, cost: f64) -> u64 {
        self.calls.push_back((now, cost));
        self.open += cost;
        self.first + self.calls.len() as u64 - 1
    }

    /// A call is answered, or was never sent.
    pub(super) fn close(&mut self, number: u64, now: Time) {
        if let Some(at) = self.place(number) {
            self.open -= std::mem::take(&mut self.calls[at].1);
        }
        let is_over = |sent: Time, cost: f64| {
            now.since(sent) > if cost == 0.0 { 2 * JITTER } else { STRAGGLER }
        };
        while let Some((_, cost)) = self.calls.pop_front_if(|&mut (sent, cost)| is_over(sent, cost))
        {
            self.open -= cost;
            self.first += 1;
        }
    }

    fn place(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (at < self.calls.len()).then_some(at)
    }

    /// What calls cost that were sent just before a call and are not answered.
    fn open_before(&self, number: u64) -> f64 {
        let Some(at) = self.place(number) else { return 0.0 };
        let (sent, _) = self.calls[at];
        let before = self.calls.range(..at).rev();
        before.take_while(|(other, _)| *other + JITTER >= sent).map(|(_, cost)| cost).sum()
    }

    /// Whether all calls that were sent from `start` on and up to [`JITTER`] later are answered.
    fn is_complete(&mut self, start: Time) -> bool {
        // Where the last look ended, because what is answered stays so.
        let mut at = self.place(self.looked).unwrap_or(0);
        while let Some(&(sent, cost)) = self.calls.get(at) {
            if sent > start + JITTER {
                break;
            }
            if sent >= start && cost > 0.0 {
                self.looked = self.first + at as u64;
                return false;
            }
            at += 1;
        }
        self.looked = self.first + at as u64;
        true
    }

    /// By how much the level has to be corrected, after a call was served when `left` was left.
    ///
    /// Calls that were sent together are served in any order: each of them may tell too much or
    /// too little, but all of them together are right.
    pub(super) fn correction(
        &mut self,
        now: Time,
        sent_at: Time,
        left: f64,
        receipt: Receipt,
    ) -> f64 {
        let open = match self.window {
            None => self.open_before(receipt.number),
            Some(_) => 0.0,
        };
        self.close(receipt.number, now);
        let mut off = left - receipt.level - (self.shift - receipt.shift);
        let mut by = 0.0;
        match self.window {
            None => {
                // Until now nothing was known; all others may still be served after this one.
                (self.window, self.head) = (Some(sent_at), receipt);
                self.shift += off - open;
                return off - open;
            }
            Some(start) if sent_at + JITTER < start => return 0.0,
            Some(start) if sent_at > start + JITTER => {
                let open = self.open_around(start);
                let mean = self.mean();
                // Answers that are still to come may make up for as much as those calls cost that
                // could have been served in another order.
                by = mean.signum() * (mean.abs() - open).max(0.0);
                off -= by;
                self.settle(start, by, open);
                (self.window, self.head) = (Some(sent_at), receipt);
                self.off = (off, 1);
            }
            Some(_) => self.off = (self.off.0 + off, self.off.1 + 1),
        }
        if let Some(start) = self.window
            && self.is_complete(start)
        {
            let rest = self.mean();
            by += rest;
            self.settle(start, rest, 0.0);
        }
        by
    }

    /// Takes a correction into account that a window led to.
    fn settle(&mut self, start: Time, by: f64, doubt: f64) {
        self.shift += by;
        let left = self.head.level + self.shift - self.head.shift;
        self.mark = Some(Mark { at: start, left, spent: self.head.spent, doubt });
    }

    /// What calls cost that may have been served before or after those in a window, and are not
    /// answered.
    fn open_around(&self, start: Time) -> f64 {
        let from = self.calls.partition_point(|(sent, _)| *sent + JITTER < start);
        let near = self.calls.range(from..).take_while(|(sent, _)| *sent <= start + 2 * JITTER);
        near.map(|(_, cost)| cost).sum()
    }

    /// What the answers in the window were off by on the whole, which is then dealt with.
    fn mean(&mut self) -> f64 {
        let (sum, count) = std::mem::take(&mut self.off);
        if count == 0 { 0.0 } else { sum / f64::from(count) }
    }
}

/// What was left at the server at one moment, and what we had spent by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Time,
    pub(super) left: f64,
    pub(super) spent: f64,
    /// By how much the level may be wrong.
    pub(super) doubt: f64,
}
