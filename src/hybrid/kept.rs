//! The plan that was begun, in a file beside the output: a run that is started again follows it.

use super::plan::Plan;
use crate::batch::Date;
use crate::error::{Error, Result};
use crate::usage::Money;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

    /// Rows that go by batch, by model and endpoint.
    pub(super) fn batch_rows(&self) -> HashMap<(String, String), u64> {
        let shares = self.shares.iter().filter(|share| share.batch_rows > 0);
        shares
            .map(|share| ((share.model.clone(), share.endpoint.clone()), share.batch_rows))
            .collect()
    }
}

/// The file `OUTPUT.plan`, which exists from the plan until every row has its line.
#[derive(Clone, Debug)]
pub(super) struct PlanFile(PathBuf);

impl PlanFile {
    pub(super) fn beside(output: &Path) -> PlanFile {
        let mut name = OsString::from(output);
        name.push(".plan");
        PlanFile(name.into())
    }

    pub(super) fn read(&self) -> Result<Option<Kept>> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("read", &self.0, e)),
        };
        match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) if kept.schema == SCHEMA => Ok(Some(kept)),
            _ => {
                let message = format!(
                    "{} should tell the plan that was begun and cannot be read; remove it to plan \
                     again, with a deadline from now on",
                    self.0.display()
                );
                Err(Error::invalid("output", message))
            }
        }
    }

    /// It is there whole or as it was, also after a power failure.
    pub(super) fn write(&self, kept: &Kept) -> Result<()> {
        let mut name = self.0.clone().into_os_string();
        name.push(".new");
        let text = serde_json::to_vec_pretty(kept).expect("a plan is plain data");
        let written = File::create(&name).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&name, &self.0)
        });
        written.map_err(|e| Error::file("write", &self.0, e))
    }

    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &self.0, e)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_kept_as_it_was_and_what_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = PlanFile::beside(&folder.path().join("out.jsonl"));
        assert_eq!(file.read().unwrap(), None);
        let share = KeptShare { model: "m".into(), batch_rows: 7, ..KeptShare::default() };
        let mut kept = Kept::new(5, &Plan::default(), vec![share]);
        kept.cost = Some(Money::from_dollars(3));
        file.write(&kept).unwrap();
        assert_eq!(file.read().unwrap(), Some(kept.clone()));
        assert_eq!(kept.batch_rows()[&("m".to_owned(), String::new())], 7);
        fs::write(folder.path().join("out.jsonl.plan"), "{\"schema\":1").unwrap();
        assert!(file.read().unwrap_err().to_string().contains("remove it to plan again"));
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(file.read().unwrap(), None);
    }
}
