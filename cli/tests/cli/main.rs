//! The command line as people and scripts meet it, on the built binary.

#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod check;
mod errors;
mod help;
mod init;
mod load;

use std::path::Path;
use std::process::{Command, Stdio};

/// What a run of `longshore` said.
struct Said {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs `longshore` in `folder`.
fn longshore(folder: &Path, args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(args)
        .current_dir(folder)
        .env_remove("LONGSHORE_HOST")
        .env_remove("LONGSHORE_DATA")
        .env_remove("LONGSHORE_TOKEN")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said { status: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}
