//! Bytes to values and back, with no I/O.
//!
//! - `headers` - an answer's headers: limits, retry hints, request id.
//! - `duration` - durations as servers write them.
//! - `fault` - error bodies, and what they mean.
//! - `batch` - batches and files of the Batch API.
//! - `sse` - server-sent events.
//! - `streaming` - bodies of requests whose answer is streamed.
//! - `assembly` - the events of a stream, put together to a reply.
//! - `answer` - whether a 200 is an answer, and what it used.
//! - `compact` - JSON text on one line.
//! - `row` - lines of input and of output.
//! - `template` - requests made of the fields of a row.

pub mod answer;
pub mod assembly;
pub mod batch;
pub mod compact;
pub mod duration;
pub mod fault;
pub mod headers;
pub mod row;
pub mod sse;
pub mod streaming;
pub mod template;
