//! A synchronous client that sends very many requests to OpenAI, and loses none.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod error;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod transport;
pub mod wire;

pub use error::{Error, Result};
