//! The simulator, driven over bare sockets, so that no client hides what it sends.
//!
//! - `wire` - a small client that shows everything.
//! - `endpoints` - each endpoint, and what it refuses.
//! - `protocol` - HTTP itself.
//! - `faults` - each fault as it looks from outside.
//! - `limits` - rate limits and latency.
//! - `batches` - files and batches.

mod batches;
mod endpoints;
mod faults;
mod limits;
mod protocol;
mod wire;
