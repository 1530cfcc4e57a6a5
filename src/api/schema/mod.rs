//! Answers in the form of a Rust type (feature `schema`).
//!
//! - `derive` - the schema of a type.
//! - `strict` - a schema as the strict mode of the API allows it.
//! - `structured` - requests that want such an answer, and what comes of them.

mod derive;
mod strict;
mod structured;

pub use derive::{JsonSchema, schemars, strict_schema};
pub use strict::make_strict;
pub use structured::{Outcome, Structurable, Structured, StructuredRequest};
