#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

// In the order of the layers, lowest first: a module names only itself and those before it.
pub mod error;
pub mod logs;
pub mod clock;
pub mod wire;
pub mod policy;
pub mod usage;
pub mod transport;
pub mod cache;
pub mod dispatch;
pub mod api;
pub mod bulk;
pub mod batch;
pub mod hybrid;
pub mod eval;
pub mod report;
pub mod config;
pub mod client;
#[cfg(feature = "simulator")]
#[cfg_attr(docsrs, doc(cfg(feature = "simulator")))]
pub mod simulator;

pub mod guide;

pub use client::{Client, ClientBuilder};
pub use config::Config;
pub use error::{Error, Result};
