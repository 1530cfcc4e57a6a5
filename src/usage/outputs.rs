//! How much models write, as seen so far.

use std::collections::HashMap;

/// Answers of one class that are remembered.
const RECENT: usize = 50;
/// Answers from which a guess is made.
const ENOUGH: usize = 10;
/// The share of answers that a guess covers.
const COVERED: f64 = 0.9;
/// Classes that are kept apart; beyond, all others are one.
const CLASSES: usize = 256;

/// Learns the output of each class of requests: those of about the same size and the same ceiling.
#[derive(Debug, Default)]
pub struct Outputs(HashMap<(u32, u64), Recent>);

#[derive(Debug, Default)]
struct Recent {
    tokens: Vec<u64>,
    next: usize,
    guess: Option<u64>,
}

impl Outputs {
    /// The output tokens to expect of a request with `input` tokens and at most `ceiling` of
    /// output, where 0 is no ceiling. Until enough is known it is the ceiling.
    pub fn expect(&self, input: u64, ceiling: u64) -> u64 {
        let learned = self.0.get(&class(input, ceiling)).and_then(|recent| recent.guess);
        match learned {
            Some(guess) if ceiling > 0 => guess.min(ceiling),
            Some(guess) => guess,
            None => ceiling,
        }
    }

    /// Takes in what an answer used in all.
    pub fn learn(&mut self, input: u64, ceiling: u64, output: u64) {
        let mut class = class(input, ceiling);
        if self.0.len() >= CLASSES && !self.0.contains_key(&class) {
            class = (0, 0);
        }
        self.0.entry(class).or_default().add(output);
    }
}

/// Requests are alike within a doubling of their input.
fn class(input: u64, ceiling: u64) -> (u32, u64) {
    (input.max(1).ilog2(), ceiling)
}

impl Recent {
    fn add(&mut self, tokens: u64) {
        if self.tokens.len() < RECENT {
            self.tokens.push(tokens);
        } else {
            self.tokens[self.next] = tokens;
            self.next = (self.next + 1) % RECENT;
        }
        // A few answers more or less do not move it by much.
        let is_due = self.tokens.len() < RECENT || self.next.is_multiple_of(8);
        if self.tokens.len() >= ENOUGH && is_due {
            let mut sorted = self.tokens.clone();
            sorted.sort_unstable();
            let at = (COVERED * sorted.len() as f64).ceil() as usize - 1;
            self.guess = Some(sorted[at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_of_ten_answers_are_covered_and_never_more_than_the_ceiling() {
        let mut outputs = Outputs::default();
        assert_eq!(outputs.expect(100, 4_096), 4_096);
        for tokens in 1..=9 {
            outputs.learn(100, 4_096, tokens);
        }
        assert_eq!(outputs.expect(100, 4_096), 4_096, "too few to tell");
        outputs.learn(100, 4_096, 1_000);
        assert_eq!(outputs.expect(100, 4_096), 9);
        for _ in 0..100 {
            outputs.learn(100, 4_096, 9_999);
        }
        assert_eq!(outputs.expect(100, 4_096), 4_096);
    }

    #[test]
    fn classes_are_kept_apart_and_their_number_is_bounded() {
        let mut outputs = Outputs::default();
        for _ in 0..20 {
            outputs.learn(100, 50, 7);
            outputs.learn(10_000, 50, 40);
            outputs.learn(100, 0, 500);
        }
        let expected = [(110, 50), (9_000, 50), (100, 0)].map(|(i, c)| outputs.expect(i, c));
        assert_eq!(expected, [7, 40, 500]);
        for ceiling in 1..10_000 {
            outputs.learn(100, ceiling, 1);
        }
        assert!(outputs.0.len() <= CLASSES + 1);
    }
}
