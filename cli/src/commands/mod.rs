//! The operator's commands: each asks the running host over HTTP, and prints what it says.

mod approve;
mod aws;
mod backup;
mod check;
mod client;
mod completions;
mod dora;
mod down;
mod eks;
mod events;
mod find;
mod findings;
mod init;
mod load;
mod logs;
mod print;
mod replay;
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

use crate::args::{Cli, Command, EksCommand, EventsCommand, Global};
use crate::demo;
pub(crate) use aws::account;
pub(crate) use client::Client;
pub(crate) use dora::failures;
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
    let output = global.output;
    let client = || find::client(global);
    match command {
        Command::Check(args) => return check::run(&args, output),
        Command::Replay(args) => return wait(replay::run(&client()?, &args, output)),
        Command::Load(command) => return wait(load::run(command)),
        Command::Demo(args) => return wait(demo::run(&args, output)),
        Command::Up(args) => up::up(args, global),
        Command::Backup(args) => backup::backup(args, global),
        Command::Restore(args) => backup::restore(args, global),
        Command::Runner(args) => up::runner(args),
        Command::Hook(hook) => up::hook(hook, global),
        Command::Init(args) => init::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Eks(EksCommand::Token { cluster }) => eks::token(&cluster),
        Command::Eks(EksCommand::Kubeconfig { cluster }) => wait(eks::kubeconfig(&cluster)),
        Command::Status => wait(status::run(&client()?, output)),
        Command::Timeline(args) => wait(timeline::run(&client()?, args, output)),
        Command::Dora(args) => wait(dora::run(&client()?, args, output)),
        Command::Findings(args) => wait(findings::run(&client()?, args, output)),
        Command::Logs(args) => wait(logs::run(&client()?, &args)),
        Command::Events(EventsCommand::Schema { kind }) => events::schema(kind.as_deref(), output),
        Command::Events(EventsCommand::List(filter)) => wait(events::list(&client()?, &filter, output)),
        Command::Events(EventsCommand::Tail(filter)) => wait(events::tail(&client()?, &filter, output)),
        Command::Events(EventsCommand::Show { id }) => wait(events::show(&client()?, &id)),
        Command::Events(EventsCommand::Redrive { id }) => wait(events::redrive(&client()?, id, output)),
        Command::Events(EventsCommand::Send { file }) => wait(events::send(&client()?, &file)),
        Command::Rollback(args) => wait(requests::roll_back(&client()?, args, output)),
        Command::Approve(args) => wait(approve::approve(&client()?, args, output)),
        Command::Reject(args) => wait(approve::reject(&client()?, args, output)),
        Command::ReleaseDigest(args) => wait(approve::release(&client()?, args, output)),
        Command::Stop(args) => wait(requests::stop(&client()?, args, output)),
        Command::Resume(args) => wait(requests::resume(&client()?, args, output)),
        Command::Down(args) => wait(down::run(&client()?, &args, output)),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `future` on this thread.
fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the event loop")?.block_on(future)
}

/// Whether the reader of our output went away, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(closed)
}
