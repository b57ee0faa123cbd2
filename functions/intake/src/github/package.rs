//! `package` and `registry_package`: an image was pushed to `ghcr.io`. GitHub sends both for one push, if both are
//! chosen; the second says nothing new.

use serde::Deserialize;

use crate::Refusal;
use crate::hear::{Heard, Hearing, brief};
use crate::tags::{Tagged, followed};

const REGISTRY: &str = "ghcr.io";

#[derive(Deserialize)]
struct Body {
    #[serde(alias = "registry_package")]
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    namespace: String,
    #[serde(rename = "package_version")]
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    /// The digest.
    version: String,
    container_metadata: Option<Container>,
}

#[derive(Deserialize)]
struct Container {
    tag: Option<Tag>,
    manifest: Option<Manifest>,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    name: String,
    #[serde(default)]
    digest: String,
}

#[derive(Deserialize)]
struct Manifest {
    media_type: Option<String>,
}

/// What is looked at first: the other kinds of packages have other fields.
#[derive(Deserialize)]
struct Opening {
    action: String,
    #[serde(alias = "registry_package")]
    package: Kind,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "package_type")]
    kind: String,
}

pub(super) fn translate(hearing: &Hearing<'_>, text: &str, delivery: &str) -> Result<Heard, Refusal> {
    let Opening { action, package: Kind { kind } } = serde_json::from_str(text)?;
    if !kind.eq_ignore_ascii_case("container") {
        return Ok(Heard::ignored(format!("ignored: {:?} is no image", brief(&kind))));
    }
    if !matches!(action.as_str(), "published" | "updated") {
        return Ok(Heard::ignored(format!("ignored: {:?} is no push of an image", brief(&action))));
    }
    let Body { package } = serde_json::from_str(text)?;
    Ok(match package.tagged(hearing, format!("{}/{delivery}", hearing.provider)) {
        Ok(tagged) => Heard { tags: vec![tagged], ..Heard::default() },
        Err(why) => Heard::ignored(why),
    })
}

impl Package {
    /// The tag that was pushed, or why the notice is ignored.
    fn tagged(&self, hearing: &Hearing<'_>, id: String) -> Result<Tagged, String> {
        let version = self.version.as_ref();
        let container = version.and_then(|version| version.container_metadata.as_ref());
        let tag = container.and_then(|container| container.tag.as_ref()).filter(|tag| !tag.name.is_empty());
        let (Some(version), Some(tag)) = (version, tag) else {
            return Err("ignored: the image was pushed without a tag".into());
        };
        let name = format!("{REGISTRY}/{}/{}", self.namespace, self.name).to_lowercase();
        let place = followed(hearing.policy, &name, &tag.name)?;
        let digest = if tag.digest.is_empty() { &version.version } else { &tag.digest };
        let manifest = container.and_then(|container| container.manifest.as_ref());
        Tagged::known(id, place, digest, manifest.and_then(|manifest| manifest.media_type.as_deref()))
    }
}
