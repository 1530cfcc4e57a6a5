//! Every setting, its default and its range, and the only reader of the environment.
//!
//! A value comes from the first of these that has one: the caller (a setter, or a flag of the
//! program), the environment, the `.env` file, the file of settings of the project, that of the
//! user, the default. [`Config::origin`] tells which.
//!
//! Setters bear the name of the setting and consume the value; getters have the prefix `get_`,
//! as in [`std::process::Command`].
//!
//! - `values` - the values, where each came from, and how they are read.
//! - `setters`, `getters` - a method for each setting.
//! - `setting` - what a setting is: how its text is read, checked and shown.
//! - `table` - the settings themselves.
//! - `rules` - what must hold between settings, and what deserves a warning.
//! - `env` - the environment and the `.env` file.
//! - `dotenv` - the text of a `.env` file.
//! - `file` - the text of a file of settings, in TOML.
//! - `sources` - which files are read, and which profile of them.
//! - `near` - misspelt names.
//! - `key` - the key, which is never shown.
//! - `base_url`, `endpoint` - where requests go, and the headers that say who sends them.
//! - `proxies` - the proxies that the environment names.
//! - `units` - durations, sizes and switches as text.

mod base_url;
mod dotenv;
mod endpoint;
mod env;
#[cfg(feature = "config-file")]
mod file;
mod getters;
mod key;
mod near;
mod proxies;
mod rules;
mod setters;
mod setting;
#[cfg(feature = "config-file")]
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod units;
mod values;

pub use endpoint::Endpoint;
pub use key::ApiKey;
pub use near::nearest_of;
pub use proxies::Proxies;
pub use setting::Setting;
#[cfg(feature = "config-file")]
#[cfg_attr(docsrs, doc(cfg(feature = "config-file")))]
pub use sources::Sources;
pub use table::settings;
pub use units::{format_duration, format_size, parse_bool, parse_duration, parse_size};
pub use values::{Config, Origin};
