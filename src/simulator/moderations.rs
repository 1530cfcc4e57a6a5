//! `POST /v1/moderations`.

use super::check;
use super::endpoint::{Demand, Job, Made};
use super::failure::Failure;
use super::random::{hash, id, mix, unit};
use super::response::Body;
use serde_json::{Map, Value, json};

/// The categories, each with words that make this simulated judge find it.
const CATEGORIES: [(&str, &[&str]); 13] = [
    ("sexual", &[]),
    ("sexual/minors", &[]),
    ("harassment", &["idiot", "hate you"]),
    ("harassment/threatening", &["kill them", "kill you"]),
    ("hate", &[]),
    ("hate/threatening", &[]),
    ("illicit", &["steal"]),
    ("illicit/violent", &["bomb"]),
    ("self-harm", &[]),
    ("self-harm/intent", &[]),
    ("self-harm/instructions", &[]),
    ("violence", &["kill", "murder"]),
    ("violence/graphic", &[]),
];

/// The text of each input that is judged by itself. An array of parts is judged as one.
fn inputs(body: &Value) -> Result<Vec<String>, Failure> {
    match check::given(body, "input") {
        None => Err(Failure::missing("input")),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(all)) if all.is_empty() => Err(check::empty_array("input")),
        Some(parts @ Value::Array(all)) if all.iter().all(Value::is_object) => {
            Ok(vec![super::prompt::content(parts).into_owned()])
        }
        Some(Value::Array(all)) => all
            .iter()
            .enumerate()
            .map(|(at, each)| match each {
                Value::String(text) => Ok(text.clone()),
                other => Err(Failure::wrong_type(&format!("input[{at}]"), "a string", other)),
            })
            .collect(),
        Some(other) => Err(Failure::wrong_type("input", "one of a string or an array", other)),
    }
}

pub(super) fn check(body: &Value) -> Result<Demand, Failure> {
    let characters = inputs(body)?.iter().map(|text| text.chars().count() as u64).sum();
    Ok(Demand { characters, choices: 1, ..Demand::default() })
}

pub(super) fn answer(job: &Job<'_>) -> Made {
    let inputs = inputs(job.body).unwrap_or_default();
    let seed = job.author.seed;
    let results: Vec<_> = inputs.iter().map(|text| judge(seed, text)).collect();
    let body = json!({
        "id": id("modr-", job.serial, 28), "model": job.model, "results": results,
    });
    let prompt_tokens = job.demand.characters.div_ceil(4);
    Made { body: Body::Text(body.to_string()), prompt_tokens, completion_tokens: 0 }
}

fn judge(seed: u64, text: &str) -> Value {
    let text = text.to_lowercase();
    let seed = hash(seed, text.as_bytes());
    let (mut found, mut scores, mut types) = (Map::new(), Map::new(), Map::new());
    let mut flagged = false;
    for (at, (name, words)) in CATEGORIES.iter().enumerate() {
        let is_found = words.iter().any(|word| text.contains(word));
        let roll = unit(mix(seed, at as u64));
        let score = if is_found { 0.6 + 0.4 * roll } else { 0.01 * roll };
        flagged |= is_found;
        found.insert((*name).into(), json!(is_found));
        scores.insert((*name).into(), json!(score));
        types.insert((*name).into(), json!(["text"]));
    }
    json!({
        "flagged": flagged,
        "categories": found,
        "category_scores": scores,
        "category_applied_input_types": types,
    })
}
