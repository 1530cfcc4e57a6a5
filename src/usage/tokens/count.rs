//! Counting and encoding, on all processors where it is much.

use rayon::prelude::*;

use super::chunks::{CHUNK, chunks};
use super::encoding::Encoding;
use super::engine;

/// Text of fewer bytes is counted on the caller's thread.
const MUCH: usize = 8 * CHUNK;

impl Encoding {
    /// The tokens of a text, as many as [`encode`](Encoding::encode) gives.
    ///
    /// The first call loads the vocabulary. Half a megabyte and more is counted on the threads of
    /// rayon's pool.
    pub fn count(self, text: &str) -> u64 {
        if text.len() < MUCH {
            return chunks(text).map(|chunk| count(self, chunk)).sum();
        }
        let chunks: Vec<&str> = chunks(text).collect();
        chunks.into_par_iter().map(|chunk| count(self, chunk)).sum()
    }

    /// The numbers of a text's tokens, exactly those of OpenAI's own tiktoken for ordinary text.
    ///
    /// It takes any text: neither the length of its words and of its white space nor control
    /// characters make it panic or slow.
    pub fn encode(self, text: &str) -> Vec<u32> {
        if text.len() < MUCH {
            return chunks(text).flat_map(|chunk| encode(self, chunk)).collect();
        }
        let chunks: Vec<&str> = chunks(text).collect();
        chunks.into_par_iter().flat_map_iter(|chunk| encode(self, chunk)).collect()
    }
}

#[cfg(not(feature = "bpe-openai"))]
fn count(encoding: Encoding, chunk: &str) -> u64 {
    encode(encoding, chunk).len() as u64
}

#[cfg(feature = "bpe-openai")]
fn count(encoding: Encoding, chunk: &str) -> u64 {
    match engine::fast(encoding) {
        Some(fast) => fast.count(chunk) as u64,
        None => encode(encoding, chunk).len() as u64,
    }
}

/// The tokens of a chunk.
pub(super) fn encode(encoding: Encoding, chunk: &str) -> Vec<u32> {
    #[cfg(feature = "bpe-openai")]
    if let Some(fast) = engine::fast(encoding) {
        return fast.encode(chunk);
    }
    if chunk.len() <= CHUNK {
        engine::tiktoken(encoding, chunk)
    } else {
        super::long::encode(encoding, chunk)
    }
}
