//! A request with places for the fields of a row.

use serde_json::value::RawValue;

use super::row::{Members, kind_of, noun, text_of};

/// A JSON request in whose strings `{field}` stands for a field of the row.
///
/// A field's name has letters, digits, `_`, `.` and `-`; a dot reaches into an object. A string
/// that is one place and nothing else takes the field's value whatever it is: `"{n}"` becomes
/// `7`. Elsewhere the field's text is put in. `{{` and `}}` are one brace; other braces stay.
#[derive(Clone, Debug)]
pub struct Template {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// JSON text that is the same for all rows.
    Literal(String),
    /// A field's text within a string.
    Text(String),
    /// A field's value in the place of a string.
    Value(String),
}

/// Deeper templates are refused, so that the stack stays small.
const DEEPEST: usize = 128;

/// Members of a request that are text even if the field is a number.
const ALWAYS_TEXT: [&str; 4] = ["custom_id", "url", "method", "model"];

impl Template {
    /// Reads a template, or tells what is wrong with it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
        let request = Members::parse(text)?;
        if kind_of(&request).is_none() {
            return Err(
                "not a request: it has none of `body`, `messages`, `input` and `prompt`".to_owned()
            );
        }
        let mut template = Template { segments: Vec::new() };
        template.object(&request, 0)?;
        if template.fields().next().is_none() {
            return Err("it names no field, so that all rows would be the same request; write \
                        {name} for the field `name` ({{name}} stands for the text {name})"
                .to_owned());
        }
        Ok(template)
    }

    /// The fields it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Text(field) | Segment::Value(field) => Some(field.as_str()),
        })
    }

    /// The request for one row, as JSON text.
    pub(crate) fn render(&self, row: &Members<'_>) -> Result<String, String> {
        let mut out = String::with_capacity(512);
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => out.push_str(text),
                Segment::Value(field) => out.push_str(value(row, field)?),
                Segment::Text(field) => push_text(&mut out, field, value(row, field)?)?,
            }
        }
        Ok(out)
    }

    fn object(&mut self, members: &Members<'_>, depth: usize) -> Result<(), String> {
        self.literal("{");
        for (i, member) in members.iter().enumerate() {
            self.literal(if i > 0 { "," } else { "" });
            self.literal(member.raw_key);
            self.literal(":");
            let body = depth <= 1;
            self.value(member.value, body && ALWAYS_TEXT.contains(&&*member.key), depth + 1)?;
        }
        self.literal("}");
        Ok(())
    }

    fn value(&mut self, value: &RawValue, only_text: bool, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST} levels"));
        }
        match noun(value.get()) {
            "an object" => self.object(&Members::parse(value.get())?, depth),
            "a list" => {
                let items: Vec<&RawValue> =
                    serde_json::from_str(value.get()).map_err(|_| "a list is not valid JSON")?;
                self.literal("[");
                for (i, item) in items.into_iter().enumerate() {
                    self.literal(if i > 0 { "," } else { "" });
                    self.value(item, false, depth + 1)?;
                }
                self.literal("]");
                Ok(())
            }
            "text" => {
                let text = text_of(value).ok_or("a string is not valid text")?;
                self.string(&text, only_text);
                Ok(())
            }
            _ => {
                self.literal(value.get());
                Ok(())
            }
        }
    }

    fn string(&mut self, text: &str, only_text: bool) {
        let mut parts = split(text);
        if let ([Segment::Text(field)], false) = (&mut parts[..], only_text) {
            return self.segments.push(Segment::Value(std::mem::take(field)));
        }
        self.literal("\"");
        for part in parts {
            match part {
                Segment::Literal(text) => self.literal(inner(&escaped(&text))),
                place => self.segments.push(place),
            }
        }
        self.literal("\"");
    }

    fn literal(&mut self, text: &str) {
        match self.segments.last_mut() {
            Some(Segment::Literal(last)) => last.push_str(text),
            _ => self.segments.push(Segment::Literal(text.to_owned())),
        }
    }
}

/// Literal text and places, in their order.
fn split(text: &str) -> Vec<Segment> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['{', '}']) {
        literal.push_str(&rest[..start]);
        rest = &rest[start..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push_str(&rest[..1]);
            rest = &rest[2..];
        } else if let Some(field) = place(rest) {
            if !literal.is_empty() {
                parts.push(Segment::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Segment::Text(field.to_owned()));
            rest = &rest[field.len() + 2..];
        } else {
            literal.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Segment::Literal(literal));
    }
    parts
}

/// The field of the place that `text` begins with.
fn place(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let field = &inner[..inner.find('}')?];
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    (!field.is_empty() && field.chars().all(named)).then_some(field)
}

/// The JSON text of a field.
fn value<'a>(row: &Members<'a>, field: &str) -> Result<&'a str, String> {
    find(row, field).ok_or_else(|| {
        format!("the template names the field `{field}`, the row has {}", row.names())
    })
}

