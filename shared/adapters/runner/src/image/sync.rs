//! Making what was unpacked durable.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// With more files than this it is quicker to sync the whole file system than each of them.
const MANY: usize = 256;

/// Writes all files below a folder, and the folders, to the disk.
pub(super) fn tree(root: &Path) -> io::Result<()> {
    let mut found = vec![root.to_owned()];
    let mut looked = 0;
    while looked < found.len() && found.len() <= MANY {
        if fs::symlink_metadata(&found[looked])?.is_dir() {
            let inside: io::Result<Vec<PathBuf>> =
                fs::read_dir(&found[looked])?.map(|entry| entry.map(|entry| entry.path())).collect();
            found.extend(inside?);
        }
        looked += 1;
    }
    if found.len() > MANY {
        return rustix::fs::syncfs(File::open(root)?).map_err(Into::into);
    }
    found.iter().rev().try_for_each(|path| one(path))
}

/// A link, a pipe or a socket has nothing of its own to be written: it lies in its folder.
fn one(path: &Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(path)?;
    if !kind.is_file() && !kind.is_dir() {
        return Ok(());
    }
    match File::open(path) {
        Ok(file) => file.sync_all(),
        // An image may hold what only its owner may read, and we may not be that.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            rustix::fs::syncfs(File::open(path.parent().unwrap_or(path))?).map_err(Into::into)
        }
        Err(error) => Err(error),
    }
}

/// Gives a folder its name, durably.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    File::open(to.parent().unwrap_or(to))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn few_files_many_files_and_what_is_no_file_are_synced() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a.tmp");
        fs::create_dir_all(root.join("deep/deeper")).unwrap();
        symlink("/nowhere", root.join("link")).unwrap();
        for number in [1, MANY + 1] {
            (0..number).for_each(|n| fs::write(root.join(format!("deep/{n}")), "x").unwrap());
            tree(&root).unwrap();
        }
        rename(&root, &folder.path().join("a")).unwrap();
        assert!(folder.path().join("a/deep/0").exists() && !root.exists());
    }
}
