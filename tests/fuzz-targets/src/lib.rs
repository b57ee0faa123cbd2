//! What is done with the bytes of strangers while they are fuzzed, and what must hold then.
//!
//! `cargo xtask fuzz` runs each target of [`TARGETS`] under libFuzzer (`tests/fuzz`, a workspace of its own); the tests
//! of this package run the same functions over their seeds, which are made of the samples that lie in the tree, and
//! over what was once found (`tests/fuzz/regressions/<target>/`). A target fails by panicking.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

mod cloudevents;
mod configuration;
mod dockerfile;
/// The world in which `intake`'s own tests run: all sources, their secrets, a journal in memory.
#[path = "../../../functions/intake/tests/support/mod.rs"]
mod intake;
mod layer;
mod manifest;
mod ready;
mod webhook;

/// Bytes that a fuzzer begins with, and a name for them.
pub type Seed = (String, Vec<u8>);

/// One kind of what strangers send.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its file in `tests/fuzz/targets`.
    pub name: &'static str,
    /// Takes one input, whatever it is; panics when something does not hold.
    pub run: fn(&[u8]),
    /// What a fuzzer begins with.
    pub seeds: fn() -> Vec<Seed>,
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target { name: "webhook", run: webhook::run, seeds: webhook::seeds },
    Target { name: "cloudevents", run: cloudevents::run, seeds: cloudevents::seeds },
    Target { name: "manifest", run: manifest::run, seeds: manifest::seeds },
    Target { name: "layer", run: layer::run, seeds: layer::seeds },
    Target { name: "dockerfile", run: dockerfile::run, seeds: dockerfile::seeds },
    Target { name: "configuration", run: configuration::run, seeds: configuration::seeds },
];

/// Runs the target of that name.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of `TARGETS`").run)(input);
}

/// Inputs that once broke `target`, in the order of their names.
pub fn regressions(target: &str) -> Vec<Seed> {
    let folder = root().join("tests/fuzz/regressions").join(target);
    if folder.is_dir() { files(&folder) } else { Vec::new() }
}

/// The workspace's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<Seed> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        listed.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}
