//! Clean checkouts: a commit's files in a folder, and nothing else.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use longshore_events::{CommitId, RepositoryName};
use longshore_ports::PortError;

use crate::command::{GitError, LOCAL, line, run};
use crate::repository::GitCommand;

impl GitCommand {
    /// Makes `folder` a clean checkout of a commit; what was in it is gone. No hooks, filters or submodules; symbolic
    /// links stay links. Answers the commit's time, in seconds since the epoch.
    ///
    /// # Errors
    /// When the commit is not known, or the disk says no.
    pub async fn checkout(
        &self,
        repo: &RepositoryName,
        commit: &CommitId,
        folder: &Path,
    ) -> Result<u64, PortError> {
        let operation = format!("check out {} of {repo}", commit.short());
        let path = self.with_commits(repo, &[commit]).await?;
        let folder = std::path::absolute(folder).map_err(|error| PortError::invalid(&operation, error))?;
        let emptied = folder.clone();
        let emptied = tokio::task::spawn_blocking(move || empty(&emptied)).await;
        emptied
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| PortError::unavailable(&operation, error))?;
        self.fill(&path, commit, &folder).await.map_err(|error| error.port(&operation))
    }

    async fn fill(&self, path: &Path, commit: &CommitId, folder: &Path) -> Result<u64, GitError> {
        let index = beside(folder, ".index");
        let _ = tokio::fs::remove_file(&index).await;
        let mut read = self.git(path, ["read-tree", "--end-of-options", commit.as_str()]);
        read.env("GIT_INDEX_FILE", &index);
        run(read, "read-tree", LOCAL).await?;
        let mut write = self.git(path, ["--work-tree"]);
        write.arg(folder).args(["checkout-index", "--all", "--force"]);
        write.current_dir(folder).env("GIT_INDEX_FILE", &index);
        let written = run(write, "checkout-index", LOCAL).await;
        let _ = tokio::fs::remove_file(&index).await;
        written?;
        let show = ["show", "--no-patch", "--format=%ct", "--end-of-options", commit.as_str()];
        let time = line(self.git(path, show), "show").await?;
        // A time before 1970 is none that an archive can hold.
        Ok(time.parse().unwrap_or(0))
    }
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(folder);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes `folder` an empty folder, whatever it was.
fn empty(folder: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(kind) if !kind.is_dir() => std::fs::remove_file(folder),
        Ok(_) => std::fs::remove_dir_all(folder).or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => {
                make_writable(folder)?;
                std::fs::remove_dir_all(folder)
            }
            _ => Err(error),
        }),
    };
    removed.and_then(|()| std::fs::create_dir_all(folder))
}

/// A build may leave folders that even their owner may not write: Go's module cache does.
fn make_writable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folders_that_may_not_be_written_are_emptied_too() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("work");
        let locked = folder.join("a/b");
        std::fs::create_dir_all(&locked).unwrap();
        std::fs::write(locked.join("file"), "x").unwrap();
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
        make_writable(&folder).unwrap();
        assert_eq!(std::fs::metadata(&locked).unwrap().permissions().mode() & 0o700, 0o700);
        empty(&folder).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_folders_place_is_not_followed() {
        let outer = tempfile::tempdir().unwrap();
        let (kept, folder) = (outer.path().join("kept"), outer.path().join("work"));
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, &folder).unwrap();
        empty(&folder).unwrap();
        assert!(kept.join("file").exists() && folder.symlink_metadata().unwrap().is_dir());
    }
}
