//! What the lines of an output tell of money, and of the time at which rows ended.

use crate::bulk::{Attempts, Costs, Point, Summary, Timeline};
use crate::usage::{Money, Prices, cost_of_answer};
use crate::wire::answer::check_answer;
use crate::wire::row::{CourseRef, PaidRef, read_paid};
use std::collections::BTreeMap;

/// Moments that are kept; of more, each two become one.
const MOMENTS: usize = 2_048;
/// Seconds of a moment at first.
const FIRST: f64 = 0.1;
/// Nothing takes longer, in seconds.
const LONGEST: f64 = 864_000.0;

/// The course of an output, in the space of a few moments however many lines it has.
#[derive(Debug)]
pub(super) struct Course {
    prices: Prices,
    costs: Costs,
    attempts: Attempts,
    /// Answers that nothing was paid for, because they were there.
    pub(super) unpaid: u64,
    /// What ended in each moment, by its number since 1970.
    moments: BTreeMap<i64, Point>,
    /// Seconds of a moment.
    width: f64,
    /// When the first row began, in seconds since 1970.
    began: f64,
}

impl Course {
    pub(super) fn new(prices: Prices) -> Course {
        let costs = Costs { prices_as_of: prices.as_of().map(str::to_owned), ..Costs::default() };
        Course {
            prices,
            costs,
            attempts: Attempts::default(),
            unpaid: 0,
            moments: BTreeMap::new(),
            width: FIRST,
            began: f64::MAX,
        }
    }

    /// Adds a row, whose line says `paid` of its cost.
    pub(super) fn add(&mut self, row: &CourseRef<'_>, line: &[u8]) {
        let (tokens, cost) = read_paid(line).map_or_else(Default::default, |paid| self.pay(&paid));
        let (attempts, refused) = (row.attempts.unwrap_or(0), row.refusals.unwrap_or(0));
        self.attempts.total += u64::from(attempts);
        self.attempts.refused += u64::from(refused);
        self.attempts.maybe_billed += u64::from(row.maybe_billed.unwrap_or(0));
        let Some(ended) = row.ended.filter(|ended| (1.0..1e11).contains(ended)) else { return };
        let took = (row.latency_ms.unwrap_or(0.0) + row.waiting_ms.unwrap_or(0.0)) / 1e3;
        self.began = self.began.min(ended - took.clamp(0.0, LONGEST));
        let ends = Point {
            rows: 1,
            failed: u64::from(!row.ok),
            attempts: attempts.into(),
            refused: refused.into(),
            tokens,
            cost,
            ..Point::default()
        };
        let moment = (ended / self.width).floor() as i64;
        add(self.moments.entry(moment).or_default(), &ends);
        while self.moments.len() > MOMENTS {
            self.widen();
        }
    }

    /// Counts what an answer cost, and gives its tokens and its price.
    fn pay(&mut self, paid: &PaidRef<'_>) -> (u64, Money) {
        let maybe = paid.maybe_cost.as_deref().and_then(|text| Money::parse(text).ok());
        self.costs.maybe_billed += maybe.unwrap_or(Money::ZERO);
        let Some(answer) = paid.answer else { return Default::default() };
        let peek = check_answer(answer.as_bytes()).unwrap_or_default();
        let asked = paid.asked.as_deref().unwrap_or_default();
        let cost = cost_of_answer(&self.prices, &peek, asked, paid.is_batch);
        let total = cost.map_or(Money::ZERO, |cost| cost.total);
        if paid.is_free {
            self.unpaid += 1;
            self.costs.saved_by_answers += total;
            return Default::default();
        }
        self.costs.pay(&peek, asked, cost.as_ref());
        (peek.usage.map_or(0, |usage| usage.total), total)
    }

    fn widen(&mut self) {
        self.width *= 2.0;
        for (moment, ends) in std::mem::take(&mut self.moments) {
            add(self.moments.entry(moment.div_euclid(2)).or_default(), &ends);
        }
    }

