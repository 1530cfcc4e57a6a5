//! Numbers that depend on a seed and on what they are for, not on the order of arrival.

const K: u64 = 0x9E37_79B9_7F4A_7C15;

/// Stirs one number into another, so that each bit of both touches each bit of the result.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = (a ^ b.wrapping_mul(K)).wrapping_add(K);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A hash of `bytes` that is the same in every process.
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut h = seed ^ (bytes.len() as u64).wrapping_mul(K);
    let words = bytes.chunks_exact(8);
    let mut rest = [0u8; 8];
    rest[..words.remainder().len()].copy_from_slice(words.remainder());
    for word in words {
        let word = u64::from_le_bytes(word.try_into().expect("a chunk of eight"));
        h = (h ^ word).wrapping_mul(K);
        h ^= h >> 29;
    }
    mix(h, u64::from_le_bytes(rest))
}

/// A number from 0 up to 1, without 1.
pub(super) fn unit(x: u64) -> f64 {
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// An endless row of numbers.
pub(super) struct Row(u64);

impl Row {
    pub(super) fn new(seed: u64) -> Row {
        Row(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(K);
        mix(self.0, 0)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// `prefix` and `length` letters and digits.
pub(super) fn id(prefix: &str, seed: u64, length: usize) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut row = Row::new(seed);
    let mut id = String::with_capacity(prefix.len() + length);
    id.push_str(prefix);
    for _ in 0..length {
        id.push(LETTERS[row.below(LETTERS.len())] as char);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_changes_the_hash() {
        let text = b"the quick brown fox".to_vec();
        let first = hash(1, &text);
        for at in 0..text.len() {
            let mut other = text.clone();
            other[at] ^= 1;
            assert_ne!(hash(1, &other), first, "byte {at}");
        }
        assert_ne!(hash(2, &text), first);
        assert_eq!(hash(1, &text), first);
    }

    #[test]
    fn the_units_spread_evenly() {
        let below = (0..10_000).filter(|n| unit(mix(7, *n)) < 0.05).count();
        assert!((400..600).contains(&below), "{below}");
    }
}
