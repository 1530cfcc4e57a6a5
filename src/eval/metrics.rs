//! What scores come to: pure functions over questions.

/// The scores of one question.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Question {
    /// How many of its answers were scored.
    pub(super) scored: u32,
    /// How many of them are right.
    pub(super) right: u32,
    /// The sum of their scores.
    pub(super) sum: f64,
}

/// The mean of all scores.
pub(super) fn mean(questions: &[Question]) -> Option<f64> {
    let count: f64 = questions.iter().map(|one| f64::from(one.scored)).sum();
    (count > 0.0).then(|| questions.iter().map(|one| one.sum).sum::<f64>() / count)
}

/// The standard error of the mean, by questions: repeats of one question are not independent.
pub(super) fn standard_error(questions: &[Question]) -> Option<f64> {
    let mean = mean(questions)?;
    let scored = || questions.iter().filter(|one| one.scored > 0);
    let groups = scored().count() as f64;
    if groups < 2.0 {
        return None;
    }
    let count: f64 = scored().map(|one| f64::from(one.scored)).sum();
    let squares: f64 = scored().map(|one| (one.sum - mean * f64::from(one.scored)).powi(2)).sum();
    Some((squares * groups / (groups - 1.0)).sqrt() / count)
}

/// The chance that one of `k` answers is right, if `right` of `count` were: unbiased. `None` if there
/// are fewer than `k`.
pub fn pass_at_k(count: u32, right: u32, k: u32) -> Option<f64> {
    if k == 0 || k > count || right > count {
        return None;
    }
    let wrong = count - right;
    if wrong < k {
        return Some(1.0);
    }
    // 1 - C(wrong, k) / C(count, k), as a product so that nothing overflows.
    let none: f64 = (0..k).map(|i| f64::from(wrong - i) / f64::from(count - i)).product();
    Some(1.0 - none)
}

/// The mean of [`pass_at_k`] over the questions that have as many answers, and their number.
pub(super) fn pass_at(questions: &[Question], k: u32) -> Option<(f64, u64)> {
    let all = questions.iter().filter_map(|one| pass_at_k(one.scored, one.right, k));
    let (sum, count) = all.fold((0.0, 0), |(sum, count), one| (sum + one, count + 1));
    (count > 0).then(|| (sum / count as f64, count))
}

/// What a majority of answers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    pub(super) is_right: bool,
    /// Whether another answer was given as often; the one that came first was taken.
    pub(super) is_tied: bool,
}

/// The vote of the answers of one question, each with whether it is right; `None` if there are none.
pub(super) fn vote(answers: &[(String, bool)]) -> Option<Vote> {
    let times = |said: &str| answers.iter().filter(|(other, _)| other == said).count();
    let most = answers.iter().map(|(said, _)| times(said)).max()?;
    let (first, is_right) = answers.iter().find(|(said, _)| times(said) == most)?;
    let is_tied = answers.iter().any(|(said, _)| said != first && times(said) == most);
    Some(Vote { is_right: *is_right, is_tied })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(scored: u32, right: u32) -> Question {
        Question { scored, right, sum: f64::from(right) }
    }

    #[test]
    fn mean_and_standard_error_have_known_values() {
        let many = |right: usize, of: usize| -> Vec<_> {
            (0..of).map(|n| question(1, u32::from(n < right))).collect()
        };
        for (questions, wanted_mean, wanted_error) in [
            (many(742, 1319), 0.562547, 0.013664),
            (many(286, 1319), 0.216831, 0.011351),
            (many(1, 2), 0.5, 0.5),
            (many(3, 3), 1.0, 0.0),
            // Repeats that always agree tell no more than one answer.
            (vec![question(4, 4), question(4, 0)], 0.5, 0.5),
            // Of several that do not, less.
            (vec![question(4, 3), question(4, 1)], 0.5, 0.25),
            (vec![question(1, 1), question(0, 0), question(1, 0)], 0.5, 0.5),
        ] {
            let found = (mean(&questions).unwrap(), standard_error(&questions).unwrap());
            assert!((found.0 - wanted_mean).abs() < 1e-6, "{found:?}");
            assert!((found.1 - wanted_error).abs() < 1e-6, "{found:?}");
        }
        assert_eq!((mean(&[]), standard_error(&many(1, 1))), (None, None));
    }

    #[test]
    fn pass_at_k_is_the_share_of_draws_that_hold_a_right_answer() {
        for (count, right, k, wanted) in [
            (5, 0, 1, Some(0.0)),
            (5, 1, 1, Some(0.2)),
            (5, 2, 2, Some(0.7)),
            (5, 3, 3, Some(1.0)),
            (10, 3, 5, Some(0.916_666_666_7)),
            (200, 1, 100, Some(0.5)),
            (1000, 500, 1000, Some(1.0)),
            (3, 0, 0, None),
            (0, 0, 1, None),
            (2, 2, 1, Some(1.0)),
            (2, 1, 3, None),
            (2, 1, 0, None),
        ] {
            let found = pass_at_k(count, right, k);
            let is_near = match (found, wanted) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-9,
                pair => pair == (None, None),
            };
            assert!(is_near, "{count} {right} {k}: {found:?}");
        }
        let questions = [question(2, 1), question(2, 0), question(1, 1)];
        assert_eq!(pass_at(&questions, 2), Some((0.5, 2)));
        assert_eq!(pass_at(&questions, 3), None);
    }

    #[test]
    fn the_majority_decides_and_ties_are_told() {
        for (answers, wanted) in [
            (&[("a", true), ("b", false), ("b", false)][..], Some((false, false))),
            (&[("a", true), ("b", false)], Some((true, true))),
            (&[("b", false), ("a", true), ("a", true), ("b", false)], Some((false, true))),
            (&[("a", true)], Some((true, false))),
            (&[], None),
        ] {
            let answers: Vec<_> =
                answers.iter().map(|(said, is)| (said.to_string(), *is)).collect();
            let found = vote(&answers).map(|vote| (vote.is_right, vote.is_tied));
            assert_eq!(found, wanted, "{answers:?}");
        }
    }
}
