//! The steps of a part after its batch has ended: its files come here, and go from the server.

use super::options::Moment;
use super::part::{Part, State};
use super::part_files::{PartFiles, each_line};
use super::step::{BELIEVED, FILE_DEADLINE, Steps, unreadable};
use crate::error::{Error, Result};
use crate::logs as key;
use crate::transport::{Method, Transfer};
use crate::wire::batch::read_file;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// So often files are tried to be deleted. Source: own choice; they expire by themselves.
const CLEANINGS: u32 = 3;

impl Steps {
    /// Saves what the batch brought.
    pub(super) fn fetch(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "fetch", Moment::Begun);
        let files = PartFiles::of(&self.store, part);
        for (id, path) in
            [(&part.output_file_id, files.output()), (&part.error_file_id, files.errors())]
        {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", path, e));
                }
                _ => {}
            }
            let Some(id) = id else { continue };
            match self.download(id, &path, part.failures + 1 < BELIEVED) {
                Err(error) if error.status() == Some(404) && part.missing + 1 >= BELIEVED => {
                    log::error!(target: "openai_bulk::batch", {key::PART} = part.number, {key::FILE} = id.as_str(), {key::ERROR_MESSAGE}:% = error; "a file of results is gone");
                    let _ = fs::remove_file(&path);
                    part.is_gone = true;
                }
                downloaded => downloaded?,
            }
        }
        self.tell(part, "fetch", Moment::Acted);
        let answers = count_lines(&files.output())?;
        if !part.is_gone && answers < part.counts.completed && part.failures + 1 < BELIEVED {
            let counted = part.counts.completed;
            return Err(unreadable(format!("{answers} answers came of {counted}")));
        }
        self.enter(part, State::Fetched, "fetch")?;
        self.tell(part, "fetch", Moment::Kept);
        Ok(())
    }

    /// Saves a file of the server's. Where not `is_strict`, it may be of another length than the
    /// server says, or end within a line.
    pub(super) fn download(&self, id: &str, path: &Path, is_strict: bool) -> Result<()> {
        // What the server says of the length, if it says something.
        let about = self.send(&self.call(Method::Get, &format!("/files/{id}"), Vec::new()));
        let length = match about {
            Ok(reply) => read_file(&reply.body).ok().and_then(|file| file.bytes),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(_) => None,
        };
        let content = format!("/files/{id}/content");
        let transfer = Transfer::Download(path.to_owned());
        let mut call = self.call(Method::Get, &content, Vec::new()).with(transfer);
        call.deadline = Some(FILE_DEADLINE);
        self.send(&call)?;
        let saved = fs::metadata(path).map_err(|e| Error::file("read", path, e))?.len();
        let is_whole = length.is_none_or(|length| length == saved) && ends_whole(path)?;
        if is_strict && !is_whole {
            let length = length.map_or("more".into(), |length| length.to_string());
            return Err(unreadable(format!("{saved} bytes came of {length}")));
        }
        Ok(())
    }

    /// Takes the part's files from the server and from this machine.
    pub(super) fn clean(&self, part: &mut Part) -> Result<()> {
        self.tell(part, "clean", Moment::Begun);
        if !self.options.keep_files {
            for id in [&part.file_id, &part.output_file_id, &part.error_file_id] {
                let Some(id) = id else { continue };
                match self.delete(id) {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) if part.failures + 1 < CLEANINGS => return Err(error),
                    Err(error) => {
                        log::warn!(target: "openai_bulk::batch", {key::FILE} = id.as_str(), {key::ERROR_MESSAGE}:% = error; "a file stays at the server");
                    }
                    Ok(()) => {}
                }
            }
        }
        self.tell(part, "clean", Moment::Acted);
        PartFiles::of(&self.store, part).remove()?;
        self.enter(part, State::Cleaned, "clean")?;
        self.tell(part, "clean", Moment::Kept);
        Ok(())
    }

    pub(super) fn delete(&self, id: &str) -> Result<()> {
        match self.send(&self.call(Method::Delete, &format!("/files/{id}"), Vec::new())) {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }
}

/// The lines of a file that say something; none if it is not there.
fn count_lines(path: &Path) -> Result<u64> {
    let mut lines = 0;
    if path.exists() {
        each_line(path, |_, line| {
            lines += u64::from(!line.trim_ascii().is_empty());
            Ok(())
        })?;
    }
    Ok(lines)
}

/// Whether the last line of a file has its end, or is JSON without it.
fn ends_whole(path: &Path) -> Result<bool> {
    const TAIL: u64 = 64 << 20;
    let failed = |e| Error::file("read", path, e);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1)).map_err(failed)?;
    file.read_exact(&mut last).map_err(failed)?;
    if last == *b"\n" {
        return Ok(true);
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).map_err(failed)?;
    file.read_to_end(&mut tail).map_err(failed)?;
    let line = tail.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_that_is_cut_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for (text, whole) in
            [("", true), ("{}\n", true), ("{}\n{}", true), ("{}\n{\"a", false), ("{\"a", false)]
        {
            fs::write(&path, text).unwrap();
            assert_eq!(ends_whole(&path).unwrap(), whole, "{text:?}");
        }
    }
}
