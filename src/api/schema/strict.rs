use serde_json::{Map, Value, json};

/// Members of a schema that strict mode knows. Source: the guide to structured outputs.
const KNOWN: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

/// Forms of text that strict mode knows.
const FORMATS: &[&str] =
    &["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"];

/// Members that say what strict mode has no word for, so that leaving them out would allow more than
/// the schema does, with what is to be done about them.
const REFUSED: &[(&str, &str)] = &[
    ("prefixItems", "it is a tuple; use a struct with named fields"),
    ("patternProperties", "it has keys of any name; use a list of structs with a key and a value"),
    ("not", "it says what is not allowed, which strict mode has no word for"),
    ("if", "it depends on a condition, which strict mode has no word for"),
    ("dependentSchemas", "it depends on a condition, which strict mode has no word for"),
];

/// A schema as the strict mode of the API allows it: objects are closed, all their members are
/// required (what is optional may be null), and words that it does not know are left out.
///
/// # Errors
/// When strict mode cannot express it; the message says where, and what to use instead.
pub fn make_strict(schema: Value) -> Result<Value, String> {
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    let mut maker = Maker { definitions, inside: Vec::new() };
    let mut strict = maker.schema(schema, "it")?;
    let is_object = strict["type"] == "object" && strict.get("anyOf").is_none();
    if !is_object {
        return Err("an answer must be an object; put the type into a field of a struct".into());
    }
    if let Some(members) = strict.as_object_mut() {
        members.remove("title");
    }
    Ok(strict)
}

struct Maker {
    definitions: Value,
    /// The definitions that are being written out, so that none is written into itself.
    inside: Vec<String>,
}

impl Maker {
    fn schema(&mut self, schema: Value, at: &str) -> Result<Value, String> {
        let members = match schema {
            Value::Object(members) => members,
            Value::Bool(false) => return Err(format!("{at}: it may be nothing at all")),
            _ => return Err(anything(at)),
        };
        let is_text = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "properties"];
        if !is_text.iter().any(|word| members.contains_key(*word)) {
            return Err(anything(at));
        }
        if let Some((_, why)) = REFUSED.iter().find(|(word, _)| members.contains_key(*word)) {
            return Err(format!("{at}: {why}"));
        }
        let mut members = self.flat(members, at)?;
        if members.contains_key("$ref") {
            return self.reference(members, at);
        }
        self.close(&mut members, at)?;
        members.retain(|word, value| match word.as_str() {
            "format" => value.as_str().is_some_and(|form| FORMATS.contains(&form)),
            word => KNOWN.contains(&word),
        });
        self.inner(&mut members, at)?;
        Ok(Value::Object(members))
    }

    /// `oneOf` as `anyOf`, and the one part of an `allOf` in its place.
    fn flat(
        &mut self,
        mut members: Map<String, Value>,
        at: &str,
    ) -> Result<Map<String, Value>, String> {
        if let Some(ways) = members.remove("oneOf") {
            members.insert("anyOf".into(), ways);
        }
        let Some(Value::Array(parts)) = members.remove("allOf") else { return Ok(members) };
        match <[Value; 1]>::try_from(parts) {
            Ok([Value::Object(mut part)]) => {
                part.extend(members);
                Ok(part)
            }
            _ => Err(format!(
                "{at}: it is made of several types; write their fields into one struct"
            )),
        }
    }

    /// A reference stands alone; one with words of its own is written out, unless it is inside of
    /// what it refers to.
    fn reference(&mut self, mut members: Map<String, Value>, at: &str) -> Result<Value, String> {
        let to = members.remove("$ref").unwrap_or_default();
        let name = to.as_str().and_then(|to| to.strip_prefix("#/$defs/")).map(str::to_owned);
        let definition = name.as_ref().and_then(|name| self.definitions.get(name)).cloned();
        let has_words = members.contains_key("description");
        if let (Some(Value::Object(definition)), Some(name), true) = (definition, name, has_words)
            && !self.inside.contains(&name)
        {
            let mut written = definition;
            written.extend(members);
            self.inside.push(name);
            let strict = self.schema(Value::Object(written), at);
            self.inside.pop();
            return strict;
        }
        Ok(json!({ "$ref": to }))
    }

    /// Closes an object.
    fn close(&mut self, members: &mut Map<String, Value>, at: &str) -> Result<(), String> {
        let kinds = &members.get("type").cloned().unwrap_or_default();
        let is_object = kinds == "object"
            || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
            || members.contains_key("properties");
        if !is_object {
            return Ok(());
        }
        let is_open =
            !matches!(members.get("additionalProperties"), None | Some(Value::Bool(false)));
        if is_open {
            let why = "it has keys of any name; use a list of structs with a key and a value";
            return Err(format!("{at}: {why}"));
        }
        let properties = members.entry("properties").or_insert_with(|| json!({}));
        let names = properties.as_object().into_iter().flatten().map(|(name, _)| json!(name));
        let names: Vec<Value> = names.collect();
        members.insert("required".into(), names.into());
        members.insert("additionalProperties".into(), json!(false));
        Ok(())
    }

    /// The schemas inside of a schema.
    fn inner(&mut self, members: &mut Map<String, Value>, at: &str) -> Result<(), String> {
        for word in ["properties", "$defs"] {
            for (name, schema) in
                members.get_mut(word).and_then(Value::as_object_mut).into_iter().flatten()
            {
                let at = if at == "it" { format!("{word}.{name}") } else { format!("{at}.{name}") };
                *schema = self.schema(schema.take(), &at)?;
            }
        }
        for schema in members.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
            *schema = self.schema(schema.take(), at)?;
        }
        if let Some(items) = members.get_mut("items") {
            *items = self.schema(items.take(), &format!("{at}[]"))?;
        }
        Ok(())
    }
}

