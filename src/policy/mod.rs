//! Decisions: no I/O, no threads, and no clock of their own. Time and chance are given to them.
//!
//! - `backoff` - how long to wait before another try.
//! - `retry` - whether there is another try.
//! - `breaker` - whether the server is worth asking at all.
//! - `account` - a limit whose way of charging is learned.
//! - `budget` - how much may be sent now.
//! - `mirror` - keeping our count of a bucket in step with the server's.
//! - `quota` - how many retries are affordable.
//! - `search` - finding a limit that nobody told.
//! - `chance` - refusals that come by chance, whatever the rate.
//! - `slots` - how many a server has room for, where it refuses others.
//! - `concurrency` - how many may be in flight.
//! - `hedge` - when a request is sent a second time.

pub mod account;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod concurrency;
pub mod hedge;
mod chance;
mod mirror;
pub mod quota;
pub mod retry;
pub mod search;
pub mod slots;
