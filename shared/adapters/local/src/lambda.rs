//! The data folder of functions that run as Lambda binaries: they share one journal in SQLite, blobs and secrets.
//!
//! Where it lies is said by `LONGSHORE_DATA`; the configuration is the file that `LONGSHORE_CONFIG` names. Nothing is
//! published: without a bus, the sweep finds what is owed.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longshore_frame::Frame;
use longshore_frame::lambda::{Error, PlatformClock, required, routes};
use longshore_policy::Policy;

use crate::{FileBlobs, FileSecrets, SqliteJournal};

/// An open data folder.
pub struct LambdaFolder {
    /// Where it lies.
    pub data: PathBuf,
    /// The configuration.
    pub policy: Arc<Policy>,
    /// The journal.
    pub journal: Arc<SqliteJournal>,
    /// The secrets, in the folder `secrets`.
    pub secrets: Arc<FileSecrets>,
    /// A frame over all of it.
    pub frame: Frame,
    _lock: File,
}

impl LambdaFolder {
    /// Opens what the environment names.
    ///
    /// # Errors
    /// When a variable is not set, the configuration has faults, or the folder cannot be used.
    pub fn open() -> Result<Self, Error> {
        let data = PathBuf::from(required("LONGSHORE_DATA")?);
        let policy = Arc::new(configuration(&required("LONGSHORE_CONFIG")?)?);
        std::fs::create_dir_all(&data)
            .map_err(|error| format!("cannot make the data folder {}: {error}", data.display()))?;
        let lock = lock(&data)?;
        let journal = Arc::new(SqliteJournal::open(&data.join("journal.sqlite"), routes(), None)?);
        let blobs = Arc::new(FileBlobs::open(&data.join("blobs"))?);
        let secrets = Arc::new(FileSecrets::open(&data.join("secrets"), [])?);
        // The claim is made of each invocation's deadline.
        let frame = Frame::new(journal.clone(), blobs, Arc::new(PlatformClock), 0);
        Ok(Self { data, policy, journal, secrets, frame, _lock: lock })
    }
}

/// Shared by all functions, and kept from a one-machine host: it would count their claims as its own dead ones.
fn lock(data: &Path) -> Result<File, Error> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(data.join("lock"))?;
    let held =
        |error| format!("a host holds the data folder {}: {error}; run `longshore down`", data.display());
    lock.try_lock_shared().map_err(held)?;
    Ok(lock)
}

fn configuration(path: &str) -> Result<Policy, Error> {
    let text =
        std::fs::read(path).map_err(|error| format!("cannot read the configuration {path}: {error}"))?;
    longshore_policy::check_bytes(&text, path).map_err(|faults| {
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        faults.join("\n").into()
    })
}
