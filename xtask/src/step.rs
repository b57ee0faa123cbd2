//! One step of a task: a command with a name and a time.

use std::process::{Command, ExitStatus};
use std::time::Instant;

/// Why a task ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be shown as an error.
    Message(String),
    /// The command has said it already; its exit code is ours.
    Told(u8),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

/// Does `work` under a heading, and prints how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    eprintln!("==> {name}");
    let start = Instant::now();
    let result = work();
    let end = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("    {name}: {end} in {:.1} s", start.elapsed().as_secs_f64());
    result
}

/// Runs a command that must succeed, as a step.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<(), Failure> {
    step(name, || {
        let status = status(command)?;
        if status.success() { Ok(()) } else { Err(format!("{name}: {} {status}", shown(command)).into()) }
    })
}

/// Runs the last command of a task: its last lines are the task's, and so is its exit code.
pub(crate) fn run_last(name: &str, command: &mut Command) -> Result<(), Failure> {
    eprintln!("==> {name}");
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::Told(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// What a command writes to its standard output; it must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} {}\n{}", shown(command), output.status, said.trim_end()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn status(command: &mut Command) -> Result<ExitStatus, Failure> {
    command.status().map_err(|error| format!("cannot run {}: {error}", shown(command)).into())
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
