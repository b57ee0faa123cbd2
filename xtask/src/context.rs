//! What the tasks know of the process: the workspace's root, the cargo to call, the cache for the peers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::Failure;

/// Read once; nothing else looks at the environment.
pub(crate) struct Context {
    /// The workspace's root.
    pub(crate) root: PathBuf,
    /// Where peers are kept between runs.
    pub(crate) cache: PathBuf,
    cargo: OsString,
    /// Where programs are looked for.
    path: OsString,
    /// Variables that `cargo run` set for this program alone.
    inherited: Vec<OsString>,
}

impl Context {
    #[expect(clippy::disallowed_methods, reason = "the entry point's one look at the environment")]
    pub(crate) fn of_process() -> Result<Self, Failure> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let absolute = |path: &PathBuf| path.is_absolute();
        let cache = set("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(absolute)
            .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .ok_or("neither XDG_CACHE_HOME nor HOME is set: say where the peers may be kept")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
        let inherited = std::env::vars_os().map(|(name, _)| name).filter(is_of_cargo_run).collect();
        let cargo = set("CARGO").unwrap_or_else(|| "cargo".into());
        let path = set("PATH").unwrap_or_default();
        Ok(Self { root, cache: cache.join("longshore/peers"), cargo, path, inherited })
    }

    /// Cargo, at the workspace's root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.program(&self.cargo);
        command.args(arguments);
        command
    }

    /// The search path, with these folders first.
    pub(crate) fn path_from(&self, folders: Vec<PathBuf>) -> Result<OsString, Failure> {
        let all = folders.into_iter().chain(std::env::split_paths(&self.path));
        std::env::join_paths(all).map_err(|error| format!("PATH: {error}").into())
    }

    /// Any program, at the workspace's root, in the environment that the person has.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for name in &self.inherited {
            command.env_remove(name);
        }
        command
    }
}

/// Build scripts (ring's is one) watch these: left in, each change between `cargo build` and `cargo xtask` would
/// build them again.
fn is_of_cargo_run(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let starts = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];
    starts.iter().any(|start| name.starts_with(start))
        || ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&&*name)
}
