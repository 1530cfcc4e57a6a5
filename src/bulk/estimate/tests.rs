//! Estimates of whole inputs.

use std::path::Path;

use super::{Estimate, ExpectedOutput, Survey};
use crate::error::Result;
use crate::usage::{Money, Prices};
use crate::wire::row::Format;

const PRICES: &str = r#"{"format":1,"as_of":"2026-01-02","models":{
    "m":{"max_input":1000,"max_output":100,"standard":{"input":1,"output":10},
         "flex":{"input":0.5,"output":5},"batch":{"input":0.25,"output":2.5}},
    "open":{"standard":{"input":1,"output":10}},
    "long":{"standard":{"input":1,"output":10},"long":{"above":11,"standard":{"input":2,"output":15}}},
    "embed":{"max_input":100,"standard":{"input":2,"output":0},"batch":{"input":1,"output":0}}}}"#;

fn survey(folder: &Path, input: &str) -> Survey {
    let path = folder.join("in.jsonl");
    std::fs::write(&path, input).unwrap();
    let prices = Prices::none().with_text("test", PRICES).unwrap();
    Survey::new(path).prices(prices).format(Format { model: "m".into(), ..Format::default() })
}

fn estimate(input: &str, set: impl FnOnce(Survey) -> Survey) -> Result<Estimate> {
    let folder = tempfile::tempdir().unwrap();
    set(survey(folder.path(), input)).run(|_| {})
}

/// A row of 12 tokens for `model`: 3 around, 1 for the role, 5 of text, 3 for the answer.
fn chat(id: &str, model: &str, more: &str) -> String {
    format!(
        r#"{{"custom_id":"{id}","url":"/v1/chat/completions","body":{{"model":"{model}","messages":[{{"role":"user","content":"one two three four five"}}]{more}}}}}"#
    ) + "\n"
}

fn picodollars(money: Option<Money>) -> Option<i128> {
    money.map(Money::picodollars)
}

