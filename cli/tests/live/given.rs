//! What a storm is given: its size by the environment, and the program of its services.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The number that a variable says, or this one.
#[expect(clippy::disallowed_methods, reason = "a test is an entry point: it may read the environment")]
pub(crate) fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|error| panic!("{variable} is {text:?}: {error}"))
    })
}

/// Compiles the service: static, since its image has nothing else in it.
pub(crate) fn compile_service(folder: &Path) -> PathBuf {
    let program = folder.join("service");
    let options = ["--edition=2024", "--crate-name=service", "-Ctarget-feature=+crt-static"];
    let mut rustc = Command::new("rustc");
    rustc.args(options).args(["-Cstrip=symbols", "-o"]).arg(&program).arg("-").stdin(Stdio::piped());
    let mut compiles = rustc.spawn().unwrap();
    compiles.stdin.take().unwrap().write_all(include_bytes!("service.rs")).unwrap();
    assert!(compiles.wait().unwrap().success(), "the service does not compile");
    program
}
