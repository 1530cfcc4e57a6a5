//! Bodies of `multipart/form-data`.

use std::ops::Range;

/// One field of a form.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) filename: Option<String>,
    /// Where its content lies in the body.
    pub(super) content: Range<usize>,
}

/// The boundary that a content type names.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    parameters.split(';').find_map(|each| {
        let (name, value) = each.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    })
}

/// Takes a body apart; an error says what is wrong.
pub(super) fn parse(body: &[u8], boundary: &str) -> Result<Vec<Part>, &'static str> {
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter has no line before it.
    let mut at = match body.strip_prefix(&delimiter.as_bytes()[2..]) {
        Some(_) => delimiter.len() - 2,
        None => {
            find(body, 0, delimiter.as_bytes()).ok_or("the boundary is missing")? + delimiter.len()
        }
    };
    let mut parts = Vec::new();
    while !body[at..].starts_with(b"--") {
        if !body[at..].starts_with(b"\r\n") {
            return Err("a boundary does not end its line");
        }
        let end_of_head = find(body, at, b"\r\n\r\n").ok_or("the head of a part has no end")?;
        let head = std::str::from_utf8(&body[at + 2..end_of_head.max(at + 2)])
            .map_err(|_| "the head of a part is not UTF-8")?;
        let start = end_of_head + 4;
        let end = find(body, start, delimiter.as_bytes()).ok_or("the last boundary is missing")?;
        if let Some((name, filename)) = disposition(head) {
            parts.push(Part { name, filename, content: start..end });
        }
        at = end + delimiter.len();
    }
    Ok(parts)
}

/// Name and file name of a part.
fn disposition(head: &str) -> Option<(String, Option<String>)> {
    let line = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (mut name, mut filename) = (None, None);
    for each in line.split(';') {
        match each.trim().split_once('=') {
            Some(("name", value)) => name = Some(value.trim_matches('"').to_owned()),
            Some(("filename", value)) => filename = Some(value.trim_matches('"').to_owned()),
            _ => {}
        }
    }
    Some((name?, filename))
}

/// The first place of `what`, which starts with a carriage return, at or after `from`.
fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let mut at = from;
    // Files have few carriage returns: most of them is passed over byte by byte.
    while let Some(next) = bytes.get(at..)?.iter().position(|byte| *byte == b'\r') {
        at += next;
        if bytes[at..].starts_with(what) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files_are_taken_apart() {
        let body =
            b"--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--XX\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\
            Content-Type: application/octet-stream\r\n\r\n{\"a\":\r\n1}\n\r\n--XX--\r\n";
        let parts = parse(body, "XX").unwrap();
        assert_eq!(parts[0].name, "purpose");
        assert_eq!(&body[parts[0].content.clone()], b"batch");
        assert_eq!(parts[1].filename.as_deref(), Some("a.jsonl"));
        assert_eq!(&body[parts[1].content.clone()], b"{\"a\":\r\n1}\n");
        assert_eq!(parts.len(), 2);
    }

    #[test]
    fn an_empty_file_is_a_file() {
        let body = b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\r\n--X--";
        assert_eq!(parse(body, "X").unwrap()[0].content.len(), 0);
    }

    #[test]
    fn a_body_that_was_cut_is_refused_at_each_place() {
        let body = b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--X--";
        for end in 0..body.len() - 1 {
            assert!(parse(&body[..end], "X").is_err(), "cut at {end}");
        }
    }

    #[test]
    fn the_boundary_is_found_in_quotes_and_without() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("application/json; boundary=abc"), None);
    }
}
