//! Lists and dicts as Python prints them, which tables hold where JSON has a list.

use serde_json::{Map, Number, Value};

/// Reads a list or a dict as JSON, Python or numpy prints it: `["a", "b"]`, `['a' 'b']`,
/// `array(['a', 'b'], dtype=object)`, `{'topic': 'Art'}`. `None` for anything else.
pub(super) fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str(text) {
        return Some(value);
    }
    if !text.starts_with(['[', '(', '{']) && !text.starts_with("array(") {
        return None;
    }
    let mut reader = Reader { rest: text };
    let value = reader.value(DEPTH)?;
    reader.rest.trim().is_empty().then_some(value)
}

/// How deep lists may lie in each other.
const DEPTH: u32 = 16;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Passes over white space and then `mark`, if it stands there.
    fn take(&mut self, mark: &str) -> bool {
        self.rest = self.rest.trim_start();
        let after = self.rest.strip_prefix(mark);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if self.take("array(") {
            let list = self.value(depth)?;
            let (_, rest) = self.rest.split_once(')')?;
            self.rest = rest;
            return Some(list);
        }
        if self.take("[") {
            return self.list("]", depth);
        }
        if self.take("(") {
            return self.list(")", depth);
        }
        if self.take("{") {
            return self.dict(depth);
        }
        match self.rest.chars().next()? {
            '\'' | '"' => self.text().map(Value::String),
            _ => self.word(),
        }
    }

    /// The values up to the end of a list, with commas between them or, as numpy has it, none.
    fn list(&mut self, end: &str, depth: u32) -> Option<Value> {
        let mut all = Vec::new();
        while !self.take(end) {
            all.push(self.value(depth)?);
            self.take(",");
        }
        Some(Value::Array(all))
    }

    fn dict(&mut self, depth: u32) -> Option<Value> {
        let mut all = Map::new();
        while !self.take("}") {
            let Value::String(key) = self.value(depth)? else { return None };
            if !self.take(":") {
                return None;
            }
            all.insert(key, self.value(depth)?);
            self.take(",");
        }
        Some(Value::Object(all))
    }

    /// A text in quotes of either kind.
    fn text(&mut self) -> Option<String> {
        let mut chars = self.rest.chars();
        let quote = chars.next()?;
        let mut text = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    'x' => text.push(code(&mut chars, 2)?),
                    'u' => text.push(code(&mut chars, 4)?),
                    'U' => text.push(code(&mut chars, 8)?),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    c => text.extend(['\\', c]),
                },
                c => text.push(c),
            }
        }
        self.rest = chars.as_str();
        Some(text)
    }

    /// A number, or one of Python's words.
    fn word(&mut self) -> Option<Value> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "True" | "true" => Some(true.into()),
            "False" | "false" => Some(false.into()),
            "None" | "null" | "nan" => Some(Value::Null),
            _ => {
                let whole = word.parse::<i64>().map(Number::from).ok();
                let number = whole.or_else(|| Number::from_f64(word.parse().ok()?));
                number.map(Value::Number)
            }
        }
    }
}

/// A character by its number in so many digits.
fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let text = chars.as_str().get(..digits)?;
    chars.nth(digits - 1);
    char::from_u32(u32::from_str_radix(text, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_read_as_json_python_and_numpy_print_them() {
        for (text, wanted) in [
            (r#"["a","b\"c"]"#, Some(json!(["a", "b\"c"]))),
            ("['a', 'b']", Some(json!(["a", "b"]))),
            (r#"['it is' "it's" '\'"' "a, b"]"#, Some(json!(["it is", "it's", "'\"", "a, b"]))),
            ("['a'\n 'b']", Some(json!(["a", "b"]))),
            ("array(['a', 'b'], dtype=object)", Some(json!(["a", "b"]))),
            ("[1, -2.5, True, None, 3e2,]", Some(json!([1, -2.5, true, null, 300.0]))),
            (r"['\xe9\u00e9\n\d']", Some(json!(["éé\n\\d"]))),
            ("('a', ['b'])", Some(json!(["a", ["b"]]))),
            (
                "{'topic': 'Art', 'urls': ['x', 'y']}",
                Some(json!({"topic": "Art", "urls": ["x", "y"]})),
            ),
            ("[]", Some(json!([]))),
            ("[a, b]", None),
            ("['a'", None),
            ("['a'] b", None),
            ("a, b", None),
            ("7", None),
            ("", None),
        ] {
            assert_eq!(read(text), wanted, "{text}");
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
    }
}
