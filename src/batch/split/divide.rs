//! Rows of one part into other ones.

use super::super::part::Part;
use super::super::part_files::PartFiles;
use super::{PartLimits, Splitter};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Writes some rows of a part into new parts: those for which `takes` says so, by their place in
/// the part.
pub(in crate::batch) fn rewrite(
    files: &PartFiles,
    part: &Part,
    splitter: &mut Splitter<'_>,
    mut takes: impl FnMut(u64) -> bool,
) -> Result<()> {
    let path = files.requests();
    let mut requests = BufReader::with_capacity(
        256 << 10,
        File::open(&path).map_err(|e| Error::file("read", &path, e))?,
    );
    let (mut at, mut line, mut result) = (0, Vec::new(), Ok(()));
    files.each_note(|note| {
        line.clear();
        if result.is_ok() {
            result = match requests.read_until(b'\n', &mut line) {
                Err(e) => Err(Error::file("read", &path, e)),
                Ok(_) if takes(at) => splitter.put(&part.model, &part.endpoint, &note, &line),
                Ok(_) => Ok(()),
            };
        }
        at += 1;
    })?;
    result
}

/// The limits under which a part becomes at least two.
pub(in crate::batch) fn half(part: &Part, limits: PartLimits) -> PartLimits {
    PartLimits { rows: part.rows.div_ceil(2).min(limits.rows), ..limits }
}

/// Writes all rows of a part into new ones; see [`half`].
pub(in crate::batch) fn divide(
    files: &PartFiles,
    part: &Part,
    mut splitter: Splitter<'_>,
) -> Result<Vec<Part>> {
    rewrite(files, part, &mut splitter, |_| true)?;
    splitter.finish()
}
