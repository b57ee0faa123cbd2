//! Deletes: of tags, of manifests with their tags, of blobs that nothing refers to.

use std::{fs, io, sync::Arc};

use axum::{http::StatusCode, response::Response};
use longshore_events::Digest;

use super::{
    Change, Registry, Store, Stored,
    answer::{Answer, Fault},
    collect::Referred,
};
use crate::{
    image::Manifest,
    names::{Reference, Repository},
};

/// What a deletion takes.
struct Found {
    manifest: Manifest,
    /// What the watcher is told, in this order.
    changes: Vec<Change>,
}

impl Registry {
    pub(super) async fn delete_manifest(
        self: Arc<Self>,
        repository: Repository,
        reference: Reference,
    ) -> Result<Response, Fault> {
        let work = tokio::spawn(async move {
            let (name, asked) = (repository.clone(), reference.clone());
            let found = self.blocking(move |store| find(store, &name, &asked)).await?;
            for change in &found.changes {
                let told = self.watcher.deleted(change).await;
                told.map_err(|error| Fault::internal("the deletion could not be recorded", &error))?;
            }
            self.blocking(move |store| delete(store, &repository, &reference, &found.manifest)).await
        });
        work.await.map_err(|error| Fault::internal("the manifest cannot be deleted", &error))??;
        Ok(Answer::new(StatusCode::ACCEPTED).empty())
    }

    /// Blobs are shared by all repositories: one that a manifest of any of them names stays.
    pub(super) async fn delete_blob(&self, digest: Digest) -> Result<Response, Fault> {
        self.blocking(move |store| take_blob(store, &digest)).await?;
        Ok(Answer::new(StatusCode::ACCEPTED).empty())
    }
}

fn find(store: &Store, repository: &Repository, reference: &Reference) -> Result<Found, Fault> {
    let stored = store.manifest(repository, reference)?.ok_or_else(|| {
        Fault::not_found("MANIFEST_UNKNOWN", format!("{reference} names nothing in {repository}"))
    })?;
    let manifest = stored.parse().map_err(|error| Fault::internal("a stored manifest is damaged", &error))?;
    let Stored { digest, media_type, .. } = stored;
    let platforms = manifest.platforms();
    let tags = match reference {
        Reference::Tag(tag) => vec![Some(tag.clone())],
        Reference::Digest(digest) => {
            store.tags_of(repository, digest)?.into_iter().map(Some).chain([None]).collect()
        }
    };
    let subject = manifest.subject.as_ref().map(|subject| subject.digest.clone());
    let change = |tag| Change {
        repository: repository.clone(),
        tag,
        digest: digest.clone(),
        media_type: media_type.clone(),
        platforms: platforms.clone(),
        subject: subject.clone(),
    };
    Ok(Found { manifest, changes: tags.into_iter().map(change).collect() })
}

fn delete(
    store: &Store,
    repository: &Repository,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<(), Fault> {
    let subject = manifest.subject.as_ref().map(|subject| &subject.digest);
    match reference {
        Reference::Tag(tag) => store.remove_tag(repository, tag)?,
        Reference::Digest(digest) => store.unlink_manifest(repository, digest, subject)?,
    }
    Ok(())
}

fn take_blob(store: &Store, digest: &Digest) -> Result<(), Fault> {
    let path = store.blob_path(digest);
    let modified = || fs::metadata(&path).and_then(|meta| meta.modified());
    let unknown = |_: io::Error| Fault::not_found("BLOB_UNKNOWN", format!("{digest} is not here"));
    let in_use = || {
        let message = format!("a manifest refers to {digest}: delete the manifest first");
        Fault::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message)
    };
    let before = modified().map_err(unknown)?;
    if Referred::by_manifests(store)?.contains(digest) {
        return Err(in_use());
    }
    let _nobody_refers_to_it_meanwhile = store.taking();
    if modified().map_err(unknown)? != before {
        return Err(in_use());
    }
    fs::remove_file(&path).map_err(unknown)
}
