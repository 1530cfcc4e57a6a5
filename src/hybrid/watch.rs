//! Which batches will not make it. Nothing here acts.

use super::situation::Thresholds;
use std::collections::BTreeMap;

/// Batches that go on, and the time that is left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// What waits for an answer by batch.
    pub waiting: Vec<Waiting>,
    /// Seconds until the deadline.
    pub left: f64,
    /// The seconds that one row takes live, by model.
    pub row_seconds: BTreeMap<String, f64>,
    /// Seconds until everything is done that goes live anyway.
    pub live_seconds: f64,
}

/// A batch, or rows that wait to become one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waiting {
    /// Its model.
    pub model: String,
    /// Rows that it has.
    pub rows: u64,
    /// Rows that the server has worked off, by its own count.
    pub worked_off: u64,
    /// Seconds since it was made; `None` if the server does not have it yet.
    pub age: Option<f64>,
    /// Seconds since the server has worked off a row.
    pub still: f64,
    /// The seconds in which one like it is expected to end.
    pub usual: f64,
}

impl Waiting {
    /// The seconds until it is expected to end: at the pace so far; before the first row, as others
    /// did. One that stands still is expected to do so as long again as it has.
    pub fn expected(&self) -> f64 {
        let Some(age) = self.age else { return self.usual };
        match self.worked_off {
            0 if age < self.usual => self.usual - age,
            0 => age,
            done => self.still.max(age * self.rest() as f64 / done as f64),
        }
    }

    fn rest(&self) -> u64 {
        self.rows.saturating_sub(self.worked_off)
    }
}

