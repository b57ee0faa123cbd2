//! A program of a Debian package that is unpacked rather than installed: nothing is started, and nobody need be root.

use std::fs;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::step::{Failure, output};

/// Programs to measure against.
pub(super) struct Unpacked {
    /// The package, and the name of its folder.
    pub(super) package: &'static str,
    /// The packages to unpack, itself among them when it carries files that are needed.
    pub(super) parts: &'static [&'static str],
    /// The program within the folder.
    pub(super) program: &'static str,
    /// What its version begins with: figures against another one would not compare.
    pub(super) version: &'static str,
}

impl Unpacked {
    /// Where the program is, once brought.
    pub(super) fn path(&self, context: &Context) -> PathBuf {
        folder(context).join(self.package).join(self.program)
    }

    /// Makes sure that the program is there.
    pub(super) fn bring(&self, context: &Context) -> Result<(), Failure> {
        if self.path(context).is_file() {
            return Ok(());
        }
        let target = folder(context).join(self.package);
        let part = folder(context).join(format!("{}.part-{}", self.package, std::process::id()));
        let fetched = self.fetch(context, &part).and_then(|()| match fs::rename(&part, &target) {
            Err(error) if !self.path(context).is_file() => {
                Err(format!("{}: {error}", target.display()).into())
            }
            _ => Ok(()),
        });
        // Best effort, as for the wheels.
        let _ = fs::remove_dir_all(&part);
        fetched
    }

    fn fetch(&self, context: &Context, target: &Path) -> Result<(), Failure> {
        fs::create_dir_all(target).map_err(|error| format!("{}: {error}", target.display()))?;
        eprintln!("    fetching the Debian package {}", self.parts.join(", "));
        let download = || {
            let mut command = context.program("apt-get");
            command.current_dir(target).args(["download", "--quiet"]).args(self.parts);
            output(&mut command)
        };
        // Lists that are old, or were never fetched, name packages that are not there.
        if download().is_err() {
            output(context.program("apt-get").args(["update", "--quiet"])).map_err(|_| self.missing())?;
            download()?;
        }
        for archive in archives(target)? {
            self.check(&archive)?;
            output(context.program("dpkg-deb").arg("--extract").arg(&archive).arg(target))?;
        }
        Ok(())
    }

    /// `apt-get` names an archive by package and version, with `%3a` for the colon after an epoch.
    fn check(&self, archive: &Path) -> Result<(), Failure> {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version = name.split('_').nth(1).unwrap_or_default();
        if version.rsplit("%3a").next().is_some_and(|version| version.starts_with(self.version)) {
            return Ok(());
        }
        Err(format!("{name}: the measurements are against version {}", self.version).into())
    }

    fn missing(&self) -> Failure {
        let package = self.package;
        format!(
            "the Debian package {package} cannot be fetched: run `apt-get update` as root, then try again"
        )
        .into()
    }
}

/// Where all of them are, each in a folder of its own.
pub(crate) fn folder(context: &Context) -> PathBuf {
    context.cache.join("debian")
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let paths = read.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|end| end == "deb")).collect())
}

#[cfg(test)]
mod tests {
    use super::super::MEASURED_AGAINST;
    use std::path::Path;

    #[test]
    fn another_version_is_refused_by_its_name() {
        let [webhook, ..] = MEASURED_AGAINST;
        assert!(webhook.check(Path::new("webhook_2.8.0-4+b6_amd64.deb")).is_ok());
        assert!(webhook.check(Path::new("webhook_1%3a2.8.0-4_amd64.deb")).is_ok());
        assert!(webhook.check(Path::new("webhook_3.0.0-1_amd64.deb")).is_err());
    }
}
