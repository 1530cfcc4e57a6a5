//! Files that go with an exchange: forms that are sent from the disk, answers that are saved to it.

use super::{Answer, Exchange};
use crate::error::{TransportError, TransportErrorKind as Kind};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// A file that goes with an exchange. It is read and written piece by piece.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transfer {
    /// A form with a file is sent in the place of the body.
    Upload(Form),
    /// The body of a success is saved in this file. In its place, the answer has a JSON object with
    /// its length in `bytes`.
    Download(PathBuf),
}

/// A form (`multipart/form-data`) with some fields and one file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Form {
    /// Names and values of the fields.
    pub fields: Vec<(String, String)>,
    /// The name that the file has at the server.
    pub file_name: String,
    /// The file.
    pub path: PathBuf,
    /// What divides the parts. It must not occur in the file.
    pub boundary: String,
}

impl Form {
    /// A form with the file at `path`, whose parts are divided by `boundary`.
    pub fn new(
        path: impl Into<PathBuf>,
        file_name: impl Into<String>,
        boundary: impl Into<String>,
    ) -> Form {
        Form {
            fields: Vec::new(),
            file_name: file_name.into(),
            path: path.into(),
            boundary: boundary.into(),
        }
    }

    /// The same form with one field more.
    pub fn field(mut self, name: impl Into<String>, value: impl Into<String>) -> Form {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// The `Content-Type` of the form.
    pub fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// Opens the form for reading: its length in bytes, and the bytes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(&self) -> io::Result<(u64, impl Read + use<>)> {
        let file = File::open(&self.path)?;
        let (head, tail) = (self.head(), format!("\r\n--{}--\r\n", self.boundary));
        let length = file.metadata()?.len();
        let whole = head.len() as u64 + length + tail.len() as u64;
        // A file that grows meanwhile would break the length that was announced.
        let reader = io::Cursor::new(head).chain(file.take(length)).chain(io::Cursor::new(tail));
        Ok((whole, reader))
    }

    fn head(&self) -> String {
        let mut head = String::new();
        for (name, value) in &self.fields {
            head.push_str(&format!(
                "--{}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n",
                self.boundary
            ));
        }
        head.push_str(&format!(
            "--{}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/jsonl\r\n\r\n",
            self.boundary, self.file_name
        ));
        head
    }
}

/// The answer to a download of `bytes` bytes.
pub(super) fn saved(answer: Answer, bytes: u64) -> Answer {
    Answer { body: format!("{{\"bytes\":{bytes}}}").into_bytes(), ..answer }
}

/// A file of ours that could not be read or written: nobody else is to blame.
pub(super) fn local(doing: &str, e: &io::Error) -> TransportError {
    TransportError::new(Kind::File, false, format!("cannot {doing} it: {e}"))
}

/// Does a transfer through memory, for transports that know nothing of files.
pub(super) fn in_memory(
    request: &Exchange<'_>,
    transfer: &Transfer,
    exchange: impl FnOnce(&Exchange<'_>) -> Result<Answer, TransportError>,
) -> Result<Answer, TransportError> {
    match transfer {
        Transfer::Upload(form) => {
            let mut body = Vec::new();
            let (_, mut reader) = form.open().map_err(|e| local("read", &e))?;
            reader.read_to_end(&mut body).map_err(|e| local("read", &e))?;
            let headers = with_content_type(request, form);
            exchange(&Exchange { headers: &headers, body: &body, ..*request })
        }
        Transfer::Download(path) => {
            let answer = exchange(request)?;
            if !(200..300).contains(&answer.status) {
                return Ok(answer);
            }
            std::fs::write(path, &answer.body).map_err(|e| local("write", &e))?;
            let bytes = answer.body.len() as u64;
            Ok(saved(answer, bytes))
        }
    }
}

pub(super) fn with_content_type(request: &Exchange<'_>, form: &Form) -> Vec<(String, String)> {
    let mut headers = request.headers.to_vec();
    headers.push(("Content-Type".into(), form.content_type()));
    headers
}

#[cfg(test)]
mod tests {
    use super::super::{Method, Scripted, Transport};
    use super::*;
    use crate::clock::Stop;
    use std::time::Duration;

    #[test]
    fn a_form_is_as_long_as_it_says_and_has_its_file_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        std::fs::write(&path, b"{\"a\":1}\n\xff").unwrap();
        let form = Form::new(&path, "a.jsonl", "xyz").field("purpose", "batch");
        let (length, mut reader) = form.open().unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length);
        let expected =
            b"--xyz\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
            --xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\
            Content-Type: application/jsonl\r\n\r\n{\"a\":1}\n\xff\r\n--xyz--\r\n";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_transport_that_knows_no_files_saves_them_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let server = Scripted::answers([Answer::new(404, "{}"), Answer::new(200, "a\nb\n")]);
        let stop = Stop::new();
        let request = Exchange::new(Method::Get, "http://a/", b"", Duration::from_secs(1), &stop);
        let transfer = Transfer::Download(path.clone());
        assert_eq!(server.transfer(&request, &transfer).unwrap().status, 404);
        assert!(!path.exists(), "an error is not what was asked for");
        assert_eq!(server.transfer(&request, &transfer).unwrap().body, b"{\"bytes\":4}");
        assert_eq!(std::fs::read(&path).unwrap(), b"a\nb\n");
    }
}
