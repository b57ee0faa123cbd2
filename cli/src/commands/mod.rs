//! The operator's commands: each asks the running host over HTTP, and prints what it says.

mod check;
mod client;
mod completions;
mod down;
mod events;
mod find;
mod init;
mod logs;
mod print;
mod requests;
mod status;
pub(crate) mod style;
mod timeline;
mod up;

use std::future::Future;
use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::args::{Cli, Command, EventsCommand, Global};
use crate::demo;
pub(crate) use client::Client;
pub(crate) use find::{ready, token};
pub(crate) use print::{line, note, short, span};
pub(crate) use style::paint;
pub(crate) use timeline::tree;

/// Reads the command line, does what it says, and answers the exit status: 0 when all is well, 1 when it is not, 2
/// when the command line is wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The one TLS library of the tree; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli.command, &cli.global) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            print::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, global: &Global) -> Result<ExitCode> {
    match command {
        Command::Check(args) => return check::run(&args, global.output),
        Command::Demo(args) => return wait(demo::run(&args, global.output))?,
        Command::Init(args) => init::run(&args)?,
        Command::Completions(args) => completions::run(&args)?,
        Command::Up(args) => return up::up(args, global),
        Command::Runner(args) => return up::runner(args),
        Command::Hook(hook) => return up::hook(hook, global),
        command => wait(ask(command, global))??,
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands that ask a host.
async fn ask(command: Command, global: &Global) -> Result<()> {
    if let Command::Events(EventsCommand::Schema { kind }) = &command {
        return events::schema(kind.as_deref(), global.output);
    }
    let client = find::client(global)?;
    match command {
        Command::Status => status::run(&client, global.output).await,
        Command::Timeline(args) => timeline::run(&client, args, global.output).await,
        Command::Logs(args) => logs::run(&client, &args).await,
        Command::Events(command) => events::run(&client, command, global.output).await,
        Command::Rollback(args) => requests::roll_back(&client, args, global.output).await,
        Command::Stop(args) => requests::stop(&client, args, global.output).await,
        Command::Resume(args) => requests::resume(&client, args, global.output).await,
        Command::Down(args) => down::run(&client, &args, global.output).await,
        _ => Ok(()),
    }
}

/// Runs `future` on this thread.
fn wait<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("cannot start the event loop")?.block_on(future))
}

/// Whether the reader of our output went away, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(closed)
}
