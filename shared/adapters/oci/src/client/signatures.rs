//! Looking for what cosign lays beside an image.
//!
//! Two formats. The older one is an image under the tag `sha256-<hex>.sig`, whose layers are payloads, each with its signature
//! in an annotation ("Signature spec" of cosign). The newer one is a Sigstore bundle in a manifest that refers to the image:
//! listed by the registry's referrers API, or, where it has none, by the index under the tag `sha256-<hex>` (distribution
//! specification 1.1, "Listing Referrers").

use std::collections::VecDeque;

use longshore_events::Digest;
use longshore_ports::{Claim, Envelope, MAX_CLAIM, MAX_CLAIMS};
use reqwest::{StatusCode, header};

use super::pull::{bounded, next_page, pull};
use super::{Client, ClientError, PATIENCE};
use crate::{
    digest,
    image::{self, Descriptor, INDEX, Manifest},
    names::{Reference, Repository},
};

/// A payload of simple signing.
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Where its signature is.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// A Sigstore bundle, of any version.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// What a referrer with a bundle may be called, besides that: nothing, as a registry says it that goes by the configuration.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The most pages of referrers.
const PAGES: usize = 10;

/// What is read of what somebody put there: it may make no sense.
type Doubtful<T> = Result<T, String>;

impl Client {
    /// What claims to be a signature of the image at `digest`, in no order; at most [`MAX_CLAIMS`].
    ///
    /// # Errors
    /// [`ClientError`] when the registry cannot be asked.
    pub async fn signatures(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Claim>, ClientError> {
        let mut claims = self.tagged(repository, digest).await?;
        // What says by its name that it is something else comes last: there may be many.
        let mut referrers = self.referrers(repository, digest).await?;
        referrers.sort_by_key(|one| {
            !one.artifact_type.as_ref().is_none_or(|kind| kind.starts_with(BUNDLE) || kind == EMPTY)
        });
        for referrer in referrers.into_iter().take(MAX_CLAIMS) {
            let found = self.bundle(repository, digest, &referrer.digest).await?;
            let place = || format!("the referrer {}", &referrer.digest.as_str()[..19]);
            claims.extend(found.into_iter().map(|envelope| Claim { place: place(), envelope }));
        }
        claims.truncate(MAX_CLAIMS);
        Ok(claims)
    }

    /// Those under the tag of the image.
    async fn tagged(&self, repository: &Repository, digest: &Digest) -> Result<Vec<Claim>, ClientError> {
        let tag = format!("sha256-{}.sig", digest.hex());
        let Some(manifest) = self.document(repository, &Reference::Tag(tag)).await? else {
            return Ok(Vec::new());
        };
        let mut claims = Vec::new();
        let layers = match manifest {
            Ok(manifest) => manifest.layers.unwrap_or_default(),
            Err(why) => {
                claims.push(Claim { place: "the tag .sig".into(), envelope: Envelope::Unreadable(why) });
                Vec::new()
            }
        };
        let signed = layers.iter().enumerate().filter(|(_, layer)| layer.media_type == SIMPLE);
        for (number, layer) in signed.take(MAX_CLAIMS) {
            let signature = layer
                .annotations
                .as_ref()
                .and_then(|all| all.get(SIGNATURE))
                .filter(|text| text.len() < 1_000);
            let read = match signature {
                None => Err(format!("its layer has no annotation {SIGNATURE}")),
                Some(signature) => self.text(repository, layer).await?.map(|payload| (payload, signature)),
            };
            let simple = |(payload, signature): (String, &String)| Envelope::Simple {
                payload,
                signature: signature.clone(),
            };
            let place = format!("layer {} of the tag .sig", number + 1);
            claims.push(Claim { place, envelope: read.map_or_else(Envelope::Unreadable, simple) });
        }
        Ok(claims)
    }

    /// The bundle in a manifest that is listed as about the image; `None` when there is none in it.
    async fn bundle(
        &self,
        repository: &Repository,
        about: &Digest,
        manifest: &Digest,
    ) -> Result<Option<Envelope>, ClientError> {
        let read = match self.document(repository, &Reference::Digest(manifest.clone())).await? {
            // It is gone since it was listed.
            None => return Ok(None),
            Some(Err(why)) => Err(why),
            Some(Ok(manifest)) => {
                let mut layers = manifest.layers.iter().flatten();
                let Some(bundle) = layers.find(|layer| layer.media_type.starts_with(BUNDLE)) else {
                    return Ok(None);
                };
                if manifest.subject.is_none_or(|subject| subject.digest != *about) {
                    Err("it says itself that it is about another image".to_owned())
                } else {
                    self.text(repository, bundle).await?
                }
            }
        };
        Ok(Some(read.map_or_else(Envelope::Unreadable, Envelope::Bundle)))
    }

    /// What refers to the manifest `subject`, as the registry lists it, or else the index under its tag.
    async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, ClientError> {
        let operation = format!("list what refers to {subject} of {repository}");
        let mut next = VecDeque::from([self.url(repository, &format!("referrers/{subject}"))?]);
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let Some(url) = next.pop_front() else { break };
            let make = || Ok(self.http.get(url.clone()).timeout(PATIENCE).header(header::ACCEPT, INDEX));
            let response = self.send(&operation, &pull(repository), make).await?;
            // Registries without that API answer it in many ways.
            let unknown = matches!(
                response.status(),
                StatusCode::NOT_FOUND
                    | StatusCode::BAD_REQUEST
                    | StatusCode::METHOD_NOT_ALLOWED
                    | StatusCode::NOT_ACCEPTABLE
                    | StatusCode::NOT_IMPLEMENTED
            );
            if unknown {
                let tag = Reference::Tag(format!("sha256-{}", subject.hex()));
                let index = self.document(repository, &tag).await?.and_then(Result::ok);
                return Ok(index.and_then(|index| index.manifests).unwrap_or_default());
            }
            let response = ClientError::check(&operation, response).await?;
            next.extend(next_page(&response));
            let bytes = bounded(&operation, response).await?;
            let page: Manifest =
                serde_json::from_slice(&bytes).map_err(|error| ClientError::invalid(&operation, error))?;
            found.extend(page.manifests.unwrap_or_default());
        }
        Ok(found)
    }

