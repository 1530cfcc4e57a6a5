//! What batches saved, by the answers themselves.

use crate::bulk::journal::look;
use crate::error::Result;
use crate::usage::{Money, Prices, cost_of_answer};
use crate::wire::answer::check_answer;
use crate::wire::row::read_paid;
use serde::Serialize;
use std::path::Path;

/// What the answers of an output cost, by the tokens that the server counted, whichever run brought
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// Answers that came live.
    pub live_rows: u64,
    /// Answers that came by batch.
    pub batch_rows: u64,
    /// What they cost together, as far as their prices are known.
    pub cost: Money,
    /// What the answers by batch cost.
    pub batch_cost: Money,
    /// What more the same tokens would have cost live.
    pub saved: Money,
    /// Answers whose price is not known; with any, the sums are lower bounds.
    pub unpriced: u64,
}

impl Measured {
    /// Reads an output; one that is not there has no answers.
    ///
    /// # Errors
    /// When it cannot be read, or is not an output.
    pub fn read(output: &Path, prices: &Prices) -> Result<Measured> {
        let mut measured = Measured::default();
        look(output, |line| measured.add(line, prices))?;
        Ok(measured)
    }

    fn add(&mut self, line: &[u8], prices: &Prices) {
        let Some(paid) = read_paid(line) else { return };
        let Some(answer) = paid.answer else { return };
        let rows = if paid.is_batch { &mut self.batch_rows } else { &mut self.live_rows };
        *rows += 1;
        if paid.is_free {
            return;
        }
        let peek = check_answer(answer.as_bytes()).unwrap_or_default();
        let asked = paid.asked.as_deref().unwrap_or_default();
        match cost_of_answer(prices, &peek, asked, paid.is_batch) {
            None => self.unpriced += 1,
            Some(cost) => {
                self.cost += cost.total;
                if paid.is_batch {
                    self.batch_cost += cost.total;
                }
                self.saved += cost.saved_by_batch;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_saved_is_counted_from_the_tokens_of_its_answers() {
        let mut measured = Measured::default();
        for (id, model, batch) in [
            ("a", "gpt-4o", r#""batch":"batch_1","#),
            ("b", "gpt-4o", ""),
            ("c", "nobody-knows", r#""batch":"batch_1","#),
        ] {
            let line = format!(
                r#"{{"custom_id":"{id}","response":{{"status_code":200,"body":{{"model":"{model}","usage":{{"prompt_tokens":1000000,"completion_tokens":0,"total_tokens":1000000}}}}}},"x_run":{{{batch}"ok":true}}}}"#
            );
            measured.add(line.as_bytes(), &Prices::builtin());
        }
        let dollars = |text| Money::parse(text).unwrap();
        assert_eq!((measured.live_rows, measured.batch_rows, measured.unpriced), (1, 2, 1));
        assert_eq!(measured.cost, dollars("3.75"), "2.50 live and half of it by batch");
        assert_eq!((measured.batch_cost, measured.saved), (dollars("1.25"), dollars("1.25")));
    }
}
