//! A synchronous client that sends very many requests to OpenAI, and loses none.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod config;
pub mod error;
pub mod transport;
pub mod wire;

pub use error::{Error, Result};
