//! A synchronous client that sends very many requests to OpenAI, and loses none.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod bulk;
pub mod clock;
pub mod dispatch;
pub mod error;
pub mod policy;
pub mod transport;
pub mod usage;
pub mod wire;

pub use error::{Error, Result};
