//! Where text may be cut without changing its tokens.
//!
//! Every vocabulary first splits text into pieces, such as a word with the space before it, and a
//! token never reaches over two of them. Two places are the border of two pieces in all of them,
//! whatever stands around: before a space that follows something other than white space, and
//! before a mark of punctuation that follows a letter of Chinese or Japanese.

/// Text is cut into chunks of this many bytes at the most, where there is a place for it.
pub(super) const CHUNK: usize = 64 << 10;

/// The chunks of a text, one after the other.
///
/// A chunk is longer than [`CHUNK`] only if there is no place to cut it.
pub(super) fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (chunk, after) = rest.split_at(end(rest));
        rest = after;
        Some(chunk)
    })
}

fn end(text: &str) -> usize {
    if text.len() <= CHUNK {
        return text.len();
    }
    last_cut(text, 1, CHUNK)
        .or_else(|| (CHUNK + 1..text.len()).find(|at| is_cut(text, *at)))
        .unwrap_or(text.len())
}

/// The last place from `least` to `most` where the text may be cut.
pub(super) fn last_cut(text: &str, least: usize, most: usize) -> Option<usize> {
    (least.max(1)..=most.min(text.len().saturating_sub(1))).rev().find(|at| is_cut(text, *at))
}

fn is_cut(text: &str, at: usize) -> bool {
    // Most bytes are neither a space nor the first of a mark beyond ASCII.
    let byte = text.as_bytes()[at];
    if byte != b' ' && byte < 0xe3 {
        return false;
    }
    if !text.is_char_boundary(at) {
        return false;
    }
    let (Some(before), Some(after)) = (text[..at].chars().next_back(), text[at..].chars().next())
    else {
        return false;
    };
    match after {
        ' ' => !before.is_whitespace(),
        '、' | '。' | '，' | '！' | '？' | '：' | '；' => is_letter(before),
        _ => false,
    }
}

/// A letter of Chinese or Japanese.
fn is_letter(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}')
}
