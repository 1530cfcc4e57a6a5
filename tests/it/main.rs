//! Tests of the whole, through sockets, files and processes.

#[cfg(feature = "simulator")]
mod official_client;
#[cfg(feature = "simulator")]
mod simulator;
