//! Repositories that the host keeps: made at once or not at all, with the host's own hook.

use std::io;
use std::path::Path;

use longshore_events::{RefName, RepositoryName};

use crate::command::{GitError, LOCAL, run};
use crate::repository::GitCommand;

impl GitCommand {
    /// Makes a bare repository, if it is not there; lets its `HEAD` name `branch`, and writes its `post-receive` hook
    /// anew. Safe to repeat after it was cut off.
    ///
    /// # Errors
    /// When git or the disk says no.
    pub async fn init_bare(
        &self,
        repo: &RepositoryName,
        branch: &RefName,
        hook: &str,
    ) -> Result<(), GitError> {
        let path = self.path(repo);
        if !path.exists() {
            self.init(&path, branch).await?;
        }
        let head = format!("ref: {branch}\n");
        if tokio::fs::read_to_string(path.join("HEAD")).await.map_err(GitError::Start)? != head {
            replace(&path.join("HEAD"), &head, 0o644).await.map_err(GitError::Start)?;
        }
        tokio::fs::create_dir_all(path.join("hooks")).await.map_err(GitError::Start)?;
        replace(&path.join("hooks/post-receive"), hook, 0o755).await.map_err(GitError::Start)
    }

    /// Makes it under another name first: a half-made repository is never taken for one.
    pub(crate) async fn init(&self, path: &Path, branch: &RefName) -> Result<(), GitError> {
        let new = path.with_extension("new");
        match tokio::fs::remove_dir_all(&new).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(GitError::Start(error)),
            _ => {}
        }
        tokio::fs::create_dir_all(&new).await.map_err(GitError::Start)?;
        let branch = format!("--initial-branch={}", branch.short());
        run(self.git(&new, ["init", "--quiet", "--bare", "--template=", &branch]), "init", LOCAL).await?;
        tokio::fs::rename(&new, path).await.map_err(GitError::Start)
    }
}

async fn replace(file: &Path, content: &str, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let new = file.with_extension("new");
    tokio::fs::write(&new, content).await?;
    tokio::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode)).await?;
    tokio::fs::rename(&new, file).await
}
