//! Many requests by tomorrow, at half the price: the Batch API, in a way that survives everything.
//!
//! A *job* is the rows of one input for one output; it is cut into *parts*, each of which becomes
//! one batch at the server. What is to be done is written down before it is done, so that a process
//! that dies goes on where it was, and no part ever has two batches.
//!
//! - `job` - the states of a part, and what is to be done next: [`Part`], [`State`], [`Job`].
//! - `store` - jobs and parts on the disk: [`Store`].

mod job;
mod store;

pub use job::{
    Around, Date, Job, Next, Part, Pay, Refusal, Remote, State, failure_wait, next, poll_wait,
    queue_wait, refusal,
};
pub use store::{Lease, Store};
