//! A server that looks like OpenAI's, for tests, examples, benches and dry runs.
//!
//! It follows what the real server was seen to do, not what the client of this crate expects.
//!
//! ```
//! use openai_bulk::simulator::{Fault, Limits, Simulator};
//!
//! let simulator = Simulator::builder()
//!     .limits(Limits::none().requests_per_minute(600))
//!     .fault(Fault::ServerError, 0.05)
//!     .start()?;
//! assert!(simulator.base_url().starts_with("http://127.0.0.1:"));
//! # Ok::<(), openai_bulk::Error>(())
//! ```
//!
//! The handle:
//!
//! - `server` - accepts connections, ends them, tells what was seen.
//! - `builder` - all settings.
//! - `in_process` - the same without a socket.
//! - `core` - what connections share.
//! - `stats` - counts and the log of requests.
//! - `stand_in` - a client of the real server, or of this one where no key is set.
//!
//! HTTP:
//!
//! - `connection` - requests in, answers and faults out.
//! - `incoming` - reads requests from a socket.
//! - `http` - heads and chunked bodies.
//! - `multipart` - forms.
//! - `response` - an answer and its bytes.
//! - `sse` - server-sent events.
//!
//! From a request to its answer:
//!
//! - `service` - routes, keys, the order of the checks.
//! - `check`, `failure` - what is wrong with a request, in the server's words.
//! - `limits`, `bucket`, `go_duration` - rate limits and their headers.
//! - `fault`, `faults` - what can go wrong, and for whom it does.
//! - `latency`, `random` - how long it takes; numbers from a seed.
//!
//! Models:
//!
//! - `endpoint` - what all of them share.
//! - `chat`, `responses`, `completions`, `embeddings`, `moderations` - one endpoint each.
//! - `answers`, `prompt`, `schema` - what the model says, and to what.
//!
//! Files and batches:
//!
//! - `files` - uploads, lists, contents.
//! - `batches`, `batch` - the list of batches; one batch with its results.
//! - `batch_state`, `batch_input` - the states of a batch; the check of its input.

mod answers;
mod batch;
mod batch_input;
mod batch_state;
mod batches;
mod bucket;
mod builder;
mod chat;
mod check;
mod completions;
mod connection;
mod core;
mod embeddings;
mod endpoint;
mod failure;
mod fault;
mod faults;
mod files;
mod go_duration;
mod http;
mod in_process;
mod incoming;
mod latency;
mod limits;
mod moderations;
mod multipart;
mod prompt;
mod random;
mod response;
mod responses;
mod schema;
mod server;
mod service;
mod sse;
mod stand_in;
mod stats;

pub use answers::Answers;
pub use batch_state::BatchSpeed;
pub use builder::SimulatorBuilder;
pub use fault::{Fault, FaultSpec};
pub use in_process::InProcess;
pub use latency::Latency;
pub use limits::Limits;
pub use server::Simulator;
pub use stand_in::client_or_simulator;
pub use stats::{Received, Stats};
