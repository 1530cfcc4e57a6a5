//! Where the marks of an axis stand.

use super::format;

/// How far marks of times have to lie apart, so that their texts have room on a narrow screen.
const APART: f64 = 0.14;

/// Marks on an axis, from its start to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Axis {
    /// The values at its two ends.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Values and what is written at them.
    pub(super) marks: Vec<(f64, String)>,
    is_log: bool,
}

impl Axis {
    /// Where a value stands, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.is_log { value.max(1e-9).ln() } else { value };
        let (from, to) = (scale(self.from), scale(self.to));
        if to <= from { 0.0 } else { ((scale(value) - from) / (to - from)).clamp(0.0, 1.0) }
    }
}

/// A round step, of which about `count` make `span`.
fn step(span: f64, count: f64) -> f64 {
    let rough = (span / count).max(1e-12);
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.999);
    factor.unwrap_or(10.0) * power
}

/// An axis from zero to a round value that is at least `most`.
pub(super) fn linear(most: f64, write: impl Fn(f64) -> String) -> Axis {
    between(0.0, if most > 0.0 { most } else { 1.0 }, write)
}

/// An axis with round ends around two values.
pub(super) fn between(least: f64, most: f64, write: impl Fn(f64) -> String) -> Axis {
    let step = step(most - least, 4.0);
    let first = (least / step + 0.001).floor();
    let last = (most / step - 0.001).ceil();
    let marks: Vec<_> = (first as i64..=last as i64)
        .map(|n| n as f64 * step)
        .map(|value| (value, write(value)))
        .collect();
    Axis { from: first * step, to: last * step, marks, is_log: false }
}

/// Steps of time that people count in, in seconds.
const STEPS: [f64; 22] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0,
    3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0,
];

/// An axis of time since the start, which ends with the run.
pub(super) fn time(end: f64) -> Axis {
    let end = if end > 0.0 { end } else { 1.0 };
    let step = STEPS.into_iter().find(|step| end / step <= 6.0);
    let step = step.unwrap_or_else(|| (end / 6.0 / 86_400.0).ceil() * 86_400.0);
    let count = (end / step + 0.001).floor() as u64;
    let (unit, name) = match step {
        step if step < 60.0 => (1.0, "s"),
        step if step < 3_600.0 => (60.0, "min"),
        step if step < 86_400.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    };
    let mark = |n| {
        let value = n as f64 * step;
        (value, format!("{}\u{a0}{name}", format::number(value / unit)))
    };
    Axis { from: 0.0, to: end, marks: (0..=count).map(mark).collect(), is_log: false }
}

/// A logarithmic axis of times around two values, with round ends.
pub(super) fn log(least: f64, most: f64) -> Axis {
    // Below a microsecond, and beyond ten days, nothing is measured.
    let least = least.clamp(1e-6, 864_000.0);
    let most = most.clamp(least, 864_000.0);
    let rounds = || {
        let powers = -6..=6;
        powers.flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10f64.powi(power)))
    };
    let from = rounds().rfind(|round| *round <= least * 1.001).unwrap_or(1e-6);
    let to = rounds().find(|round| *round >= most * 0.999 && *round > from * 1.5);
    let to = to.unwrap_or(1e6);
    let inside: Vec<_> = rounds().filter(|round| (from..=to).contains(round)).collect();
    let decades = (to / from).log10();
    let is_shown = |value: f64| {
        let power = value.log10();
        let is_decade = (power - power.round()).abs() < 1e-6;
        if decades <= 2.0 {
            true
        } else {
            is_decade && (decades <= 5.0 || power.round() as i32 % 2 == 0)
        }
    };
    let mut axis = Axis { from, to, marks: Vec::new(), is_log: true };
    for value in inside.into_iter().filter(|value| is_shown(*value)) {
        // The text of the last one stands before its mark, and not around it.
        let room = if value == to { 1.4 * APART } else { APART };
        let last = axis.marks.last().map_or(-1.0, |(last, _)| axis.place(*last));
        if axis.place(value) - last >= room {
            axis.marks.push((value, format::seconds(value)));
        }
    }
    axis
}

/// So many bounds on a logarithmic axis, of bars as wide as each other.
pub(super) fn bounds(axis: &Axis, bars: usize) -> Vec<f64> {
    let (from, to) = (axis.from.max(1e-9).ln(), axis.to.max(1e-9).ln());
    (0..=bars).map(|n| (from + (to - from) * n as f64 / bars as f64).exp()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(axis: &Axis) -> Vec<String> {
        axis.marks.iter().map(|(_, text)| text.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn marks_are_round() {
        for (most, shown) in [
            (0.0, vec!["0", "0.5", "1"]),
            (1.0, vec!["0", "0.5", "1"]),
            (7.0, vec!["0", "2", "4", "6", "8"]),
            (100.0, vec!["0", "50", "100"]),
            (3_456.0, vec!["0", "1,000", "2,000", "3,000", "4,000"]),
            (0.03, vec!["0", "0.01", "0.02", "0.03"]),
        ] {
            let axis = linear(most, format::number);
            assert_eq!(marks(&axis), shown, "{most}");
            assert!(axis.to >= most && axis.place(axis.to) == 1.0 && axis.place(0.0) == 0.0);
        }
        assert_eq!(
            marks(&between(0.62, 0.81, format::number)),
            ["0.6", "0.65", "0.7", "0.75", "0.8", "0.85"]
        );
    }

    #[test]
    fn times_are_marked_as_people_count_them() {
        for (end, shown) in [
            (0.25, vec!["0 s", "0.1 s", "0.2 s"]),
            (4.0, vec!["0 s", "1 s", "2 s", "3 s", "4 s"]),
            (61.0, vec!["0 s", "15 s", "30 s", "45 s", "60 s"]),
            (600.0, vec!["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"]),
            (20_000.0, vec!["0 h", "1 h", "2 h", "3 h", "4 h", "5 h"]),
            (86_400.0 * 30.0, vec!["0 d", "5 d", "10 d", "15 d", "20 d", "25 d", "30 d"]),
        ] {
            assert_eq!(marks(&time(end)), shown, "{end}");
        }
        assert_eq!(time(0.0).to, 1.0);
    }

    #[test]
    fn a_logarithmic_axis_has_room_for_one_value_and_for_many() {
        for (least, most, shown) in [
            (0.3, 1.4, vec!["200 ms", "500 ms", "1 s", "2 s"]),
            (1.0, 1.0, vec!["1 s", "2 s"]),
            (0.005, 0.2, vec!["5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]),
            (0.001, 12.0, vec!["1 ms", "10 ms", "100 ms", "1 s", "10 s"]),
            (0.0, 0.0, vec!["1 µs", "2 µs"]),
        ] {
            let axis = log(least, most);
            assert_eq!(marks(&axis), shown, "{least} to {most}");
            assert!(axis.from < axis.to && axis.place(axis.from) == 0.0, "{axis:?}");
            let bounds = bounds(&axis, 10);
            assert!(bounds.len() == 11 && bounds.windows(2).all(|two| two[0] < two[1]));
        }
    }
}
