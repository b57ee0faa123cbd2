//! A program of ours that only Go can build: what it does, a Go library alone can do.
//!
//! It is the same on every machine: its Go and its flags are named here, and the versions of all that it needs in its module.

use std::fs;
use std::path::{Path, PathBuf};

use super::go;
use crate::context::Context;
use crate::step::{Failure, output};

/// Any Go that is new enough brings this one.
const TOOLCHAIN: &str = "go1.26.8";

/// A module of the tree, whose folder is one program.
pub(super) struct Own {
    pub(super) program: &'static str,
    /// Its folder, from the workspace's root.
    pub(super) module: &'static str,
    /// What the linker writes into it: variables of packages, and their values.
    pub(super) variables: &'static [(&'static str, &'static str)],
}

impl Own {
    /// Where the program is, once brought. Whatever changes it, changes its place.
    pub(super) fn path(&self, context: &Context) -> PathBuf {
        let mut hash = Hash::default();
        hash.part(TOOLCHAIN.as_bytes());
        hash.part(self.flags().as_bytes());
        for file in self.files(context) {
            hash.part(file.file_name().unwrap_or_default().as_encoded_bytes());
            hash.part(&fs::read(&file).unwrap_or_default());
        }
        go::place(context, self.program, &format!("{:016x}", hash.0))
    }

    /// Makes sure that the program is there.
    pub(super) fn bring(&self, context: &Context) -> Result<(), Failure> {
        let path = self.path(context);
        if path.is_file() {
            return Ok(());
        }
        let go = go::go(context)?;
        eprintln!("    building {}, once for as long as it stays as it is", self.module);
        let built = path.with_extension(format!("part-{}", std::process::id()));
        let mut build = context.program(go);
        build.current_dir(context.root.join(self.module));
        build.env("CGO_ENABLED", "0").env("GOFLAGS", "").env("GOTOOLCHAIN", TOOLCHAIN);
        build.args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &self.flags(), "-o"]);
        output(build.arg(&built).arg("."))?;
        go::whole(&built, &path)
    }

    /// The linker's flags. Nobody looks at these programs with a debugger.
    fn flags(&self) -> String {
        let variables = self.variables.iter().map(|(name, value)| format!(" -X {name}={value}"));
        format!("-s -w{}", variables.collect::<String>())
    }

    /// What it is built of.
    fn files(&self, context: &Context) -> Vec<PathBuf> {
        let of_go = |path: &Path| {
            path.extension().is_some_and(|end| ["go", "mod", "sum"].iter().any(|one| end == *one))
        };
        let read = fs::read_dir(context.root.join(self.module)).into_iter().flatten();
        let mut files: Vec<_> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| of_go(path));
        files.sort();
        files
    }
}

/// FNV-1a with 64 bits: it tells sources apart, and nothing hangs on who could make two that are alike.
///
/// Source: Fowler, Noll, Vo; RFC 9923.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// One part; where it ends counts, too.
    fn part(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
        self.bytes(&bytes.len().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::Hash;

    #[test]
    fn the_hash_is_the_one_of_its_name() {
        let of = |text: &str| {
            let mut hash = Hash::default();
            hash.bytes(text.as_bytes());
            hash.0
        };
        // From the specification's test vectors.
        assert_eq!(of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of("foobar"), 0x8594_4171_f739_67e8);
    }
}
