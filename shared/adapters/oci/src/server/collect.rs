//! Garbage: blobs that nothing refers to, and uploads that nobody goes on with.
//!
//! A client pushes blobs first and the manifest that names them last, or leaves out blobs that it was told are here.
//! So whoever asks for a blob makes it new again, and what is new stays: what is about to be referred to is never
//! taken, and nobody waits for a collection. What a manifest names, directly or through an index, stays as long as the
//! manifest, tagged or not.

use std::{
    collections::BTreeSet,
    fs::{self, DirEntry},
    io,
    path::Path,
};

use jiff::Timestamp;
use longshore_events::Digest;

use super::{Store, StoreError, store::failed};
use crate::image::{MANIFEST_LIMIT, Manifest};

/// What a collection took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Uploads that were not gone on with.
    pub uploads: u64,
}

impl Store {
    /// Takes the blobs that nobody asked for since `before` and that neither a manifest of a repository nor anything in
    /// `keep` refers to; and the uploads that nothing came for since then. `keep` are manifests, or
    /// anything else by its digest, that stay though no repository may know them any more.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or a manifest is damaged. Before that is known nothing is taken.
    pub fn collect(&self, keep: &BTreeSet<Digest>, before: Timestamp) -> Result<Collected, StoreError> {
        let mut referred = Referred::by_manifests(self)?;
        for digest in keep {
            referred.keep(self, digest)?;
        }
        let mut collected = Collected::default();
        for shard in entries(&self.blobs())? {
            for blob in entries(&shard.path())? {
                let size = self.take_unless(&referred, &blob, before)?;
                collected.blobs += u64::from(size.is_some());
                collected.bytes += size.unwrap_or_default();
            }
        }
        for upload in entries(&self.uploads())? {
            if idle(&upload.path(), before)?.is_some() {
                remove(&upload.path())?;
                collected.uploads += 1;
            }
        }
        Ok(collected)
    }

    /// Removes a blob; gives its size when it did.
    fn take_unless(
        &self,
        referred: &Referred,
        blob: &DirEntry,
        before: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let (name, path) = (blob.file_name(), blob.path());
        let Some(digest) = name.to_str().and_then(|hex| Digest::new(format!("sha256:{hex}")).ok()) else {
            return Ok(None);
        };
        if referred.contains(&digest) || idle(&path, before)?.is_none() {
            return Ok(None);
        }
        // Looked at again while nobody can ask for it.
        let _taking = self.taking();
        let size = idle(&path, before)?;
        if size.is_some() {
            remove(&path)?;
        }
        Ok(size)
    }
}

/// What is referred to.
#[derive(Default)]
pub(super) struct Referred {
    manifests: BTreeSet<Digest>,
    /// Layers and configurations. What one manifest calls a layer may be another's manifest.
    blobs: BTreeSet<Digest>,
}

impl Referred {
    /// By every manifest of every repository.
    pub(super) fn by_manifests(store: &Store) -> Result<Self, StoreError> {
        let mut referred = Self::default();
        referred.repositories(store, &store.repositories_folder())?;
        Ok(referred)
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.manifests.contains(digest) || self.blobs.contains(digest)
    }

    fn repositories(&mut self, store: &Store, folder: &Path) -> Result<(), StoreError> {
        for entry in entries(folder)? {
            let name = entry.file_name();
            if name == "_manifests" {
                self.manifests(store, &entry.path())?;
            } else if !name.as_encoded_bytes().starts_with(b"_") {
                self.repositories(store, &entry.path())?;
            }
        }
        Ok(())
    }

    fn manifests(&mut self, store: &Store, folder: &Path) -> Result<(), StoreError> {
        for entry in entries(folder)? {
            let hex = entry.file_name();
            let digest = hex.to_str().and_then(|hex| Digest::new(format!("sha256:{hex}")).ok());
            if let Some(digest) = digest {
                self.follow(store, &digest)?;
            }
        }
        Ok(())
    }

    /// Notes a digest that may be a manifest's, or of anything, or not be here.
    fn keep(&mut self, store: &Store, digest: &Digest) -> Result<(), StoreError> {
        self.blobs.insert(digest.clone());
        match self.follow(store, digest) {
            Err(error) if is_no_manifest(&error) => Ok(()),
            done => done,
        }
    }

    /// Notes a manifest, and all that it names.
    fn follow(&mut self, store: &Store, digest: &Digest) -> Result<(), StoreError> {
        let mut open = vec![digest.clone()];
        while let Some(digest) = open.pop() {
            if !self.manifests.insert(digest.clone()) {
                continue;
            }
            let Some(manifest) = read(&store.blob_path(&digest))? else { continue };
            let blobs = manifest.config.into_iter().chain(manifest.layers.into_iter().flatten());
            self.blobs.extend(blobs.map(|blob| blob.digest));
            open.extend(manifest.manifests.into_iter().flatten().map(|inner| inner.digest));
        }
        Ok(())
    }
}

fn is_no_manifest(error: &StoreError) -> bool {
    matches!(error.source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// A manifest; `None` when the file is missing or longer than any: nothing can be had by it.
fn read(path: &Path) -> Result<Option<Manifest>, StoreError> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > MANIFEST_LIMIT as u64) {
        return Ok(None);
    }
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(failed("read", path))?,
    };
    let damaged = |error: serde_json::Error| failed("parse", path)(error.into());
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// The size of a file that was last modified before a time.
fn idle(path: &Path, before: Timestamp) -> Result<Option<u64>, StoreError> {
    let meta = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(failed("look at", path))?,
    };
    let modified = meta.modified().map_err(failed("look at", path))?;
    // A time that cannot be told is not old.
    let old = Timestamp::try_from(modified).is_ok_and(|modified| modified < before);
    Ok(old.then_some(meta.len()))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(failed("remove", path)),
    }
}

fn entries(folder: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let listed = fs::read_dir(folder).and_then(Iterator::collect);
    listed.map_err(failed("list", folder))
}
