//! `openai-bulk completions` and `openai-bulk man`: what the arguments say, in other forms.

use crate::args::{Cli, Completions};
use crate::failure::Failure;
use crate::requests::print;
use clap::CommandFactory;
use std::process::ExitCode;

/// Writes the completions for a shell.
pub fn completions(args: &Completions) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "openai-bulk", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Writes the manual page: the program's, then that of each command.
pub fn man() -> Result<ExitCode, Failure> {
    let mut program = Cli::command();
    program.build();
    let mut text = Vec::new();
    let failed = |e| Failure::Other(format!("the manual page cannot be written: {e}"));
    clap_mangen::Man::new(program.clone()).render(&mut text).map_err(failed)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let man = clap_mangen::Man::new(command.clone());
        man.render_name_section(&mut text).map_err(failed)?;
        man.render_synopsis_section(&mut text).map_err(failed)?;
        man.render_options_section(&mut text).map_err(failed)?;
        man.render_extra_section(&mut text).map_err(failed)?;
    }
    print(&String::from_utf8_lossy(&text))
}
