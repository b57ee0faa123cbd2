//! What registries say: a tag was pushed. It becomes `image.pushed` when a service follows the tag, and when it names
//! another image than the last one that Longshore heard of.

use longshore_events::types::ImagePushed;
use longshore_events::{Digest, Event, EventId, Fact as _, ImageName};
use longshore_policy::Policy;
use longshore_ports::Resolved;

use crate::hear::{Hearing, brief, first, stands_for};
use crate::{Intake, Refusal};

/// What a registry says of bytes whose type it does not say.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A tag that was pushed, and that a service follows.
#[derive(Debug)]
pub(crate) struct Tagged {
    /// The id that the notice gives the event; `None` when it gives none, and the content must tell.
    pub(crate) id: Option<String>,
    pub(crate) image: ImageName,
    pub(crate) tag: String,
    /// What the tag names; `None` when the notice is a hint only, and the registry must be asked.
    pub(crate) names: Option<Resolved>,
}

impl Tagged {
    /// A notice that says what the tag names.
    pub(crate) fn known(
        id: String,
        (image, tag): (ImageName, String),
        digest: &str,
        media_type: Option<&str>,
    ) -> Result<Self, String> {
        let media_type = media_type.filter(|media| !media.is_empty()).map_or(UNKNOWN_TYPE.into(), brief);
        // Ignored, not refused: a registry sends what was refused again, for ever, and everything else waits.
        let digest = Digest::new(digest).map_err(|error| format!("ignored: {error}"))?;
        Ok(Self {
            id: Some(id),
            image,
            tag,
            names: Some(Resolved { digest, media_type, platforms: Vec::new() }),
        })
    }

    /// A notice that says only that the tag was pushed.
    pub(crate) fn hint((image, tag): (ImageName, String)) -> Self {
        Self { id: None, image, tag, names: None }
    }
}

/// The image and its tag, when a service follows them; else why the notice is ignored.
pub(crate) fn followed(policy: &Policy, name: &str, tag: &str) -> Result<(ImageName, String), String> {
    let mut services = policy.services.iter();
    let service = services.find(|service| service.image.as_str() == name && service.tag == tag);
    service
        .map(|service| (service.image.clone(), service.tag.clone()))
        .ok_or_else(|| format!("ignored: no service follows {}:{}", brief(name), brief(tag)))
}

impl Intake {
    /// The event of a tag that was pushed, or why it is none. `said` are those of this request before it.
    pub(crate) async fn pushed(
        &self,
        hearing: &Hearing<'_>,
        tagged: Tagged,
        said: &[Event],
    ) -> Result<Result<Event, String>, Refusal> {
        if let Some(kept) = self.kept(tagged.id.as_deref()).await? {
            return Ok(Ok(kept));
        }
        let head = self.newest(&tagged.image, said).await?;
        let names = match &tagged.names {
            Some(names) => Some(names.clone()),
            None => self.registry.resolve(&tagged.image, &tagged.tag).await.map_err(Refusal::Registry)?,
        };
        let Some(names) = names else {
            return Ok(Err(format!("ignored: the registry knows no {}:{}", tagged.image, tagged.tag)));
        };
        let newest = head.as_ref().and_then(|event| ImagePushed::from_data(&event.data));
        if newest.is_some_and(|newest| newest.digest == names.digest) {
            return Ok(Err(format!("ignored: {}:{} is {} already", tagged.image, tagged.tag, names.digest)));
        }
        tagged.event(hearing, names, head.as_ref()).map(Ok)
    }

    /// The event of that id, if it is kept already.
    async fn kept(&self, id: Option<&str>) -> Result<Option<Event>, Refusal> {
        let Some(id) = id else { return Ok(None) };
        let id = EventId::new(id).map_err(Refusal::unusable)?;
        self.journal.event(&id).await.map_err(Refusal::Journal)
    }

    /// The newest push of an image.
    async fn newest(&self, image: &ImageName, said: &[Event]) -> Result<Option<Event>, Refusal> {
        let of_image =
            |event: &&Event| ImagePushed::from_data(&event.data).is_some_and(|one| one.image == *image);
        match said.iter().rfind(of_image) {
            Some(event) => Ok(Some(event.clone())),
            None => self.journal.latest(ImagePushed::KIND, image.as_str()).await.map_err(Refusal::Journal),
        }
    }
}

impl Tagged {
    fn event(self, hearing: &Hearing<'_>, names: Resolved, head: Option<&Event>) -> Result<Event, Refusal> {
        let Self { id, image, tag, .. } = self;
        // The same tag may come to the same image again: what was before tells the two apart.
        let id = id.unwrap_or_else(|| {
            let after = head.map_or("first", |event| event.id.as_str());
            format!("{}/{image}/{}", hearing.provider, stands_for(&[names.digest.as_str(), after]))
        });
        let (source, subject) = (format!("{}/{}", hearing.provider, hearing.source), image.to_string());
        let pushed = ImagePushed {
            image,
            tag: Some(tag),
            digest: names.digest,
            media_type: names.media_type,
            platforms: names.platforms,
            service: None,
            commit: None,
            manifests_ref: None,
            forced: false,
            actor: None,
        };
        first(id, source, subject, hearing.now, pushed.into())
    }
}