fn anything(at: &str) -> String {
    format!("{at}: it may be anything, and strict mode wants to know what")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_strict_mode_does_not_know_are_left_out_or_refused() {
        let of = |property: Value| {
            let schema = json!({"type": "object", "properties": {"x": property}});
            make_strict(schema).map(|strict| strict["properties"]["x"].clone())
        };
        for (given, strict) in [
            (
                json!({"type": "integer", "format": "uint8", "minimum": 0, "maximum": 255}),
                json!({"type": "integer", "minimum": 0, "maximum": 255}),
            ),
            (
                json!({"type": "string", "format": "date-time", "minLength": 1, "default": "x"}),
                json!({"type": "string", "format": "date-time"}),
            ),
            (
                json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}),
                json!({"type": "array", "items": {"type": "string"}}),
            ),
            (
                json!({"oneOf": [{"const": "a", "description": "A."}, {"type": "null"}]}),
                json!({"anyOf": [{"const": "a", "description": "A."}, {"type": "null"}]}),
            ),
            (
                json!({"allOf": [{"type": "string"}], "description": "Words."}),
                json!({"type": "string", "description": "Words."}),
            ),
            (
                json!({"type": "object"}),
                json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
            ),
            (json!({"$ref": "#/$defs/Gone", "description": "x"}), json!({"$ref": "#/$defs/Gone"})),
        ] {
            assert_eq!(of(given.clone()), Ok(strict), "{given}");
        }
        for (given, why) in [
            (json!(true), "properties.x: it may be anything"),
            (json!({}), "properties.x: it may be anything"),
            (json!({"type": "array", "items": true}), "properties.x[]: it may be anything"),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                "keys of any name",
            ),
            (json!({"allOf": [{"type": "string"}, {"type": "null"}]}), "several types"),
            (json!({"type": "string", "not": {"const": ""}}), "not allowed"),
        ] {
            let told = of(given.clone()).unwrap_err();
            assert!(told.contains(why), "{given}: {told}");
        }
    }

    #[test]
    fn a_definition_is_never_written_into_itself() {
        let node = json!({"type": "object", "properties": {
            "child": {"$ref": "#/$defs/Node", "description": "The next one."}}});
        let strict = make_strict(json!({"type": "object", "$defs": {"Node": node.clone()},
            "properties": {"root": {"$ref": "#/$defs/Node", "description": "The first."}}}))
        .unwrap();
        let root = &strict["properties"]["root"];
        assert_eq!(root["description"], "The first.");
        assert_eq!(root["properties"]["child"], json!({"$ref": "#/$defs/Node"}));
    }
}
