//! What the tests on the built program have in common.

#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod disk;
pub(crate) mod http;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_cli::api::Ready;

/// `longshore` in a folder, with no settings of whoever runs the test.
pub(crate) fn longshore(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    command.args(words).current_dir(folder);
    for name in ["LONGSHORE_DATA", "LONGSHORE_HOST", "LONGSHORE_TOKEN", "LONGSHORE_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Starts a host by a command that prints JSON, and waits until it is ready. Its log goes to a file.
pub(crate) fn up(mut command: Command, log: &Path) -> (Child, Ready) {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let log = || std::fs::read_to_string(log).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {}", log()));
    (child, ready)
}