#[test]
fn a_row_costs_from_one_token_to_the_most_that_it_may_write() {
    // A dollar for a million tokens is a million picodollars a token.
    let one =
        estimate(&chat("a", "m", r#","max_tokens":50"#), |s| s.expected_output(Some(20))).unwrap();
    let output = one.sums.output_tokens;
    assert_eq!((output.low, output.expected, output.high), (1, 20, 50));
    let costs = |cost: super::CostRange| [cost.low, cost.expected, cost.high].map(picodollars);
    let wanted = |input: i128, output: i128| {
        [1, 20, 50].map(|n| Some((12 * input + n * output) * 1_000_000))
    };
    assert_eq!(costs(one.sums.live), wanted(1, 10));
    assert_eq!(costs(one.sums.flex).map(|c| c.map(|c| c * 2)), wanted(1, 10));
    assert_eq!(costs(one.sums.batch).map(|c| c.map(|c| c * 4)), wanted(1, 10));
    assert_eq!(one.models["m"].sums, one.sums);
}

#[test]
fn without_a_ceiling_the_models_longest_answer_is_the_most() {
    let estimate = estimate(&chat("a", "m", r#","n":3"#), |s| s).unwrap();
    let output = estimate.sums.output_tokens;
    // 256 are assumed for each answer, but the model writes no more than 100.
    assert_eq!((output.low, output.expected, output.high), (3, 300, 300));
    assert_eq!(estimate.models["m"].expected_from, ExpectedOutput::Assumed);
}

#[test]
fn what_is_not_known_is_not_nothing() {
    let text = chat("a", "m", "") + &chat("b", "nobody", "") + &chat("c", "open", "");
    let estimate = estimate(&text, |s| s).unwrap();
    let (live, flex) = (estimate.sums.live, estimate.sums.flex);
    assert_eq!((live.rows_without_price, live.rows_without_high), (1, 1));
    assert_eq!(picodollars(live.low), Some(2 * 22_000_000));
    assert_eq!((flex.rows_without_price, flex.rows_without_high), (2, 0));
    assert_eq!(estimate.sums.output_tokens.rows_without_high, 2);
    let alone = &estimate.models["nobody"].sums.live;
    assert_eq!((alone.low, alone.expected, alone.high), (None, None, None));
    let json = serde_json::to_value(&estimate).unwrap();
    assert_eq!(json["models"]["nobody"]["live"]["low"], serde_json::Value::Null);
    assert_eq!(json["sums"]["live"]["low"], "0.000044");
}

#[test]
fn a_long_row_pays_the_rates_for_long_ones_for_all_its_tokens() {
    let estimate = estimate(&chat("a", "long", ""), |s| s.expected_output(Some(5))).unwrap();
    assert_eq!(picodollars(estimate.sums.live.expected), Some((12 * 2 + 5 * 15) * 1_000_000));
}

#[test]
fn the_tier_that_a_row_asks_for_is_the_live_one() {
    let flex = estimate(&chat("a", "m", r#","service_tier":"flex""#), |s| s).unwrap();
    assert_eq!(flex.sums.live, flex.sums.flex);
    let scale = estimate(&chat("a", "m", r#","service_tier":"scale""#), |s| s).unwrap();
    assert_eq!(scale.sums.live.rows_without_price, 1);
    assert_eq!(scale.sums.batch.rows_without_price, 0);
}

#[test]
fn embeddings_write_nothing() {
    let line = r#"{"model":"embed","input":["one two","three"],"custom_id":"e"}"#;
    let format = Format { endpoint: Some("/v1/embeddings".into()), ..Format::default() };
    let estimate = estimate(line, |s| s.format(format)).unwrap();
    assert_eq!(estimate.sums.output_tokens.high, 0);
    assert_eq!(picodollars(estimate.sums.live.high), Some(3 * 2_000_000));
    assert_eq!(picodollars(estimate.sums.batch.low), Some(3 * 1_000_000));
}

#[test]
fn rows_that_are_too_large_are_told_by_line() {
    let long = format!(r#"{{"custom_id":"l","prompt":"{}"}}"#, "word ".repeat(1_200)) + "\n";
    let text = chat("a", "m", "")
        + &long
        + &chat("b", "m", r#","max_tokens":101"#)
        + &chat("c", "m", r#","max_tokens":80"#);
    let estimate = estimate(&text, |s| s.limits(None, Some(90))).unwrap();
    let told: Vec<_> = estimate.too_large.iter().map(|t| (t.line, t.reason, t.limit)).collect();
    assert_eq!(told, [(2, "context", 1_000), (3, "output", 100), (4, "minute", 90)]);
    assert_eq!(estimate.rows_too_large, 3);
    assert_eq!(estimate.too_large[2].found, 92);
}

#[test]
fn answered_rows_are_not_counted_again_and_teach_how_much_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = chat("a", "m", "") + &chat("b", "m", "") + &chat("c", "m", "") + &chat("d", "m", "");
    let survey = survey(folder.path(), &text);
    let output = folder.path().join("out.jsonl");
    let body = r#"{"model":"m-2026-01-01","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":33}}"#;
    let answer = |id: &str, more: &str| {
        format!(
            r#"{{"id":"1","custom_id":"{id}","response":{{"status_code":200,"request_id":null,"body":{body}}},"error":null{more}}}"#
        ) + "\n"
    };
    let failed = r#"{"id":"2","custom_id":"b","response":null,"error":{"code":"x","message":"y"}}"#;
    let changed = answer("c", r#","x_run":{"fingerprint":"00000000000000ff","ok":true}"#);
    std::fs::write(&output, answer("a", "") + failed + "\n" + &changed + "{\"id\":\"torn").unwrap();
    let before = std::fs::read(&output).unwrap();
    let estimate = survey.output(&output).run(|_| {}).unwrap();
    let rows = estimate.rows;
    assert_eq!((rows.total, rows.answered, rows.changed, rows.to_send), (4, 1, 1, 2));
    assert_eq!(estimate.tokens.input_tokens, 2 * 12);
    assert_eq!(estimate.sums.output_tokens.expected, 2 * 33);
    assert_eq!(estimate.models["m"].expected_from, ExpectedOutput::Learned);
    assert_eq!(std::fs::read(&output).unwrap(), before, "nothing is mended");
}

#[test]
fn an_output_that_is_not_there_or_is_none() {
    let text = chat("a", "m", "");
    assert_eq!(estimate(&text, |s| s.output("/nowhere/at/all.jsonl")).unwrap().rows.to_send, 1);
    let folder = tempfile::tempdir().unwrap();
    let survey = survey(folder.path(), &text);
    let other = folder.path().join("notes.txt");
    std::fs::write(&other, "milk\neggs\n").unwrap();
    let error = survey.output(other).run(|_| {}).unwrap_err().to_string();
    assert!(error.contains("notes.txt is not the output of a run"), "{error}");
}

#[test]
fn lines_that_are_not_valid_are_an_error_or_passed_over() {
    let text = chat("a", "m", "") + "nope\n" + &chat("a", "m", "");
    let error = estimate(&text, |s| s).unwrap_err().to_string();
    for part in
        ["2 lines cannot be sent", "in.jsonl:2: not valid JSON", "in.jsonl:3: `a` came before"]
    {
        assert!(error.contains(part), "{error}");
    }
    let rows = estimate(&text, |s| s.skip_invalid(true)).unwrap().rows;
    assert_eq!((rows.total, rows.invalid, rows.to_send), (3, 2, 1));
}

#[test]
fn moderations_are_free_also_where_no_model_is_named() {
    let line = r#"{"custom_id":"a","url":"/v1/moderations","body":{"input":"one two"}}"#;
    let estimate = estimate(line, |s| s.prices(Prices::builtin())).unwrap();
    assert_eq!(estimate.sums.live.high, Some(Money::ZERO));
    assert_eq!(estimate.models["omni-moderation-latest"].rows, 1);
}
