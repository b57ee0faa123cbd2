//! `longshore completions`

use std::io;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};

/// Prints the completions of a shell, to be sourced by it.
pub(super) fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "longshore", &mut script);
    io::Write::write_all(&mut io::stdout(), &script)?;
    Ok(())
}
