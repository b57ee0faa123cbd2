//! `cargo xtask test`: everything that must hold, in one command.

use crate::context::Context;
use crate::step::{Failure, run, run_last};
use crate::{lint, peers};

/// Brings the peers, lints, and runs all tests; the test runner has the last word.
pub(crate) fn all(context: &Context, _: &[String]) -> Result<(), Failure> {
    let tools = peers::bring_all(context)?;
    lint::with_tools(context, &tools)?;
    // One build for all that follows: with the tests' dev-dependencies, and with the programs that they start.
    run("build", &mut context.cargo(["build", "--workspace", "--bins", "--tests", "--all-features"]))?;
    run("doctests", &mut context.cargo(["test", "--workspace", "--all-features", "--doc", "--quiet"]))?;
    let path = context.path_from(peers::folders(context))?;
    let Some(nextest) = tools.nextest else {
        eprintln!(
            "note: cargo-nextest cannot be brought without pip; plain `cargo test` runs the same tests"
        );
        let cargo = ["test", "--workspace", "--all-features", "--bins", "--lib", "--tests", "--no-fail-fast"];
        return run_last("tests", context.cargo(cargo).env("PATH", path));
    };
    let arguments = ["nextest", "run", "--workspace", "--all-features"];
    run_last("tests", context.program(nextest).args(arguments).env("PATH", path))
}
