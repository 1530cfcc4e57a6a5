//! Counts against OpenAI's own vectors, and each way to count against the others.

use proptest::prelude::*;
use serde_json::Value;

use super::chunks::{CHUNK, chunks};
use super::{Encoding, TextCount, engine, long};

/// A file of the shared data, or `None` with a message where it is absent.
pub(in crate::usage) fn shared(name: &str) -> Option<Value> {
    let path = format!("{}/../shared/data/openai/{name}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            eprintln!("skipped: ../shared/data/openai/{name} is not here");
            None
        }
    }
}

#[test]
fn openais_own_vectors_come_out_exactly() {
    let Some(data) = shared("tokens/tiktoken_test_vectors.json") else { return };
    let vectors = data["vectors"].as_array().unwrap();
    let mut checked = 0;
    for vector in vectors.iter().filter(|vector| vector.get("allowed_special").is_none()) {
        let encoding = Encoding::named(vector["encoding"].as_str().unwrap()).unwrap();
        let text = vector["text"].as_str().unwrap();
        let tokens: Vec<u32> = serde_json::from_value(vector["tokens"].clone()).unwrap();
        assert_eq!(encoding.encode(text), tokens, "{encoding} {text:?}");
        assert_eq!(long::encode(encoding, text), tokens, "{encoding} {text:?}");
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn models_read_by_the_vocabulary_that_tiktoken_gives_them() {
    let Some(data) = shared("tokens/model_to_encoding.json") else { return };
    for (model, name) in data["model_to_encoding"].as_object().unwrap() {
        assert_eq!(Encoding::of_model(model), Encoding::named(name.as_str().unwrap()), "{model}");
    }
    for rule in data["prefix_to_encoding"].as_array().unwrap() {
        let (prefix, name) = (rule[0].as_str().unwrap(), rule[1].as_str().unwrap());
        let model = if prefix.starts_with("ft:") {
            format!("{prefix}:someone::id")
        } else {
            format!("{prefix}2026-01-01")
        };
        assert_eq!(Encoding::of_model(&model), Encoding::named(name), "{model}");
    }
}

#[test]
fn snapshots_and_fine_tuned_models_read_as_their_base_does() {
    use Encoding::{Cl100kBase, O200kBase, O200kHarmony};
    for (model, wanted) in [
        ("gpt-4o-2024-08-06", Some(O200kBase)),
        ("gpt-4-0613", Some(Cl100kBase)),
        ("gpt-4.1-nano-2025-04-14", Some(O200kBase)),
        ("gpt-5.4-mini", Some(O200kBase)),
        ("gpt-oss-120b", Some(O200kHarmony)),
        ("o3-mini", Some(O200kBase)),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", Some(O200kBase)),
        ("ft:gpt-4.1-2025-04-14:acme:x:abc", Some(O200kBase)),
        ("ft:gpt-4-0613:acme::abc", Some(Cl100kBase)),
        ("ft:gpt-3.5-turbo-0125", Some(Cl100kBase)),
        ("ft:o4-mini-2025-04-16:acme", Some(O200kBase)),
        ("gpt-6-sol", None),
        ("omni-moderation-latest", None),
        ("llama-3", None),
        ("ft:", None),
        ("", None),
    ] {
        assert_eq!(Encoding::of_model(model), wanted, "{model}");
    }
}

#[test]
fn what_looks_like_a_special_token_is_ordinary_text() {
    for encoding in Encoding::ALL {
        let text = "a<|endoftext|><|im_start|>user<|endofprompt|><|fim_prefix|>";
        let tokens = encoding.encode(text);
        assert_eq!(String::from_utf8(engine::decode(encoding, &tokens)).unwrap(), text);
        assert!(tokens.len() > 15, "{encoding}: {tokens:?}");
        assert_eq!(encoding.encode("<|endoftext|>").len() as u64, encoding.count("<|endoftext|>"));
        assert!(encoding.count("<|endoftext|>") > 3, "{encoding}");
    }
}

/// Text that has no place to be cut, of at least so many bytes, in all kinds of script.
fn stubborn(size: usize) -> Vec<String> {
    let one = ["a", "A", " ", "\n", "\t", "7", "!", "中", "é", "e\u{301}", "👍", "\u{a0}", "\0"];
    let repeated = ["\r\n \n\u{3000}  \t", "Aa中", "中A", "abcdefghij", "  x\n", "=-"];
    let all = one.iter().chain(&repeated);
    let mut all: Vec<String> = all.map(|part| part.repeat(size / part.len() + 1)).collect();
    let mut random = fastrand::Rng::with_seed(7);
    all.push((0..size).map(|_| random.lowercase()).collect());
    all.push((0..size).map(|_| random.alphanumeric()).collect());
    all.push((0..size).map(|_| char::from_u32(random.u32(0x4e00..0x9fff)).unwrap()).collect());
    all.push((0..size).map(|_| if random.bool() { ' ' } else { '\n' }).collect());
    all
}

#[test]
fn text_that_cannot_be_cut_has_the_tokens_that_tiktoken_gives_it() {
    for text in stubborn(3_000) {
        for text in [text.clone(), format!("x!{text}y"), format!("{text} 中's")] {
            for encoding in [Encoding::O200kBase, Encoding::Cl100kBase, Encoding::P50kBase] {
                let shown: String = text.chars().take(12).collect();
                let expected = engine::tiktoken(encoding, &text);
                assert!(long::encode(encoding, &text) == expected, "{encoding} {shown:?}");
            }
        }
    }
}

#[test]
fn a_chunk_that_is_too_long_has_the_same_tokens_as_a_short_one() {
    for text in ["a".repeat(CHUNK + 77), "船".repeat(CHUNK / 3 + 77)] {
        let expected = engine::tiktoken(Encoding::O200kBase, &text);
        assert!(Encoding::O200kBase.encode(&text) == expected);
    }
}

#[test]
fn a_megabyte_of_white_space_is_counted() {
    // tiktoken-rs 0.12.1 panics on this; a token is 128 spaces.
    let text = " ".repeat(1_100_000) + "x";
    let spaces = 1_099_999u64;
    assert_eq!(Encoding::O200kBase.count(&text), spaces.div_ceil(128) + 1);
}

#[test]
fn parts_of_a_text_count_as_much_as_the_whole() {
    let line = "Ships float, \"even\" those of steel.  Why? 鋼鐵做的船，為什麼浮在水上？\n";
    let text = line.repeat((5 << 20) / line.len());
    let whole = Encoding::O200kBase.count(&text);
    let each = chunks(&text).map(|chunk| engine::tiktoken(Encoding::O200kBase, chunk).len() as u64);
    assert_eq!(each.sum::<u64>(), whole);
    let mut count = TextCount::new(Encoding::O200kBase);
    let mut rest = &text[..];
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.floor_char_boundary(1_000_003));
        count.push(part);
        rest = after;
    }
    assert_eq!(count.finish(), whole);
}

