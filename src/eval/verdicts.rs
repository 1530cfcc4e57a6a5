//! What a grader said of answers.

use super::answer::{Answered, Fault, SampleResult};
use super::scorer::{Grading, Verdict};
use crate::bulk::each_line;
use crate::error::Result;
use crate::usage::{Money, Prices};
use std::collections::HashMap;
use std::path::Path;

/// The verdict on one answer, and what it took.
#[derive(Debug)]
struct Graded {
    verdict: Result<Verdict, Fault>,
    is_ok: bool,
    input_tokens: u64,
    output_tokens: u64,
    cost: Option<Money>,
}

/// The verdicts of a grader, by the ids of what was asked.
#[derive(Debug, Default)]
pub(super) struct Verdicts(HashMap<u64, Graded>);

impl Verdicts {
    /// Reads them from the grader's answers; none if there is no such file.
    pub(super) fn read(path: &Path, how: &Grading, prices: &Prices) -> Result<Verdicts> {
        let mut all = HashMap::<u64, Graded>::new();
        if !path.exists() {
            return Ok(Verdicts(all));
        }
        each_line(path, |line| {
            let Some(said) = Answered::read(line, prices) else { return };
            if all.get(&said.id_hash).is_some_and(|known| known.is_ok) {
                return;
            }
            let wrong = |message: String| Fault::new("grader", &message);
            let verdict = match (said.result.error, said.result.answer) {
                (Some(error), _) => Err(error),
                (None, answer) => how.read(&answer.unwrap_or_default()).map_err(wrong),
            };
            // A request that failed costs nothing, so that the answer's price is still known.
            let cost = if said.is_ok { said.result.cost } else { Some(Money::ZERO) };
            let graded = Graded {
                verdict,
                is_ok: said.is_ok,
                input_tokens: said.result.input_tokens,
                output_tokens: said.result.output_tokens,
                cost,
            };
            all.insert(said.id_hash, graded);
        })?;
        Ok(Verdicts(all))
    }

    /// Notes the verdict on an answer, if there is one.
    pub(super) fn apply(&self, id_hash: u64, result: &mut SampleResult) {
        let Some(graded) = self.0.get(&id_hash).filter(|_| result.answer.is_some()) else { return };
        result.judged(graded.verdict.clone());
        result.input_tokens += graded.input_tokens;
        result.output_tokens += graded.output_tokens;
        result.cost = result.cost.zip(graded.cost).map(|(answer, grading)| answer + grading);
    }
}
