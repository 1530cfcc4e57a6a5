//! The one spelling of a request, for its fingerprint.
//!
//! No white space, keys sorted, strings with the fewest escapes, fractions in their shortest
//! form. Whole numbers stay as they are, and so does what has no other spelling: numbers beyond
//! a double, halves of surrogate pairs. A parser's value tree would refuse those, or lose digits.

/// Deeper levels keep their order and spelling, so that the stack stays small.
const DEEPEST: usize = 128;

/// The canonical spelling of `json`, which is valid JSON.
pub(crate) fn canonical(json: &str) -> Vec<u8> {
    let mut walk = Walk { json, at: 0, out: Vec::with_capacity(json.len()) };
    walk.value(0);
    walk.out
}

struct Walk<'a> {
    json: &'a str,
    at: usize,
    out: Vec<u8>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, depth: usize) {
        match self.peek() {
            b'{' | b'[' if depth >= DEEPEST => self.deep(),
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string(),
            _ => self.scalar(),
        }
    }

    /// The next byte that is not white space; 0 at the end.
    fn peek(&mut self) -> u8 {
        let bytes = self.json.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    fn list(&mut self, depth: usize) {
        self.at += 1;
        self.out.push(b'[');
        while !matches!(self.peek(), b']' | 0) {
            if self.peek() == b',' {
                self.at += 1;
                self.out.push(b',');
            }
            self.value(depth + 1);
        }
        self.at += 1;
        self.out.push(b']');
    }

    fn object(&mut self, depth: usize) {
        self.at += 1;
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<(usize, usize, usize)> = Vec::new();
        while !matches!(self.peek(), b'}' | 0) {
            if self.peek() == b',' {
                self.at += 1;
                self.peek();
            }
            let key = self.out.len();
            self.string();
            let colon = self.out.len();
            self.peek();
            self.at += 1;
            self.out.push(b':');
            self.value(depth + 1);
            self.out.push(b',');
            members.push((key, colon, self.out.len()));
        }
        self.at += 1;
        self.sort(start, members);
        self.out.push(b'}');
    }

    /// Puts the members that were written from `start` on into the order of their keys.
    fn sort(&mut self, start: usize, mut members: Vec<(usize, usize, usize)>) {
        let out = &self.out;
        let key = |member: &(usize, usize, usize)| &out[member.0..member.1];
        if members.is_sorted_by_key(key) {
            return;
        }
        members.sort_by(|a, b| key(a).cmp(key(b)));
        let mut sorted = Vec::with_capacity(out.len() - start);
        for (from, _, to) in members {
            sorted.extend_from_slice(&out[from..to]);
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&sorted);
    }

    fn string(&mut self) {
        let raw = self.raw_string();
        let text = if raw.contains('\\') { serde_json::from_str::<String>(raw).ok() } else { None };
        match text {
            Some(text) => serde_json::to_writer(&mut self.out, &text).unwrap_or_default(),
            None => self.out.extend_from_slice(raw.as_bytes()),
        }
    }

    /// The string that begins here, with its quotes.
    fn raw_string(&mut self) -> &'a str {
        let json = self.json;
        let start = self.at;
        let mut end = start + 1;
        loop {
            match json[end..].find(['"', '\\']).map(|i| end + i) {
                Some(i) if json.as_bytes()[i] == b'\\' => end = i + 2,
                Some(i) => break self.at = i + 1,
                None => break self.at = json.len(),
            }
        }
        &json[start..self.at]
    }

    fn scalar(&mut self) {
        let rest = &self.json[self.at..];
        let end = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        let text = &rest[..end];
        self.at += end.max(1);
        let fraction = text.contains(['.', 'e', 'E']).then(|| text.parse::<f64>().ok()).flatten();
        match fraction {
            Some(number) if number.is_finite() => {
                serde_json::to_writer(&mut self.out, &number).unwrap_or_default();
            }
            _ => self.out.extend_from_slice(text.as_bytes()),
        }
    }

    /// A value that is nested too deeply: only its white space goes.
    fn deep(&mut self) {
        let mut open = 0_usize;
        loop {
            match self.peek() {
                b'"' => {
                    let raw = self.raw_string();
                    self.out.extend_from_slice(raw.as_bytes());
                    continue;
                }
                0 => return,
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.out.push(self.json.as_bytes()[self.at]);
            self.at += 1;
            if open == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        String::from_utf8(canonical(json)).unwrap()
    }

    #[test]
    fn order_space_and_escapes_do_not_matter() {
        let plain = r#"{"a":"é\n","b":[1,{"x":null,"y":0.5}]}"#;
        for same in [
            r#" { "b" : [ 1 , {"y":5e-1,"x":null} ] , "a" : "\u00e9\u000a" } "#,
            r#"{"b":[1,{"y":0.50,"x":null}],"a":"\u00E9\n"}"#,
        ] {
            assert_eq!(text(same), text(plain));
        }
        assert_eq!(text(plain), r#"{"a":"é\n",,"b":[1,{"x":null,,"y":0.5,}],}"#.replace(",,", ","));
    }

    #[test]
    fn what_differs_stays_different() {
        let texts = [
            "1",
            "1.5",
            "-1",
            "123456789012345678901234567890",
            "123456789012345678901234567891",
            "1e400",
            "1e401",
            "\"1\"",
            "[1,2]",
            "[2,1]",
            "[]",
            "{}",
            "null",
            "[[]]",
            r#""\ud800""#,
            r#""\ud801""#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":2,"a":1}"#,
            r#"{"a":1}"#,
            r#"{"a":"]"}"#,
            r#"{"a":"\"b"}"#,
            r#"{"a":"\\"}"#,
        ];
        let seen: std::collections::BTreeSet<String> = texts.iter().map(|t| text(t)).collect();
        assert_eq!(seen.len(), texts.len());
    }

    #[test]
    fn deep_nesting_needs_no_deep_stack() {
        let deep = format!("{}{}{}", "[".repeat(100_000), r#""] ""#, "]".repeat(100_000));
        assert_eq!(text(&deep), deep);
    }
}