    /// A manifest or an index, of which it may be that it is none.
    async fn document(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Doubtful<Manifest>>, ClientError> {
        let fetched = self.manifest(repository, reference).await?;
        Ok(fetched.map(|fetched| {
            if !image::is_manifest(&fetched.media_type) {
                return Err("it is no manifest".to_owned());
            }
            serde_json::from_slice(&fetched.bytes).map_err(|error| format!("it is no manifest: {error}"))
        }))
    }

    /// The text of a small blob.
    async fn text(
        &self,
        repository: &Repository,
        blob: &Descriptor,
    ) -> Result<Doubtful<String>, ClientError> {
        let operation = format!("get {} of {repository}", blob.digest);
        if blob.size > MAX_CLAIM as u64 {
            return Ok(Err(format!("it has {} bytes, and {MAX_CLAIM} are read", blob.size)));
        }
        let url = self.url(repository, &format!("blobs/{}", blob.digest))?;
        let make = || Ok(self.http.get(url.clone()).timeout(PATIENCE));
        let response = self.send(&operation, &pull(repository), make).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Err("its content is gone".to_owned()));
        }
        let bytes = bounded(&operation, ClientError::check(&operation, response).await?).await?;
        let found = digest::of(&bytes);
        if found != blob.digest {
            return Err(ClientError::Mismatch { operation, expected: blob.digest.clone(), found });
        }
        Ok(String::from_utf8(bytes).map_err(|_| "it is no text".to_owned()))
    }
}
