use super::Reach;
use super::reach::{FRAME, IMAGE};
use crate::usage::cost;
use crate::usage::{Money, Prices};
use crate::wire::answer::RawUsage;
use proptest::prelude::*;

fn bound(body: &str, model: &str) -> Option<String> {
    let cost = Reach::read(body.as_bytes()).cost(&Prices::builtin(), model, false)?;
    Some(cost.to_decimal())
}

#[test]
fn every_byte_may_be_a_token_and_every_answer_as_long_as_it_may() {
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}],"max_tokens":100,"n":3,"service_tier":"default"}"#;
    let reach = Reach::read(body.as_bytes());
    assert_eq!(reach.input, body.len() as u64 + FRAME);
    assert_eq!((reach.ceiling, reach.answers), (Some(100), 3));
    let expected = Money::from_picodollars(2_500_000).times(reach.input)
        + Money::from_picodollars(10_000_000).times(300);
    assert_eq!(reach.cost(&Prices::builtin(), "gpt-4o", false), Some(expected));
    let half = reach.cost(&Prices::builtin(), "gpt-4o", true).unwrap();
    assert_eq!(half.times(2), expected);
    assert_eq!(reach.tokens(&Prices::none(), "gpt-9"), Some(reach.input + 300));
}

#[test]
fn a_request_without_a_ceiling_may_write_as_much_as_its_model_can() {
    let body = r#"{"messages":[],"service_tier":"default"}"#;
    let input = Money::from_picodollars(2_500_000).times(body.len() as u64 + FRAME);
    let output = Money::from_picodollars(10_000_000).times(16_384);
    assert_eq!(bound(body, "gpt-4o"), Some((input + output).to_decimal()));
    assert_eq!(Reach::read(body.as_bytes()).tokens(&Prices::none(), "gpt-4o"), None);
}

