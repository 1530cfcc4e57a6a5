//! The states of a batch, as functions of time alone.

use crate::clock::Time;
use std::time::Duration;

/// How fast batches go.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchSpeed {
    /// How long the input is checked. Default: 50 ms.
    pub validating: Duration,
    /// How long each request takes; they go one after another. Default: 1 ms.
    pub per_request: Duration,
    /// How long the results are written. Default: 50 ms.
    pub finalizing: Duration,
    /// How long a cancellation takes. Default: 50 ms.
    pub cancelling: Duration,
    /// The time after which a batch that is not done expires. Default: 24 hours.
    pub window: Duration,
}

impl Default for BatchSpeed {
    fn default() -> BatchSpeed {
        let short = Duration::from_millis(50);
        BatchSpeed {
            validating: short,
            per_request: Duration::from_millis(1),
            finalizing: short,
            cancelling: short,
            window: Duration::from_secs(86_400),
        }
    }
}

impl BatchSpeed {
    /// A speed at which every step takes `step`, and all requests together no time.
    pub fn steps_of(step: Duration) -> BatchSpeed {
        let per_request = Duration::ZERO;
        BatchSpeed {
            validating: step,
            per_request,
            finalizing: step,
            cancelling: step,
            ..BatchSpeed::default()
        }
    }

    /// Sets the time for each request. Default: 1 ms.
    pub fn per_request(mut self, time: Duration) -> BatchSpeed {
        self.per_request = time;
        self
    }

    /// Sets the time after which a batch expires. Default: 24 hours.
    pub fn window(mut self, time: Duration) -> BatchSpeed {
        self.window = time;
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Status::Validating => "validating",
            Status::Failed => "failed",
            Status::InProgress => "in_progress",
            Status::Finalizing => "finalizing",
            Status::Completed => "completed",
            Status::Expired => "expired",
            Status::Cancelling => "cancelling",
            Status::Cancelled => "cancelled",
        }
    }

    pub(super) fn is_final(self) -> bool {
        use Status::{Cancelled, Completed, Expired, Failed};
        matches!(self, Failed | Completed | Expired | Cancelled)
    }
}

/// Where a batch stands, and when it came to each state.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) status: Status,
    pub(super) reached: Vec<(Status, Time)>,
    /// How many requests have been worked off.
    pub(super) done: usize,
}

impl Course {
    pub(super) fn new(now: Time) -> Course {
        let status = Status::Validating;
        Course { status, reached: vec![(status, now)], done: 0 }
    }

    pub(super) fn reached(&self, status: Status) -> Option<Time> {
        self.reached.iter().find(|(each, _)| *each == status).map(|(_, at)| *at)
    }

    fn created(&self) -> Time {
        self.reached[0].1
    }

    fn since(&self) -> Time {
        self.reached.last().expect("never empty").1
    }

    fn enter(&mut self, status: Status, at: Time) {
        self.status = status;
        self.reached.push((status, at));
    }

    /// When the input will have been looked at.
    pub(super) fn is_validated_at(&self, speed: &BatchSpeed) -> Time {
        self.created() + speed.validating
    }

    /// Goes on to where it stands at `now`. `total` is the number of requests, or none if the
    /// input is not valid.
    pub(super) fn advance(&mut self, speed: &BatchSpeed, total: Option<usize>, now: Time) {
        loop {
            let since = self.since();
            let (next, at) = match (self.status, total) {
                (Status::Validating, None) => (Status::Failed, self.is_validated_at(speed)),
                (Status::Validating, Some(_)) => (Status::InProgress, self.is_validated_at(speed)),
                (Status::InProgress, total) => {
                    let total = total.unwrap_or(0);
                    let expires = self.created() + speed.window;
                    let ends = since + speed.per_request.saturating_mul(total as u32);
                    self.done = worked(speed, now.min(expires).since(since), total);
                    if ends <= expires {
                        (Status::Finalizing, ends)
                    } else {
                        (Status::Expired, expires)
                    }
                }
                (Status::Finalizing, _) => (Status::Completed, since + speed.finalizing),
                (Status::Cancelling, _) => (Status::Cancelled, since + speed.cancelling),
                _ => return,
            };
            if now < at {
                return;
            }
            self.enter(next, at);
        }
    }

    /// Asks for its end; false if it has ended already.
    pub(super) fn cancel(&mut self, now: Time) -> bool {
        match self.status {
            Status::Completed | Status::Failed | Status::Expired => false,
            Status::Cancelling | Status::Cancelled => true,
            _ => {
                self.enter(Status::Cancelling, now);
                true
            }
        }
    }
}

fn worked(speed: &BatchSpeed, time: Duration, total: usize) -> usize {
    if speed.per_request.is_zero() {
        return total;
    }
    let worked = time.as_nanos() / speed.per_request.as_nanos();
    usize::try_from(worked).unwrap_or(total).min(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_origin(Duration::from_millis(millis))
    }

    #[test]
    fn a_batch_goes_its_way_at_its_speed() {
        let speed = BatchSpeed::default();
        let mut course = Course::new(at(0));
        for (now, status, done) in [
            (49, Status::Validating, 0),
            (50, Status::InProgress, 0),
            (57, Status::InProgress, 7),
            (60, Status::Finalizing, 10),
            (109, Status::Finalizing, 10),
            (110, Status::Completed, 10),
        ] {
            course.advance(&speed, Some(10), at(now));
            assert_eq!((course.status, course.done), (status, done), "at {now} ms");
        }
        assert_eq!(course.reached(Status::Finalizing), Some(at(60)));
    }

    #[test]
    fn nobody_has_to_look_at_each_step() {
        let mut course = Course::new(at(0));
        course.advance(&BatchSpeed::default(), Some(10), at(10_000));
        assert_eq!(course.status, Status::Completed);
        assert_eq!(course.reached(Status::Completed), Some(at(110)));
    }

    #[test]
    fn a_wrong_input_fails_after_its_check() {
        let mut course = Course::new(at(0));
        course.advance(&BatchSpeed::default(), None, at(60));
        assert_eq!(course.status, Status::Failed);
        assert!(!course.cancel(at(61)));
    }

    #[test]
    fn a_slow_batch_expires_with_a_part_done() {
        let speed = BatchSpeed::default().window(Duration::from_millis(55));
        let mut course = Course::new(at(0));
        course.advance(&speed, Some(10), at(1_000));
        assert_eq!((course.status, course.done), (Status::Expired, 5));
        assert_eq!(course.reached(Status::Expired), Some(at(55)));
    }

    #[test]
    fn a_cancelled_batch_keeps_what_is_done() {
        let speed = BatchSpeed::default();
        let mut course = Course::new(at(0));
        course.advance(&speed, Some(10), at(54));
        assert!(course.cancel(at(54)));
        course.advance(&speed, Some(10), at(60));
        assert_eq!((course.status, course.done), (Status::Cancelling, 4));
        course.advance(&speed, Some(10), at(104));
        assert_eq!((course.status, course.done), (Status::Cancelled, 4));
        assert!(course.cancel(at(105)), "a second cancel changes nothing and is allowed");
    }
}
