//! JSON text on one line.

/// Copies JSON text without the white space between its tokens, so that it is one line. Numbers,
/// strings and the order of fields are copied byte for byte.
pub fn compact(json: &[u8], out: &mut Vec<u8>) {
    out.reserve(json.len());
    let mut rest = json;
    while let Some(&byte) = rest.first() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => rest = &rest[1..],
            b'"' => {
                let end = string_end(rest);
                out.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
            _ => {
                let end = rest.iter().position(|b| b" \t\n\r\"".contains(b)).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
}

/// Where the string ends that begins at the start of `text`.
fn string_end(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::compact;
    use proptest::prelude::*;

    #[test]
    fn white_space_goes_and_everything_else_stays() {
        let cases = [
            (
                "{\n  \"a b\" : 1e400 ,\r\n\t\"c\\\"\\n \": [ 1, 2 ]\n}\n",
                r#"{"a b":1e400,"c\"\n ":[1,2]}"#,
            ),
            ("\"half", "\"half"),
            ("\"half\\", "\"half\\"),
            ("", ""),
        ];
        for (text, expected) in cases {
            let mut out = Vec::new();
            compact(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn the_value_stays_the_same(text in "[ \n\"\\\\a{}:,0-9]{0,60}", keys in proptest::collection::vec("\\PC{0,8}", 0..6)) {
            let value = serde_json::json!({ "text": text, "keys": keys });
            let pretty = serde_json::to_vec_pretty(&value).unwrap();
            let mut out = Vec::new();
            compact(&pretty, &mut out);
            prop_assert!(!out.contains(&b'\n'));
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), value);
        }
    }
}
