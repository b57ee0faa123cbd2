//! What an image's file system looks like so far: just enough to know where a copy goes.

use std::{
    collections::BTreeMap,
    fs::File,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use super::{PackError, StoredLayer};
use crate::layer::{Kind, LayerError, Limits, decoder, for_each};

/// As many links as Linux follows.
const HOPS: u32 = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Folder,
    File,
    Link(PathBuf),
}

/// Paths are relative to the image's root.
#[derive(Debug, Default)]
pub(super) struct Tree {
    places: BTreeMap<PathBuf, Place>,
}

impl Tree {
    /// Reads the names in a base image's layers.
    pub(super) fn of(layers: &[StoredLayer]) -> Result<Self, PackError> {
        let mut tree = Self::default();
        for layer in layers {
            let path = &layer.path;
            let file = File::open(path).map_err(LayerError::io(format!("open {}", path.display())))?;
            for_each(decoder(&layer.descriptor.media_type, file)?, |entry, _| {
                tree.apply(&entry.path, &entry.kind);
                let limit = Limits::default().entries;
                if tree.places.len() as u64 > limit { Err(LayerError::TooMany { limit }) } else { Ok(()) }
            })?;
        }
        Ok(tree)
    }

    fn apply(&mut self, path: &Path, kind: &Kind) {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return };
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            let hidden = match hidden {
                b".wh..opq" => parent.to_path_buf(),
                name => parent.join(std::ffi::OsStr::from_bytes(name)),
            };
            // An opaque folder itself stays: only what was below it goes.
            self.places.retain(|place, _| !place.starts_with(&hidden) || place == parent);
            return;
        }
        self.add(
            path,
            match kind {
                Kind::Folder => Place::Folder,
                Kind::Link { target } => Place::Link(target.clone()),
                Kind::File { .. } | Kind::HardLink { .. } | Kind::Other(_) => Place::File,
            },
        );
    }

    /// Notes what lies at `path`, and the folders above it.
    pub(super) fn add(&mut self, path: &Path, place: Place) {
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            self.places.entry(parent.to_path_buf()).or_insert(Place::Folder);
        }
        if !path.as_os_str().is_empty() {
            self.places.insert(path.to_path_buf(), place);
        }
    }

    /// What lies at `path`, itself no link's target.
    pub(super) fn at(&self, path: &Path) -> Option<&Place> {
        if path.as_os_str().is_empty() { Some(&Place::Folder) } else { self.places.get(path) }
    }

    /// `path` (absolute, or relative to the root) with its links followed, `..` stopping at the root; relative to
    /// the root. `None` when links go in circles.
    pub(super) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut pending: Vec<PathBuf> = path.components().rev().map(part).collect();
        let mut resolved = PathBuf::new();
        let mut hops = 0;
        while let Some(next) = pending.pop() {
            match next.components().next() {
                Some(Component::RootDir) => resolved = PathBuf::new(),
                Some(Component::ParentDir) => drop(resolved.pop()),
                Some(Component::Normal(name)) => {
                    resolved.push(name);
                    if let Some(Place::Link(target)) = self.places.get(&resolved) {
                        hops += 1;
                        if hops > HOPS {
                            return None;
                        }
                        resolved.pop();
                        pending.extend(target.components().rev().map(part));
                    }
                }
                _ => {}
            }
        }
        Some(resolved)
    }
}

fn part(component: Component<'_>) -> PathBuf {
    component.as_os_str().into()
}
