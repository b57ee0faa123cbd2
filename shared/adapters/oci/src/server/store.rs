//! Content on disk.
//!
//! ```text
//! blobs/sha256/ab/<hex>                  content; a file here is whole and has this digest
//! uploads/<random>                       what is not whole yet; emptied when the store is opened, and of what is idle
//! repositories/<name>/_manifests/<hex>   the media type of a manifest of this repository
//! repositories/<name>/_tags/<tag>        the digest that the tag names
//! repositories/<name>/_referrers/<hex of the subject>/<hex>   the descriptor of a manifest about it
//! ```
//!
//! A repository's name has no part that starts with `_`. Every file appears by a rename after it was flushed. When a
//! blob was last asked for by somebody who may be about to refer to it, its modification time says: see `collect.rs`.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use longshore_events::Digest;
use rustix::{
    fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat},
    io::Errno,
    rand::{GetRandomFlags, getrandom},
};

use crate::digest;

/// The store's disk failed, or holds what nothing of ours wrote there.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}: {source}", path.display())]
pub struct StoreError {
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

pub(super) fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError { what, path: path.to_path_buf(), source }
}

/// The registry's content. Clones share it; one process at a time may open a folder.
///
/// Its methods read and write small files: call them where blocking for a moment is allowed.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<PathBuf>,
    taking: Arc<Mutex<()>>,
}

impl Store {
    /// Opens the store in `root`, which is made if it is missing. Uploads that were begun are forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the folder cannot be written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Self { root: Arc::new(root.to_path_buf()), taking: Arc::default() };
        let uploads = store.uploads();
        match fs::remove_dir_all(&uploads) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("empty", &uploads)(error));
            }
            _ => {}
        }
        let shards = (0..=255).map(|shard| store.blobs().join(format!("{shard:02x}")));
        for folder in shards.chain([uploads, store.repositories_folder()]) {
            fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
        }
        sync(&store.blobs())?;
        sync(root)?;
        Ok(store)
    }

    /// The file of a blob, whether or not it is there.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.blobs().join(&hex[..2]).join(hex)
    }

    /// A blob's file and its length in bytes; `None` when it is not here.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, StoreError> {
        let path = self.blob_path(digest);
        let opened = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.and_then(|file| file.metadata().map(|meta| (file, meta.len()))),
        };
        opened.map(Some).map_err(failed("open", &path))
    }

    /// Whether a blob is here.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Whether a blob is here, asked by somebody who may be about to refer to it: it is new again for the collection.
    pub(super) fn hold(&self, digest: &Digest) -> Result<bool, StoreError> {
        let _while_none_is_taken = self.taking();
        touch(&self.blob_path(digest))
    }

    /// Held while a blob is looked at for the last time and then removed.
    pub(super) fn taking(&self) -> MutexGuard<'_, ()> {
        self.taking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bytes of a blob.
    pub(crate) fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = digest::of(bytes);
        if !self.hold(&digest)? {
            self.write(&self.blob_path(&digest), bytes)?;
        }
        Ok(digest)
    }

    /// Flushes a whole upload and makes it visible as the blob that it is.
    pub(super) fn adopt(&self, upload: &Path, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        sync(upload)?;
        touch(upload)?;
        fs::rename(upload, &path).map_err(failed("move the upload to", &path))?;
        sync_parent(&path)
    }

    /// Where a new upload goes.
    pub(super) fn new_upload(&self) -> Result<PathBuf, StoreError> {
        let mut random = [0; 16];
        let folder = self.uploads();
        getrandom(&mut random, GetRandomFlags::empty())
            .map_err(|errno| failed("name an upload in", &folder)(errno.into()))?;
        Ok(folder.join(format!("{:032x}", u128::from_ne_bytes(random))))
    }

    /// Writes a file so that it is there whole or not at all, also after a crash.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let temporary = self.new_upload()?;
        let mut file = File::create_new(&temporary).map_err(failed("create", &temporary))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(failed("write", &temporary))?;
        path.parent().map_or(Ok(()), make_folder)?;
        fs::rename(&temporary, path).map_err(failed("rename to", path))?;
        sync_parent(path)
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(super) fn repositories_folder(&self) -> PathBuf {
        self.root.join("repositories")
    }
}

/// Makes a folder and those above it, so that they are there after a crash as well.
fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_folder)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("make", path)(error)),
        _ => sync_parent(path),
    }
}

/// Makes a file modified now; false when it is not there.
fn touch(path: &Path) -> Result<bool, StoreError> {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    match utimensat(CWD, path, &times, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(failed("touch", path)(errno.into())),
    }
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), sync)
}

/// Flushes a file, or the names in a folder.
pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("flush", path))
}
