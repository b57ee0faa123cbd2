//! Whether this machine can run a cluster.

use std::process::Command;

use super::cgroup;

/// What it lacks, if anything: then tests of clusters are skipped, but never in CI.
#[expect(clippy::disallowed_methods, reason = "tests have no other entry point that reads it")]
pub(super) fn lacks() -> Option<String> {
    let lacks = look()?;
    let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!ci, "no cluster can be started: {lacks}");
    Some(lacks)
}

fn look() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may make namespaces: run the tests as root".to_owned());
    }
    if Command::new("ip").arg("-V").output().is_err() {
        return Some("ip is not there: install iproute2".to_owned());
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private", "true"]);
    match unshare.output() {
        Err(error) => return Some(format!("unshare of util-linux: {error}")),
        Ok(said) if !said.status.success() => {
            return Some(format!("no namespaces: {}", String::from_utf8_lossy(&said.stderr).trim()));
        }
        Ok(_) => {}
    }
    cgroup::lacks()
}
