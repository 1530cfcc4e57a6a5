//! Everything that is tested through the public API, in one binary.

mod flow;
mod scenario;
