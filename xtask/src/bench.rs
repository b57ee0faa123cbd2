//! `cargo xtask bench`: brings the peers, builds what is measured in release, and runs the measurements.

use crate::context::Context;
use crate::peers;
use crate::step::{Failure, run, run_last};

const DOCUMENT: &str = "docs/performance.md";

/// Each package is built by itself: together, cargo would build them with the union of their features, and the
/// simulator's mutants would be in the program that is measured.
const BUILT: &[&[&str]] = &[
    &["--package", "longshore-cli", "--bin", "longshore"],
    &["--package", "longshore-tests", "--bin", "sim"],
    &["--package", "longshore-bench"],
];

/// Runs the measurements that `arguments` name, or all.
pub(crate) fn task(context: &Context, arguments: &[String]) -> Result<(), Failure> {
    let peers = peers::bring_measured_against(context)?;
    for package in BUILT {
        let build = ["build", "--release", "--quiet"].iter().chain(*package);
        run(&format!("build {}", package[1]), &mut context.cargo(build.copied()))?;
    }
    let cargo = ["run", "--release", "--quiet", "--package", "longshore-bench", "--"];
    let mut command = context.cargo(cargo);
    command.arg("--peers").arg(peers).arg("--document").arg(context.root.join(DOCUMENT));
    run_last("bench", command.args(arguments))
}
