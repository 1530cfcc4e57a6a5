//! Everything that is tested through the public API, in one binary.

mod api;
#[cfg(feature = "simulator")]
mod batch;
mod caching;
#[cfg(feature = "cli")]
mod cli;
mod flow;
mod hedging;
#[cfg(feature = "simulator")]
mod hybrid;
#[cfg(feature = "simulator")]
mod official_client;
#[cfg(feature = "cli")]
mod program;
mod scenario;
#[cfg(feature = "schema")]
mod schema_shapes;
#[cfg(feature = "simulator")]
mod simulator;
mod spending;
mod stream_starts;
mod streams;
#[cfg(feature = "schema")]
mod structured;
mod tools;
mod transport;
