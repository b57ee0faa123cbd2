//! What outsiders push to the host's registry, as events.

use std::sync::Arc;

use async_trait::async_trait;
use longshore_events::{
    ChainId, Data, Event, EventId, Fact as _, ImageName, Link, types::ImageDeleted, types::ImagePushed,
};
use longshore_frame::Function as _;
use longshore_gate::Gate;
use longshore_local::SqliteJournal;
use longshore_oci::server::{Change, Watcher};
use longshore_policy::{Policy, image_of_tag};
use longshore_ports::{
    BlobRef, Clock, Facts as _, Hints, Journal as _,
    journal::{Commit, CommitError},
};

/// Why an event was not kept: the client is answered 500, and pushes again.
type Lost = Box<dyn std::error::Error + Send + Sync>;

/// Says what outsiders push to the host's registry. The builder's own pushes are said by `build`, in the commit that
/// ends the build.
pub(super) struct Pushes {
    pub(super) policy: Arc<Policy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) journal: Arc<SqliteJournal>,
    /// Told when something new lies beside an image.
    pub(super) hints: Arc<dyn Hints>,
}

impl Pushes {
    /// The image of a service, when the change is about the tag that it follows.
    fn followed(&self, change: &Change) -> Option<ImageName> {
        let tag = change.tag.as_deref()?;
        let is = |service: &&longshore_policy::Service| {
            service.image.as_str() == change.repository.to_string() && service.tag == tag
        };
        self.policy.services.iter().find(is).map(|service| service.image.clone())
    }

    /// What is about an image may be its signature: who judges the image looks.
    fn hint(&self, change: &Change) {
        let by_tag = || change.tag.as_deref().and_then(image_of_tag);
        let Some(image) = change.subject.clone().or_else(by_tag) else { return };
        for unit in self.policy.units_to_sign(change.repository.as_str(), &image) {
            self.hints.hint(Gate::NAME, &unit);
        }
    }

    async fn say(&self, id: String, subject: String, data: Data) -> Result<(), Lost> {
        let at = self.clock.now();
        let event = Event {
            link: Link { chain: ChainId::new(&id)?, cause: None },
            id: EventId::new(id)?,
            source: "longshore/registry".into(),
            subject,
            time: at,
            traceparent: None,
            dryrun: false,
            data,
        };
        let committed =
            match self.journal.commit(&Commit { at, events: vec![event], ..Commit::default() }).await {
                Ok(committed) => committed,
                Err(CommitError::Conflict(_)) => return Ok(()),
                Err(CommitError::Port(error)) => return Err(error.into()),
            };
        Ok(self.journal.publish(&committed).await?)
    }
}

#[async_trait]
impl Watcher for Pushes {
    async fn stored(&self, change: &Change) -> Result<(), Lost> {
        self.hint(change);
        let Some(image) = self.followed(change) else { return Ok(()) };
        let head = self.journal.latest(ImagePushed::KIND, image.as_str()).await?;
        let newest = head.as_ref().and_then(|event| ImagePushed::from_data(&event.data));
        if newest.is_some_and(|newest| newest.digest == change.digest) {
            return Ok(());
        }
        let after = head.map_or_else(|| "first".to_owned(), |event| event.id.to_string());
        let id = id_of(&image, change, &after);
        let data = ImagePushed {
            image: image.clone(),
            tag: change.tag.clone(),
            digest: change.digest.clone(),
            media_type: change.media_type.clone(),
            platforms: change.platforms.clone(),
            service: None,
            commit: None,
            manifests_ref: None,
            forced: false,
            actor: None,
        };
        self.say(id, image.to_string(), data.into()).await
    }

    async fn deleted(&self, change: &Change) -> Result<(), Lost> {
        let Some(image) = self.followed(change) else { return Ok(()) };
        let id = id_of(&image, change, &format!("deleted/{}", self.clock.now().as_nanosecond()));
        let data =
            ImageDeleted { image: image.clone(), tag: change.tag.clone(), digest: change.digest.clone() };
        self.say(id, image.to_string(), data.into()).await
    }
}

/// The same tag may come to the same image again: what was before tells the two apart. As a hash, since it may be an
/// id that was made here, and would grow with each.
fn id_of(image: &ImageName, change: &Change, after: &str) -> String {
    let after = BlobRef::of(after.as_bytes()).0;
    format!("registry/{image}/{}/after/{}", &change.digest.hex()[..16], &after.hex()[..16])
}

#[cfg(test)]
mod tests {
    use longshore_events::Digest;

    use super::*;

    #[test]
    fn ids_of_an_image_that_comes_and_goes_differ_and_do_not_grow() {
        let image = ImageName::new("shop/api").unwrap();
        let change = |digit: &str| Change {
            repository: "shop/api".parse().unwrap(),
            tag: Some("latest".into()),
            digest: Digest::new(format!("sha256:{}", digit.repeat(64))).unwrap(),
            media_type: String::new(),
            platforms: Vec::new(),
            subject: None,
        };
        let mut ids = vec!["first".to_owned()];
        for turn in 0..20 {
            let id = id_of(&image, &change(["a", "b"][turn % 2]), &ids[turn]);
            assert!(!ids.contains(&id) && id.len() < 80, "{id}");
            ids.push(id);
        }
    }
}
