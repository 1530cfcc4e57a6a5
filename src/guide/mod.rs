//! The guide: how things are done, chapter by chapter.
//!
//! - [`first_run`] - from a file of requests to a file of answers.
//! - [`settings`] - where a setting comes from, and files of settings.
//! - [`limits`] - the rate limits of the server, and how they are found.
//! - [`resume`] - what happens when a run ends early.
//! - [`batches`] - by tomorrow, at half the price; or in time, the cheapest way.
//! - [`cost`] - what a run will cost, costs and may cost.
//! - [`tokens`] - how many there are, and what a file would take.
//! - [`cache`] - answers that are kept, and not paid for twice.
//! - [`one_answer`] - asked from a shell, read while it comes, as a Rust type, and with tools.
//! - [`evaluation`] - questions, answers and scores.
//! - [`report`] - a page of HTML about a run.
//! - [`testing`] - your own code with the fakes and the simulator.
//! - [`moving`] - from the cookbook's script, openai-python and async-openai.
//! - [`logs_and_metrics`] - what is told while a run goes on.
//! - [`servers`] - servers that are not OpenAI's.
//! - [`features`] - what can be built in and left out.
//! - [`measured`] - how fast it is, and against what.

#[doc = include_str!("first_run.md")]
pub mod first_run {}
#[doc = include_str!("settings.md")]
pub mod settings {}
#[doc = include_str!("limits.md")]
pub mod limits {}
#[doc = include_str!("resume.md")]
pub mod resume {}
#[doc = include_str!("batches.md")]
pub mod batches {}
#[doc = include_str!("cost.md")]
pub mod cost {}
#[doc = include_str!("tokens.md")]
pub mod tokens {}
#[doc = include_str!("cache.md")]
pub mod cache {}
#[doc = include_str!("one_answer.md")]
pub mod one_answer {}
#[doc = include_str!("evaluation.md")]
pub mod evaluation {}
#[doc = include_str!("report.md")]
pub mod report {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("moving.md")]
pub mod moving {}
#[doc = include_str!("logs_and_metrics.md")]
pub mod logs_and_metrics {}
#[doc = include_str!("servers.md")]
pub mod servers {}
#[doc = include_str!("features.md")]
pub mod features {}
#[doc = include_str!("measured.md")]
pub mod measured {}

#[cfg(test)]
mod tests;
