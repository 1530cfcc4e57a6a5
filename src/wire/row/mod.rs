//! A line of input becomes a request; an answer becomes a line of output.
//!
//! - `request` - what a line says: [`Row`], and the settings under which it is read, [`Format`].
//! - `parse` - the kinds of lines, and what is wrong with a line that is none of them.
//! - `canonical` - the one spelling of a request, for its fingerprint.
//! - `digest` - a hash over several parts.
//! - `members` - the members of a JSON object as they are spelled.
//! - `output` - a line of the output, written and read: [`OutputLine`], [`OutputRef`].
//! - `course` - what a line of the output says of how its row went: [`CourseRef`].
//! - `paid` - what a line of the output says of its cost: [`PaidRef`].

mod canonical;
mod course;
mod digest;
mod members;
mod output;
mod paid;
mod parse;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use canonical::canonical;
pub use course::{CourseRef, read_course};
pub(crate) use digest::digest;
pub(crate) use members::{Members, noun, text_of};
pub use output::{Body, OutputLine, OutputRef, Response, fingerprint_hex, read_output};
pub use paid::{PaidRef, read_paid};
pub(crate) use parse::kind_of;
pub use request::{ENDPOINTS, Format, Row, RowError, endpoint, id_hash};
