//! `cargo xtask`: the project's own tasks. Without a task it lists them.
//!
//! Plain Rust without dependencies, so that it builds in a second on a fresh machine.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod bench;
mod context;
mod fuzz;
mod lint;
mod peers;
mod sizes;
mod step;
mod suggest;
mod tasks;
mod test;
mod torture;

use std::process::ExitCode;

use context::Context;
use step::Failure;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Context::of_process().and_then(|context| tasks::dispatch(&context, &arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told(code)) => ExitCode::from(code),
        Err(Failure::Message(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
