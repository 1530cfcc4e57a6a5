//! The program: arguments in, library calls, results out.

mod advice;
mod args;
mod auto;
mod ask;
mod batch_metrics;
mod batch_steps;
mod cache_steps;
mod completions;
mod compare;
mod control;
mod doctor;
mod estimate;
mod eval;
mod failure;
mod log_file;
mod logger;
mod machine;
mod plan;
mod progress;
mod report;
mod requests;
mod run;
mod settings;
mod show_config;
mod signals;
mod simulate;
mod table;
mod tokens;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let code = command(cli).unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        if let Some(advice) = advice::advice(&failure) {
            eprintln!("  -> {advice}");
        }
        failure.exit_code()
    });
    log_file::flush();
    code
}

fn command(cli: args::Cli) -> Result<ExitCode, failure::Failure> {
    if let Some(path) = &cli.log_file {
        if let args::Command::Run(args) = &cli.command {
            run::check_apart("--log-file", path, &[&args.input, &args.output])?;
        }
        log_file::open(path, cli.log_level)?;
    }
    match cli.command {
        args::Command::Ask(args) => ask::ask(&args),
        args::Command::Run(args) => run::run(&args),
        args::Command::Eval(args) => eval::eval(*args),
        args::Command::Compare(args) => compare::compare(&args),
        args::Command::Plan(args) => plan::plan(&args),
        args::Command::Estimate(args) => estimate::estimate(&args),
        args::Command::Tokens(args) => tokens::tokens(&args),
        args::Command::Batch(args) => batch_steps::steps(&args),
        args::Command::Report(args) => report::report(&args),
        args::Command::Cache(args) => cache_steps::steps(&args),
        args::Command::Simulate(args) => simulate::simulate(&args),
        args::Command::Doctor(args) => doctor::doctor(&args),
        args::Command::Config(args) => show_config::show(&args),
        args::Command::Completions(args) => completions::completions(&args),
        args::Command::Man => completions::man(),
    }
}
