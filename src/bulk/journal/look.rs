//! What an output says, without opening it for a run.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::index::Index;
use super::scan;
use crate::error::{Error, Result};

/// Reads which rows an output has, and gives each of its answers to `answer`, as the line that it
/// is. Nothing is locked or mended; an output that is not there has no rows.
///
/// # Errors
/// When the file cannot be read, or is not an output.
pub fn look(path: impl AsRef<Path>, mut answer: impl FnMut(&[u8])) -> Result<Index> {
    let path = path.as_ref();
    let failed = |e| Error::file("read", path, e);
    let mut index = Index::default();
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => {}
        // What is only passed on has nothing that could be read back.
        Ok(file) if !file.is_dir() => return Ok(index),
        Ok(_) => return Err(failed(io::ErrorKind::IsADirectory.into())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(index),
        Err(e) => return Err(failed(e)),
    }
    let file = File::open(path).map_err(failed)?;
    if !scan::is_output(&file).map_err(failed)? {
        let message = format!("{} is not the output of a run", path.display());
        return Err(Error::invalid("output", message));
    }
    scan::lines(&file, |line| {
        if let Some(output) = line.output() {
            index.add(&output);
            if output.ok {
                answer(line.text);
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(failed)?;
    index.seal();
    Ok(index)
}
