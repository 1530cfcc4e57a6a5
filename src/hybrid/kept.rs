//! The plan that was begun, in a file beside the output: a run that is started again follows it.

use super::plan::Plan;
use crate::batch::Date;
use crate::bulk::PlanFile;
use crate::error::{Error, Result};
use crate::usage::Money;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

const SCHEMA: u32 = 1;

/// A plan that was begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) schema: u32,
    /// When it was begun: the deadline counts from here, however often the run is started again.
    pub(super) begun: Date,
    pub(super) shares: Vec<KeptShare>,
    /// What it was expected to cost.
    pub(super) cost: Option<Money>,
    /// The seconds that it was expected to take.
    pub(super) seconds: f64,
    /// Whether the rows that go by batch are in parts. From then on no other row goes by batch.
    pub(super) is_sent: bool,
}

/// What was planned for the rows of one model and endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptShare {
    pub(super) model: String,
    pub(super) endpoint: String,
    pub(super) batch_rows: u64,
    /// Tokens that a row reads and writes, as they were expected.
    pub(super) row_tokens: u64,
    /// The seconds in which a batch was expected to end.
    pub(super) batch_time: f64,
}

impl Kept {
    pub(super) fn new(begun: Date, plan: &Plan, shares: Vec<KeptShare>) -> Kept {
        Kept {
            schema: SCHEMA,
            begun,
            shares,
            cost: plan.cost,
            seconds: plan.seconds,
            is_sent: false,
        }
    }

    /// The plan in a file, if one was begun.
    pub(super) fn read(file: &PlanFile) -> Result<Option<Kept>> {
        let Some(text) = file.read()? else { return Ok(None) };
        match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) if kept.schema == SCHEMA => Ok(Some(kept)),
            _ => {
                let message = format!(
                    "{} should tell the plan that was begun and cannot be read; remove it to plan \
                     again, with a deadline from now on",
                    file.path().display()
                );
                Err(Error::invalid("output", message))
            }
        }
    }

    /// Writes it down.
    pub(super) fn write(&self, file: &PlanFile) -> Result<()> {
        file.write(&serde_json::to_vec_pretty(self).expect("a plan is plain data"))
    }

    /// Rows that go by batch, by model and endpoint.
    pub(super) fn batch_rows(&self) -> HashMap<(String, String), u64> {
        let shares = self.shares.iter().filter(|share| share.batch_rows > 0);
        shares
            .map(|share| ((share.model.clone(), share.endpoint.clone()), share.batch_rows))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_plan_is_kept_as_it_was_and_what_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = PlanFile::beside(&folder.path().join("out.jsonl"));
        assert_eq!(Kept::read(&file).unwrap(), None);
        let share = KeptShare { model: "m".into(), batch_rows: 7, ..KeptShare::default() };
        let mut kept = Kept::new(5, &Plan::default(), vec![share]);
        kept.cost = Some(Money::from_dollars(3));
        kept.write(&file).unwrap();
        assert_eq!(Kept::read(&file).unwrap(), Some(kept.clone()));
        assert_eq!(kept.batch_rows()[&("m".to_owned(), String::new())], 7);
        fs::write(folder.path().join("out.jsonl.plan"), "{\"schema\":1").unwrap();
        assert!(Kept::read(&file).unwrap_err().to_string().contains("remove it to plan again"));
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(Kept::read(&file).unwrap(), None);
    }
}
