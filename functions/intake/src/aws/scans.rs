//! Scans: ECR's own, and those of Inspector. That one has ended, or that a finding is new or gone, is a hint for who scans,
//! and no fact: what is in an image the function `scan` asks the scanner, at its own time where this notice never comes.
//!
//! Source: "Sample events from Amazon ECR", its user guide; "Amazon Inspector event schema", its user guide.

use longshore_events::{Digest, ImageName};
use serde::Deserialize;
use serde_json::Value;

use super::Envelope;
use super::ecr::image_name;
use crate::Refusal;
use crate::few::Few;
use crate::hear::{Heard, Hearing, brief};

/// The function that scans.
const FUNCTION: &str = "scan";
/// The most resources of a finding; each names an image.
const MAX_RESOURCES: usize = 10;

/// A scan of ECR, or of Inspector, which gives the repository's ARN for its name.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Scan {
    repository_name: String,
    #[serde(default)]
    image_digest: String,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    resources: Few<Value, MAX_RESOURCES>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerImage {
    image_hash: String,
    repository_name: String,
    registry: String,
}

/// A scan came to its end.
pub(super) fn ended(envelope: &Envelope, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    let scan = Scan::deserialize(&envelope.detail)?;
    let repository =
        scan.repository_name.split_once(":repository/").map_or(&*scan.repository_name, |(_, name)| name);
    let name = image_name(&envelope.account, &envelope.region, repository);
    hint(&name, &scan.image_digest, hearing, heard);
    Ok(())
}

/// A finding is new, or its status is another; of functions and instances there is nothing to look at.
pub(super) fn found(envelope: &Envelope, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    let found = Found::deserialize(&envelope.detail)?;
    let images: Vec<ContainerImage> = found
        .resources
        .items
        .iter()
        .filter_map(|resource| {
            ContainerImage::deserialize(resource.pointer("/details/awsEcrContainerImage")?).ok()
        })
        .collect();
    if images.is_empty() {
        heard.ignore("ignored: the finding is about no image of ECR".into());
    }
    for image in images {
        let name = image_name(&image.registry, &envelope.region, &image.repository_name);
        hint(&name, &image.image_hash, hearing, heard);
    }
    Ok(())
}

/// Tells `scan` to look, when a service has such an image.
fn hint(name: &str, digest: &str, hearing: &Hearing<'_>, heard: &mut Heard) {
    let is_ours = hearing.policy.services.iter().any(|service| service.image.as_str() == name);
    match (ImageName::new(name), Digest::new(digest)) {
        (Ok(image), Ok(digest)) if is_ours => {
            let unit = format!("{image}@{digest}");
            heard.ignore(format!("no event: {FUNCTION} is told to look at {unit}"));
            heard.hints.push((FUNCTION, unit));
        }
        (Ok(_), Err(error)) if is_ours => heard.ignore(format!("ignored: {error}")),
        _ => heard.ignore(format!("ignored: no service has the image {}", brief(name))),
    }
}
