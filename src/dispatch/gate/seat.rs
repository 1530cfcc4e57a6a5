use super::Gate;
use std::sync::Arc;

/// One request of a share of 1, in the units of the queue's own time.
const TURN: f64 = 1_048_576.0;

/// Where a call stands in the queue: lower goes first.
///
/// The first number is the queue's own time at which the call's turn begins, as in start-time fair
/// queueing: whoever was admitted has its next turn later, the sooner the larger its share.
pub(super) type Turn = (u64, u64);

/// A place among those who wait for a limit group; it is given up when this is dropped.
///
/// It serves one call after another, each in its turn.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(super) gate: Arc<Gate>,
    pub(super) group: Arc<str>,
    pub(super) lane: Option<usize>,
    /// The time between two turns.
    pub(super) stride: u64,
    /// When the next turn begins at the earliest.
    pub(super) next: u64,
    /// The turn of the call that waits.
    pub(super) turn: Option<Turn>,
}

impl Seat {
    pub(super) fn new(gate: Arc<Gate>, group: Arc<str>, share: f64) -> Seat {
        let stride = (TURN / share.clamp(1e-3, 1e3)) as u64;
        Seat { gate, group, lane: None, stride, next: 0, turn: None }
    }

    /// Leaves the queue: there is no call to wait for.
    pub(crate) fn leave(&mut self) {
        if let (Some(lane), Some(turn)) = (self.lane, self.turn.take()) {
            let is_news = self.gate.state.lock().leave(lane, turn);
            if is_news {
                self.gate.signal.raise();
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}