/// Text of what makes splitting hard.
fn hard() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            " ", "  ", "\n", "\r\n", "\t", "\u{a0}", "\u{3000}", "a", "Ab", "the", " The", "'s",
            "'RE", "ſ", "1", "٣", "½", "!", "/", "//\n", "é", "e\u{301}", "中", "文。", "，", "の",
            "ア", "゙", "👍", "👩‍👩‍👧", "\u{200d}", "\0", "\u{7f}", "<|endoftext|>", "ǅ", "ʰ", "İ", "ß",
            "हिन्दी", "ไทย", "العربية", "\u{85}", "\u{2028}", "\u{feff}", "_", "--", "{\"k\":", "}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "\\PC{0,6}",
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn all_ways_to_count_agree(text in hard()) {
        for encoding in [Encoding::O200kBase, Encoding::Cl100kBase, Encoding::P50kBase, Encoding::R50kBase] {
            let expected = engine::tiktoken(encoding, &text);
            prop_assert_eq!(&long::encode(encoding, &text), &expected);
            prop_assert_eq!(&encoding.encode(&text), &expected);
            prop_assert_eq!(encoding.count(&text), expected.len() as u64);
            prop_assert_eq!(engine::decode(encoding, &expected), text.as_bytes());
        }
    }

    #[test]
    fn a_place_to_cut_is_one_for_every_vocabulary(text in hard()) {
        for at in (1..text.len()).filter(|at| super::chunks::last_cut(&text, *at, *at).is_some()) {
            let (left, right) = text.split_at(at);
            for encoding in [Encoding::O200kBase, Encoding::Cl100kBase, Encoding::P50kBase, Encoding::R50kBase] {
                let mut parts = engine::tiktoken(encoding, left);
                parts.extend(engine::tiktoken(encoding, right));
                prop_assert_eq!(parts, engine::tiktoken(encoding, &text));
            }
        }
    }

    #[test]
    fn a_truncated_text_is_a_beginning_with_no_more_tokens_than_asked(text in hard(), most in 0u64..40) {
        for encoding in [Encoding::O200kBase, Encoding::R50kBase] {
            let cut = encoding.truncate(&text, most);
            prop_assert!(text.starts_with(cut));
            prop_assert!(encoding.count(cut) <= most);
            let whole = encoding.count(&text);
            prop_assert_eq!(cut.len() == text.len(), whole <= most);
            // Most of what is allowed is used: one character is at most a handful of tokens.
            if whole > most {
                let next = cut.len() + text[cut.len()..].chars().next().unwrap().len_utf8();
                prop_assert!(encoding.count(&text[..next]) + 8 > most);
            }
        }
    }
}

#[test]
fn a_text_of_many_chunks_is_truncated_where_it_should_be() {
    let text = "one two three four ".repeat(20_000);
    assert_eq!(Encoding::O200kBase.truncate(&text, 50_001).split(' ').count(), 50_001);
    assert_eq!(Encoding::O200kBase.truncate(&text, 0), "");
    assert_eq!(Encoding::O200kBase.truncate("👍👍", 1), "👍");
}
