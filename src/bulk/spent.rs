//! The most that may have been spent for an output, in a file beside it.

use super::beside::{beside, create, remove};
use crate::error::Error;
use crate::logs as key;
use crate::usage::{Amount, Money};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The length of the file: it is always written whole, with one write.
const LENGTH: usize = 128;

/// The file `OUTPUT.spent`, which exists while a run with a cap goes on, and afterwards as long as it
/// knows of more than the output tells: of requests in flight when the run was killed, of attempts
/// without an answer whose rows have no line, and of batches whose results are lost. What batches
/// that are under way may cost is known by their store.
///
/// Every write is forced onto the disk, so that a power failure forgets nothing that was spent. A run
/// with a cap writes it some 256 times until the cap.
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
        SpentFile(beside(output, ".spent"))
    }

    /// What earlier runs may have spent at most, of which the output tells `told`.
    ///
    /// # Errors
    /// When the file cannot be read, or is not one.
    pub(crate) fn read(&self, told: Amount) -> Result<Amount, Error> {
        Ok(match self.content()? {
            None => told,
            Some(content) if content.on_top => told.plus(content.amount()),
            Some(content) => told.plus(content.amount().less(told)),
        })
    }

    /// Before a run that does not write this file: keeps what the output, which tells `told`, does not
    /// tell.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not one.
    pub(crate) fn set_aside(
        &self,
        told: impl FnOnce() -> Result<Amount, Error>,
    ) -> Result<(), Error> {
        let Some(content) = self.content()?.filter(|content| !content.on_top) else {
            return Ok(());
        };
        let more = content.amount().less(told()?);
        if more == Amount::default() {
            return self.remove();
        }
        self.write(more, true).map(drop).map_err(|e| Error::file("write", &self.0, e))
    }

    /// The same before a run without a cap, which begins in any case.
    pub(crate) fn try_set_aside(&self, told: impl FnOnce() -> Result<Amount, Error>) {
        if let Err(error) = self.set_aside(told) {
            log::warn!(target: "openai_bulk::run", {key::ERROR_MESSAGE}:% = error; "a later cap may not know of all that was spent");
        }
    }

    /// Counts besides what may have been spent of which no line of the output will tell.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is not one.
    pub(crate) fn add(&self, more: Amount) -> Result<(), Error> {
        if more == Amount::default() {
            return Ok(());
        }
        let known = self.content()?;
        let on_top = known.as_ref().is_none_or(|content| content.on_top);
        let sum = known.map_or(more, |content| content.amount().plus(more));
        self.write(sum, on_top).map(drop).map_err(|e| Error::file("write", &self.0, e))
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
                create(&self.0, &Content::of(amount, on_top).text()?)
            }
            Err(e) => Err(e),
        }
    }

    /// Forgets what was spent.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        remove(&self.0).map_err(|e| Error::file("remove", &self.0, e))
    }
}

impl Content {
    fn of(amount: Amount, on_top: bool) -> Content {
        Content { at_most: amount.money, tokens_at_most: amount.tokens, on_top }
    }

    fn amount(&self) -> Amount {
        Amount { money: self.at_most, tokens: self.tokens_at_most }
    }

    fn text(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self).map_err(io::Error::other)?;
        text.resize(LENGTH.max(text.len() + 1) - 1, b' ');
        text.push(b'\n');
        Ok(text)
    }
}

fn write(file: &mut File, amount: Amount, on_top: bool) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&Content::of(amount, on_top).text()?)?;
    file.sync_data()
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
        file.add(Amount::default()).unwrap();
        assert!(!file.0.exists(), "nothing is nothing");
        // What a lost batch may have cost comes on top, whatever else is known.
        file.add(amount(2, 1)).unwrap();
        file.add(amount(1, 1)).unwrap();
        assert_eq!(file.read(amount(7, 0)).unwrap(), amount(10, 2));
        drop(file.writer(amount(10, 2)).unwrap());
        file.add(amount(4, 0)).unwrap();
        assert_eq!(file.read(amount(8, 0)).unwrap(), amount(14, 2));
        file.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
