//! Manifests, taken and given.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use longshore_events::Digest;
use tokio::time::timeout;

use super::{
    Change, Registry, Store,
    answer::{Answer, Fault, SUBJECT},
    sink::SILENCE,
};
use crate::{
    digest,
    image::{self, Descriptor, MANIFEST_LIMIT, Manifest},
    names::{Reference, Repository},
};

impl Registry {
    pub(super) async fn get_manifest(
        &self,
        repository: Repository,
        reference: Reference,
    ) -> Result<Response, Fault> {
        let unknown = format!("{reference} names nothing in {repository}");
        let found = self.blocking(move |store| Ok(store.manifest(&repository, &reference)?)).await?;
        let found = found.ok_or_else(|| Fault::not_found("MANIFEST_UNKNOWN", unknown))?;
        let answer = Answer::new(StatusCode::OK)
            .digest(&found.digest)
            .with(header::CONTENT_LENGTH, &found.bytes.len().to_string());
        Ok(answer.body(&found.media_type, found.bytes))
    }

    pub(super) async fn put_manifest(
        self: Arc<Self>,
        repository: Repository,
        reference: Reference,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Fault> {
        let bytes = document(body).await?;
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type =
            content_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_owned());
        // The tag must not move without the watcher being told, even if the client goes away meanwhile.
        let work = tokio::spawn(async move {
            let put = move |store: &Store| put(store, repository, reference, content_type, &bytes);
            let change = self.blocking(put).await?;
            let told = self.watcher.stored(&change).await;
            told.map_err(|error| Fault::internal("the push is stored but could not be recorded", &error))?;
            Ok::<_, Fault>(change)
        });
        let done = work.await.map_err(|error| Fault::internal("the manifest cannot be stored", &error))?;
        let change = done?;
        let location = format!("/v2/{}/manifests/{}", change.repository, change.digest);
        let answer =
            Answer::new(StatusCode::CREATED).digest(&change.digest).with(header::LOCATION, &location);
        Ok(change
            .subject
            .iter()
            .fold(answer, |answer, subject| answer.with(SUBJECT, subject.as_str()))
            .empty())
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|error| Err(Fault::internal("the registry's store failed", &error)))
    }
}

/// A manifest's body, which must come in a minute.
async fn document(body: Body) -> Result<Bytes, Fault> {
    let late = |_| Fault::bad("MANIFEST_INVALID", "the manifest did not come in time");
    timeout(SILENCE, to_bytes(body, MANIFEST_LIMIT)).await.map_err(late)?.map_err(|_| {
        let message = "the manifest broke off, or is longer than 4 MiB";
        Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID", message)
    })
}

/// Checks and stores a manifest, and moves its tag.
fn put(
    store: &Store,
    repository: Repository,
    reference: Reference,
    content_type: Option<String>,
    bytes: &[u8],
) -> Result<Change, Fault> {
    let invalid = |message: String| Fault::bad("MANIFEST_INVALID", &message);
    let manifest: Manifest =
        serde_json::from_slice(bytes).map_err(|error| invalid(format!("it is no manifest: {error}")))?;
    let media_type = content_type.or_else(|| manifest.media_type.clone()).unwrap_or_default();
    if !image::is_manifest(&media_type) {
        return Err(invalid(format!("{media_type:?} is no manifest's media type")));
    }
    if manifest.media_type.as_ref().is_some_and(|own| *own != media_type) {
        return Err(invalid(format!("it was sent as {media_type:?}, but says otherwise itself")));
    }
    let index = image::is_index(&media_type);
    if index != manifest.manifests.is_some()
        || index == manifest.config.is_some()
        || manifest.schema_version != 2
    {
        return Err(invalid(format!("it has not the shape of {media_type:?}")));
    }
    let expected = if let Reference::Digest(digest) = &reference { Some(digest) } else { None };
    if expected.is_some_and(|expected| *expected != digest::of(bytes)) {
        return Err(Fault::bad("DIGEST_INVALID", "the manifest has another digest"));
    }
    check_references(store, &repository, &manifest)?;
    let digest = store.put_blob(bytes)?;
    let mut descriptor = Descriptor::new(&media_type, digest.clone(), bytes.len() as u64);
    let config_type = || manifest.config.as_ref().map(|config| config.media_type.clone());
    let own_type = manifest.artifact_type.clone().filter(|own| !own.is_empty());
    descriptor.artifact_type = own_type.or_else(config_type);
    descriptor.annotations.clone_from(&manifest.annotations);
    let subject = manifest.subject.as_ref().map(|subject| subject.digest.clone());
    store.link_manifest(&repository, &descriptor, subject.as_ref())?;
    let tag = if let Reference::Tag(tag) = reference { Some(tag) } else { None };
    if let Some(tag) = &tag {
        store.set_tag(&repository, tag, &digest)?;
    }
    Ok(Change { repository, tag, digest, media_type, platforms: manifest.platforms(), subject })
}

/// Everything that a manifest names must be here, but for layers that are had elsewhere, and its subject.
fn check_references(store: &Store, repository: &Repository, manifest: &Manifest) -> Result<(), Fault> {
    let missing = |digest: &Digest| {
        Fault::new(
            StatusCode::NOT_FOUND,
            "MANIFEST_BLOB_UNKNOWN",
            format!("{digest} is not here: push it first"),
        )
    };
    let layers = manifest.layers.iter().flatten().filter(|layer| layer.urls.is_none());
    for blob in manifest.config.iter().chain(layers) {
        if !store.hold(&blob.digest)? {
            return Err(missing(&blob.digest));
        }
    }
    for inner in manifest.manifests.iter().flatten() {
        let linked = store.manifest(repository, &Reference::Digest(inner.digest.clone()))?.is_some();
        if !(linked && store.hold(&inner.digest)?) {
            return Err(missing(&inner.digest));
        }
    }
    Ok(())
}
