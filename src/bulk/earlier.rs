//! What the answers that an output holds have cost.

use super::journal::each_line;
use crate::error::Error;
use crate::usage::{Amount, Caps, Money, Prices, cost_of_answer};
use crate::wire::answer::check_answer;
use crate::wire::row::{PaidRef, read_paid};
use std::path::Path;

/// What was spent by earlier runs, as far as their output tells: what its answers cost by their own
/// usage, and what their attempts without an answer may have cost.
///
/// It does not know what was in flight when a run was killed, nor the attempts of rows that have no
/// line; see [`SpentFile`](super::spent::SpentFile).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Earlier {
    pub(crate) amount: Amount,
    pub(crate) answers: u64,
    /// Answers whose cost is not known.
    unpriced: u64,
    /// Answers that do not tell their tokens.
    untold: u64,
}

impl Earlier {
    /// Reads the output line by line.
    ///
    /// # Errors
    /// When it cannot be read, or what an answer counts against a cap is not known.
    pub(crate) fn read(output: &Path, prices: &Prices, caps: Caps) -> Result<Earlier, Error> {
        let mut earlier = Earlier::default();
        each_line(output, |line| {
            if let Some(paid) = read_paid(line) {
                earlier.add(&paid, prices);
            }
        })?;
        if caps.money.is_some() && earlier.unpriced > 0 {
            let message = format!(
                "the cap cannot be kept: the cost of {} of the answers that the output holds is \
                 not known; give the prices of their models with --prices FILE \
                 (OPENAI_PRICES_FILE), or choose another output",
                earlier.unpriced
            );
            return Err(Error::invalid("max_cost", message));
        }
        if caps.tokens.is_some() && earlier.untold > 0 {
            let message = format!(
                "the cap cannot be kept: {} of the answers that the output holds do not tell their \
                 tokens; choose another output",
                earlier.untold
            );
            return Err(Error::invalid("max_tokens_total", message));
        }
        Ok(earlier)
    }

    fn add(&mut self, line: &PaidRef<'_>, prices: &Prices) {
        let money = |text: &Option<std::borrow::Cow<'_, str>>| {
            text.as_deref().and_then(|text| Money::parse(text).ok())
        };
        let maybe = Amount {
            money: money(&line.maybe_cost).unwrap_or(Money::ZERO),
            tokens: line.maybe_tokens.unwrap_or(0),
        };
        self.amount = self.amount.plus(maybe);
        let Some(answer) = line.answer.filter(|_| !line.is_free) else { return };
        let peek = check_answer(answer.as_bytes()).unwrap_or_default();
        let asked = line.asked.as_deref().unwrap_or_default();
        let cost = cost_of_answer(prices, &peek, asked, line.is_batch).map(|cost| cost.total);
        let cost = cost.or_else(|| money(&line.counted_cost));
        let tokens = peek.usage.map(|usage| usage.total).or(line.counted_tokens);
        self.answers += 1;
        self.unpriced += u64::from(cost.is_none());
        self.untold += u64::from(tokens.is_none());
        let used = Amount { money: cost.unwrap_or(Money::ZERO), tokens: tokens.unwrap_or(0) };
        self.amount = self.amount.plus(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(lines: &[&str]) -> Earlier {
        let mut earlier = Earlier::default();
        for line in lines {
            earlier.add(&read_paid(line.as_bytes()).unwrap(), &Prices::builtin());
        }
        earlier
    }

    #[test]
    fn answers_count_by_their_usage_and_attempts_without_one_by_what_was_held() {
        let answer = r#"{"custom_id":"a","response":{"status_code":200,"body":{"model":"gpt-4o-mini","usage":{"prompt_tokens":1000000,"completion_tokens":0,"total_tokens":1000000}}},"error":null,"x_run":{"ok":true}}"#;
        let failed = r#"{"custom_id":"b","response":null,"error":{"code":"timeout","message":""},"x_run":{"ok":false,"maybe_cost":"0.25","maybe_tokens":9}}"#;
        let refused = r#"{"custom_id":"c","response":{"status_code":400,"body":{"error":{}}},"error":null,"x_run":{"ok":false}}"#;
        let found = sum(&[answer, failed, refused, answer]);
        assert_eq!(found.amount.money, Money::parse("0.55").unwrap());
        assert_eq!((found.amount.tokens, found.answers, found.unpriced), (2_000_009, 2, 0));
        // Without x_run the Batch API has written it, at its price.
        let batch = answer.replace(r#","x_run":{"ok":true}"#, "");
        assert_eq!(sum(&[&batch]).amount.money, Money::parse("0.075").unwrap());
        // So has a batch that this crate fetched.
        let fetched = answer.replace(r#""ok":true"#, r#""ok":true,"batch":"batch_1""#);
        assert_eq!(sum(&[&fetched]).amount.money, Money::parse("0.075").unwrap());
        // What came from the cache was paid for before.
        for mark in ["cached", "shared"] {
            let kept = answer.replace(r#""ok":true"#, &format!(r#""ok":true,"{mark}":true"#));
            assert_eq!(sum(&[&kept]), Earlier::default());
        }
    }

    #[test]
    fn what_an_answer_does_not_tell_was_written_beside_it() {
        let line = |body: &str, run: &str| {
            format!(
                r#"{{"custom_id":"a","response":{{"status_code":200,"body":{body}}},"error":null,"x_run":{run}}}"#
            )
        };
        let usage = r#""usage":{"prompt_tokens":1000000,"completion_tokens":0}"#;
        let nameless = line(&format!("{{{usage}}}"), r#"{"asked":"gpt-4o"}"#);
        assert_eq!(sum(&[&nameless]).amount.money, Money::parse("2.5").unwrap());
        let silent = line(r#"{"model":"gpt-4o"}"#, r#"{"counted_cost":"0.75","counted_tokens":3}"#);
        let found = sum(&[&silent]);
        assert_eq!((found.amount.tokens, found.unpriced, found.untold), (3, 0, 0));
        assert_eq!(found.amount.money, Money::parse("0.75").unwrap());
        let unknown = line(&format!(r#"{{"model":"gpt-9",{usage}}}"#), "{}");
        assert_eq!(sum(&[&unknown, &silent]).unpriced, 1);
    }
}
