//! ECR: an image was pushed or deleted, or something that is about one.
//!
//! What is said of a push that failed, of one by digest alone, and of signatures (`sha256-….sig`, which look like images)
//! makes no event; of a signature `gate` is told. A tag that is pushed unchanged is said again.

use longshore_events::types::ImageDeleted;
use longshore_events::{Digest, ImageName};
use longshore_policy::image_of_tag;
use serde::Deserialize;

use super::Envelope;
use crate::hear::{Heard, Hearing, brief, first, is_id, stands_for};
use crate::tags::{Tagged, followed};
use crate::{Refusal, signed};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    result: String,
    repository_name: String,
    #[serde(default)]
    image_digest: String,
    action_type: String,
    image_tag: Option<String>,
    manifest_media_type: Option<String>,
}

pub(super) fn hear(envelope: &Envelope, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    let detail = Detail::deserialize(&envelope.detail)?;
    let told = match detail.action_type.as_str() {
        _ if detail.result != "SUCCESS" => Err(format!("ignored: its result is {:?}", brief(&detail.result))),
        "PUSH" if let Some(image) = detail.image_tag.as_deref().and_then(image_of_tag) => {
            signed::hint(&detail.name(envelope), &image, hearing, heard);
            Ok(())
        }
        "PUSH" => detail.pushed(envelope, hearing).map(|tagged| heard.tags.push(tagged)),
        "DELETE" => match detail.deleted(envelope, hearing) {
            Ok((id, data)) => {
                let (subject, source) =
                    (data.image.to_string(), format!("{}/{}", hearing.provider, hearing.source));
                heard.events.push(first(id, source, subject, envelope.time, data.into())?);
                Ok(())
            }
            Err(why) => Err(why),
        },
        other => Err(format!("ignored: Longshore makes nothing of the action {:?}", brief(other))),
    };
    told.unwrap_or_else(|why| heard.ignore(why));
    Ok(())
}

/// What a manifest that was pushed is about.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Referrer {
    result: String,
    repository_name: String,
    action_type: String,
    #[serde(default)]
    subject_digest: String,
}

/// Something that is about an image was pushed, such as a signature, or deleted.
pub(super) fn refers(envelope: &Envelope, hearing: &Hearing<'_>, heard: &mut Heard) -> Result<(), Refusal> {
    let referrer = Referrer::deserialize(&envelope.detail)?;
    if referrer.result != "SUCCESS" || referrer.action_type != "PUSH" {
        let (action, result) = (brief(&referrer.action_type), brief(&referrer.result));
        heard.ignore(format!(
            "ignored: nothing follows from the action {action:?} with the result {result:?}"
        ));
        return Ok(());
    }
    let name = image_name(&envelope.account, &envelope.region, &referrer.repository_name);
    match Digest::new(&referrer.subject_digest) {
        Ok(subject) => signed::hint(&name, &subject, hearing, heard),
        Err(error) => heard.ignore(format!("ignored: {error}")),
    }
    Ok(())
}

impl Detail {
    fn pushed(&self, envelope: &Envelope, hearing: &Hearing<'_>) -> Result<Tagged, String> {
        let tag = self.image_tag.as_deref().filter(|tag| !tag.is_empty());
        let place = followed(hearing.policy, &self.name(envelope), tag.ok_or("ignored: no tag was pushed")?)?;
        Tagged::known(id(envelope, hearing), place, &self.image_digest, self.manifest_media_type.as_deref())
    }

    fn deleted(&self, envelope: &Envelope, hearing: &Hearing<'_>) -> Result<(String, ImageDeleted), String> {
        let name = self.name(envelope);
        let is_ours = hearing.policy.services.iter().any(|service| service.image.as_str() == name);
        let image = ImageName::new(&name).ok().filter(|_| is_ours);
        let image = image.ok_or_else(|| format!("ignored: no service has the image {}", brief(&name)))?;
        let digest = Digest::new(&self.image_digest).map_err(|error| format!("ignored: {error}"))?;
        let tag = self.image_tag.as_deref().filter(|tag| !tag.is_empty()).map(brief);
        Ok((id(envelope, hearing), ImageDeleted { image, tag, digest }))
    }

    fn name(&self, envelope: &Envelope) -> String {
        image_name(&envelope.account, &envelope.region, &self.repository_name)
    }
}

/// An image's name, with the registry's host.
pub(super) fn image_name(account: &str, region: &str, repository: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("{account}.dkr.ecr.{region}.amazonaws.com{china}/{repository}")
}

/// What comes again has the same id.
fn id(envelope: &Envelope, hearing: &Hearing<'_>) -> String {
    let id = if is_id(&envelope.id) { envelope.id.clone() } else { stands_for(&[&envelope.id]) };
    format!("{}/{}/{id}", hearing.provider, hearing.source)
}
