//! `openai-bulk compare`.

use crate::args::Compare;
use crate::failure::Failure;
use crate::requests::print;
use openai_bulk::eval;
use std::process::ExitCode;

/// Says whether two evaluations differ.
pub fn compare(args: &Compare) -> Result<ExitCode, Failure> {
    let found = eval::compare(&args.a, &args.b, args.seed)?;
    if args.json {
        return print(&(serde_json::to_string_pretty(&found).expect("it is plain data") + "\n"));
    }
    print(&found.to_string())
}
