//! Checks of request bodies, with the server's words.

use super::failure::Failure;
use serde_json::Value;

type Checked<T> = Result<T, Failure>;

/// The value of `name`, unless it is missing or null.
pub(super) fn given<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

pub(super) fn object(bytes: &[u8]) -> Checked<Value> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.is_object() => Ok(value),
        _ => Err(Failure::plain("We could not parse the JSON body of your request.")),
    }
}

pub(super) fn model(body: &Value) -> Checked<&str> {
    match given(body, "model") {
        None => Err(Failure::plain("you must provide a model parameter")),
        Some(Value::String(model)) if model.is_empty() => {
            Err(Failure::plain("you must provide a model parameter"))
        }
        Some(Value::String(model)) => Ok(model),
        Some(other) => Err(Failure::wrong_type("model", "a string", other)),
    }
}

pub(super) fn string<'a>(body: &'a Value, name: &str) -> Checked<Option<&'a str>> {
    match given(body, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(Failure::wrong_type(name, "a string", other)),
    }
}

pub(super) fn flag(body: &Value, name: &str) -> Checked<bool> {
    match given(body, name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Failure::wrong_type(name, "a boolean", other)),
    }
}

/// A whole number of at least `least` and at most `most`.
pub(super) fn integer(body: &Value, name: &str, least: i64, most: i64) -> Checked<Option<u64>> {
    let Some(value) = given(body, name) else { return Ok(None) };
    let Some(number) = value.as_i64() else {
        return Err(Failure::wrong_type(name, "an integer", value));
    };
    let bad = |code, what: &str, sign: &str, bound: i64| {
        let message = format!(
            "Invalid '{name}': integer {what} value. Expected a value {sign} {bound}, but got \
             {number} instead."
        );
        Err(Failure::bad(name, code, message))
    };
    if number < least {
        bad("integer_below_min_value", "below minimum", ">=", least)
    } else if number > most {
        bad("integer_above_max_value", "above maximum", "<=", most)
    } else {
        Ok(u64::try_from(number).ok())
    }
}

/// A number of at least `least` and at most `most`.
pub(super) fn number(body: &Value, name: &str, least: f64, most: f64) -> Checked<()> {
    let Some(value) = given(body, name) else { return Ok(()) };
    let Some(number) = value.as_f64() else {
        return Err(Failure::wrong_type(name, "a decimal", value));
    };
    let bad = |code, what: &str, sign: &str, bound: f64| {
        let message = format!(
            "Invalid '{name}': decimal {what} value. Expected a value {sign} {bound}, but got \
             {number} instead."
        );
        Err(Failure::bad(name, code, message))
    };
    if number < least {
        bad("decimal_below_min_value", "below minimum", ">=", least)
    } else if number > most {
        bad("decimal_above_max_value", "above maximum", "<=", most)
    } else {
        Ok(())
    }
}

/// Checks `stream` and `stream_options`: whether to stream, and whether to tell the usage.
pub(super) fn streaming(body: &Value) -> Checked<(bool, bool)> {
    let stream = flag(body, "stream")?;
    let Some(options) = given(body, "stream_options") else { return Ok((stream, false)) };
    if !options.is_object() {
        return Err(Failure::wrong_type("stream_options", "an object", options));
    }
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Failure::plain(message).param("stream_options"));
    }
    Ok((true, flag(options, "include_usage")?))
}

pub(super) fn empty_array(name: &str) -> Failure {
    let message = format!(
        "Invalid '{name}': empty array. Expected an array with minimum length 1, but got an empty \
         array instead."
    );
    Failure::bad(name, "empty_array", message)
}

/// A value that is none of those allowed.
pub(super) fn not_one_of(name: &str, got: &str, allowed: &[&str]) -> Failure {
    let mut list = String::new();
    for (at, each) in allowed.iter().enumerate() {
        let joint = match at {
            0 => "",
            _ if at + 1 == allowed.len() && allowed.len() == 2 => " and ",
            _ if at + 1 == allowed.len() => ", and ",
            _ => ", ",
        };
        list.push_str(&format!("{joint}'{each}'"));
    }
    let message = format!("Invalid value: '{got}'. Supported values are: {list}.");
    Failure::bad(name, "invalid_value", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_out_of_range_is_refused_in_the_captured_words() {
        let said = integer(&json!({"max_tokens": -1}), "max_tokens", 1, 9).unwrap_err();
        let words = "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but \
                     got -1 instead.";
        assert_eq!(said.message, words);
        assert_eq!(said.code.as_deref(), Some("integer_below_min_value"));
        assert!(number(&json!({"t": 2.5}), "t", 0.0, 2.0).is_err());
        assert!(number(&json!({"t": null}), "t", 0.0, 2.0).is_ok());
    }

    #[test]
    fn the_allowed_values_are_listed() {
        let said = not_one_of("endpoint", "x", &["a", "b", "c"]).message;
        assert_eq!(said, "Invalid value: 'x'. Supported values are: 'a', 'b', and 'c'.");
    }
}
