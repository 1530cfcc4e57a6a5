//! Many requests now.
//!
//! - `results` - as a blocking iterator: [`Bulk`], [`Results`].
//! - `par` - `par_iter` style, with scoring on rayon: [`ParSend`].
//! - `run` - from a file to a file: [`FileRun`].
//! - `running` - a run over a file while it goes on.
//! - `unpriced` - rows whose cost has no known bound, where there is a cap.
//! - `input` - the lines of the input, and the check of all of them before anything is sent.
//! - `estimate` - what the rows of an input come to, before they are sent.
//! - `feeder` - pulls rows from the input.
//! - `journal` - the output, which tells at the same time what is done.
//! - `costs` - what a run cost: [`Costs`].
//! - `distribution` - how long things took: [`Distribution`], [`Percentiles`].
//! - `earlier` - what the answers that an output holds have cost.
//! - `spent` - the most that may have been spent for an output, in a file beside it.
//! - `repeats` - requests that occur several times in a run.
//! - `under_way` - whether rows of an output are under way in batches, in another one.
//! - `plan_file` - the plan that a run by plan follows, in another one.
//! - `beside` - how such files are made.
//! - `record` - the line of output that a row ends in.
//! - `snapshot` - where a run stands.
//! - `summary` - what a run did.
//! - `timeline` - how it went over time.
//! - `metrics` - the same as Prometheus reads it.

mod beside;
mod costs;
mod distribution;
mod earlier;
pub mod estimate;
mod feeder;
pub mod input;
pub mod journal;
pub mod metrics;
mod par;
mod plan_file;
mod record;
mod repeats;
mod results;
mod run;
mod running;
mod snapshot;
mod spent;
mod summary;
mod timeline;
mod under_way;
mod unpriced;

pub(crate) use costs::share;
pub use costs::{CapUse, Compared, Costs, ModelCost};
pub use distribution::{Distribution, Percentiles};
pub(crate) use earlier::Earlier;
pub(crate) use feeder::Ticket;
pub(crate) use journal::each_line;
pub use metrics::{Metrics, MetricsFile};
pub use par::{ParRequests, ParSend};
pub(crate) use plan_file::PlanFile;
pub(crate) use record::{write as write_line, write_failure};
pub(crate) use repeats::{Repeats, question, set as set_repeat};
pub use results::{Bulk, Outcome, Results};
pub use run::FileRun;
pub use snapshot::Snapshot;
pub(crate) use spent::SpentFile;
pub use summary::{
    Attempts, Limit, LimitChange, Rate, Rows, SCHEMA, Status, Summary, Tally, Tokens, kind,
};
pub use timeline::{Point, Timeline};
pub(crate) use under_way::UnderWayFile;
