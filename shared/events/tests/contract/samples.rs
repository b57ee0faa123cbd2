//! Where the samples lie, and how they are read.

use std::fs;
use std::path::{Path, PathBuf};

/// `events/` at the workspace's root.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events")
}

/// `events/longshore/<subject.predicate>/v<N>/` of a type `dev.longshore.<subject.predicate>.v<N>`.
pub(crate) fn folder_of(kind: &str) -> PathBuf {
    let name = kind.strip_prefix("dev.longshore.").unwrap_or(kind);
    let (name, version) = name.rsplit_once('.').expect("a type ends in its version");
    folder().join("longshore").join(name).join(version)
}

/// The JSON files of a folder but its schema, in order, each with its text.
pub(crate) fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
    let listing = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json") && !path.ends_with("schema.json"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}
