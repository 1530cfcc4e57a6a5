//! What was typed for `completions`.

use super::shared::MORE;
use clap::Args;
use clap_complete::Shell;

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  bash
    openai-bulk completions bash \\
      > ~/.local/share/bash-completion/completions/openai-bulk
  zsh, with ~/.zfunc in fpath
    openai-bulk completions zsh > ~/.zfunc/_openai-bulk
  fish
    openai-bulk completions fish > ~/.config/fish/completions/openai-bulk.fish
  PowerShell
    openai-bulk completions powershell >> $PROFILE";

/// What completions need.
#[derive(Debug, Args)]
#[command(after_help = MORE, after_long_help = COMPLETIONS_EXAMPLES)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
