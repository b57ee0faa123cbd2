//! What the store knows of repositories: manifests, tags, referrers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use longshore_events::Digest;

use super::{
    Store, StoreError,
    store::{failed, sync},
};
use crate::{
    image::{self, Config, Descriptor, Manifest, Platform},
    names::{Reference, Repository},
    packer::{Base, StoredLayer},
};

/// A manifest or index of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Stored {
    /// Its content.
    ///
    /// # Errors
    /// When it is no manifest; the registry takes none such.
    pub fn parse(&self) -> Result<Manifest, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}

impl Store {
    /// What `reference` names in `repository`; `None` when it names nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    pub fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Stored>, StoreError> {
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => match read_tag(&self.tag_path(repository, tag))? {
                Some(digest) => digest,
                None => return Ok(None),
            },
        };
        let Some(media_type) = read(&self.manifest_path(repository, &digest))? else { return Ok(None) };
        let blob = self.blob_path(&digest);
        let bytes = fs::read(&blob).map_err(failed("read", &blob))?;
        Ok(Some(Stored { digest, media_type, bytes }))
    }

    /// The tags of a repository, sorted; `None` when there is no such repository.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails.
    pub fn tags(&self, repository: &Repository) -> Result<Option<Vec<String>>, StoreError> {
        if !self.folder(repository).join("_manifests").is_dir() {
            return Ok(None);
        }
        names(&self.folder(repository).join("_tags")).map(Some)
    }

    /// The tags that name a manifest.
    pub(super) fn tags_of(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for tag in self.tags(repository)?.unwrap_or_default() {
            if read_tag(&self.tag_path(repository, &tag))?.as_ref() == Some(digest) {
                found.push(tag);
            }
        }
        Ok(found)
    }

    /// The image that `reference` names, as the base of another, for the platform of this host; `None` when it, or
    /// a blob of it, is not here.
    ///
    /// # Errors
    /// When the disk fails, or a document is damaged.
    pub fn base(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Base>, Box<dyn std::error::Error + Send + Sync>> {
        let Some(mut stored) = self.manifest(repository, reference)? else { return Ok(None) };
        if image::is_index(&stored.media_type) {
            let here = Platform::of_this_host();
            let fits = |d: &Descriptor| d.platform.as_ref().is_some_and(|platform| platform.runs_on(&here));
            let found = stored.parse()?.manifests.into_iter().flatten().find(fits);
            let Some(found) = found else { return Ok(None) };
            let Some(manifest) = self.manifest(repository, &Reference::Digest(found.digest))? else {
                return Ok(None);
            };
            stored = manifest;
        }
        let manifest = stored.parse()?;
        let config = manifest.config.ok_or("the manifest names no configuration")?;
        let config = fs::read(self.blob_path(&config.digest))?;
        serde_json::from_slice::<Config>(&config)?;
        let stored =
            |descriptor: Descriptor| StoredLayer { path: self.blob_path(&descriptor.digest), descriptor };
        let layers: Vec<_> = manifest.layers.into_iter().flatten().map(stored).collect();
        Ok(layers.iter().all(|layer| layer.path.is_file()).then_some(Base { config, layers }))
    }

    /// The manifests about `subject`, sorted by digest.
    pub(super) fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let folder = self.referrers_folder(repository, subject);
        let mut found = Vec::new();
        for name in names(&folder)? {
            let path = folder.join(name);
            let text = read(&path)?.unwrap_or_default();
            let parsed = serde_json::from_str(&text);
            found.push(parsed.map_err(|error| failed("parse", &path)(error.into()))?);
        }
        Ok(found)
    }

    /// Records a manifest whose bytes are in the store, and what it is about.
    pub(crate) fn link_manifest(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        subject: Option<&Digest>,
    ) -> Result<(), StoreError> {
        if let Some(subject) = subject {
            let path = self.referrers_folder(repository, subject).join(descriptor.digest.hex());
            let text =
                serde_json::to_vec(descriptor).map_err(|error| failed("write", &path)(error.into()))?;
            self.write(&path, &text)?;
        }
        self.write(&self.manifest_path(repository, &descriptor.digest), descriptor.media_type.as_bytes())
    }

    pub(super) fn set_tag(
        &self,
        repository: &Repository,
        tag: &str,
        digest: &Digest,
    ) -> Result<(), StoreError> {
        self.write(&self.tag_path(repository, tag), digest.as_str().as_bytes())
    }

    pub(super) fn remove_tag(&self, repository: &Repository, tag: &str) -> Result<(), StoreError> {
        remove(&self.tag_path(repository, tag))
    }

    /// Forgets a manifest, and every tag that names it. Its bytes stay: another repository may hold them.
    pub(super) fn unlink_manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        subject: Option<&Digest>,
    ) -> Result<(), StoreError> {
        for tag in self.tags_of(repository, digest)? {
            self.remove_tag(repository, &tag)?;
        }
        if let Some(subject) = subject {
            remove(&self.referrers_folder(repository, subject).join(digest.hex()))?;
        }
        remove(&self.manifest_path(repository, digest))
    }

    fn folder(&self, repository: &Repository) -> PathBuf {
        self.repositories_folder().join(repository.as_str())
    }

    fn manifest_path(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.folder(repository).join("_manifests").join(digest.hex())
    }

    fn tag_path(&self, repository: &Repository, tag: &str) -> PathBuf {
        self.folder(repository).join("_tags").join(tag)
    }

    fn referrers_folder(&self, repository: &Repository, subject: &Digest) -> PathBuf {
        self.folder(repository).join("_referrers").join(subject.hex())
    }
}

fn read_tag(path: &Path) -> Result<Option<Digest>, StoreError> {
    let damaged = |error| failed("parse", path)(io::Error::other(error));
    read(path)?.map(|text| Digest::new(text).map_err(damaged)).transpose()
}

fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some).map_err(failed("read", path)),
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
        Ok(()) => path.parent().map_or(Ok(()), sync),
    }
}

/// The names in a folder, sorted; none when it is missing.
fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("list", folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed("list", folder))?.file_name();
        found.extend(name.into_string());
    }
    found.sort();
    Ok(found)
}
