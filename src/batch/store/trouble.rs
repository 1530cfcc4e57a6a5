//! What is wrong with a store, and what to do about it.

use crate::error::{Error, Result};
use rusqlite::ErrorCode;
use std::path::Path;

/// Another store, as it is named in settings.
const OTHER: &str = "name another one (`--store`, OPENAI_BATCH_STORE)";

/// What SQLite says, and what to do.
pub(super) fn failed(e: rusqlite::Error) -> Error {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
        PermissionDenied, ReadOnly,
    };
    let what_to_do = match e.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => {
            "another process has held it for 20 s; try again when that is done".into()
        }
        Some(DiskFull) => "make room; the same command then goes on".into(),
        Some(ReadOnly | PermissionDenied | CannotOpen) => {
            format!("it has to be a file that may be written, in a folder that may be; {OTHER}")
        }
        Some(NotADatabase | DatabaseCorrupt) => format!(
            "it is none, or it is damaged; {OTHER}, and take batches over that it knew with \
             `batch adopt`"
        ),
        _ => return Error::invalid("store", e.to_string()),
    };
    Error::invalid("store", format!("{e}: {what_to_do}"))
}

/// The same error with the name of the store.
pub(super) fn named<T>(path: &Path, result: Result<T>) -> Result<T> {
    match result {
        Err(Error::Validation(e)) if e.what == "store" && !path.as_os_str().is_empty() => {
            Err(Error::invalid(format!("store {}", path.display()), &e.message))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn each_trouble_of_a_store_says_which_it_is_and_what_to_do() {
        let path = Path::new("/there/batches.db");
        for (code, told) in [
            (ffi::SQLITE_BUSY, "try again when that is done"),
            (ffi::SQLITE_LOCKED, "try again when that is done"),
            (ffi::SQLITE_FULL, "make room"),
            (ffi::SQLITE_READONLY, "name another one (`--store`, OPENAI_BATCH_STORE)"),
            (ffi::SQLITE_CANTOPEN, "a folder that may be"),
            (ffi::SQLITE_CORRUPT, "`batch adopt`"),
            (ffi::SQLITE_NOTADB, "`batch adopt`"),
            (ffi::SQLITE_IOERR, "disk I/O error"),
        ] {
            let e = failed(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
            let e = named::<()>(path, Err(e)).unwrap_err().to_string();
            assert!(e.starts_with("store /there/batches.db: ") && e.contains(told), "{e}");
        }
        // What is not the store's stays as it is.
        let other = Error::invalid("output", "is the input");
        assert_eq!(named::<()>(path, Err(other)).unwrap_err().to_string(), "output: is the input");
    }
}
