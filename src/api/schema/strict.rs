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
    let schema = maker.root(schema);
    let mut strict = maker.schema(schema, "it")?;
    let is_object = strict["type"] == "object" && strict.get("anyOf").is_none();
    if !is_object {
        let why = "an answer must be an object, and not one of several forms; put the type into a \
                   field of a struct";
        return Err(why.into());
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
        if has_fields(&members) && members.contains_key("anyOf") {
            members = spread(members, at)?;
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

    /// A schema that is nothing but a reference, as what it refers to.
    fn root(&self, mut schema: Value) -> Value {
        // Some refer to one another; none can do so more often than there are of them.
        for _ in 0..self.definitions.as_object().map_or(0, Map::len) {
            let Some((_, definition)) = self.definition(&schema["$ref"]) else { break };
            let mut words = schema.as_object().cloned().unwrap_or_default();
            words.remove("$ref");
            schema = Value::Object(joined(definition, words));
        }
        schema
    }

    /// The name of what a reference refers to, and that itself.
    fn definition(&self, reference: &Value) -> Option<(String, Map<String, Value>)> {
        let name = reference.as_str()?.strip_prefix("#/$defs/")?;
        Some((name.into(), self.definitions.get(name)?.as_object()?.clone()))
    }

    /// A reference stands alone. One with words of its own is written out, unless it is inside of
    /// what it refers to; so is one with fields of its own, such as the tag of an enum.
    fn reference(&mut self, mut members: Map<String, Value>, at: &str) -> Result<Value, String> {
        let to = members.remove("$ref").unwrap_or_default();
        let has_fields = has_fields(&members) || members.contains_key("anyOf");
        let definition = self.definition(&to).filter(|(name, _)| !self.inside.contains(name));
        match definition {
            Some((name, definition)) if has_fields || members.contains_key("description") => {
                self.inside.push(name);
                let strict = self.schema(Value::Object(joined(definition, members)), at);
                self.inside.pop();
                strict
            }
            None if has_fields => {
                Err(format!("{at}: it is a part of itself; put that part into a field of its own"))
            }
            _ => Ok(json!({ "$ref": to })),
        }
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

fn has_fields(members: &Map<String, Value>) -> bool {
    members.get("properties").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty())
}

/// A schema with the words of another beside it, whose fields come first.
fn joined(schema: Map<String, Value>, mut words: Map<String, Value>) -> Map<String, Value> {
    for (word, value) in schema {
        match (words.get_mut(&word), value) {
            (Some(Value::Object(fields)), Value::Object(more)) => fields.extend(more),
            (None, value) => drop(words.insert(word, value)),
            (Some(_), _) => {}
        }
    }
    words
}

/// An object that has one of several groups of fields beside its own, as one of several objects that
/// have both.
fn spread(mut members: Map<String, Value>, at: &str) -> Result<Map<String, Value>, String> {
    let ways = members.remove("anyOf").unwrap_or_default();
    let mut fields = Map::new();
    for word in ["properties", "required", "type", "additionalProperties"] {
        fields.extend(members.remove(word).map(|value| (word.to_string(), value)));
    }
    let mut spread = Vec::new();
    for way in ways.as_array().into_iter().flatten().filter_map(Value::as_object) {
        if !has_fields(way) && !way.contains_key("$ref") {
            return Err(format!(
                "{at}: it has fields of its own beside something without any; put that into a \
                 field of its own"
            ));
        }
        spread.push(Value::Object(joined(way.clone(), fields.clone())));
    }
    members.insert("anyOf".into(), spread.into());
    Ok(members)
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
    fn a_definition_with_a_tag_of_its_own_is_no_part_of_itself() {
        let way = json!({"properties": {"op": {"const": "not"}}, "$ref": "#/$defs/Term"});
        let told = make_strict(json!({"type": "object", "$defs": {"Term": {"anyOf": [way]}},
            "properties": {"term": {"$ref": "#/$defs/Term"}}}));
        assert!(told.unwrap_err().contains("it is a part of itself"));
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
