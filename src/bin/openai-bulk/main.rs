//! The program: arguments in, library calls, results out.

mod args;
mod auto;
mod batch_steps;
mod control;
mod estimate;
mod failure;
mod logger;
mod machine;
mod plan;
mod progress;
mod report;
mod requests;
mod run;
mod signals;
mod simulate;
mod table;
mod tokens;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let result = match &cli.command {
        args::Command::Run(args) => run::run(args),
        args::Command::Plan(args) => plan::plan(args),
        args::Command::Estimate(args) => estimate::estimate(args),
        args::Command::Tokens(args) => tokens::tokens(args),
        args::Command::Batch(args) => batch_steps::steps(args),
        args::Command::Report(args) => report::report(args),
        args::Command::Simulate(args) => simulate::simulate(args),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        failure.exit_code()
    })
}
