//! The data folder: who holds it, its token, and where it listened last.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use longshore_ports::{Secret, Secrets as _};

use crate::api::{HOST_FILE, Ready, TOKEN_FILE};

/// What a backup is unpacked into: while this is there, not everything is in its place.
pub(super) const RESTORING: &str = ".restoring";

/// The data folder, held by this host as long as this lives.
pub(super) struct DataFolder {
    /// Its absolute path.
    pub(super) path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Takes the folder, or says who holds it.
    pub(super) fn take(path: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot make the data folder {}", path.display()))?;
        let path = path.canonicalize()?;
        // The project's own repository does not want it.
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n")?;
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) if path.join(RESTORING).exists() => bail!(
                "a restore into the data folder {} broke off; empty it, then run `longshore restore` again",
                path.display()
            ),
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(held(&path)),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the data folder"),
        }
    }

    /// A file or folder in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where the last host on this folder listened.
    pub(super) fn last(&self) -> Option<Ready> {
        serde_json::from_slice(&std::fs::read(self.join(HOST_FILE)).ok()?).ok()
    }

    /// Says that this host is ready.
    pub(super) fn announce(&self, ready: &Ready) -> Result<()> {
        write_private(&self.join(HOST_FILE), &serde_json::to_vec_pretty(ready)?)
    }

    /// The token, made once.
    pub(super) async fn token(&self) -> Result<Secret> {
        let secrets = longshore_local::FileSecrets::open(&self.join("secrets"), [])?;
        let token = match secrets.get("token").await {
            Ok(values) => values.into_iter().next().context("the token's file is empty")?,
            Err(_) => secrets.ensure("token")?,
        };
        write_private(&self.join(TOKEN_FILE), token.expose())?;
        Ok(token)
    }
}

fn held(path: &Path) -> String {
    let last =
        std::fs::read(path.join(HOST_FILE)).ok().and_then(|text| serde_json::from_slice::<Ready>(&text).ok());
    let who =
        last.map(|ready| format!(": process {} listens on {}", ready.pid, ready.listen)).unwrap_or_default();
    format!("another host holds the data folder {}{who}; stop it with `longshore down`", path.display())
}

/// Writes a file that only its owner reads, whole or not at all.
pub(super) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&new, path).with_context(|| format!("cannot write {}", path.display()))
}

/// A socket on `wanted`; where it asks for any free port, on the one of `last` if that is still free: Git remotes and
/// bookmarks go on working.
pub(super) async fn listen(wanted: SocketAddr, last: Option<SocketAddr>) -> Result<tokio::net::TcpListener> {
    if wanted.port() == 0
        && let Some(last) = last.filter(|last| last.ip() == wanted.ip())
        && let Ok(listener) = tokio::net::TcpListener::bind(last).await
    {
        return Ok(listener);
    }
    tokio::net::TcpListener::bind(wanted).await.with_context(|| {
        format!("cannot listen on {wanted}; choose another address with `--listen` or in [host]")
    })
}

/// `n` random bytes as hexadecimal digits: names a life of the host.
pub(super) fn random_name(n: usize) -> Result<String> {
    use std::fmt::Write as _;
    let mut bytes = vec![0; n];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
