//! What ends the program early, and its exit code.

use openai_bulk::Error;
use std::error::Error as _;
use std::fmt;
use std::process::ExitCode;

/// Exit code for configuration, and for files that cannot be read or written.
pub const CONFIGURATION: u8 = 1;
/// Exit code for wrong usage.
pub const USAGE: u8 = 2;
/// Exit code for a run that finished with failed rows.
pub const SOME_FAILED: u8 = 3;
/// Exit code for a run that a cap of money or tokens stopped.
pub const CAPPED: u8 = 4;
/// Exit code for a run that the account or the server stopped.
pub const STOPPED: u8 = 5;
/// Exit code for a run that the user interrupted.
pub const INTERRUPTED: u8 = 130;

/// Why the program ends.
#[derive(Debug)]
pub enum Failure {
    /// The library said so.
    Library(Error),
    /// What was typed makes no sense.
    Usage(String),
    /// Something outside could not be had.
    Other(String),
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Usage(_) => USAGE,
            Failure::Library(Error::OverCap(_)) => CAPPED,
            Failure::Library(error) if error.is_fatal_for_run() => STOPPED,
            Failure::Library(_) | Failure::Other(_) => CONFIGURATION,
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Library(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(message) | Failure::Other(message) => f.write_str(message),
            Failure::Library(error) => f.write_str(&chain(error)),
        }
    }
}

/// An error with what caused it.
pub fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
