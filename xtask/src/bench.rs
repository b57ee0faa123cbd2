//! `cargo xtask bench`: brings the peers, builds what is measured in release, and runs the measurements.

use std::path::PathBuf;

use crate::context::Context;
use crate::peers;
use crate::step::{Failure, run, run_last};

const DOCUMENT: &str = "docs/performance.md";

/// What is measured, and last what measures. Each package is built by itself: together, cargo would build them with the
/// union of their features, and the simulator's mutants would be in the program that is measured.
const BUILT: &[&[&str]] = &[
    &["--package", "longshore-cli", "--bin", "longshore"],
    &["--package", "longshore-tests", "--bin", "sim"],
    BENCH,
];
const BENCH: &[&str] = &["--package", "longshore-bench"];

/// The functions for Lambda: packages and binaries. As for what is shipped, each is built by itself, which takes long.
const FUNCTIONS: &[(&str, &str)] = &[
    ("build", "build"),
    ("console", "console"),
    ("deploy", "deploy"),
    ("gate", "gate"),
    ("intake", "intake"),
    ("intake", "refcheck"),
    ("report", "report"),
    ("scan", "scan"),
    ("sweep", "sweep"),
];

/// The measurement that needs them.
const LAMBDA: &str = "lambda";

/// Runs the measurements that `arguments` name, or all.
pub(crate) fn task(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let (peers, k6) = peers::bring_measured_against(context)?;
    let asks_for_help = arguments.iter().any(|word| matches!(word.as_str(), "-h" | "--help"));
    let every = names(arguments).next().is_none() && !asks_for_help;
    let lambda = every || names(arguments).any(|name| name == LAMBDA);
    let others = every || names(arguments).any(|name| name != LAMBDA);
    let mut folders = if lambda { build_functions(context)? } else { Vec::new() };
    folders.push(k6);
    for package in if others { BUILT } else { &[BENCH] } {
        let build = ["build", "--release", "--quiet"].iter().chain(*package);
        run(&format!("build {}", package[1]), &mut context.cargo(build.copied()))?;
    }
    let cargo = ["run", "--release", "--quiet", "--package", "longshore-bench", "--"];
    let mut command = context.cargo(cargo);
    command.env("PATH", context.path_from(folders)?);
    command.arg("--peers").arg(peers).arg("--document").arg(context.root.join(DOCUMENT));
    run_last("bench", command.args(arguments))
}

/// Builds the functions as `sam build` does, and says in which folders the peers are.
fn build_functions(context: &Context) -> Result<Vec<PathBuf>, Failure> {
    let folders = peers::bring_for_lambda(context)?;
    let target = if cfg!(target_arch = "aarch64") { "--arm64" } else { "--x86-64" };
    for (package, binary) in FUNCTIONS {
        let (package, binary) = (format!("longshore-{package}"), format!("longshore-{binary}"));
        let build = ["lambda", "build", "--profile", "dist", target, "--quiet", "--features", "lambda"];
        let which = ["--package", &package, "--bin", &binary];
        let mut command = context.cargo(build.into_iter().chain(which));
        run(&format!("build {binary}"), command.env("PATH", context.path_from(folders.clone())?))?;
    }
    Ok(folders)
}

/// What is to be measured: the words that are no option and no option's value.
fn names(arguments: &[String]) -> impl Iterator<Item = &str> {
    let before = [""].into_iter().chain(arguments.iter().map(String::as_str));
    let pairs = before.zip(arguments.iter().map(String::as_str));
    let names = pairs.filter(|(before, word)| !word.starts_with('-') && !takes_value(before));
    names.map(|(_, word)| word)
}

/// Every option does but those that ask for help.
fn takes_value(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && !matches!(word, "-h" | "--help")
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn names_are_told_from_options_and_their_values() {
        let words = ["push", "--pushes", "20", "--events=5", "lambda", "-o", "json"].map(str::to_owned);
        assert_eq!(names(&words).collect::<Vec<_>>(), ["push", "lambda"]);
        assert_eq!(names(&[]).count(), 0);
    }
}
