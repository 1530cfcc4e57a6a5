//! Bytes to values and back, with no I/O.
//!
//! - `headers` - an answer's headers: limits, retry hints, request id.
//! - `row` - the lines of a bulk run's input and output.
//! - `template` - a request with places for the fields of a row.

pub mod headers;
pub mod row;
pub mod template;
