//! Why a plan is as it is, and not another one.

use crate::usage::Money;
use serde::Serialize;

/// Why rows go one way and not the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Batches are cheaper by so much, and in time.
    Cheaper {
        /// What they save.
        saved: Money,
    },
    /// Too few for a batch.
    TooFewRows {
        /// How many there are.
        rows: u64,
        /// How many make a batch worthwhile.
        least: u64,
    },
    /// The endpoint takes no batches.
    NoBatches,
    /// Batches cost as much.
    NoSaving,
    /// What it costs, live or in a batch, is not known.
    PriceUnknown,
    /// The batches are not expected to end in time, what is kept for sending the rest live taken off.
    BatchTooLate {
        /// When they are expected to end, in seconds.
        expected: f64,
        /// The time that is left.
        deadline: f64,
        /// What of it is kept.
        kept: f64,
    },
    /// The server's queue lets only so many go by batch in time.
    QueueRoom {
        /// Input tokens that it has room for.
        room: u64,
        /// Input tokens of all rows.
        needed: u64,
    },
    /// So many rows by batch can still be sent live in time if the batches miss it.
    DeadlineAllows {
        /// Rows by batch.
        rows: u64,
    },
    /// All live would be late.
    LiveTooLate {
        /// When all of them would be done, in seconds.
        expected: f64,
        /// The time that is left.
        deadline: f64,
    },
    /// The cap allows no dearer way.
    CapAllowsOnly {
        /// What may be spent.
        cap: Money,
        /// What all rows would cost the way that is surer to be in time.
        otherwise: Money,
    },
    /// Nothing is in time; this is the soonest.
    NothingInTime {
        /// The time that is left, in seconds.
        deadline: f64,
    },
}

/// One way to send all rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Alternative {
    /// `chosen`, `all live` or `all batch`.
    pub name: &'static str,
    /// Rows that would be sent now.
    pub live_rows: u64,
    /// Rows that would go by batch.
    pub batch_rows: u64,
    /// What it would cost; `None` where that is not known.
    pub cost: Option<Money>,
    /// The seconds in which it would be done.
    pub seconds: f64,
    /// Why it was not chosen; none for the one that was, and for one that is the same.
    pub why_not: Option<WhyNot>,
}

/// Why an alternative was not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WhyNot {
    /// It would be done so many seconds too late.
    Late {
        /// By how much.
        seconds: f64,
    },
    /// Nothing would be left of the time to send live what batches leave.
    NoTimeForTheRest,
    /// It would cost so much more.
    Dearer {
        /// How much.
        by: Money,
    },
    /// It would cost more than the cap.
    OverCap,
    /// It would take so many seconds longer.
    Slower {
        /// By how much.
        seconds: f64,
    },
    /// Too few rows, or an endpoint without batches.
    NotWorthwhile,
}
