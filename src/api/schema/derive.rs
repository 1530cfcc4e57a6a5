use super::strict::make_strict;
use crate::error::{Error, Result};
use serde_json::Value;

/// What a type needs so that answers can have its form: derive it.
///
/// The derive names its own crate: say `#[schemars(crate = "openai_bulk::api::schema::schemars")]`
/// on the type, or have schemars 1 among your own dependencies.
pub use schemars::JsonSchema;

/// The crate behind [`JsonSchema`], for its derive; its version is part of this crate's promise.
pub use schemars;

/// The schema of `T`, as the strict mode of the API allows it, and a name for it.
///
/// # Errors
/// When strict mode cannot express the type: maps, values of any form, tuples, and types that are
/// no object.
pub fn strict_schema<T: JsonSchema>() -> Result<(String, Value)> {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<T>();
    let name = clean(&T::schema_name());
    match make_strict(schema.to_value()) {
        Ok(strict) => Ok((name, strict)),
        Err(why) => Err(Error::invalid(format!("the schema of {name}"), why)),
    }
}

/// A name that the API accepts: letters, digits, `_` and `-`, at most 64.
fn clean(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    name.chars().map(keep).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    /// A place to stay.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Hotel {
        /// What it is called.
        name: String,
        stars: Option<u8>,
        #[serde(default)]
        tags: Vec<String>,
        /// Where it is.
        place: Place,
        kind: Kind,
        rooms: Vec<Room>,
        next: Option<Box<Hotel>>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Place {
        lat: f64,
        lon: f64,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        /// With a bar.
        Grand,
        Small,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(tag = "type")]
    enum Room {
        Single { beds: u32 },
        Suite { rooms: Vec<u32>, view: Option<String> },
    }

    fn hotel() -> Value {
        json!({"name": "a", "stars": null, "tags": [], "place": {"lat": 1.5, "lon": 2.0},
               "kind": "grand", "next": null,
               "rooms": [{"type": "Single", "beds": 2}, {"type": "Suite", "rooms": [1], "view": null}]})
    }

    #[test]
    fn what_is_valid_by_the_schema_of_a_type_is_a_value_of_it() {
        let (name, schema) = strict_schema::<Hotel>().unwrap();
        assert_eq!(name, "Hotel");
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut nested = hotel();
        nested["next"] = hotel();
        for value in [hotel(), nested] {
            let errors: Vec<String> =
                validator.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}\n{schema:#}");
            serde_json::from_value::<Hotel>(value).unwrap();
        }
        for (field, bad) in [
            ("stars", json!("five")),
            ("place", json!({"lat": 1.5})),
            ("place", json!({"lat": 1.5, "lon": 2.0, "alt": 3})),
            ("kind", json!("tent")),
            ("rooms", json!([{"type": "Cave"}])),
        ] {
            let mut value = hotel();
            value[field] = bad;
            assert!(!validator.is_valid(&value), "{value}");
        }
        let mut missing = hotel();
        missing.as_object_mut().unwrap().remove("stars");
        assert!(!validator.is_valid(&missing), "what is optional is required and may be null");
    }

    /// Each object of a schema is closed, and each of its members required.
    fn check(schema: &Value) {
        match schema {
            Value::Object(members) => {
                if let Some(properties) = members.get("properties").and_then(Value::as_object) {
                    assert_eq!(members["additionalProperties"], false, "{schema}");
                    let mut required: Vec<&str> = members["required"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter_map(Value::as_str)
                        .collect();
                    required.sort_unstable();
                    let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
                    names.sort_unstable();
                    assert_eq!(required, names, "{schema}");
                }
                if members.contains_key("$ref") {
                    assert_eq!(members.len(), 1, "nothing may stand beside a reference: {schema}");
                }
                for word in ["oneOf", "default", "format", "$schema", "uniqueItems"] {
                    assert!(!members.contains_key(word), "{word} in {schema}");
                }
                members.values().for_each(check);
            }
            Value::Array(items) => items.iter().for_each(check),
            _ => {}
        }
    }

    #[test]
    fn each_object_is_closed_and_has_nothing_that_strict_mode_does_not_know() {
        let (_, schema) = strict_schema::<Hotel>().unwrap();
        check(&schema);
        assert_eq!(schema["description"], "A place to stay.");
        assert_eq!(schema["properties"]["name"]["description"], "What it is called.");
        // A reference with words of its own is written out.
        assert_eq!(schema["properties"]["place"]["description"], "Where it is.");
        assert_eq!(schema["properties"]["place"]["properties"]["lat"]["type"], "number");
    }

    #[test]
    fn what_strict_mode_cannot_express_is_refused_with_the_way_out() {
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct Map {
            counts: std::collections::HashMap<String, u32>,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct Any {
            value: Value,
        }
        #[derive(JsonSchema)]
        #[allow(dead_code)]
        struct Pair {
            pair: (u32, String),
        }
        let told = |result: Result<(String, Value)>| result.unwrap_err().to_string();
        assert!(
            told(strict_schema::<Map>()).contains("properties.counts: it has keys of any name")
        );
        assert!(told(strict_schema::<Any>()).contains("properties.value: it may be anything"));
        assert!(told(strict_schema::<Pair>()).contains("properties.pair: it is a tuple"));
        assert!(told(strict_schema::<Vec<u32>>()).contains("must be an object"));
        assert!(told(strict_schema::<Kind>()).contains("must be an object"));
    }
}
