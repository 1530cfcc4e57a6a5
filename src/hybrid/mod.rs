//! Some now, some by tomorrow: the cheapest way to be done in time.
//!
//! - `situation` - what a plan is made of: [`Situation`], [`Thresholds`].
//! - `plan` - what goes now and what by batch, and why; a pure function: [`plan`].
//! - `why` - why a plan is as it is, and not another one: [`Reason`], [`Alternative`].
//! - `weigh` - what one split of a group's rows comes to; pure.
//! - `watch` - which batches will not make it; a pure function: [`late`].
//! - `outlook` - the situation of a run: its rows, its limits, and the history of its batches.
//! - `kept` - the plan that was begun, in a file beside the output.
//! - `measured` - what batches saved, by the answers themselves.
//! - `run` - a run that follows its plan: [`AutoRun`].
//! - `steps` - the steps of such a run, one after another.
//! - `summary` - what it did: [`AutoSummary`].

mod kept;
mod measured;
mod outlook;
mod plan;
#[cfg(test)]
mod plan_tests;
mod run;
mod situation;
mod steps;
mod summary;
mod watch;
mod weigh;
mod why;

pub use measured::Measured;
pub use outlook::history;
pub use plan::{Plan, Share, Verdict, plan};
pub use run::AutoRun;
pub use situation::{
    ASSUMED_LATENCY, ASSUMED_REQUESTS_PER_MINUTE, BatchTime, Group, LiveSpeed, Queue, Situation,
    Thresholds,
};
pub use summary::{AutoProgress, AutoSummary, Followed, Stage};
pub use watch::{Waiting, Watch, late};
pub use why::{Alternative, Reason, WhyNot};
