//! The plan that a run by plan follows, in a file beside its output.

use super::beside::{beside, create, remove};
use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file `OUTPUT.plan`, which exists from the plan until every row has its line, or until a run
/// goes on that follows no plan.
#[derive(Clone, Debug)]
pub(crate) struct PlanFile(PathBuf);

impl PlanFile {
    /// The file beside `output`.
    pub(crate) fn beside(output: &Path) -> PlanFile {
        PlanFile(beside(output, ".plan"))
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What it says, if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>> {
        match fs::read(&self.0) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::file("read", &self.0, e)),
        }
    }

    /// Writes it whole.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was.
    pub(crate) fn write(&self, text: &[u8]) -> Result<()> {
        create(&self.0, text).map(drop).map_err(|e| Error::file("write", &self.0, e))
    }

    /// Forgets the plan.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.0).map_err(|e| Error::file("remove", &self.0, e))
    }
}
