//! Refusals that come by chance, whatever the rate.

use crate::clock::Time;
use std::time::Duration;

/// Octaves of rates, from the slowest: the lowest one ends at 2⁻¹⁰ units a second.
const OCTAVES: usize = 40;
const LOWEST: i32 = -10;
/// How far the rate must have come down, in octaves, and how much must have been refused meanwhile,
/// and in its two lowest ones.
const SPAN: usize = 4;
const ENOUGH: (f64, f64) = (6.0, 2.0);
/// The largest share of refusals that is taken for chance, and the least in the lowest octaves,
/// against the share in all.
const SHARE: (f64, f64) = (0.4, 0.6);
/// After this time, what was counted counts half.
const HALF: Duration = Duration::from_secs(60);
/// How long refusals are then borne, and how much more of them: by this factor, and by this much at
/// least and at most.
const BORNE: Duration = Duration::from_secs(300);
const GROWN: (f64, f64, f64) = (2.0, 0.05, 0.2);
/// Calls after which a share means anything.
const SAMPLE: f64 = 40.0;

/// Tells a server that refuses by chance from one with a limit.
///
/// Below a limit nothing is refused, and far above it nearly everything. Where the same share is
/// refused at rates that lie far apart, it is not for the rate, and to go slower does not help.
#[derive(Debug)]
pub(super) struct Chance {
    counts: [(f64, f64); OCTAVES],
    halved_at: Time,
    borne: Option<Borne>,
}

#[derive(Clone, Copy, Debug)]
struct Borne {
    until: Time,
    share: f64,
    sent: f64,
    refused: f64,
}

/// The octave of a rate, in units a second.
pub(super) fn octave(rate: f64) -> usize {
    (rate.log2().floor() as i32 - LOWEST).clamp(0, OCTAVES as i32 - 1) as usize
}

impl Chance {
    pub(super) fn new(now: Time) -> Chance {
        Chance { counts: [(0.0, 0.0); OCTAVES], halved_at: now, borne: None }
    }

    /// Whether refusals are borne.
    pub(super) fn is_bearing(&self, now: Time) -> bool {
        self.borne.is_some_and(|borne| now < borne.until)
    }

    /// A call was sent at a rate of this octave.
    pub(super) fn sent(&mut self, octave: usize) {
        self.counts[octave].0 += 1.0;
        if let Some(borne) = &mut self.borne {
            borne.sent += 1.0;
        }
    }

    /// The call was never sent.
    pub(super) fn taken_back(&mut self, octave: usize) {
        self.counts[octave].0 = (self.counts[octave].0 - 1.0).max(0.0);
    }

    /// A call was refused that was sent at a rate of the octave `sent_in`, while the rate is in
    /// `octave`. True if that is chance.
    pub(super) fn refused(&mut self, now: Time, sent_in: usize, octave: usize) -> bool {
        if let Some(borne) = &mut self.borne {
            borne.refused += 1.0;
            let (factor, least, most) = GROWN;
            let share = borne.share;
            let allowed = (factor * share).clamp(share + least, share + most);
            let is_usual = borne.sent < SAMPLE || borne.refused <= allowed * borne.sent;
            if now < borne.until && is_usual {
                return true;
            }
            *self = Chance::new(now);
            return false;
        }
        if now.since(self.halved_at) >= HALF {
            self.halved_at = now;
            self.counts.iter_mut().for_each(|(sent, refused)| {
                (*sent, *refused) = (*sent / 2.0, *refused / 2.0);
            });
        }
        self.counts[sent_in].1 += 1.0;
        let Some(share) = self.judge(octave) else { return false };
        self.borne = Some(Borne { until: now + BORNE, share, sent: 0.0, refused: 0.0 });
        true
    }

    /// The share that is refused, if it is the same at all rates.
    fn judge(&self, octave: usize) -> Option<f64> {
        let seen = || self.counts.iter().enumerate().filter(|(_, (sent, _))| *sent >= 1.0);
        let (lowest, _) = seen().next()?;
        let (highest, _) = seen().next_back()?;
        if highest < lowest + SPAN || octave > lowest + 1 {
            return None;
        }
        let sum = |to: usize| {
            self.counts[..=to].iter().fold((0.0, 0.0), |(n, r), each| (n + each.0, r + each.1))
        };
        let (all, low) = (sum(highest), sum(lowest + 1));
        let share = all.1 / all.0;
        let is_enough = all.1 >= ENOUGH.0 && low.1 >= ENOUGH.1;
        if !is_enough || share > SHARE.0 || low.1 < SHARE.1 * share * low.0 {
            return None;
        }
        // How far the octaves differ, by Pearson's measure.
        let off = |(sent, refused): &(f64, f64)| (refused - share * sent).powi(2) / (share * sent);
        let differ: f64 = seen().map(|(_, count)| off(count)).sum();
        (differ <= 2.0 * seen().count() as f64 + 4.0).then_some(share)
    }
}
