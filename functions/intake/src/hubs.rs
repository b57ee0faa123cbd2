//! Docker Hub and Quay: they say which tag was pushed, and not what it names now. A hint: the registry is asked.
//!
//! Source: Docker's "Webhooks" of Docker Hub, and Quay's "Repository notifications".

use serde::Deserialize;

use crate::Refusal;
use crate::few::Few;
use crate::hear::{Heard, Hearing};
use crate::tags::{Tagged, followed};

/// The most tags of one push.
const MAX_TAGS: usize = 100;

#[derive(Deserialize)]
struct DockerHub {
    push_data: PushData,
    repository: HubRepository,
}

#[derive(Deserialize)]
struct PushData {
    tag: Option<String>,
}

#[derive(Deserialize)]
struct HubRepository {
    repo_name: String,
}

#[derive(Deserialize)]
struct Quay {
    /// The image's name, with the registry's host.
    docker_url: String,
    #[serde(default)]
    updated_tags: Few<String, MAX_TAGS>,
}

/// Translates a verified webhook of Docker Hub.
pub(crate) fn docker_hub(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let said: DockerHub = serde_json::from_str(hearing.json(body, "application/json")?)?;
    let name = format!("docker.io/{}", said.repository.repo_name);
    Ok(hints(hearing, &name, said.push_data.tag.as_slice()))
}

/// Translates a verified notification of Quay.
pub(crate) fn quay(hearing: &Hearing<'_>, body: &[u8]) -> Result<Heard, Refusal> {
    let said: Quay = serde_json::from_str(hearing.json(body, "application/json")?)?;
    Ok(hints(hearing, &said.docker_url, &said.updated_tags.whole("tags")?))
}

fn hints(hearing: &Hearing<'_>, name: &str, tags: &[String]) -> Heard {
    let mut heard = Heard::default();
    for tag in tags {
        match followed(hearing.policy, name, tag) {
            Ok(place) => heard.tags.push(Tagged::hint(place)),
            Err(why) => heard.ignore(why),
        }
    }
    if tags.is_empty() {
        heard.ignore("ignored: no tag was pushed".into());
    }
    heard
}
