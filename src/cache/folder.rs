//! Folders that only their owner can read.

use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// Makes a folder that only its owner can read: what lies in it holds prompts.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| Error::file("make the folder", path, e))
}
