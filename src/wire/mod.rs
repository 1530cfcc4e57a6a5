//! Bytes to values and back, with no I/O.
//!
//! - `headers` - an answer's headers: limits, retry hints, request id.

pub mod headers;