fn find<'a>(row: &Members<'a>, field: &str) -> Option<&'a str> {
    if let Some(value) = row.get(field) {
        return Some(value.get());
    }
    let (object, rest) = field.split_once('.')?;
    find(&Members::parse(row.get(object)?.get()).ok()?, rest)
}

/// Puts the text of `json` into a JSON string.
fn push_text(out: &mut String, field: &str, json: &str) -> Result<(), String> {
    match noun(json) {
        // What is escaped in one JSON string is escaped in another.
        "text" => out.push_str(inner(json)),
        "null" => return Err(format!("the field `{field}` is null, which has no text")),
        "a list" | "an object" => out.push_str(inner(&escaped(json))),
        _ => out.push_str(json),
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn inner(quoted: &str) -> &str {
    &quoted[1..quoted.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, row: &str) -> Result<String, String> {
        Template::parse(template)?.render(&Members::parse(row).unwrap())
    }

    #[test]
    fn places_take_the_fields_text_or_value() {
        let row = r#"{"q":"say \"hi\"\u00e9\n","n":7,"big":1e400,"l":[1, "x"],"o":{"a":{"b":"deep"},"c.d":"dotted"},
            "x.y":"flat","t":true,"größe":"umlaut","q-1":"dash"}"#;
        for (text, wanted) in [
            ("{q}", r#""say \"hi\"\u00e9\n""#),
            ("Q: {q}!", r#""Q: say \"hi\"\u00e9\n!""#),
            ("{n}", "7"),
            ("{n}.", r#""7.""#),
            ("{big}", "1e400"),
            ("{l}", r#"[1, "x"]"#),
            ("list {l}", r#""list [1, \"x\"]""#),
            ("{o.a}", r#"{"b":"deep"}"#),
            ("{o.a.b}{x.y}{o.c.d}", r#""deepflatdotted""#),
            ("{t}", "true"),
            ("{größe} {q-1}", r#""umlaut dash""#),
            ("{{n}} {{{n}}} }} {{", r#""{n} {7} } {""#),
            ("{ n } {} {a b} {n", r#""{ n } {} {a b} {n""#),
            ("{\\\"a\\\": {n}}", r#""{\"a\": 7}""#),
        ] {
            let template = format!(r#"{{"messages":"{text}","input":"{{n}}"}}"#);
            let wanted = format!(r#"{{"messages":{wanted},"input":7}}"#);
            assert_eq!(render(&template, row).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn a_template_keeps_its_own_spelling() {
        let template = r#" { "messages" : [ "{n}", 1.50 , {"k{n}": 12345678901234567890123} ] } "#;
        let wanted = r#"{"messages":[1,1.50,{"k{n}":12345678901234567890123}]}"#;
        assert_eq!(render(template, r#"{"n":1}"#).unwrap(), wanted);
    }

    #[test]
    fn ids_urls_and_models_are_text_even_from_numbers() {
        let template =
            r#"{"custom_id":"{n}","url":"/v1/responses","body":{"model":"{n}","input":"{n}"}}"#;
        let wanted = r#"{"custom_id":"5","url":"/v1/responses","body":{"model":"5","input":5}}"#;
        assert_eq!(render(template, r#"{"n":5}"#).unwrap(), wanted);
    }

    #[test]
    fn what_cannot_be_filled_in_is_told() {
        let template = r#"{"input":"about {topic}"}"#;
        for (row, wanted) in [
            (
                r#"{"a":"secret","b":2}"#,
                "the template names the field `topic`, the row has `a`, `b`",
            ),
            (r#"{}"#, "the template names the field `topic`, the row has no fields"),
            (r#"{"topic":null}"#, "the field `topic` is null, which has no text"),
        ] {
            assert_eq!(render(template, row).unwrap_err(), wanted);
        }
        let message = render(r#"{"input":"{a.b.c}"}"#, r#"{"a":{"b":1}}"#).unwrap_err();
        assert!(message.contains("`a.b.c`"), "{message}");
    }

    #[test]
    fn a_template_that_cannot_work_is_refused_at_once() {
        for (text, wanted) in [
            ("{", "not valid JSON: EOF while parsing an object (column 1)"),
            ("[1]", "not a JSON object but a list: each line is one object"),
            (r#"{"text":"{x}"}"#, "not a request"),
            (r#"{"input":"{{x}}"}"#, "it names no field"),
            (r#"{"input":"\ud800"}"#, "a string is not valid text"),
        ] {
            let message = Template::parse(text).unwrap_err();
            assert!(message.starts_with(wanted), "{message}");
        }
        let deep = format!(r#"{{"input":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(Template::parse(&deep).unwrap_err().contains("nested"));
    }
}
