//! What rows come to together.

use serde::Serialize;

use super::forecast::Forecast;
use crate::usage::Money;

/// From the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Range<T> {
    pub(super) low: T,
    pub(super) expected: T,
    /// `None` where there is no bound.
    pub(super) high: Option<T>,
}

/// Tokens of several rows, from the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenRange {
    /// With one token for each answer.
    pub low: u64,
    /// With the expected answers.
    pub expected: u64,
    /// With the longest answers; rows without a bound are not in it.
    pub high: u64,
    /// Rows of which it is not known how much they may write at most.
    pub rows_without_high: u64,
}

/// What several rows cost, in US dollars, from the least to the most. Rows without a known price
/// are in none of the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CostRange {
    /// With one token for each answer; `None` if no row has a known price.
    pub low: Option<Money>,
    /// With the expected answers; `None` if no row has a known price.
    pub expected: Option<Money>,
    /// With the longest answers; rows without a bound are not in it, and it is `None` if no row has
    /// one.
    pub high: Option<Money>,
    /// Rows without a known price.
    pub rows_without_price: u64,
    /// Rows with a price of which it is not known how much they may write at most.
    pub rows_without_high: u64,
}

/// What rows write and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sums {
    /// Tokens that are written.
    pub output_tokens: TokenRange,
    /// Sent now, in the tier that each row asks for.
    pub live: CostRange,
    /// Sent now with the flex tier.
    pub flex: CostRange,
    /// Sent through the Batch API.
    pub batch: CostRange,
}

impl Sums {
    pub(super) fn add(&mut self, row: &Forecast) {
        self.output_tokens.add(row.output);
        let ways = [&mut self.live, &mut self.flex, &mut self.batch];
        for (sum, cost) in ways.into_iter().zip(row.costs) {
            sum.add(cost);
        }
    }
}

impl TokenRange {
    fn add(&mut self, row: Range<u64>) {
        self.low = self.low.saturating_add(row.low);
        self.expected = self.expected.saturating_add(row.expected);
        self.high = self.high.saturating_add(row.high.unwrap_or(0));
        self.rows_without_high += u64::from(row.high.is_none());
    }
}

impl CostRange {
    fn add(&mut self, row: Option<Range<Money>>) {
        let Some(row) = row else {
            self.rows_without_price += 1;
            return;
        };
        let plus = |sum: &mut Option<Money>, more| *sum = Some(sum.unwrap_or_default() + more);
        plus(&mut self.low, row.low);
        plus(&mut self.expected, row.expected);
        match row.high {
            Some(high) => plus(&mut self.high, high),
            None => self.rows_without_high += 1,
        }
    }
}
