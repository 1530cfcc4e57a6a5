//! `POST /v1/embeddings`.

use super::check;
use super::endpoint::{Demand, Job, Made};
use super::failure::Failure;
use super::random::{Row, hash, unit};
use super::response::Body;
use serde_json::{Value, json};
use std::fmt::Write;

const MOST_INPUTS: usize = 2_048;
const MOST_TOKENS_OF_ONE: u64 = 8_192;
const MOST_TOKENS: u64 = 300_000;

pub(super) fn check(body: &Value) -> Result<Demand, Failure> {
    let inputs = inputs(body)?;
    if inputs.len() > MOST_INPUTS {
        let message = format!(
            "Invalid 'input': array too long. Expected an array with maximum length {MOST_INPUTS}, \
             but got an array with length {} instead.",
            inputs.len()
        );
        return Err(Failure::bad("input", "array_above_max_length", message));
    }
    let mut sum = 0;
    for input in &inputs {
        let tokens = input.tokens();
        if tokens > MOST_TOKENS_OF_ONE {
            let message = format!(
                "This model's maximum context length is {MOST_TOKENS_OF_ONE} tokens, however you \
                 requested {tokens} tokens. Please reduce your prompt."
            );
            return Err(Failure::plain(message));
        }
        sum += tokens;
    }
    if sum > MOST_TOKENS {
        let message =
            format!("Invalid 'input': maximum request size is {MOST_TOKENS} tokens per request.");
        return Err(Failure::bad("input", "max_tokens_per_request", message));
    }
    check::integer(body, "dimensions", 1, 3_072)?;
    let format = check::string(body, "encoding_format")?.unwrap_or("float");
    if !["float", "base64"].contains(&format) {
        return Err(check::not_one_of("encoding_format", format, &["float", "base64"]));
    }
    Ok(Demand { characters: 4 * sum, choices: 1, ..Demand::default() })
}

/// One of the texts that are to be embedded.
enum Input<'a> {
    Text(&'a str),
    Tokens(&'a [Value]),
}

impl Input<'_> {
    fn tokens(&self) -> u64 {
        match self {
            Input::Text(text) => super::answers::tokens(text),
            Input::Tokens(ids) => ids.len() as u64,
        }
    }

    fn hash(&self, seed: u64) -> u64 {
        match self {
            Input::Text(text) => hash(seed, text.as_bytes()),
            Input::Tokens(ids) => hash(seed, format!("{ids:?}").as_bytes()),
        }
    }
}

fn inputs(body: &Value) -> Result<Vec<Input<'_>>, Failure> {
    let wrong = |value| {
        let wanted = "a string, array of strings, array of tokens, or array of token arrays";
        Failure::wrong_type("input", wanted, value)
    };
    let empty = || {
        Failure::bad("input", "invalid_value", "Invalid 'input': input cannot be an empty string.")
    };
    let text = |text| if str::is_empty(text) { Err(empty()) } else { Ok(Input::Text(text)) };
    match check::given(body, "input") {
        None => Err(Failure::missing("input")),
        Some(Value::String(one)) => Ok(vec![text(one)?]),
        Some(Value::Array(all)) if all.is_empty() => Err(check::empty_array("input")),
        Some(Value::Array(all)) if all.iter().all(Value::is_u64) => Ok(vec![Input::Tokens(all)]),
        Some(Value::Array(all)) => all
            .iter()
            .map(|each| match each {
                Value::String(one) => text(one),
                Value::Array(ids) if !ids.is_empty() && ids.iter().all(Value::is_u64) => {
                    Ok(Input::Tokens(ids))
                }
                other => Err(wrong(other)),
            })
            .collect(),
        Some(other) => Err(wrong(other)),
    }
}

/// A direction in space: the same for the same input, with length 1.
fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut row = Row::new(seed);
    let mut vector: Vec<f32> = (0..dimensions).map(|_| (unit(row.next()) - 0.5) as f32).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

fn dimensions(job: &Job<'_>) -> usize {
    let usual = if job.model.contains("3-large") { 3_072 } else { 1_536 };
    job.body["dimensions"].as_u64().map_or(usual, |asked| asked as usize)
}

pub(super) fn answer(job: &Job<'_>) -> Made {
    let inputs = inputs(job.body).unwrap_or_default();
    let prompt_tokens = inputs.iter().map(Input::tokens).sum();
    let dimensions = dimensions(job);
    let as_base64 = job.body["encoding_format"] == "base64";
    let mut out = String::with_capacity(inputs.len() * dimensions * if as_base64 { 6 } else { 12 });
    out.push_str(r#"{"object":"list","data":["#);
    for (at, input) in inputs.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let _ = write!(out, r#"{{"object":"embedding","index":{at},"embedding":"#);
        let vector = vector(input.hash(job.author.seed), dimensions);
        if as_base64 {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            out.push('"');
            base64(&bytes, &mut out);
            out.push('"');
        } else {
            out.push_str(&serde_json::to_string(&vector).unwrap_or_default());
        }
        out.push('}');
    }
    let usage = json!({"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens});
    let _ = write!(out, r#"],"model":{},"usage":{usage}}}"#, json!(job.model));
    Made { body: Body::Text(out), prompt_tokens, completion_tokens: 0 }
}

/// Appends the base64 of `bytes`, padded.
fn base64(bytes: &[u8], out: &mut String) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for three in bytes.chunks(3) {
        let mut word = [0u8; 3];
        word[..three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for at in 0..4 {
            let six = (bits >> (18 - 6 * at)) & 63;
            out.push(if at <= three.len() { LETTERS[six as usize] as char } else { '=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v")] {
            let mut out = String::new();
            base64(bytes.as_bytes(), &mut out);
            assert_eq!(out, text);
        }
    }

    #[test]
    fn a_vector_has_length_one_and_depends_on_its_seed() {
        let one = vector(1, 256);
        assert!((one.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
        assert_eq!(one, vector(1, 256));
        assert_ne!(one, vector(2, 256));
    }

    #[test]
    fn inputs_of_each_shape_are_taken_and_others_refused() {
        for body in [
            json!({"input": "a"}),
            json!({"input": ["a", "b"]}),
            json!({"input": [1, 2]}),
            json!({"input": [[1, 2], [3]]}),
        ] {
            assert!(check(&body).is_ok(), "{body}");
        }
        for body in [
            json!({}),
            json!({"input": ""}),
            json!({"input": []}),
            json!({"input": ["a", ""]}),
            json!({"input": {"a": 1}}),
            json!({"input": vec!["a"; 2_049]}),
            json!({"input": "a".repeat(40_000)}),
            json!({"input": vec!["a".repeat(32_000); 38]}),
            json!({"input": "a", "dimensions": 0}),
            json!({"input": "a", "encoding_format": "hex"}),
        ] {
            assert_eq!(check(&body).unwrap_err().status, 400);
        }
    }
}
