//! How far chance reaches: intervals by drawing again, on all processors.

use super::metrics::Question;
use rayon::prelude::*;

/// Draws that give a smooth interval, and those that many questions leave time for.
const MOST: usize = 10_000;
const LEAST: usize = 200;
const WORK: usize = 1 << 31;

/// The interval that holds 95 of 100 means of questions drawn with replacement, and in the same order
/// for the same seed.
pub(super) fn bootstrap(questions: &[Question], seed: u64) -> Option<(f64, f64)> {
    let scored: Vec<_> = questions.iter().filter(|one| one.scored > 0).collect();
    if scored.len() < 2 {
        return None;
    }
    let mut means = drawn(scored.len(), seed, |rng| {
        let (mut sum, mut count) = (0.0, 0.0);
        for _ in 0..scored.len() {
            let one = scored[rng.usize(..scored.len())];
            sum += one.sum;
            count += f64::from(one.scored);
        }
        sum / count
    });
    means.sort_unstable_by(f64::total_cmp);
    Some((quantile(&means, 0.025), quantile(&means, 0.975)))
}

/// The interval that holds the share of right answers with a certainty of 95 %, where all of so many
/// questions were right, or all wrong: the exact one of the binomial distribution. Drawing again
/// would say that nothing is left to chance.
pub(super) fn of_extreme(questions: usize, is_right: bool) -> (f64, f64) {
    let reach = 1.0 - 0.025f64.powf(1.0 / questions as f64);
    if is_right { (1.0 - reach, 1.0) } else { (0.0, reach) }
}

/// The share of sign changes of the differences whose sum is as far from zero as theirs: how likely
/// such a difference is if there is none.
pub(super) fn sign_flips(differences: &[f64], seed: u64) -> f64 {
    let seen = differences.iter().sum::<f64>().abs();
    let sums = drawn(differences.len(), seed, |rng| {
        differences.iter().map(|one| if rng.bool() { *one } else { -one }).sum::<f64>()
    });
    let as_far = sums.iter().filter(|sum| sum.abs() >= seen * (1.0 - 1e-12)).count();
    // What was seen is one of the possible cases.
    (as_far + 1) as f64 / (sums.len() + 1) as f64
}

fn drawn(size: usize, seed: u64, draw: impl Fn(&mut fastrand::Rng) -> f64 + Sync) -> Vec<f64> {
    let times = (WORK / size.max(1)).clamp(LEAST, MOST);
    let one = |at: usize| {
        let mixed = seed.wrapping_add((at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        draw(&mut fastrand::Rng::with_seed(mixed))
    };
    (0..times).into_par_iter().map(one).collect()
}

/// The value below which this share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, rest) = (at.floor() as usize, at.fract());
    let high = sorted[(low + 1).min(sorted.len() - 1)];
    sorted[low] + (high - sorted[low]) * rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_normal_distribution_where_there_are_many() {
        let questions: Vec<_> = (0..1319)
            .map(|n| Question { scored: 1, right: 0, sum: f64::from(u8::from(n < 742)) })
            .collect();
        let (low, high) = bootstrap(&questions, 0).unwrap();
        assert!((low - 0.5358).abs() < 0.002 && (high - 0.5893).abs() < 0.002, "{low} {high}");
        assert_eq!(bootstrap(&questions, 0), Some((low, high)));
        assert_ne!(bootstrap(&questions, 1), Some((low, high)));
        assert_eq!(bootstrap(&questions[..1], 0), None);
    }

    #[test]
    fn the_interval_of_all_or_none_is_the_exact_one() {
        for (questions, is_right, wanted) in [
            (5, false, (0.0, 0.521_823_75)),
            (5, true, (0.478_176_25, 1.0)),
            (1319, false, (0.0, 0.002_792_8)),
            (1, true, (0.025, 1.0)),
        ] {
            let (low, high) = of_extreme(questions, is_right);
            let is_near = (low - wanted.0).abs() < 1e-6 && (high - wanted.1).abs() < 1e-6;
            assert!(is_near, "{questions}: {low} {high}");
        }
    }

    #[test]
    fn sign_flips_tell_chance_from_a_difference() {
        let apart = [0.5, 0.25, 0.5, 0.75, 0.5, 0.25, 1.0, 0.5, 0.5, 0.25, 0.5, 0.5];
        let p = sign_flips(&apart, 0);
        assert!(p < 0.005, "{p}");
        let even = [0.5, -0.5, 0.25, -0.25];
        assert_eq!(sign_flips(&even, 0), 1.0);
    }

    #[test]
    fn quantiles_lie_between_values() {
        let sorted = [0.0, 1.0, 2.0, 3.0, 4.0];
        assert_eq!((quantile(&sorted, 0.0), quantile(&sorted, 1.0)), (0.0, 4.0));
        assert_eq!((quantile(&sorted, 0.5), quantile(&sorted, 0.625)), (2.0, 2.5));
    }
}
