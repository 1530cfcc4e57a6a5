//! Batches that were made elsewhere.

use super::handle::{Batches, output_name, short};
use super::part::Job;
use super::part_files::each_line;
use super::split::Splitter;
use crate::bulk::journal::{Journal, Options};
use crate::error::{Error, Result};
use crate::wire::batch::BatchObject;
use crate::wire::row::Format;
use std::path::Path;

impl Batches {
    /// Takes over a batch that was made elsewhere: its rows come from its own input file, its
    /// answers go to `output`.
    ///
    /// # Errors
    /// When the batch or its input file is not there, or a job has it already.
    pub fn adopt(&self, batch_id: &str, output: &Path) -> Result<Job> {
        let batch = self.steps().get_batch(batch_id)?;
        for job in self.store().jobs()? {
            let parts = self.store().parts(job.id)?;
            if parts.iter().any(|part| part.batch_id.as_deref() == Some(&batch.id)) {
                let message = format!("job {} has it already", short(&job.name));
                return Err(Error::invalid(format!("batch {}", batch.id), message));
            }
        }
        // No run into this output may be under way, and it has to be one.
        let _held = Journal::open(output, Options::default())?;
        self.store().mark_again(&output_name(output)?)?;
        let mut job = self.new_job(&format!("batch {}", batch.id), &output_name(output)?);
        self.store().add_job(&mut job)?;
        match self.take_over(&mut job, &batch) {
            Ok(()) => Ok(job),
            Err(error) => {
                self.store().remove_job(job.id)?;
                Err(error)
            }
        }
    }

    fn take_over(&self, job: &mut Job, batch: &BatchObject) -> Result<()> {
        let Some(input) = &batch.input_file_id else {
            let message = "it does not name its input file";
            return Err(Error::invalid(format!("batch {}", batch.id), message));
        };
        let steps = self.steps();
        let path = self.store().folder(job.id).join("adopted.jsonl");
        steps.download(input, &path, true)?;
        let prices = &steps.caller.dispatcher.prices;
        // One batch is one part, however large it is.
        let mut limits = steps.options.limits;
        (limits.rows, limits.bytes, limits.inputs) = (u64::MAX, u64::MAX, u64::MAX);
        let now = steps.now();
        let mut splitter = Splitter::new(self.store(), job, limits, prices, |_| None, 1, now);
        let format = Format::default();
        let mut number = 0;
        each_line(&path, |_, line| {
            number += 1;
            if line.trim_ascii().is_empty() {
                return Ok(());
            }
            let row = format.parse(number, line);
            splitter.add(&row.map_err(|e| e.in_file("the batch's input"))?, None)
        })?;
        let mut parts = splitter.finish()?;
        let [part] = parts.as_mut_slice() else {
            let message = "its input is not one of one model and one endpoint";
            return Err(Error::invalid(format!("batch {}", batch.id), message));
        };
        part.file_id = Some(input.clone());
        job.rows = part.rows;
        self.store().add_parts(&mut parts)?;
        steps.record(&mut parts[0], batch, "adopted")?;
        self.store().plan(job, &mut [])
    }
}
