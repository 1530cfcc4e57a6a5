//! `openai-bulk report`.

use crate::args::Report as ReportArgs;
use crate::failure::Failure;
use openai_bulk::config::Config;
use openai_bulk::report::Report;
use std::process::ExitCode;

/// Makes a page about a run.
pub fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let mut report = Report::new().title(args.title.clone());
    if let Some(path) = &args.prices {
        report = report.prices(Config::new().prices_file(path).load_prices()?);
    }
    for path in &args.summary {
        report = report.summary(path)?;
    }
    for path in &args.answers {
        report = report.output(path)?;
    }
    report.write(&args.output)?;
    if !args.talk.quiet {
        eprintln!("wrote {}", args.output.display());
    }
    Ok(ExitCode::SUCCESS)
}