/// The batches, by their places, that are to be given up now: those that are not expected to end in
/// time, once no more is left than what cancelling them and sending the rest live takes.
///
/// Until then nothing is lost by waiting: what they work off in the meantime is cheaper. Where
/// neither way is in time, the sooner one is taken.
pub fn late(watch: &Watch, thresholds: &Thresholds) -> Vec<usize> {
    let is_late = |(_, each): &(usize, &Waiting)| each.expected() > watch.left;
    let late: Vec<_> = watch.waiting.iter().enumerate().filter(is_late).collect();
    let mut by_model = BTreeMap::<&str, f64>::new();
    for (_, each) in &late {
        let row = watch.row_seconds.get(&each.model).copied().unwrap_or(0.0);
        *by_model.entry(&each.model).or_default() += each.rest() as f64 * row;
    }
    // Models go beside each other.
    let live = by_model.into_values().fold(0.0, f64::max);
    let cancel = if thresholds.allow_double { 0.0 } else { thresholds.cancel_time.as_secs_f64() };
    let before = cancel.max(watch.live_seconds);
    if watch.left > before + live * (1.0 + thresholds.margin) {
        return Vec::new();
    }
    let is_slower = |each: &Waiting| each.expected() > before + live;
    late.into_iter().filter(|(_, each)| is_slower(each)).map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn waiting(rows: u64, worked_off: u64, age: Option<f64>) -> Waiting {
        Waiting { model: "m".into(), rows, worked_off, age, still: 0.0, usual: 7_200.0 }
    }

    /// One row a second, ten minutes to cancel, half as much again as a margin.
    fn given_up(left: f64, waiting: Vec<Waiting>) -> Vec<usize> {
        let row_seconds = BTreeMap::from([("m".to_owned(), 1.0), ("n".to_owned(), 1.0)]);
        let watch = Watch { waiting, left, row_seconds, live_seconds: 0.0 };
        late(&watch, &Thresholds::default())
    }

    #[test]
    fn a_batch_is_given_up_when_its_rest_only_just_fits_and_not_before() {
        // A thousand rows take 1,500 s with the margin, and 600 s to cancel.
        let stuck = || vec![waiting(1_000, 0, Some(9_000.0))];
        assert!(given_up(2_101.0, stuck()).is_empty());
        assert_eq!(given_up(2_100.0, stuck()), [0]);
        assert_eq!(given_up(0.0, stuck()), [0]);
    }

    #[test]
    fn what_is_worked_off_leaves_a_smaller_rest_and_so_more_time() {
        // At 300 of 1,000 after 3,000 s, it goes on for 7,000 s; 700 rows take 1,050 s.
        let slow = || vec![waiting(1_000, 300, Some(3_000.0))];
        assert!(given_up(1_651.0, slow()).is_empty());
        assert_eq!(given_up(1_650.0, slow()), [0]);
        // At this pace it is done in time.
        assert!(given_up(1_000.0, vec![waiting(1_000, 900, Some(3_000.0))]).is_empty());
    }

    #[test]
    fn only_what_is_late_is_given_up() {
        let both = vec![waiting(1_000, 990, Some(3_000.0)), waiting(1_000, 0, Some(3_000.0))];
        assert_eq!(given_up(2_000.0, both), [1]);
    }

    #[test]
    fn models_go_beside_each_other_and_batches_of_one_model_after_one_another() {
        let two = |other: &str| {
            let other = Waiting { model: other.into(), ..waiting(1_000, 0, None) };
            vec![waiting(1_000, 0, None), other]
        };
        assert_eq!(given_up(3_600.0, two("m")), [0, 1]);
        assert!(given_up(3_600.0, two("n")).is_empty());
        assert_eq!(given_up(2_100.0, two("n")), [0, 1]);
    }

    #[test]
    fn where_double_cost_is_allowed_nothing_is_kept_for_cancelling() {
        let row_seconds = BTreeMap::from([("m".to_owned(), 1.0)]);
        let watch = Watch {
            waiting: vec![waiting(1_000, 0, None)],
            left: 1_501.0,
            row_seconds,
            live_seconds: 0.0,
        };
        let allowed = Thresholds { allow_double: true, ..Thresholds::default() };
        assert!(late(&watch, &allowed).is_empty());
        assert_eq!(late(&Watch { left: 1_500.0, ..watch.clone() }, &allowed), [0]);
        // What goes live anyway comes before it.
        let busy = Watch { left: 2_000.0, live_seconds: 600.0, ..watch };
        assert_eq!(late(&busy, &allowed), [0]);
        let eager = Thresholds { cancel_time: Duration::ZERO, ..Thresholds::default() };
        assert_eq!(late(&busy, &eager), [0]);
    }

    #[test]
    fn a_batch_that_stands_still_is_not_expected_to_go_on_at_its_old_pace() {
        // At its pace, ten rows would take 109 s; it has stood still for two hours.
        let stuck = || vec![Waiting { still: 7_200.0, ..waiting(1_000, 990, Some(10_800.0)) }];
        assert!(given_up(616.0, stuck()).is_empty());
        assert_eq!(given_up(615.0, stuck()), [0]);
        // So is one that has worked off everything and does not end.
        let ended = || vec![Waiting { still: 1_800.0, ..waiting(1_000, 1_000, Some(10_800.0)) }];
        assert!(given_up(601.0, ended()).is_empty());
        assert_eq!(given_up(600.0, ended()), [0]);
    }

    #[test]
    fn where_neither_way_is_in_time_the_sooner_one_is_taken() {
        // Its rest takes 1,000 s live after 600 s for cancelling.
        let new = |age| vec![waiting(1_000, 0, Some(age))];
        assert_eq!(given_up(0.0, new(5_599.0)), [0], "1,601 s more by batch");
        assert!(given_up(0.0, new(5_600.0)).is_empty(), "1,600 s more by batch");
    }

    #[test]
    fn before_its_first_row_a_batch_is_expected_to_take_as_long_as_others() {
        assert_eq!(waiting(9, 0, None).expected(), 7_200.0);
        assert_eq!(waiting(9, 0, Some(200.0)).expected(), 7_000.0);
        assert_eq!(waiting(9, 0, Some(8_000.0)).expected(), 8_000.0);
        assert_eq!(waiting(9, 3, Some(300.0)).expected(), 600.0);
        assert_eq!(waiting(9, 9, Some(300.0)).expected(), 0.0);
    }
}
