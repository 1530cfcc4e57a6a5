//! The key, which is never shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};

/// Keys have some hundred bytes; a larger file is another file.
const LARGEST_KEY_FILE: u64 = 16 << 10;

/// A key of the API.
///
/// Neither `Debug` nor `Display` shows more than its last four characters (`sk-…abcd`), and of a
/// key that is shorter than twelve characters nothing. It cannot be serialised.
///
/// ```
/// let key = openai_bulk::config::ApiKey::new("sk-proj-0123456789abcd\n")?;
/// assert_eq!(key.to_string(), "sk-…abcd");
/// assert_eq!(key.expose(), "sk-proj-0123456789abcd");
/// # Ok::<(), openai_bulk::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Arc<str>);

impl ApiKey {
    /// Takes a key without the white space around it.
    ///
    /// # Errors
    ///
    /// If it is empty, is in quotation marks or holds a character that no header can carry. The
    /// message does not contain it.
    pub fn new(text: impl AsRef<str>) -> Result<ApiKey> {
        ApiKey::parse(text.as_ref()).map_err(|e| Error::invalid("the API key", e))
    }

    /// Reads a key from a file that holds nothing else.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or does not hold a key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<ApiKey> {
        let path = path.as_ref();
        if looks_like_a_key(path) {
            return Err(Error::invalid("the file of the API key", NOT_A_PATH));
        }
        let what = || format!("the API key in {}", path.display());
        let failed = |e| Error::file("read", path, e);
        if std::fs::metadata(path).map_err(failed)?.len() > LARGEST_KEY_FILE {
            return Err(Error::invalid(what(), "the file is too large to be that of a key"));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::invalid(what(), NOT_A_HEADER))?;
        ApiKey::parse(text.trim_start_matches('\u{feff}')).map_err(|e| Error::invalid(what(), e))
    }

    /// The same as [`ApiKey::new`], with the bare message.
    pub(super) fn parse(text: &str) -> Result<ApiKey, String> {
        let key = text.trim();
        if key.is_empty() {
            return Err("empty".into());
        }
        if key.starts_with(['"', '\'']) || key.ends_with(['"', '\'']) {
            return Err("the quotation marks are not part of a key: leave them out".into());
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NOT_A_HEADER.into());
        }
        Ok(ApiKey(key.into()))
    }

    /// The key itself, for the header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

const NOT_A_HEADER: &str =
    "holds a character that no key has: only visible ASCII characters without spaces are allowed";
pub(super) const NOT_A_PATH: &str =
    "not allowed: the path of a file that holds the key, not the key itself";

/// A key in the place of a path would be shown by the error of the file that is not there.
pub(super) fn looks_like_a_key(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.trim_start().starts_with("sk-"))
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() < 12 {
            return f.write_str("…");
        }
        let prefix = if self.0.starts_with("sk-") { "sk-" } else { "" };
        write!(f, "{prefix}…{}", &self.0[self.0.len() - 4..])
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_at_most_its_last_four_characters() {
        for (key, shown) in [
            ("sk-proj-0123456789abcd", "sk-…abcd"),
            ("0123456789abcdef", "…cdef"),
            ("sk-123456789", "sk-…6789"),
            ("sk-12345678", "…"),
            ("a", "…"),
        ] {
            let key = ApiKey::new(key).unwrap();
            assert_eq!(key.to_string(), shown);
            assert_eq!(format!("{key:?}"), format!("ApiKey({shown})"));
        }
    }

    #[test]
    fn white_space_around_a_key_is_dropped() {
        assert_eq!(ApiKey::new(" \tsk-0123456789\r\n").unwrap().expose(), "sk-0123456789");
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_being_shown() {
        for text in [
            "",
            "  \n",
            "\"sk-0123456789\"",
            "'sk-0123456789'",
            "sk-0123\n456789",
            "sk-0123 456789",
            "sk-0123456789\u{e9}",
            "Bearer sk-0123456789",
            "sk-0123\u{0}456789",
            "sk-0123456789\u{7f}",
        ] {
            let message = format!("{0} {0:?}", ApiKey::new(text).unwrap_err());
            assert!(!message.contains("0123") && !message.contains("6789"), "{message}");
        }
    }

    #[test]
    fn a_key_is_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "\u{feff}sk-0123456789\r\n").unwrap();
        assert_eq!(ApiKey::from_file(&path).unwrap().expose(), "sk-0123456789");
        std::fs::write(&path, "").unwrap();
        assert!(ApiKey::from_file(&path).unwrap_err().to_string().ends_with("key: empty"));
        std::fs::write(&path, [0xff, 0xfe, b's']).unwrap();
        assert!(ApiKey::from_file(&path).is_err());
        std::fs::write(&path, vec![b'a'; 20_000]).unwrap();
        assert!(ApiKey::from_file(&path).unwrap_err().to_string().contains("too large"));
        assert!(matches!(ApiKey::from_file(folder.path().join("none")), Err(Error::File(_))));
    }

    #[test]
    fn a_key_given_as_a_path_is_refused_without_being_shown() {
        let message = ApiKey::from_file("sk-0123456789abcdef").unwrap_err().to_string();
        assert!(!message.contains("0123"), "{message}");
    }
}
