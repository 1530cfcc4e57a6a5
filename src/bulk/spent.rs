//! The most that may have been spent for an output, in a file beside it.

use crate::error::Error;
use crate::logs as key;
use crate::usage::{Amount, Money};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The length of the file: it is always written whole, with one write.
const LENGTH: usize = 128;

/// The file `OUTPUT.spent`, which exists while a run with a cap goes on, and afterwards as long as it
/// knows of more than the output tells: of requests in flight when the run was killed, and of
/// attempts without an answer whose rows have no line.
#[derive(Debug)]
pub(crate) struct SpentFile(PathBuf);

#[derive(Debug, Deserialize, Serialize)]
struct Content {
    at_most: Money,
    tokens_at_most: u64,
    /// Whether it is what comes on top of what the output tells, instead of all: a run without a cap
    /// has gone on, whose answers this file does not follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    on_top: bool,
}

impl SpentFile {
    /// The file beside `output`.
    pub(crate) fn beside(output: &Path) -> SpentFile {
        let mut name = OsString::from(output);
        name.push(".spent");
        SpentFile(name.into())
    }

    /// What earlier runs may have spent at most, of which the output tells `told`.
    ///
    /// # Errors
    /// When the file cannot be read, or is not one.
    pub(crate) fn read(&self, told: Amount) -> Result<Amount, Error> {
        Ok(match self.content()? {
            None => told,
            Some(Content { at_most, tokens_at_most, on_top }) => {
                let amount = Amount { money: at_most, tokens: tokens_at_most };
                if on_top { told.plus(amount) } else { told.plus(amount.less(told)) }
            }
        })
    }

    /// Before a run without a cap: keeps what the output, which tells `told`, does not tell.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not one.
    pub(crate) fn set_aside(
        &self,
        told: impl FnOnce() -> Result<Amount, Error>,
    ) -> Result<(), Error> {
        let Some(Content { at_most, tokens_at_most, on_top: false }) = self.content()? else {
            return Ok(());
        };
        let more = Amount { money: at_most, tokens: tokens_at_most }.less(told()?);
        if more == Amount::default() {
            return self.remove();
        }
        self.write(more, true).map(drop).map_err(|e| Error::file("write", &self.0, e))
    }

    fn content(&self) -> Result<Option<Content>, Error> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("read", &self.0, e)),
        };
        match serde_json::from_str::<Content>(&text) {
            Ok(content) => Ok(Some(content)),
            Err(_) => {
                let message = format!(
                    "{} should tell what was spent and cannot be read; remove it if you know that \
                     no run into this output was killed",
                    self.0.display()
                );
                Err(Error::invalid("output", message))
            }
        }
    }

    /// Writes what may have been spent `now`, and gives what writes the file from then on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn writer(&self, now: Amount) -> Result<impl FnMut(Amount) + Send + use<>, Error> {
        let mut file = self.write(now, false).map_err(|e| Error::file("write", &self.0, e))?;
        let path = self.0.clone();
        Ok(move |amount| {
            if let Err(error) = write(&mut file, amount, false) {
                // The answers are more important, and their own file will say the same.
                log::warn!(target: "openai_bulk::run", {key::ERROR_MESSAGE}:% = error; "{} could not be written", path.display());
            }
        })
    }

    /// Ends a run in which `counted` counts against the cap, of which the output tells `told`.
    ///
    /// # Errors
    /// When it cannot be written or removed.
    pub(crate) fn end(&self, counted: Amount, told: Amount) -> Result<(), Error> {
        if counted.money <= told.money && counted.tokens <= told.tokens {
            return self.remove();
        }
        self.write(counted, false).map(drop).map_err(|e| Error::file("write", &self.0, e))
    }

    fn write(&self, amount: Amount, on_top: bool) -> io::Result<File> {
        match OpenOptions::new().write(true).open(&self.0) {
            Ok(mut file) => write(&mut file, amount, on_top).map(|()| file),
            // It is there whole or not at all: an empty one would stop the next run.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut name = self.0.clone().into_os_string();
                name.push(".new");
                let written = File::create(&name).and_then(|mut file| {
                    write(&mut file, amount, on_top)?;
                    fs::rename(&name, &self.0).map(|()| file)
                });
                written.inspect_err(|_| drop(fs::remove_file(&name)))
            }
            Err(e) => Err(e),
        }
    }

    /// Forgets what was spent.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &self.0, e)),
            _ => Ok(()),
        }
    }
}

fn write(file: &mut File, amount: Amount, on_top: bool) -> io::Result<()> {
    let content = Content { at_most: amount.money, tokens_at_most: amount.tokens, on_top };
    let mut text = serde_json::to_vec(&content).map_err(io::Error::other)?;
    text.resize(LENGTH.max(text.len() + 1) - 1, b' ');
    text.push(b'\n');
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(dollars: i64, tokens: u64) -> Amount {
        Amount { money: Money::from_dollars(dollars), tokens }
    }

    #[test]
    fn what_was_written_last_is_read_and_what_the_output_tells_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = SpentFile::beside(&folder.path().join("out.jsonl"));
        assert_eq!(file.read(Amount::default()).unwrap(), Amount::default());
        let mut write = file.writer(amount(3, 2)).unwrap();
        assert_eq!(file.read(Amount::default()).unwrap(), amount(3, 2));
        write(amount(1_000_000, u64::MAX));
        write(amount(5, 7));
        assert_eq!(file.read(Amount::default()).unwrap(), amount(5, 7));
        assert_eq!(fs::metadata(&file.0).unwrap().len(), LENGTH as u64);
        file.end(amount(6, 1), amount(5, 9)).unwrap();
        assert_eq!(file.read(Amount::default()).unwrap(), amount(6, 1));
        file.end(amount(6, 1), amount(6, 1)).unwrap();
        assert!(!file.0.exists());
        file.remove().unwrap();
        fs::write(&file.0, "{").unwrap();
        let told = file.read(Amount::default()).unwrap_err().to_string();
        assert!(told.contains("out.jsonl.spent"), "{told}");
    }

    #[test]
    fn what_the_output_does_not_tell_outlives_runs_without_a_cap() {
        let folder = tempfile::tempdir().unwrap();
        let file = SpentFile::beside(&folder.path().join("out.jsonl"));
        file.set_aside(|| panic!("nobody asks where there is no file")).unwrap();
        assert!(!file.0.exists());
        drop(file.writer(amount(5, 10)).unwrap());
        assert_eq!(file.read(amount(3, 12)).unwrap(), amount(5, 12), "the larger of both");
        // Of 5, the output tells 3; then a run without a cap adds 4, and is followed by others.
        file.set_aside(|| Ok(amount(3, 12))).unwrap();
        assert_eq!(file.read(amount(7, 20)).unwrap(), amount(9, 20));
        file.set_aside(|| panic!("it is set aside already")).unwrap();
        assert_eq!(file.read(amount(8, 20)).unwrap(), amount(10, 20));
        // A run with a cap begins with all that.
        drop(file.writer(amount(10, 20)).unwrap());
        assert_eq!(file.read(amount(8, 20)).unwrap(), amount(10, 20));
        assert_eq!(fs::metadata(&file.0).unwrap().len(), LENGTH as u64);
        file.set_aside(|| Ok(amount(10, 20))).unwrap();
        assert!(!file.0.exists(), "the output tells all");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
