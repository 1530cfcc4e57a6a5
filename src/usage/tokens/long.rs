//! Text that has no place to be cut for very long.
//!
//! tiktoken-rs gives up on a million characters of white space, and takes seconds and hundreds of
//! megabytes for a word of some megabytes. Here the same ranks are merged in windows, and a window
//! is joined to what stands before it where that cannot change any more. What makes it exact: a
//! row of tokens is the encoding of its bytes if and only if each two neighbours are that of
//! theirs.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

use super::encoding::Encoding;
use super::engine;

/// How many bytes are merged at once: a multiple of the length of every character.
const WINDOW: usize = 120;
/// How many windows are remembered: enough for a repeated character to come round.
const REMEMBERED: usize = 32;
/// How many tokens before a window are merged again with it at first.
const AGAIN: usize = 2;

/// The tokens of a text of any length.
pub(super) fn encode(encoding: Encoding, text: &str) -> Vec<u32> {
    let tables = Tables::of(encoding);
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(tables.piece(rest));
        tables.encode(piece.as_bytes(), &mut tokens);
        rest = after;
    }
    tokens
}

/// A vocabulary and its way to split text.
struct Tables {
    ranks: HashMap<Box<[u8]>, u32>,
    /// How many bytes a token has.
    lengths: Vec<u32>,
    /// All kinds of pieces but those of white space alone.
    pieces: Regex,
    /// Whether white space that ends the text is one piece even if it has line ends.
    joins_last_space: bool,
}

// The patterns are those of tiktoken 0.14.0, without what they say of white space at the end and
// before words: `Tables::piece` does that without going back.
const O200K: &str = concat!(
    r"^(?:[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+)"
);
const CL100K: &str = concat!(
    r"^(?:'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n])"
);
const GPT2: &str = r"^(?:'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+)";

impl Tables {
    fn of(encoding: Encoding) -> &'static Tables {
        static O: LazyLock<Tables> = LazyLock::new(|| Tables::new(Encoding::O200kBase, O200K));
        static C: LazyLock<Tables> = LazyLock::new(|| Tables::new(Encoding::Cl100kBase, CL100K));
        static P: LazyLock<Tables> = LazyLock::new(|| Tables::new(Encoding::P50kBase, GPT2));
        static R: LazyLock<Tables> = LazyLock::new(|| Tables::new(Encoding::R50kBase, GPT2));
        match encoding {
            Encoding::O200kBase | Encoding::O200kHarmony => &O,
            Encoding::Cl100kBase => &C,
            Encoding::P50kBase | Encoding::P50kEdit => &P,
            Encoding::R50kBase => &R,
        }
    }

    fn new(encoding: Encoding, pattern: &str) -> Tables {
        let mut ranks = HashMap::new();
        let mut lengths = Vec::new();
        for (bytes, rank) in engine::ranks(encoding) {
            lengths.resize(lengths.len().max(rank as usize + 1), 0);
            lengths[rank as usize] = bytes.len() as u32;
            ranks.insert(bytes.into_boxed_slice(), rank);
        }
        let pieces = Regex::new(pattern).expect("the pattern is valid");
        let joins_last_space = encoding != Encoding::O200kBase;
        Tables { ranks, lengths, pieces, joins_last_space }
    }

    /// The length of the first piece of a text that is not empty.
    fn piece(&self, text: &str) -> usize {
        let mut spaces = text.chars().take_while(|c| c.is_whitespace());
        let Some(first) = spaces.next() else {
            let one = text.chars().next().map_or(0, char::len_utf8);
            return self.pieces.find(text).map_or(one, |found| found.end());
        };
        let (mut space, mut last) = (first.len_utf8(), first.len_utf8());
        for c in spaces {
            last = c.len_utf8();
            space += last;
        }
        let is_end = space == text.len();
        if is_end && self.joins_last_space {
            return space;
        }
        if let Some(found) = self.pieces.find(text) {
            return found.end();
        }
        // The last white space goes with what follows, unless it stands alone.
        if is_end || space == last { space } else { space - last }
    }

    /// Adds the tokens of one piece.
    fn encode(&self, piece: &[u8], tokens: &mut Vec<u32>) {
        if let Some(rank) = self.ranks.get(piece) {
            return tokens.push(*rank);
        }
        let first = tokens.len();
        let mut done = 0;
        // The bytes that were merged last, and their tokens: where a character is repeated, the next
        // ones are the same.
        let mut seen: Vec<(&[u8], Vec<u32>)> = Vec::with_capacity(REMEMBERED);
        let mut oldest = 0;
        while done < piece.len() {
            let end = (done + WINDOW).min(piece.len());
            let mut again = AGAIN;
            loop {
                let kept = tokens.len().saturating_sub(again).max(first);
                let bytes = &piece[done - self.length(&tokens[kept..])..end];
                let at = match seen.iter().position(|(seen, _)| *seen == bytes) {
                    Some(at) => at,
                    None if seen.len() < REMEMBERED => {
                        seen.push((bytes, self.merge(bytes)));
                        seen.len() - 1
                    }
                    None => {
                        oldest = (oldest + 1) % REMEMBERED;
                        seen[oldest] = (bytes, self.merge(bytes));
                        oldest
                    }
                };
                let merged = &seen[at].1;
                // The first of them stays what it was, and so does its neighbour on the left.
                if kept == first || merged[0] == tokens[kept] {
                    tokens.truncate(kept);
                    tokens.extend(merged);
                    break;
                }
                again *= 2;
            }
            done = end;
        }
    }

    fn length(&self, tokens: &[u32]) -> usize {
        tokens.iter().map(|token| self.lengths[*token as usize] as usize).sum()
    }

    /// The tokens of a few bytes: the pair with the lowest rank is joined until none has one.
    fn merge(&self, bytes: &[u8]) -> Vec<u32> {
        let rank = |from: usize, to: usize| self.ranks.get(&bytes[from..to]).copied();
        // Where each part begins, and the rank of the part and the next one together.
        let mut starts: Vec<u32> = (0..=bytes.len() as u32).collect();
        let at = |starts: &[u32], i: usize| starts[i] as usize;
        let pair = |starts: &[u32], i: usize| match starts.get(i + 2) {
            Some(end) => rank(at(starts, i), *end as usize).unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let mut pairs: Vec<u32> = (0..bytes.len()).map(|i| pair(&starts, i)).collect();
        while let Some(lowest) = pairs.iter().min().copied().filter(|rank| *rank < u32::MAX) {
            let i = pairs.iter().position(|rank| *rank == lowest).unwrap_or_default();
            starts.remove(i + 1);
            pairs.remove(i + 1);
            pairs[i] = pair(&starts, i);
            if i > 0 {
                pairs[i - 1] = pair(&starts, i - 1);
            }
        }
        let ends = starts.windows(2).map(|pair| (pair[0] as usize, pair[1] as usize));
        ends.map(|(from, to)| rank(from, to).expect("each byte has a rank")).collect()
    }
}