    /// What it tells, as a summary would; what only a run knows is not in it.
    pub(super) fn summary(&self) -> Summary {
        let (cost, timeline) = (self.costs.clone(), self.timeline());
        Summary { cost, timeline, attempts: self.attempts, ..Summary::default() }
    }

    fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::default();
        (timeline.started, timeline.interval_seconds) = (self.began, self.width);
        let since = |moment: i64| moment as f64 * self.width - self.began;
        let mut sum = Point::default();
        let mut next = None;
        for (&moment, ends) in &self.moments {
            // Nothing ended since the one before, as between two runs.
            if next.is_some_and(|next| next < moment) {
                timeline.points.push(Point { seconds: since(moment), ..sum });
            }
            add(&mut sum, ends);
            next = Some(moment + 1);
            timeline.points.push(Point { seconds: since(moment + 1), ..sum });
        }
        timeline
    }
}

/// Adds what ended in one moment to what ended in another.
fn add(sum: &mut Point, more: &Point) {
    sum.rows += more.rows;
    sum.failed += more.failed;
    sum.attempts += more.attempts;
    sum.refused += more.refused;
    sum.tokens = sum.tokens.saturating_add(more.tokens);
    sum.cost += more.cost;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::row::read_course;

    fn course(rows: impl Iterator<Item = (f64, bool)>) -> Course {
        let mut course = Course::new(Prices::builtin());
        for (ended, is_cached) in rows {
            let line = format!(
                r#"{{"custom_id":"a","response":{{"status_code":200,"body":{{"model":"gpt-4o","choices":[],"usage":{{"prompt_tokens":1000000,"completion_tokens":0,"total_tokens":1000000}}}}}},"error":null,"x_run":{{"ok":true,"attempts":2,"refusals":1,"latency_ms":500,"waiting_ms":250,"ended":{ended},"cached":{is_cached}}}}}"#
            );
            course.add(&read_course(line.as_bytes()).unwrap(), line.as_bytes());
        }
        course
    }

    #[test]
    fn answers_tell_their_cost_and_when_they_came() {
        let told = course([(100.0, false), (101.0, true), (104.05, false)].into_iter()).summary();
        assert_eq!(told.cost.total, Money::parse("5").unwrap());
        assert_eq!(told.cost.saved_by_answers, Money::parse("2.5").unwrap());
        assert_eq!((told.attempts.total, told.attempts.refused), (6, 3));
        let timeline = &told.timeline;
        assert!((timeline.started - 99.25).abs() < 1e-9);
        let end = timeline.points.last().unwrap();
        assert_eq!((end.rows, end.failed, end.tokens, end.attempts), (3, 0, 2_000_000, 6));
        assert!((end.seconds - 4.85).abs() < 1e-6, "{}", end.seconds);
        // Between two rows, nothing rises.
        let before: Vec<_> = timeline.points.iter().filter(|point| point.rows == 2).collect();
        assert!(before.len() == 2 && (before[1].seconds - 4.75).abs() < 1e-6, "{before:?}");
    }

    #[test]
    fn the_course_of_a_long_run_stays_small_and_loses_nothing() {
        let rows = 20_000;
        let course = course((0..rows).map(|n| (1e9 + f64::from(n) * 7.0, false)));
        assert!(course.moments.len() <= MOMENTS);
        let points = course.timeline().points;
        assert!(points.windows(2).all(|two| two[0].seconds <= two[1].seconds));
        assert_eq!(points.last().unwrap().rows, u64::from(rows as u32));
    }

    #[test]
    fn what_tells_no_time_is_in_the_cost_alone() {
        let told = course([(0.0, false), (1e300, false)].into_iter()).summary();
        assert!(told.timeline.points.is_empty());
        assert_eq!(told.cost.by_model["gpt-4o"]["standard"].answers, 2);
    }
}
