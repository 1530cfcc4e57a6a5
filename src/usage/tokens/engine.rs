//! The vocabularies, loaded when first needed.
//!
//! tiktoken-rs counts. With the feature `bpe-openai`, that crate counts `o200k_base` and
//! `cl100k_base` in its place; the results are the same.

use tiktoken_rs::CoreBPE;

use super::encoding::Encoding;

/// tiktoken-rs, loaded on the first call for each vocabulary; special tokens play no part here, so
/// that those that differ in nothing else are one.
fn vocabulary(encoding: Encoding) -> &'static CoreBPE {
    match encoding {
        Encoding::O200kBase | Encoding::O200kHarmony => tiktoken_rs::o200k_base_singleton(),
        Encoding::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
        Encoding::P50kBase | Encoding::P50kEdit => tiktoken_rs::p50k_base_singleton(),
        Encoding::R50kBase => tiktoken_rs::r50k_base_singleton(),
    }
}

/// The tokens of a text. White space in it may not go on for 100,000 characters: tiktoken-rs
/// panics where it goes on for a million.
pub(super) fn tiktoken(encoding: Encoding, text: &str) -> Vec<u32> {
    vocabulary(encoding).encode_ordinary(text)
}

/// The bytes of every token but the special ones, with their numbers.
pub(super) fn ranks(encoding: Encoding) -> impl Iterator<Item = (Vec<u8>, u32)> {
    /// No vocabulary has a larger number.
    const LAST: u32 = 201_087;
    let vocabulary = vocabulary(encoding);
    let special: Vec<_> = vocabulary.special_tokens().into_iter().map(str::as_bytes).collect();
    (0..=LAST).filter_map(move |rank| {
        let bytes = vocabulary.decode_bytes(&[rank]).ok()?;
        (!special.contains(&&*bytes)).then_some((bytes, rank))
    })
}

/// The bytes of tokens.
pub(super) fn decode(encoding: Encoding, tokens: &[u32]) -> Vec<u8> {
    #[cfg(feature = "bpe-openai")]
    if let Some(fast) = fast(encoding) {
        return fast.bpe.decode_tokens(tokens);
    }
    vocabulary(encoding).decode_bytes(tokens).unwrap_or_default()
}

#[cfg(feature = "bpe-openai")]
pub(super) fn fast(encoding: Encoding) -> Option<&'static bpe_openai::Tokenizer> {
    match encoding {
        Encoding::O200kBase | Encoding::O200kHarmony => Some(bpe_openai::o200k_base()),
        Encoding::Cl100kBase => Some(bpe_openai::cl100k_base()),
        _ => None,
    }
}
