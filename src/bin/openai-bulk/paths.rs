//! The files of a command: none is written over another one that it reads or writes.

use crate::args::{BatchCommand, Cli, Command, Eval, Run, Sending, Ways, Writing};
use crate::failure::Failure;
use openai_bulk::bulk::journal::same_file;
use openai_bulk::eval::files_beside;
use std::fs;
use std::path::{Path, PathBuf};

/// The files of a command, each with what it is to it.
#[derive(Default)]
struct Paths {
    /// What is read, and outputs, which have checks of their own.
    kept: Vec<(&'static str, PathBuf)>,
    /// What is written whatever it holds.
    written: Vec<(&'static str, PathBuf)>,
}

/// Refuses a file that would be written over another one of the same command.
pub fn check(cli: &Cli) -> Result<(), Failure> {
    let mut paths = Paths::default();
    match &cli.command {
        Command::Run(args) => paths.of_run(args),
        Command::Eval(args) => paths.of_eval(args),
        Command::Batch(steps) => {
            if let BatchCommand::Submit { input, output, .. } = &steps.command {
                paths.keep("the input", [input]);
                paths.keep("the output", [output]);
                paths.write("--store", &steps.store);
            }
        }
        Command::Estimate(args) => {
            paths.keep("the input", [&args.input]);
            paths.keep("the output", &args.output);
        }
        Command::Tokens(args) => paths.keep("the input", [&args.input]),
        Command::Compare(args) => paths.keep("one of the results", [&args.a, &args.b]),
        Command::Report(args) => {
            paths.keep("the output of the run", &args.answers);
            paths.keep("its summary", &args.summary);
            paths.keep("the page", [&args.output]);
        }
        _ => {}
    }
    paths.write("--log-file", &cli.log_file);
    paths.are_apart()
}

impl Paths {
    fn of_run(&mut self, args: &Run) {
        self.keep("the input", [&args.input]);
        self.keep("the output", [&args.output]);
        self.keep("the file of --replay", &args.sending.simulator.replay);
        self.of_kept(&args.ways, &args.sending);
        self.of_writing(&args.writing);
    }

    fn of_eval(&mut self, args: &Eval) {
        self.keep("the data set", [&args.dataset]);
        self.keep("a file beside the output", &files_beside(&args.output));
        self.keep("the file of --replay", &args.sending.simulator.replay);
        self.write("-o", [&args.output]);
        self.write("--inspect", &args.inspect);
        self.of_kept(&args.ways, &args.sending);
        self.of_writing(&args.writing);
    }

    /// Files that are kept between runs. They are checked as such; another file must not be one.
    fn of_kept(&mut self, ways: &Ways, sending: &Sending) {
        self.write("--store", &ways.store);
        self.write("--cache-file", &sending.caching.kept.cache_file);
    }

    fn of_writing(&mut self, writing: &Writing) {
        self.write("--summary", &writing.summary);
        self.write("--metrics-file", &writing.metrics_file);
    }

    fn keep<'a>(&mut self, what: &'static str, paths: impl IntoIterator<Item = &'a PathBuf>) {
        self.kept.extend(paths.into_iter().map(|path| (what, path.clone())));
    }

    fn write<'a>(&mut self, flag: &'static str, paths: impl IntoIterator<Item = &'a PathBuf>) {
        self.written.extend(paths.into_iter().map(|path| (flag, path.clone())));
    }

    fn are_apart(&self) -> Result<(), Failure> {
        for (at, (flag, path)) in self.written.iter().enumerate() {
            let others = self.kept.iter().chain(&self.written[..at]);
            if let Some((what, _)) = others.into_iter().find(|(_, other)| is_same(path, other)) {
                let path = path.display();
                let message = format!("{flag} {path}: that is {what} too; choose another file");
                return Err(Failure::Usage(message));
            }
        }
        Ok(())
    }
}

/// Whether both paths name one file, which need not be there yet.
fn is_same(a: &Path, b: &Path) -> bool {
    // A device or a pipe takes whatever comes.
    let may_be_file = fs::metadata(a).map_or(true, |found| found.is_file());
    same_file(a, b) || (may_be_file && place(a) == place(b))
}

/// A path with its folder as it really is.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
