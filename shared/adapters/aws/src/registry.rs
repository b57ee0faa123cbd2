//! ECR as the registry of images.
//!
//! Source: "BatchGetImage" and "GetAuthorizationToken", the API reference of ECR.

use async_trait::async_trait;
use aws_sdk_ecr::{
    Client,
    types::{ImageFailure, ImageFailureCode, ImageIdentifier},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use longshore_events::{Digest, ImageName, types::PlatformDigest};
use longshore_ports::{PortError, Registry, Resolved};
use serde::Deserialize;

use crate::Aws;
use crate::failure::{Call, elsewhere, failed, said};

const OPERATION: &str = "resolve an image";
/// A manifest of any other type would be answered in one of these, under another digest.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The registries of ECR in one region, of any account that lets us.
pub struct EcrRegistry {
    client: Client,
    region: String,
}

impl EcrRegistry {
    /// The registries of the account's region.
    pub fn new(aws: &Aws) -> Self {
        Self { client: Client::new(&aws.config), region: aws.account.region.clone() }
    }

    /// What an image's registry lets us in with, over OCI's API: its host, a user, and a password for 12 hours.
    ///
    /// # Errors
    /// When the image does not lie in ECR in this region, or ECR gives no token.
    pub async fn login(&self, image: &ImageName) -> Result<(String, String, String), PortError> {
        let (host, _) = image.as_str().split_once('/').unwrap_or_default();
        let Some(Place { account, region, .. }) = place(image) else { return Err(not_of_ecr(image)) };
        let resource = format!("the registry of {account}");
        let (operation, action) = ("log in to a registry", "ecr:GetAuthorizationToken");
        let call = Call { operation, action, resource: &resource, region: &self.region };
        if region != self.region {
            return Err(elsewhere(call, region));
        }
        let answer =
            self.client.get_authorization_token().send().await.map_err(|error| failed(call, &error))?;
        let token = answer.authorization_data().first().and_then(|data| data.authorization_token());
        let plain = BASE64_STANDARD
            .decode(token.unwrap_or_default())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let parts = plain.as_deref().and_then(|plain| plain.split_once(':'));
        let (user, password) = parts.ok_or_else(|| PortError::invalid(operation, "ECR gave no token"))?;
        Ok((host.to_owned(), user.to_owned(), password.to_owned()))
    }

    /// Whether an image lies in ECR, by its name.
    pub fn holds(image: &ImageName) -> bool {
        place(image).is_some()
    }
}

/// Where an image lies: `<account>.dkr.ecr.<region>.amazonaws.com/<repository>`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) repository: &'a str,
}

pub(crate) fn place(image: &ImageName) -> Option<Place<'_>> {
    let (host, repository) = image.as_str().split_once('/')?;
    let (account, host) = host.split_once(".dkr.ecr.")?;
    let (region, domain) = host.split_once('.')?;
    matches!(domain, "amazonaws.com" | "amazonaws.com.cn").then_some(Place { account, region, repository })
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Entry {
    fn platform(self) -> Option<PlatformDigest> {
        let Platform { os, architecture, variant } = self.platform?;
        let variant = variant.map(|variant| format!("/{variant}")).unwrap_or_default();
        Some(PlatformDigest { platform: format!("{os}/{architecture}{variant}"), digest: self.digest })
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PortError {
    PortError::invalid(OPERATION, error)
}

fn not_of_ecr(image: &ImageName) -> PortError {
    let form = "<account>.dkr.ecr.<region>.amazonaws.com/<repository>";
    invalid(format!("{image} is not an image of ECR; write it as {form}"))
}

/// What ECR holds, as the port says it.
fn resolved(image: &aws_sdk_ecr::types::Image) -> Result<Resolved, PortError> {
    let digest = image.image_id().and_then(ImageIdentifier::image_digest).unwrap_or_default();
    let manifest: Manifest =
        serde_json::from_str(image.image_manifest().unwrap_or_default()).map_err(invalid)?;
    Ok(Resolved {
        digest: Digest::new(digest).map_err(invalid)?,
        media_type: image.image_manifest_media_type().unwrap_or_default().to_owned(),
        platforms: manifest.manifests.into_iter().filter_map(Entry::platform).collect(),
    })
}

/// An image that is not there is no failure.
fn refused(call: Call<'_>, failure: &ImageFailure) -> Result<Option<Resolved>, PortError> {
    match failure.failure_code() {
        Some(ImageFailureCode::ImageNotFound) => Ok(None),
        code => {
            let code = code.map(ImageFailureCode::as_str).unwrap_or_default();
            Err(said(call, 200, code, failure.failure_reason().unwrap_or_default()))
        }
    }
}

#[async_trait]
impl Registry for EcrRegistry {
    async fn resolve(&self, image: &ImageName, reference: &str) -> Result<Option<Resolved>, PortError> {
        let Some(Place { account, region, repository }) = place(image) else {
            return Err(not_of_ecr(image));
        };
        let action = "ecr:BatchGetImage";
        let resource = format!("the repository {repository} of {account}");
        let call = Call { operation: OPERATION, action, resource: &resource, region: &self.region };
        if region != self.region {
            return Err(elsewhere(call, region));
        }
        let wanted = ImageIdentifier::builder();
        let wanted = match Digest::new(reference) {
            Ok(digest) => wanted.image_digest(digest.as_str()),
            Err(_) => wanted.image_tag(reference),
        };
        let ask = self.client.batch_get_image().registry_id(account).repository_name(repository);
        let types = MEDIA_TYPES.iter().map(ToString::to_string).collect();
        let ask = ask.image_ids(wanted.build()).set_accepted_media_types(Some(types));
        let answer = ask.send().await.map_err(|error| failed(call, &error))?;
        match (answer.images().first(), answer.failures().first()) {
            (Some(image), _) => resolved(image).map(Some),
            (None, Some(failure)) => refused(call, failure),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_ecr_names_account_region_and_repository() {
        let name = ImageName::new("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop").unwrap();
        let expected = Place { account: "123456789012", region: "eu-west-1", repository: "team/shop" };
        assert_eq!(place(&name), Some(expected));
        for other in ["shop", "ghcr.io/acme/shop", "1.dkr.ecr.eu-west-1.example.com/shop"] {
            assert_eq!(place(&ImageName::new(other).unwrap()), None, "{other}");
        }
    }
}
