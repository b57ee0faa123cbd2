//! Notifications of a registry, as CNCF's distribution (`docker-registry`) sends them.
//!
//! It tells of pulls, of every blob, and of build caches too, and again of a tag that is pushed unchanged; it says
//! nothing of tags when an image is pushed by digest. What counts is a manifest under a tag that a service follows.
//!
//! Source: distribution's "Work with notifications".

use longshore_events::Digest;
use longshore_policy::image_of_tag;
use serde::Deserialize;

use crate::few::Few;
use crate::hear::{Heard, Hearing, is_id, stands_for};
use crate::tags::{Tagged, followed};
use crate::{Refusal, signed};

/// The most events of one envelope.
const MAX_EVENTS: usize = 2_000;

/// Manifests and indexes; all else is a part of an image.
const IMAGES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

#[derive(Deserialize)]
struct Envelope {
    events: Few<Notice, MAX_EVENTS>,
}

#[derive(Deserialize)]
struct Notice {
    id: String,
    action: String,
    target: Target,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default)]
    media_type: String,
    digest: Option<String>,
    #[serde(default)]
    repository: String,
    tag: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Request {
    /// The registry as the client calls it.
    host: Option<String>,
}

/// Translates a verified envelope.
pub(crate) fn translate(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let wanted = "application/vnd.docker.distribution.events.v1+json or application/json";
    let envelope: Envelope = serde_json::from_str(hearing.json(body, wanted)?)?;
    let mut heard = Heard::default();
    for notice in envelope.events.whole("events")? {
        if let Some((name, image)) = notice.signs() {
            signed::hint(&name, &image, hearing, &mut heard);
            continue;
        }
        match notice.tagged(hearing) {
            Ok(tagged) => heard.tags.push(tagged),
            Err(why) => heard.ignore(why),
        }
    }
    if heard.tags.is_empty() && heard.ignored.is_empty() {
        heard.ignore("ignored: the envelope is empty".into());
    }
    Ok(heard)
}

impl Notice {
    /// The image that what was pushed lies beside, by its tag.
    fn signs(&self) -> Option<(String, Digest)> {
        let image = self.target.tag.as_deref().and_then(image_of_tag).filter(|_| self.action == "push")?;
        Some((format!("{}/{}", self.host(), self.target.repository), image))
    }

    /// The tag that was pushed, or why the notice is ignored.
    fn tagged(&self, hearing: &Hearing<'_>) -> Result<Tagged, String> {
        let target = &self.target;
        let (Some(tag), Some(digest)) = (&target.tag, &target.digest) else {
            return Err("ignored: no tag was pushed".into());
        };
        if self.action != "push" || !IMAGES.contains(&target.media_type.as_str()) {
            return Err("ignored: no image was pushed".into());
        }
        let place = followed(hearing.policy, &format!("{}/{}", self.host(), target.repository), tag)?;
        let id = if is_id(&self.id) { self.id.clone() } else { stands_for(&[&self.id]) };
        let id = format!("{}/{}/{id}", hearing.provider, hearing.source);
        Tagged::known(id, place, digest, Some(&target.media_type))
    }

    fn host(&self) -> &str {
        let said = self.request.as_ref().and_then(|request| request.host.as_deref());
        let of_url = || self.target.url.as_deref().and_then(|url| url.split('/').nth(2));
        said.filter(|host| !host.is_empty()).or_else(of_url).unwrap_or_default()
    }
}
