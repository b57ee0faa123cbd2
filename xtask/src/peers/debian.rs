//! A program of the system: installed with apt-get when we may, else asked for by name.

use crate::context::Context;
use crate::step::{Failure, output};

/// A program in a Debian package of the same name.
pub(super) struct Package {
    pub(super) program: &'static str,
    /// Major and minor version that the tests need at least; the distribution pins the rest.
    pub(super) least: (u32, u32),
}

/// Copies images into and out of the host's registry, as a stranger to our own client.
const SKOPEO: Package = Package { program: "skopeo", least: (1, 9) };
/// Builds images, and shares its layers through the host's registry.
const BUILDAH: Package = Package { program: "buildah", least: (1, 28) };
/// Builds images, where buildah is not there.
const PODMAN: Package = Package { program: "podman", least: (4, 3) };
/// All that the tests need.
pub(super) const ALL: [Package; 3] = [SKOPEO, BUILDAH, PODMAN];

/// Makes sure that the program is there, and new enough.
pub(super) fn bring(context: &Context, package: &Package) -> Result<(), Failure> {
    if version(context, package).is_none() {
        install(context, package.program)?;
    }
    let found = version(context, package).ok_or_else(|| missing(package.program))?;
    if parse(&found).is_none_or(|version| version < package.least) {
        let (major, minor) = package.least;
        return Err(format!("{found:?} is too old: the tests need {major}.{minor} or later").into());
    }
    Ok(())
}

/// What the program says of its version; `None` when it is not there.
pub(super) fn version(context: &Context, package: &Package) -> Option<String> {
    output(context.program(package.program).arg("--version")).ok().map(|said| said.trim().to_owned())
}

fn install(context: &Context, package: &str) -> Result<(), Failure> {
    let apt = output(context.program("apt-get").arg("--version")).is_ok();
    if !(is_root(context) && apt) {
        return Err(missing(package).into());
    }
    eprintln!("    installing the Debian package {package}");
    let apt_get = || {
        let mut command = context.program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    output(apt_get().args(["update", "--quiet"]))?;
    output(apt_get().args(["install", "--yes", "--quiet", "--no-install-recommends", package])).map(drop)
}

/// Whether we may do everything on this machine.
pub(super) fn is_root(context: &Context) -> bool {
    output(context.program("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn missing(package: &str) -> String {
    format!("{package} is missing: install the package {package} (Debian: sudo apt-get install {package})")
}

/// The first `major.minor` in a text.
fn parse(text: &str) -> Option<(u32, u32)> {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let (major, rest) = version.split_once('.')?;
    Some((number(major)?, number(rest)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        assert_eq!(parse("skopeo version 1.9.3"), Some((1, 9)));
        assert_eq!(parse("skopeo version 1.18.0-dev commit: 3f7"), Some((1, 18)));
        assert_eq!(parse("skopeo"), None);
    }
}
