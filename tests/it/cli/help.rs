//! What the program says of itself.

use crate::program::Folder;
use std::process::{Command, Stdio};

const COMMANDS: [&str; 14] = [
    "run",
    "ask",
    "eval",
    "compare",
    "plan",
    "estimate",
    "tokens",
    "batch",
    "cache",
    "report",
    "simulate",
    "doctor",
    "config",
    "completions",
];

#[test]
fn the_long_help_has_examples_and_the_short_one_says_so() {
    let folder = Folder::new();
    for command in COMMANDS {
        let long = folder.program().args([command, "--help"]).run().ended(0).stdout;
        assert!(long.contains("Examples:\n"), "{command}: {long}");
        let short = folder.program().args([command, "-h"]).run().ended(0).stdout;
        assert!(short.contains("Examples: --help"), "{command}: {short}");
        assert!(short.lines().count() < long.lines().count(), "{command}");
    }
    let first = folder.program().args(["-h"]).run().ended(0).stdout;
    assert!(first.contains("--simulate") && !first.contains("Exit codes"), "{first}");
}

#[test]
fn every_command_is_in_the_completions_of_every_shell_and_in_the_manual() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = folder.program().args(["completions", shell]).run().ended(0).stdout;
        assert!(COMMANDS.iter().all(|command| text.contains(command)), "{shell}");
        assert!(text.contains("max-cost"), "{shell}: flags too");
    }
    let man = folder.program().args(["man"]).run().ended(0).stdout;
    assert!(man.contains(".TH openai-bulk 1") && man.contains("max\\-cost"), "{man}");
    assert!(COMMANDS.iter().all(|command| man.contains(command)));
    folder.program().args(["completions", "tcsh"]).run().ended(2).said(&["bash", "zsh"]);
}

#[cfg(unix)]
#[test]
fn a_shell_takes_its_completions() {
    let folder = Folder::new();
    let text = folder.program().args(["completions", "bash"]).run().ended(0).stdout;
    folder.write("c.bash", text);
    let check = "source ./c.bash && complete -p openai-bulk";
    let mut bash = Command::new("bash");
    bash.args(["-c", check]).current_dir(folder.path("")).stdout(Stdio::null());
    let Ok(status) = bash.status() else {
        eprintln!("skipped: there is no bash");
        return;
    };
    assert!(status.success());
}

#[test]
fn the_help_of_one_question_speaks_of_no_output_file() {
    let help = Folder::new().program().args(["ask", "--help"]).run().ended(0).stdout;
    assert!(help.contains("--max-cost") && !help.contains("OUTPUT"), "{help}");
}