#[test]
fn the_dearest_tier_in_which_it_may_be_served_counts() {
    let with = |tier: &str| {
        let body = format!(r#"{{"input":"x","max_output_tokens":10,"service_tier":{tier}}}"#);
        let reach = Reach { input: 1_000, ..Reach::read(body.as_bytes()) };
        reach.cost(&Prices::builtin(), "gpt-5-mini", false).map(Money::picodollars)
    };
    let standard = 1_000 * 250_000 + 10 * 2_000_000;
    let priority = 1_000 * 450_000 + 10 * 3_600_000;
    assert_eq!(with(r#""default""#), Some(standard));
    // The server may fall back to the ordinary tier.
    assert_eq!(with(r#""flex""#), Some(standard));
    assert_eq!(with(r#""priority""#), Some(priority));
    // The project may be set to any tier.
    assert_eq!(with(r#""auto""#), Some(priority));
    assert_eq!(with("null"), Some(priority));
    assert_eq!(with(r#""scale""#), None);
}

#[test]
fn images_count_by_rule_and_not_by_their_bytes() {
    let data = "A".repeat(1_000_000);
    for image in [
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#),
        format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#),
        r#"{"type":"input_image","image_url":"https://example.com/cat.png"}"#.into(),
    ] {
        let body = format!(r#"{{"input":[{{"role":"user","content":[{image},{image}]}}]}}"#);
        let reach = Reach::read(body.as_bytes());
        assert_eq!(reach.images, 2);
        assert!(reach.input < 1_000, "{}", reach.input);
        assert_eq!(reach.input_of(None), Some(reach.input + 2 * IMAGE));
    }
    // A text that looks like data is a text.
    let text = format!(r#"{{"input":"data:{data}"}}"#);
    assert!(Reach::read(text.as_bytes()).input > 1_000_000);
    // Many images are bounded by what the model can read.
    let many = Reach { images: 100, answers: 1, ceiling: Some(0), ..Reach::default() };
    assert_eq!(many.tokens(&Prices::builtin(), "gpt-4o"), Some(128_000));
}

#[test]
fn what_is_only_named_is_as_long_as_the_model_can_read() {
    for body in [
        r#"{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}"#,
        r#"{"messages":[{"content":[{"type":"file","file":{"file_data":"data:x"}}]}]}"#,
        r#"{"input":"more","previous_response_id":"resp_1"}"#,
        r#"{"input":"more","conversation":{"id":"conv_1"}}"#,
        r#"{"prompt":{"id":"pmpt_1"}}"#,
        r#"{"input":[{"type":"item_reference","id":"x"}]}"#,
        "not json",
    ] {
        let reach = Reach::read(body.as_bytes());
        assert!(reach.is_open, "{body}");
        let tokens = Reach { ceiling: Some(5), ..reach.clone() };
        assert_eq!(tokens.tokens(&Prices::builtin(), "gpt-4o"), Some(128_005), "{body}");
        assert_eq!(tokens.tokens(&Prices::none(), "gpt-4o"), None, "{body}");
    }
    let plain = r#"{"input":"more","previous_response_id":null,"conversation":null}"#;
    assert!(!Reach::read(plain.as_bytes()).is_open);
}

#[test]
fn what_has_no_bound_or_no_price_is_not_given_one() {
    for body in [
        r#"{"input":"x","tools":[{"type":"web_search"}]}"#,
        r#"{"input":"x","tools":[{"type":"function"},{"type":"mcp"}]}"#,
        r#"{"messages":[],"web_search_options":{}}"#,
    ] {
        assert!(Reach::read(body.as_bytes()).has_tools, "{body}");
        assert_eq!(bound(body, "gpt-4o"), None, "{body}");
    }
    let plain = r#"{"messages":[],"tools":[{"type":"function"},{"type":"custom"}]}"#;
    assert!(bound(plain, "gpt-4o").is_some());
    assert_eq!(bound(plain, "gpt-9"), None, "unknown is not zero");
    assert_eq!(bound(plain, "gpt-4o-search-preview"), None, "each call has a fee");
    assert_eq!(bound(r#"{"input":"x"}"#, "omni-moderation-latest"), Some("0".into()));
    // Without a longest answer, but with answers that cost nothing.
    let own = r#"{"format":1,"models":{"e":{"standard":{"input":1,"output":0}}}}"#;
    let prices = Prices::none().with_text("own", own).unwrap();
    let reach = Reach { input: 5, answers: 1, ..Reach::default() };
    assert_eq!(reach.cost(&prices, "e", false), Some(Money::from_picodollars(5_000_000)));
}

#[test]
fn prompts_and_predictions_are_counted() {
    let answers = |body: &str| Reach::read(body.as_bytes()).answers;
    assert_eq!(answers(r#"{"prompt":"a","n":2}"#), 2);
    assert_eq!(answers(r#"{"prompt":["a","b","c"],"n":2,"best_of":5}"#), 15);
    assert_eq!(answers(r#"{"prompt":[[1,2],[3]]}"#), 2);
    assert_eq!(answers(r#"{"prompt":[1,2,3],"n":null}"#), 1);
    let body =
        r#"{"messages":[],"max_tokens":7,"prediction":{"type":"content","content":"0123456789"}}"#;
    let reach = Reach::read(body.as_bytes());
    assert_eq!(reach.output_of(None), Some(7 + "content0123456789".len() as u64));
}

#[test]
fn published_counts_of_the_server_lie_below_the_bound() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/openai/tokens/chat_count_cases.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("skipped: {path} is not there");
        return;
    };
    let data: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for case in data["cases"].as_array().unwrap() {
        let reach = Reach::read(case.to_string().as_bytes());
        for (model, count) in case["expected"].as_object().unwrap() {
            assert!(count.as_u64().unwrap() <= reach.input, "{model}");
            checked += 1;
        }
    }
    assert!(checked >= 4);
}

proptest! {
    #[test]
    fn no_answer_within_the_tokens_costs_more(
        text in ".{0,200}", ceiling in 0u64..100_000, n in 1u64..5, share in 0.0f64..=1.0,
        cached in any::<u64>(), write in any::<u64>(), audio in any::<u64>(),
        tier in 0usize..5, long in any::<bool>(),
    ) {
        let tiers = [None, Some("auto"), Some("default"), Some("flex"), Some("priority")];
        let body = serde_json::json!({
            "messages": [{"role": "user", "content": text}],
            "max_completion_tokens": ceiling, "n": n, "service_tier": tiers[tier],
        });
        let mut reach = Reach::read(body.to_string().as_bytes());
        prop_assert!(text.len() as u64 <= reach.input);
        reach.input += if long { 300_000 } else { 0 };
        let input = (reach.input as f64 * share) as u64;
        let usage = RawUsage {
            input, cached, cache_write: write, audio_input: audio,
            output: ceiling * n, audio_output: audio, ..RawUsage::default()
        };
        let prices = Prices::builtin();
        for model in ["gpt-4o-mini", "gpt-5", "gpt-6-sol", "gpt-audio", "gpt-5.4", "o4-mini"] {
            let Some(most) = reach.cost(&prices, model, false) else { continue };
            for paid in [None, Some("default"), Some("flex"), Some("priority")] {
                let is_possible = match tiers[tier] {
                    None | Some("auto") => true,
                    Some(asked) => paid.unwrap_or("default") == asked || paid == Some("default"),
                };
                if let Some(cost) = cost(&prices, Some(&usage), model, paid, false)
                    && is_possible
                {
                    prop_assert!(cost.total <= most, "{model} {paid:?}: {:?} > {most:?}", cost);
                }
            }
        }
    }

    #[test]
    fn no_body_panics(body in ".*") {
        let _ = Reach::read(body.as_bytes()).cost(&Prices::builtin(), "gpt-4o", false);
    }
}

#[test]
fn what_a_lenient_server_takes_for_a_number_is_one() {
    let found = |fields: &str| {
        let reach = Reach::read(format!(r#"{{{fields},"messages":[]}}"#).as_bytes());
        (reach.ceiling, reach.answers)
    };
    for (fields, expected) in [
        (r#""n":"50","max_tokens":"100""#, (Some(100), 50)),
        (r#""n":2.5,"max_tokens":99.5"#, (Some(100), 3)),
        // Servers take -1 for no end, and what is not a number may be none of their ceilings.
        (r#""max_tokens":-1"#, (None, 1)),
        (r#""max_tokens":100,"max_completion_tokens":-1"#, (None, 1)),
        (r#""max_tokens":"many""#, (None, 1)),
        (r#""max_tokens":null,"n":null"#, (None, 1)),
        (r#""max_tokens":0"#, (Some(0), 1)),
    ] {
        assert_eq!(found(fields), expected, "{fields}");
    }
}

#[test]
fn a_field_that_cannot_be_read_hides_no_other() {
    // A half of a pair of surrogates, and a number beyond the range of floats.
    for odd in [r#""messages":[{"content":"\ud83d"}]"#, r#""temperature":1e999"#] {
        for fields in [format!(r#""n":50,{odd}"#), format!(r#"{odd},"n":50"#)] {
            let body = format!(r#"{{{fields},"max_tokens":10,"service_tier":"flex"}}"#);
            let reach = Reach::read(body.as_bytes());
            assert!(reach.is_open || !odd.contains("ud83d"), "{body}");
            assert_eq!((reach.ceiling, reach.answers), (Some(10), 50), "{body}");
            assert_eq!(reach.input, body.len() as u64 + FRAME, "{body}");
            assert_eq!(reach.service_tier.as_deref(), Some("flex"), "{body}");
        }
    }
    let reach = Reach::read(br#"{"n":1e999,"max_tokens":10}"#);
    assert_eq!(reach.answers, u64::MAX, "nobody knows how many");
    let reach = Reach::read(br#"{"prompt":["\ud83d","b","c"]}"#);
    assert_eq!(reach.answers, 3);
    assert!(Reach::read(br#"{"tools":[{"type":"\ud83d"}]}"#).has_tools);
}

#[test]
fn what_is_only_named_has_the_models_longest_input() {
    for body in [
        r#"{"input":[{"id":"rs_1"}]}"#,
        r#"{"input":[{"type":null,"id":"rs_1"}]}"#,
        r#"{"input":[{"type":"item_reference","id":"rs_1"}]}"#,
        r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
    ] {
        assert!(Reach::read(body.as_bytes()).is_open, "{body}");
    }
    let whole = r#"{"input":[{"id":"msg_1","type":"message","role":"user","content":"x"}]}"#;
    assert!(!Reach::read(whole.as_bytes()).is_open);
}

#[test]
fn legacy_completions_write_sixteen_tokens_if_nothing_is_asked() {
    let of = |url: &str, body: &str| Reach::read(body.as_bytes()).sent_to(url).ceiling;
    let legacy = "/v1/completions";
    assert_eq!(of(legacy, r#"{"prompt":"a"}"#), Some(16));
    assert_eq!(of("https://x/v1/completions?a=b", r#"{"prompt":"a"}"#), Some(16));
    assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":null}"#), Some(16));
    assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":900}"#), Some(900));
    assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":-1}"#), None, "it has no end");
    assert_eq!(of(legacy, r#"{"prompt":"a","max_tokens":"\ud83d"}"#), None, "nobody knows");
    assert_eq!(of("/v1/chat/completions", r#"{"messages":[]}"#), None);
    let two = Reach::read(br#"{"prompt":["a","b"],"n":3}"#).sent_to(legacy);
    assert_eq!(two.output_of(None), Some(96));
}

#[test]
fn embeddings_and_moderations_write_nothing() {
    let of = |url: &str| {
        let reach = Reach::read(br#"{"input":"hello"}"#).sent_to(url);
        reach.tokens(&Prices::none(), "bge-m3")
    };
    for url in [
        "/v1/embeddings",
        "/v1/moderations",
        "https://x.azure.com/openai/deployments/d/embeddings?api-version=1",
    ] {
        assert_eq!(of(url), Some(17 + FRAME), "{url}");
    }
    assert_eq!(of("/v1/responses"), None);
}
