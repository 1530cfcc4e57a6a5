//! Whether rows of an output are under way in batches, in a file beside it.

use super::beside::{beside, create, remove};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file `OUTPUT.batches`. It is written before anything is sent in a batch for the output, and
/// removed when nothing is under way any more, so that no other run does the same rows again.
#[derive(Debug)]
pub(crate) struct UnderWayFile(PathBuf);

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct UnderWay {
    /// The store that knows the batches; empty for one in the memory of a process.
    pub(crate) store: PathBuf,
}

impl UnderWayFile {
    /// The file beside `output`.
    pub(crate) fn beside(output: &Path) -> UnderWayFile {
        UnderWayFile(beside(output, ".batches"))
    }

    /// What it says, if it is there.
    ///
    /// # Errors
    /// When it cannot be read, or is not one.
    pub(crate) fn read(&self) -> Result<Option<UnderWay>> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("read", &self.0, e)),
        };
        serde_json::from_str(&text).map(Some).map_err(|_| {
            let message = format!(
                "{} should tell which batches are under way and cannot be read; remove it if you \
                 know that there are none",
                self.0.display()
            );
            Error::invalid("output", message)
        })
    }

    /// Says that batches are under way, of which `store` knows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, store: &Path) -> Result<()> {
        let content = UnderWay { store: store.to_owned() };
        let text = serde_json::to_vec(&content).map_err(io::Error::other);
        let written = text.and_then(|text| create(&self.0, &[&text[..], b"\n"].concat()));
        written.map(drop).map_err(|e| Error::file("write", &self.0, e))
    }

    /// Says that nothing is under way.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self) -> Result<()> {
        remove(&self.0).map_err(|e| Error::file("remove", &self.0, e))
    }

    /// Refuses a run that knows of no batches.
    ///
    /// # Errors
    /// When some are under way.
    pub(crate) fn refuse(&self) -> Result<()> {
        let Some(UnderWay { store }) = self.read()? else { return Ok(()) };
        let whose = match store.as_os_str().is_empty() {
            true => "a store that ended with its process".into(),
            false => format!("the store {}", store.display()),
        };
        let message = format!(
            "rows of it are under way in batches, and would be paid twice; go on with batches, or \
             cancel them first (`BatchRun::recall`, `batch cancel JOB`); {whose} knows them, and if \
             that is lost, remove {}",
            self.0.display()
        );
        Err(Error::invalid("output", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_refused_as_long_as_batches_are_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.jsonl");
        let file = UnderWayFile::beside(&output);
        file.refuse().unwrap();
        file.remove().unwrap();
        file.write(Path::new("/s.db")).unwrap();
        assert_eq!(file.read().unwrap().unwrap().store, Path::new("/s.db"));
        let told = file.refuse().unwrap_err().to_string();
        for part in ["/s.db", "out.jsonl.batches", "batch cancel", "paid twice"] {
            assert!(told.contains(part), "{told}");
        }
        fs::write(&file.0, "{").unwrap();
        assert!(file.refuse().unwrap_err().to_string().contains("out.jsonl.batches"));
        file.remove().unwrap();
        file.refuse().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn an_output_with_two_names_has_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (output, link) = (folder.path().join("out.jsonl"), folder.path().join("link.jsonl"));
        fs::write(&output, "").unwrap();
        std::os::unix::fs::symlink(&output, &link).unwrap();
        UnderWayFile::beside(&link).write(Path::new("")).unwrap();
        assert!(UnderWayFile::beside(&output).refuse().is_err());
    }
}
