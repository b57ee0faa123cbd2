//! The group of processes that bounds what a cluster's pods may use: one folder in each tree of control groups.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Linux shows them.
const MOUNTED: &str = "/sys/fs/cgroup";

/// A group of our own; it is removed when it is let go.
pub(super) struct Cgroup {
    name: String,
}

impl Cgroup {
    /// Makes it. What a cluster of this name left behind that was killed goes first.
    pub(super) fn make(name: String) -> Self {
        let group = Self { name };
        group.remove();
        for folder in group.folders() {
            fs::create_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            inherit(&folder);
        }
        group
    }

    /// As kubelet is told it.
    pub(super) fn path(&self) -> String {
        format!("/{}", self.name)
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        trees().into_iter().map(|tree| tree.join(&self.name))
    }

    fn remove(&self) {
        self.folders().for_each(|folder| remove(&folder));
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        self.remove();
    }
}

/// What keeps us from making groups, if anything does.
pub(super) fn lacks() -> Option<String> {
    let trees = trees();
    let Some(first) = trees.first() else {
        return Some(format!("no control groups are mounted at {MOUNTED}"));
    };
    let probe = first.join(format!("longshore-probe-{}", std::process::id()));
    let made = fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe));
    made.err().map(|error| format!("no control groups may be made: {}: {error}", probe.display()))
}

/// The one tree of version 2, or those of version 1, one for each controller.
fn trees() -> Vec<PathBuf> {
    let mounted = Path::new(MOUNTED);
    if mounted.join("cgroup.controllers").is_file() {
        return vec![mounted.to_owned()];
    }
    let read = mounted.read_dir().into_iter().flatten();
    let all = read.filter_map(|entry| Some(entry.ok()?.path()));
    // Links are other names of the same trees.
    all.filter(|path| !path.is_symlink() && path.join("cgroup.procs").is_file()).collect()
}

/// In version 1 a new group has no processors and no memory nodes until it is told which.
fn inherit(folder: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let above = folder.with_file_name(file);
        if folder.join("cpuset.cpu_exclusive").is_file() && above.is_file() {
            fs::write(folder.join(file), fs::read(above).unwrap()).unwrap();
        }
    }
}

/// Removes a group with those below it. Groups that have processes stay.
fn remove(folder: &Path) {
    let below = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    below.filter(|path| path.is_dir()).for_each(|path| remove(&path));
    let _ = fs::remove_dir(folder);
}
