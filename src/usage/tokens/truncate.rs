//! The beginning of a text that is so many tokens.

use super::chunks::chunks;
use super::count::encode;
use super::encoding::Encoding;
use super::engine;

impl Encoding {
    /// The beginning of a text that has `most` tokens at the most; the whole text if it has not
    /// more.
    ///
    /// It ends between two characters: where the last token ends within one, as many emoji are
    /// several tokens, that character is left out. Counted again, it has no more than `most`.
    pub fn truncate(self, text: &str, most: u64) -> &str {
        let mut left = most;
        let mut start = 0;
        for chunk in chunks(text) {
            let tokens = encode(self, chunk);
            if tokens.len() as u64 > left {
                return &text[..start + fit(self, chunk, &tokens, left as usize)];
            }
            left -= tokens.len() as u64;
            start += chunk.len();
        }
        text
    }
}

/// How much of a chunk that has `tokens` is `most` of them.
fn fit(encoding: Encoding, chunk: &str, tokens: &[u32], most: usize) -> usize {
    let mut end = chunk.floor_char_boundary(engine::decode(encoding, &tokens[..most]).len());
    loop {
        // A word that is cut may be more tokens than it was within the whole.
        let again = encode(encoding, &chunk[..end]);
        if again.len() <= most {
            return end;
        }
        let shorter = engine::decode(encoding, &again[..most]).len();
        end = chunk.floor_char_boundary(shorter.min(end - 1));
    }
}
