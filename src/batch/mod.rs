//! Many requests by tomorrow, at half the price: the Batch API, in a way that survives everything.
//!
//! A *job* is the rows of one input for one output; it is cut into *parts*, each of which becomes
//! one batch at the server. What is to be done is written down before it is done, so that a process
//! that dies goes on where it was, and no part ever has two batches.
//!
//! - `handle` - all jobs of a client: [`Batches`].
//! - `run` - from a file to a file: [`BatchRun`].
//! - `run/parked` - a run whose output is free for a live run: [`Parked`].
//! - `job` - the states of a part, and what is to be done next: [`Part`], [`State`], [`Job`].
//! - `split` - rows into parts: [`PartLimits`].
//! - `step` - the steps of a part, each through the client's dispatcher.
//! - `poller` - one thread that takes the steps of all jobs.
//! - `results` - what a batch brought, joined to its rows.
//! - `progress` - where batches stand, and what they did.
//! - `store` - jobs and parts on the disk: [`Store`].

mod handle;
mod job;
mod poller;
mod progress;
mod results;
mod run;
mod split;
mod step;
mod store;

pub use handle::{Account, Batches};
pub use job::{
    Around, Date, Job, Next, Part, Pay, Refusal, Remote, State, failure_wait, next, poll_wait,
    queue_wait, refusal,
};
pub use progress::{BatchProgress, BatchSummary, PartProgress};
pub use run::{BatchRun, Leave, Parked, Waited};
pub use split::PartLimits;
pub(crate) use split::{queue_tokens, takes_batches};
pub use step::{BatchOptions, Moment, StepEvent, StepObserver};
pub use store::{Lease, Store};
