//! Reading what servers really send: null for nothing, numbers for texts, values that are new.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

/// Fields that this crate has no name for, as they were.
pub type Extra = serde_json::Map<String, Value>;

/// Sets a field; null takes it away.
pub(super) fn set(extra: &mut Extra, field: &str, value: Value) {
    match value {
        Value::Null => drop(extra.remove(field)),
        value => drop(extra.insert(field.into(), value)),
    }
}

/// Null and a missing field as the default.
pub(super) fn or_default<'de, D, T>(json: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(json)?.unwrap_or_default())
}

/// A text; a number is its text, and anything else is nothing.
pub(super) fn text<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(json)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A count; a float is rounded down, and what is negative or no number is nothing.
pub(super) fn count<'de, D: Deserializer<'de>>(json: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(json)?;
    Ok(value.as_u64().or_else(|| value.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)))
}

/// A value of the expected shape; one of another shape is nothing.
pub(super) fn lenient<'de, D, T>(json: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(Value::deserialize(json)?).ok())
}

/// Arguments as JSON text; a server that sends the object itself means the same.
pub(super) fn json_text<'de, D: Deserializer<'de>>(json: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(json)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}
