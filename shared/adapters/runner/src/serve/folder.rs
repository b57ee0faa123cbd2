//! The runner's data folder: who owns it, and what is kept there for the next runner.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::SocketAddr;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;

use crate::error::{RunnerError, file};
use crate::process::Incarnation;

/// Between two tries for what an earlier runner may hold for a moment.
const APART: Duration = Duration::from_millis(25);
/// How often it is tried for what one may hold that was killed.
const TRIES: u32 = 40;
/// And for the lock of one that is on its way out: it waits for open requests before.
const TRIES_OF_ENDING: u32 = 400;
/// What a runner on its way out writes into the lock file behind its pid.
const ENDING: &str = "ends";

/// A data folder that is ours while this exists.
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder ours.
    pub(crate) async fn open(path: &Path) -> Result<Self, RunnerError> {
        fs::create_dir_all(path).map_err(file("make", path))?;
        let lock_path = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true);
        let lock = options.open(&lock_path).map_err(file("open", &lock_path))?;
        let mut tried = 0;
        while let Err(error) = lock.try_lock() {
            let holder = fs::read_to_string(&lock_path).unwrap_or_default().trim().to_owned();
            match error {
                TryLockError::WouldBlock if tried < patience(&holder) => tried += 1,
                TryLockError::WouldBlock => {
                    let pid = holder.split(' ').next().unwrap_or_default().to_owned();
                    return Err(RunnerError::Locked { data: path.to_owned(), pid });
                }
                TryLockError::Error(error) => return Err(file("lock", &lock_path)(error)),
            }
            sleep(APART).await;
        }
        let folder = Self { path: path.to_owned(), lock };
        folder.sign("")?;
        Ok(folder)
    }

    /// Tells a successor that the folder will be free soon.
    pub(crate) fn ends(&self) -> Result<(), RunnerError> {
        self.sign(ENDING)
    }

    fn sign(&self, how: &str) -> Result<(), RunnerError> {
        let text = format!("{} {how}", std::process::id());
        let written = self.lock.set_len(0).and_then(|()| self.lock.write_all_at(text.trim().as_bytes(), 0));
        written.map_err(file("write", &self.path.join("lock")))
    }

    fn kept<T: FromStr>(&self, name: &str) -> Option<T> {
        fs::read_to_string(self.path.join(name)).ok()?.trim().parse().ok()
    }

    fn keep(&self, name: &str, value: &impl ToString) -> Result<(), RunnerError> {
        let path = self.path.join(name);
        fs::write(&path, value.to_string()).map_err(file("write", &path))
    }

    /// Counts the runners that had this folder, so that the numbers of changes never repeat.
    pub(crate) fn count_runner(&self) -> Result<u64, RunnerError> {
        let count = self.kept::<u64>("lives").unwrap_or(0) + 1;
        self.keep("lives", &count)?;
        Ok(count)
    }

    /// The proxy's listener. A free port, once chosen, is kept: whoever knows it can go on using it.
    pub(crate) async fn listen(&self, mut address: SocketAddr) -> Result<TcpListener, RunnerError> {
        if address.port() == 0 {
            address.set_port(self.kept("proxy-port").unwrap_or(0));
        }
        let taken = |source| RunnerError::Listen { address, source };
        let mut bound = TcpListener::bind(address).await;
        for _ in 0..TRIES {
            if bound.is_ok() {
                break;
            }
            sleep(APART).await;
            bound = TcpListener::bind(address).await;
        }
        let listener = bound.map_err(taken)?;
        self.keep("proxy-port", &listener.local_addr().map_err(taken)?.port())?;
        Ok(listener)
    }
}

/// How often the lock is tried, by what its holder wrote. That of a runner which was killed while it started a process
/// is held by the child for a moment, until it executes.
fn patience(holder: &str) -> u32 {
    match holder.split_once(' ') {
        Some((_, ENDING)) => TRIES_OF_ENDING,
        _ if runs(holder) => 0,
        _ => TRIES,
    }
}

fn runs(pid: &str) -> bool {
    let found = pid.parse().ok().and_then(|pid| Incarnation::of(pid).ok());
    found.is_some_and(Incarnation::is_alive)
}

/// The API's socket; only its owner may use it. Its path is ours: whoever had it before does not have the folder.
pub(crate) fn socket(path: &Path) -> Result<UnixListener, RunnerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(file("remove", path)(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(file("listen on", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(file("protect", path))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_runner_is_refused_and_told_of_the_first() {
        let data = tempfile::tempdir().unwrap();
        let first = Folder::open(data.path()).await.unwrap();
        let refused = Folder::open(data.path()).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
        drop(first);
        Folder::open(data.path()).await.unwrap();
    }

    #[tokio::test]
    async fn the_next_runner_waits_for_one_on_its_way_out() {
        let data = tempfile::tempdir().unwrap();
        let first = Folder::open(data.path()).await.unwrap();
        first.ends().unwrap();
        let (next, ()) = tokio::join!(Folder::open(data.path()), async {
            sleep(APART * 2).await;
            drop(first);
        });
        drop(next.unwrap());
        assert_eq!(fs::read_to_string(data.path().join("lock")).unwrap(), std::process::id().to_string());
    }

    #[tokio::test]
    async fn a_lock_that_outlives_its_runner_for_a_moment_is_waited_for() {
        let data = tempfile::tempdir().unwrap();
        let child = Folder::open(data.path()).await.unwrap();
        fs::write(data.path().join("lock"), "4194305\n").unwrap();
        let (next, ()) = tokio::join!(Folder::open(data.path()), async {
            sleep(APART * 2).await;
            drop(child);
        });
        next.map(drop).unwrap();
    }

    #[tokio::test]
    async fn the_next_runner_listens_where_the_last_one_did() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::open(data.path()).await.unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = folder.listen(any).await.unwrap().local_addr().unwrap();
        assert_eq!(folder.listen(any).await.unwrap().local_addr().unwrap(), first);
    }
}
