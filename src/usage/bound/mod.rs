//! What a request may cost at most, before it is sent.
//!
//! - `reach` - what it may use, and what that costs: [`Reach`].
//! - `read` - what its bytes tell of that.

mod reach;
mod read;
#[cfg(test)]
mod tests;

pub use reach::Reach;
