//! Evaluations: a data set is asked, the answers are judged, and the verdicts are counted.
//!
//! The requests go the way of any run, so that what holds for runs holds here: an evaluation that
//! was killed goes on, caps are kept, batches cost half. What is particular lies before and behind:
//! rows become requests, and each answer is judged on rayon while others are on their way.
//!
//! - `sample` - a question with what its answer is judged by: [`Sample`], [`Task`].
//! - `shape` - the shapes of rows: [`Shape`], [`Fields`].
//! - `row` - what the fields of a row hold.
//! - `literal` - lists as Python prints them.
//! - `dataset` - the samples of a file: [`Dataset`].
//! - `prompt` - what is asked: [`Prompt`].
//! - `scorer` - what an answer is worth: [`Scorer`], [`Verdict`], [`Grading`].
//! - `plan` - the requests, written as a run takes them.
//! - `answer` - a line of answers read, and what became of it: [`SampleResult`], [`Fault`].
//! - `live` - judging on rayon while requests are in flight: [`Standing`].
//! - `spool` - what was judged, until it is put in order.
//! - `verdicts` - what a grader said.
//! - `evaluation` - all of it in its order: [`Evaluation`], [`Round`], [`Evaluated`].
//! - `metrics` - means, errors, pass@k, votes: [`pass_at_k`].
//! - `interval` - how far chance reaches.
//! - `report` - what was found: [`Report`], [`Score`], [`Majority`].
//! - `printed` - how that is printed.
//! - `results` - the output, read again.
//! - `compare` - whether two evaluations differ: [`compare()`], [`Comparison`], [`Table`].
//! - `inspect` - the log that Inspect reads.
//! - `files` - where all of that lies.

mod answer;
mod compare;
mod dataset;
mod evaluation;
mod files;
mod inspect;
mod interval;
mod literal;
mod live;
mod metrics;
mod plan;
mod printed;
mod prompt;
mod report;
mod results;
mod row;
mod sample;
mod scorer;
mod shape;
mod spool;
mod verdicts;

pub use answer::{Fault, SampleResult};
pub use compare::{Comparison, Table, compare};
pub use dataset::Dataset;
pub use evaluation::{Evaluated, Evaluation, Round};
pub use files::files_beside;
pub use live::Standing;
pub use metrics::pass_at_k;
pub use prompt::Prompt;
pub use report::{Majority, Report, Score};
pub use sample::{Input, Sample, Task, letter};
pub use scorer::{Grading, Scorer, Verdict};
pub use shape::{Fields, Shape};
