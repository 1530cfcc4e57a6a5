//! One page of HTML about a run, for people.
//!
//! It needs no network and no script: charts are drawn here, as SVG.
//!
//! - `files` - from files to a page: [`Report`].
//! - `told` - what a summary tells.
//! - `rows` - what the lines of an output tell.
//! - `course` - what they tell of money, and of when rows ended.
//! - `score` - what an evaluation tells.
//! - `page` - the page, and its first screen.
//! - `over_time`, `latency`, `failures`, `money`, `limits`, `quality` - a section each.
//! - `chart` - lines, bars and whiskers on axes.
//! - `ticks` - where the marks of an axis stand.
//! - `table` - rows and columns.
//! - `format` - numbers, times and texts as they are shown.

mod chart;
mod course;
mod failures;
mod files;
mod format;
mod latency;
mod limits;
mod money;
mod over_time;
mod page;
mod quality;
mod rows;
mod score;
mod table;
#[cfg(test)]
mod tests;
mod ticks;
mod told;

pub use files::Report;
