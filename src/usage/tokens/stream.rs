//! Text that comes in parts.

use super::chunks::last_cut;
use super::encoding::Encoding;

/// Counts the tokens of text that comes in parts, with the memory of a few of them.
///
/// The count is that of the whole text in one piece. Text that nowhere has a space after a word is
/// kept until its end.
#[derive(Debug)]
pub struct TextCount {
    encoding: Encoding,
    pending: String,
    /// How much of it has no place to be cut.
    looked_at: usize,
    tokens: u64,
}

/// Text is kept until there is this much of it, in bytes.
const ENOUGH: usize = 4 << 20;

impl TextCount {
    /// A count of nothing so far.
    pub fn new(encoding: Encoding) -> TextCount {
        TextCount { encoding, pending: String::new(), looked_at: 0, tokens: 0 }
    }

    /// Takes the next part.
    pub fn push(&mut self, part: &str) {
        self.pending.push_str(part);
        if self.pending.len() < ENOUGH {
            return;
        }
        match last_cut(&self.pending, self.looked_at, self.pending.len()) {
            Some(cut) => {
                self.tokens += self.encoding.count(&self.pending[..cut]);
                self.pending.drain(..cut);
                self.looked_at = 0;
            }
            None => self.looked_at = self.pending.len(),
        }
    }

    /// The tokens of all parts together.
    pub fn finish(self) -> u64 {
        self.tokens + self.encoding.count(&self.pending)
    }
}
