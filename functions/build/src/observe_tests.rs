//! What counts as changed, by what Git answers.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_events::types::ImagePushed;
use longshore_events::{
    ChainId, CommitId, Digest, Event, EventId, ImageName, Link, RefName, RepositoryName, ServiceName,
};
use longshore_frame::{Cause, Function as _};
use longshore_ports::{
    BuildOrder, BuildStatus, Builder, Changes, ErrorKind, Facts, Git, Key, PortError, Relation,
};

use crate::{Build, State};

const CONFIG: &str = "[[repository]]\nname = \"acme/shop\"\n[[service]]\nname = \"shop\"\nrepository = \"acme/shop\"\n\
                      watch = [\"shop/**\"]\n";

fn commit(digit: &str) -> CommitId {
    CommitId::new(digit.repeat(40)).unwrap()
}

/// Answers every comparison alike, and notes that it was asked.
struct Answers(fn() -> Result<Option<Vec<String>>, PortError>, Mutex<usize>);

#[async_trait]
impl Git for Answers {
    async fn refs(&self, _: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        Ok(Vec::new())
    }

    async fn tip(&self, _: &RepositoryName, _: &RefName) -> Result<Option<CommitId>, PortError> {
        Ok(Some(commit("2")))
    }

    async fn relation(&self, _: &RepositoryName, _: &CommitId, _: &CommitId) -> Result<Relation, PortError> {
        Ok(Relation::Same)
    }

    async fn compare(
        &self,
        _: &RepositoryName,
        base: &CommitId,
        head: &CommitId,
    ) -> Result<Changes, PortError> {
        assert_eq!((base, head), (&commit("1"), &commit("2")));
        *self.1.lock().unwrap() += 1;
        (self.0)().map(|paths| Changes { relation: Relation::Ahead, paths })
    }
}

/// The last image was of commit 1.
struct LastImage;

#[async_trait]
impl Facts for LastImage {
    async fn latest(&self, _: &str, subject: &str) -> Result<Option<Event>, PortError> {
        let image = ImagePushed {
            image: ImageName::new(subject).unwrap(),
            tag: None,
            digest: Digest::new(format!("sha256:{}", "a".repeat(64))).unwrap(),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            platforms: Vec::new(),
            service: Some(ServiceName::new("shop").unwrap()),
            commit: Some(commit("1")),
            manifests_ref: None,
            forced: false,
            actor: None,
        };
        Ok(Some(Event {
            id: EventId::new("1").unwrap(),
            source: "build".into(),
            subject: subject.to_owned(),
            time: Timestamp::UNIX_EPOCH,
            link: Link { chain: ChainId::new("1").unwrap(), cause: None },
            traceparent: None,
            dryrun: false,
            data: image.into(),
        }))
    }
}

struct Idle;

#[async_trait]
impl Builder for Idle {
    async fn start(&self, _: &Key, _: &BuildOrder) -> Result<(), PortError> {
        Ok(())
    }

    async fn find(&self, _: &Key) -> Result<Option<BuildStatus>, PortError> {
        Ok(None)
    }
}

/// Whether the last image stands for the new commit, or why that cannot be seen.
fn is_unchanged(answer: fn() -> Result<Option<Vec<String>>, PortError>) -> Result<bool, PortError> {
    let git = Arc::new(Answers(answer, Mutex::default()));
    let build = Build {
        policy: Arc::new(longshore_policy::check(CONFIG, "test").unwrap()),
        builder: Arc::new(Idle),
        builder_name: "packer".into(),
        git: git.clone(),
        facts: Arc::new(LastImage),
        poll_ms: 1,
    };
    let unit = format!("shop@{}", commit("2"));
    let (state, cause) = (State::default(), Cause::Woken);
    let observed = std::pin::pin!(build.observe(&unit, &state, &cause));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(seen) = observed.poll(&mut context) else { panic!("nothing here waits") };
    assert_eq!(*git.1.lock().unwrap(), 1);
    seen.map(|seen| seen.unchanged.is_some())
}

#[test]
fn what_touches_nothing_that_is_watched_is_unchanged() {
    assert!(is_unchanged(|| Ok(Some(vec!["docs/a".into()]))).unwrap());
    assert!(!is_unchanged(|| Ok(Some(vec!["docs/a".into(), "shop/b".into()]))).unwrap());
}

#[test]
fn paths_that_are_too_many_count_as_changed() {
    assert!(!is_unchanged(|| Ok(None)).unwrap());
}

#[test]
fn a_commit_that_git_has_forgotten_counts_as_changed() {
    assert!(!is_unchanged(|| Err(PortError::new(ErrorKind::NotFound, "compare", "no such commit"))).unwrap());
}

#[test]
fn a_forge_that_does_not_answer_is_asked_again() {
    assert!(is_unchanged(|| Err(PortError::unavailable("compare", "502"))).unwrap_err().is_temporary());
}
