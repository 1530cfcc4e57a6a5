//! Many requests by tomorrow, at half the price: the Batch API, in a way that survives everything.
//!
//! A *job* is the rows of one input for one output; it is cut into *parts*, each of which becomes
//! one batch at the server. What is to be done is written down before it is done, so that a process
//! that dies goes on where it was, and no part ever has two batches.
//!
//! - `handle` - all jobs of a client: [`Batches`].
//! - `adopt` - batches that were made elsewhere.
//! - `run` - from a file to a file: [`BatchRun`].
//! - `run/parked` - a run whose output is free for a live run: [`Parked`].
//! - `plan` - the rows of an input that are neither done nor under way, as a job.
//! - `running` - a run while it goes on.
//! - `settle` - the outcome of each row of a part.
//! - `part` - the states of a part, and what is known of it: [`Part`], [`State`], [`Job`].
//! - `next` - what is to be done next with a part: [`next()`].
//! - `part_files` - the files of a part on this machine.
//! - `split` - rows into parts: [`PartLimits`].
//! - `options` - how batches are made and watched: [`BatchOptions`].
//! - `step` - what all steps of a part share, each through the client's dispatcher.
//! - `sending`, `polling`, `fetching` - the steps until there is a batch, until it ends, and after.
//! - `poller` - one thread that takes the steps of all jobs.
//! - `tracked` - a job that this process works on, and what it is paid from.
//! - `results` - what a batch brought, joined to its rows.
//! - `progress` - where batches stand, and what they did.
//! - `store` - jobs and parts on the disk: [`Store`].

mod adopt;
mod fetching;
mod handle;
mod next;
mod options;
mod part;
mod part_files;
mod plan;
mod poller;
mod polling;
mod progress;
mod results;
mod run;
mod running;
mod sending;
mod settle;
mod split;
mod step;
mod store;
mod tracked;

pub use handle::{Account, Batches};
pub use next::{Around, Next, Pay, Refusal, failure_wait, next, poll_wait, queue_wait, refusal};
pub use options::{BatchOptions, Moment, StepEvent, StepObserver};
pub use part::{Date, Job, Part, Remote, State};
pub use progress::{BatchProgress, BatchSummary, PartProgress};
pub use run::{BatchRun, Leave, Parked, Waited};
pub use split::PartLimits;
pub(crate) use split::{queue_tokens, takes_batches};
pub use store::{Lease, Store};
