//! Small files beside an output, which hold what it cannot tell itself.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file whose name is that of the output and `end`. An output with several names has one file.
pub(super) fn beside(output: &Path, end: &str) -> PathBuf {
    let whole = fs::canonicalize(output);
    let mut name = OsString::from(whole.as_deref().unwrap_or(output));
    name.push(end);
    name.into()
}

/// Makes the file, which is there whole or not at all, also after a power failure.
pub(super) fn create(path: &Path, text: &[u8]) -> io::Result<File> {
    let mut name = path.to_owned().into_os_string();
    name.push(".new");
    let written = File::create(&name).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&name, path)?;
        sync_folder(path).map(|()| file)
    });
    written.inspect_err(|_| drop(fs::remove_file(&name)))
}

/// Removes the file if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(()) => sync_folder(path),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
