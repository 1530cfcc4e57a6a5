//! The shapes that serde gives to types, as schemas of strict mode.

use openai_bulk::api::schema::{JsonSchema, strict_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt::Debug;

/// These values are valid by the strict schema of their type and are read as what they were; what
/// lacks a field of one, or has one more, is not valid.
fn fits<T>(values: &[T])
where
    T: JsonSchema + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let (name, schema) = strict_schema::<T>().unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for value in values {
        let json = serde_json::to_value(value).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {json}: {errors:?}\n{schema}");
        assert_eq!(&serde_json::from_value::<T>(json.clone()).unwrap(), value);
        for field in json.as_object().unwrap().keys() {
            let mut less = json.clone();
            less.as_object_mut().unwrap().remove(field);
            assert!(!validator.is_valid(&less), "{name} without {field}: {less}\n{schema}");
        }
        let mut more = json;
        more["one_more"] = json!(1);
        assert!(!validator.is_valid(&more), "{name}: {more}");
    }
}

fn refused<T: JsonSchema>(why: &str) {
    let told = strict_schema::<T>().unwrap_err().to_string();
    assert!(told.contains(why), "{told}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct Size {
    /// In metres.
    width: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged {
    /// A thing by its size.
    Sized(Size),
    At {
        x: i64,
    },
    Nothing,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct HasTagged {
    /// Which one.
    first: Tagged,
    second: Tagged,
}

#[test]
fn a_tag_stands_beside_the_fields_of_what_it_names() {
    // The fields of the inner type were lost, so that no answer could be read.
    let all = || [Tagged::Sized(Size { width: 7 }), Tagged::At { x: -1 }, Tagged::Nothing];
    let pairs: Vec<HasTagged> =
        all().into_iter().zip(all()).map(|(first, second)| HasTagged { first, second }).collect();
    fits(&pairs);
    let (_, schema) = strict_schema::<HasTagged>().unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let nothing = json!({"type": "nothing"});
    for wrong in [json!({"type": "sized"}), json!({"width": 7}), json!({"type": "at", "width": 7})]
    {
        assert!(!validator.is_valid(&json!({"first": wrong, "second": nothing})), "{wrong}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct Flat {
    name: String,
    #[serde(flatten)]
    size: Size,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct FlatTagged {
    name: String,
    #[serde(flatten)]
    kind: Tagged,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct HasFlat {
    flat: Flat,
    tagged: FlatTagged,
}

#[test]
fn flattened_fields_are_fields_of_the_outer_type() {
    let size = || Size { width: 1 };
    for kind in [Tagged::Sized(size()), Tagged::At { x: 2 }, Tagged::Nothing] {
        let flat = Flat { name: "a".into(), size: size() };
        fits(&[HasFlat { flat, tagged: FlatTagged { name: "b".into(), kind } }]);
    }
    refused::<FlatTagged>("not one of several forms");
    let (_, schema) = strict_schema::<HasFlat>().unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let flat = json!({"name": "a", "width": 1});
    for wrong in [json!({"type": "nothing"}), json!({"name": "b"})] {
        assert!(!validator.is_valid(&json!({"flat": flat, "tagged": wrong})), "{wrong}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
enum External {
    Sized(Size),
    At { x: i64 },
    Many(Vec<External>),
    Nothing,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Sized(Size),
    At { x: i64 },
    Nothing,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    Sized(Size),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct HasEnums {
    external: Option<External>,
    adjacent: Adjacent,
    untagged: Vec<Untagged>,
}

#[test]
fn every_form_of_enum_with_data_is_one_of_several_objects() {
    let size = || Size { width: 3 };
    fits(&[
        HasEnums {
            external: Some(External::Many(vec![External::Sized(size()), External::Nothing])),
            adjacent: Adjacent::Sized(size()),
            untagged: vec![Untagged::Number(1.5), Untagged::Text("a".into())],
        },
        HasEnums {
            external: Some(External::At { x: i64::MIN }),
            adjacent: Adjacent::At { x: i64::MAX },
            untagged: vec![Untagged::Sized(size())],
        },
        HasEnums { external: None, adjacent: Adjacent::Nothing, untagged: Vec::new() },
    ]);
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    some_sizes: Option<Vec<u8>>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    count: u64,
    least: i64,
    share: f32,
    three: [u8; 3],
    names: std::collections::BTreeSet<String>,
    inner: Option<Box<Fields>>,
    time: std::time::Duration,
    #[schemars(range(min = 1, max = 5))]
    stars: u8,
    #[schemars(regex(pattern = "^[a-z]*$"), length(max = 3))]
    word: String,
}

#[test]
fn the_usual_fields_are_what_they_are() {
    let least = Fields { stars: 1, ..Fields::default() };
    let most = Fields {
        some_sizes: Some(vec![u8::MAX]),
        kind: "a".into(),
        count: u64::MAX,
        least: i64::MIN,
        share: 0.5,
        three: [1, 2, 3],
        names: ["b".to_string()].into(),
        inner: Some(Box::new(Fields { stars: 5, ..Fields::default() })),
        time: std::time::Duration::from_millis(1500),
        stars: 5,
        word: "abc".into(),
    };
    fits(&[least, most]);
    let (_, schema) = strict_schema::<Fields>().unwrap();
    let fields = &schema["properties"];
    assert_eq!(fields["stars"], json!({"type": "integer", "minimum": 1, "maximum": 5}));
    assert_eq!(fields["word"], json!({"type": "string", "pattern": "^[a-z]*$"}));
    assert_eq!(fields["count"], json!({"type": "integer", "minimum": 0}));
    assert_eq!(fields["share"], json!({"type": "number"}));
}

#[test]
fn fields_are_asked_for_in_the_order_in_which_they_were_written() {
    #[derive(JsonSchema)]
    #[schemars(crate = "openai_bulk::api::schema::schemars")]
    #[expect(dead_code, reason = "only its schema is made")]
    struct Judged {
        reasons: Vec<String>,
        verdict: bool,
        confidence: f64,
        and_more: String,
    }
    // A model writes them in this order: the verdict is to come after the reasons.
    let (_, schema) = strict_schema::<Judged>().unwrap();
    let order = ["reasons", "verdict", "confidence", "and_more"];
    assert!(schema["properties"].as_object().unwrap().keys().eq(order));
    assert_eq!(schema["required"], json!(order));
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct Wrapped(Size);

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "openai_bulk::api::schema::schemars")]
struct Tree {
    value: i32,
    children: Vec<Tree>,
    /// The one before.
    before: Option<Box<Tree>>,
}

#[test]
fn wrapped_and_recursive_types_are_objects_too() {
    fits(&[Wrapped(Size { width: 1 })]);
    let leaf = |value| Tree { value, children: Vec::new(), before: None };
    let before = Some(Box::new(leaf(3)));
    fits(&[leaf(1), Tree { value: 2, children: vec![leaf(4), leaf(5)], before }]);
}

#[test]
fn what_has_no_strict_form_is_refused_with_its_place() {
    #[derive(JsonSchema)]
    #[schemars(crate = "openai_bulk::api::schema::schemars")]
    #[expect(dead_code, reason = "only its schema is made")]
    struct FlatMap {
        #[serde(flatten)]
        rest: std::collections::HashMap<String, Value>,
    }
    refused::<FlatMap>("keys of any name");
    refused::<Tagged>("not one of several forms");
    refused::<(u8, u8)>("it is a tuple");
}
