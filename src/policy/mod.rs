//! Decisions: no I/O, no threads, and no clock of their own. Time and chance are given to them.
//!
//! - `backoff` - how long to wait before another try.
//! - `retry` - whether there is another try.
//! - `breaker` - whether the server is worth asking at all.
//! - `budget` - how much may be sent now.

pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod retry;
