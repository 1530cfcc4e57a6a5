//! Everything that is tested through the public API, in one binary.

mod api;
mod flow;
#[cfg(feature = "simulator")]
mod official_client;
mod scenario;
#[cfg(feature = "simulator")]
mod simulator;
mod transport;
