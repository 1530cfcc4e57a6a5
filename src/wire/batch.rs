//! Batches and files, as the server tells of them.
//!
//! Nothing that a server leaves out, sends as null or as an empty text breaks the reading.

use super::row::id_hash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchObject {
    /// Its id.
    pub id: String,
    /// `validating`, `in_progress`, `finalizing`, `completed`, `failed`, `expired`, `cancelling`,
    /// `cancelled`, or a word that is new.
    pub status: String,
    /// Where its requests go, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// The file of its requests.
    pub input_file_id: Option<String>,
    /// The file of its answers, if there are any.
    pub output_file_id: Option<String>,
    /// The file of its errors, if there are any.
    pub error_file_id: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_at: Option<u64>,
    /// When it expires, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// Its requests by what became of them.
    pub counts: Counts,
    /// Why its input was refused.
    pub errors: Vec<BatchFault>,
    /// What its maker wrote on it.
    pub metadata: BTreeMap<String, String>,
}

/// The requests of a batch by what became of them, as the server counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// All of them; 0 while the input is checked.
    pub total: u64,
    /// Answered.
    pub completed: u64,
    /// Not answered.
    pub failed: u64,
}

/// One reason why the input of a batch was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BatchFault {
    /// Such as `invalid_json_line`.
    pub code: String,
    /// The server's text.
    pub message: String,
    /// The line of the file that it concerns, from 1, if it concerns one.
    pub line: Option<u64>,
}

/// A page of a list of batches, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchPage {
    /// The batches of this page.
    pub batches: Vec<BatchObject>,
    /// The id after which the next page begins, if there is one.
    pub next: Option<String>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileObject {
    /// Its id.
    pub id: String,
    /// Its length, if the server tells it.
    pub bytes: Option<u64>,
}

/// Reads a batch, or says what is missing.
pub fn read_batch(body: &[u8]) -> Result<BatchObject, String> {
    batch(&json(body)?).ok_or_else(|| "a batch without an id or a status".into())
}

/// Reads a page of batches. What is no batch is left out.
pub fn read_batches(body: &[u8]) -> Result<BatchPage, String> {
    let page = json(body)?;
    let data = page["data"].as_array().ok_or("a list of batches without `data`")?;
    let batches: Vec<_> = data.iter().filter_map(batch).collect();
    let has_more = page["has_more"].as_bool().unwrap_or(false);
    let last = word(&page["last_id"]).or_else(|| batches.last().map(|batch| batch.id.clone()));
    Ok(BatchPage { batches, next: last.filter(|_| has_more) })
}

/// Reads a file's object, or says what is missing.
pub fn read_file(body: &[u8]) -> Result<FileObject, String> {
    let file = json(body)?;
    let id = word(&file["id"]).ok_or("a file without an id")?;
    Ok(FileObject { id, bytes: file["bytes"].as_u64() })
}

fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|e| format!("not JSON: {e}"))
}

fn batch(json: &Value) -> Option<BatchObject> {
    let counts = &json["request_counts"];
    let count = |name: &str| counts[name].as_u64().unwrap_or(0);
    let errors = json["errors"]["data"].as_array().or_else(|| json["errors"].as_array());
    let fault = |error: &Value| BatchFault {
        code: word(&error["code"]).unwrap_or_default(),
        message: word(&error["message"]).unwrap_or_default(),
        line: error["line"].as_u64(),
    };
    let pairs = json["metadata"].as_object().into_iter().flatten();
    Some(BatchObject {
        id: word(&json["id"])?,
        status: word(&json["status"])?,
        endpoint: word(&json["endpoint"]).unwrap_or_default(),
        input_file_id: word(&json["input_file_id"]),
        output_file_id: word(&json["output_file_id"]),
        error_file_id: word(&json["error_file_id"]),
        created_at: json["created_at"].as_u64(),
        expires_at: json["expires_at"].as_u64(),
        counts: Counts {
            total: count("total"),
            completed: count("completed"),
            failed: count("failed"),
        },
        errors: errors.into_iter().flatten().map(fault).collect(),
        metadata: pairs.filter_map(|(name, value)| Some((name.clone(), word(value)?))).collect(),
    })
}

/// A text that says something: an empty one stands for none.
fn word(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The limit of enqueued tokens that the text of a refusal names: `Limit: 900,000 enqueued tokens`.
///
/// ```
/// use openai_bulk::wire::batch::enqueued_limit;
/// let text = "Enqueued token limit reached for gpt-4.1 in organization org-1. Limit: 900,000 \
///             enqueued tokens.";
/// assert_eq!(enqueued_limit(text), Some(900_000));
/// assert_eq!(enqueued_limit("Enqueued token limit reached."), None);
/// ```
pub fn enqueued_limit(message: &str) -> Option<u64> {
    let at = message.to_ascii_lowercase().find("limit:")?;
    let rest = message.get(at + "limit:".len()..)?.trim_start();
    let is_part = |c: char| c.is_ascii_digit() || ",_' ".contains(c);
    let number: String = rest.chars().take_while(|&c| is_part(c)).collect();
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|&limit| limit > 0)
}

/// A name for an account that tells nothing of its key: a hash of all `parts`, 16 digits.
pub fn account_name(parts: &[&str]) -> String {
    // Parts that are cut in another place are another account.
    let text: Vec<String> = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    format!("{:016x}", id_hash(&text.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_id_of_a_file_is_none() {
        let body = br#"{"id":"batch_1","status":"completed","output_file_id":null,"error_file_id":"","errors":null,"metadata":{"run":"a","n":3}}"#;
        let batch = read_batch(body).unwrap();
        assert_eq!((batch.output_file_id, batch.error_file_id), (None, None));
        assert_eq!(batch.metadata.get("run").map(String::as_str), Some("a"));
        assert_eq!(batch.metadata.len(), 1, "what is no text is left out");
    }

    #[test]
    fn what_is_no_batch_is_told() {
        assert!(read_batch(b"{}").is_err());
        assert!(read_batch(b"<html>").unwrap_err().starts_with("not JSON"));
        assert!(read_batches(br#"{"object":"list"}"#).is_err());
        let page = read_batches(br#"{"data":[{"id":"b","status":"failed"},{}],"has_more":true}"#);
        assert_eq!(page.unwrap().next.as_deref(), Some("b"));
    }

    #[test]
    fn limits_are_read_however_their_thousands_are_written() {
        for (text, limit) in [
            ("Limit: 900,000 enqueued tokens.", Some(900_000)),
            ("limit: 2000000", Some(2_000_000)),
            ("Limit: 1_500", Some(1_500)),
            ("Limit: none", None),
            ("Limit: 0 enqueued tokens", None),
            ("", None),
            ("ÄLimit", None),
        ] {
            assert_eq!(enqueued_limit(text), limit, "{text}");
        }
    }

    #[test]
    fn another_key_or_place_is_another_account() {
        let own = account_name(&["https://a/v1", "key"]);
        assert_eq!(own, account_name(&["https://a/v1", "key"]));
        for other in [["https://b/v1", "key"], ["https://a/v1", "kex"], ["https://a/v1k", "ey"]] {
            assert_ne!(own, account_name(&other));
        }
        assert_eq!(own.len(), 16);
    }
}
