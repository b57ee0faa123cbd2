//! The ref check, decision by decision, on a Git that says what a test tells it.

use std::sync::Mutex;

use async_trait::async_trait;
use longshore_events::{Data, EventId};
use longshore_frame::{Lease, Told};
use longshore_policy::{Host, MetricsSource, Scan};
use longshore_ports::Changes;
use longshore_sim::stored::Samples;
use serde::de::IgnoredAny;

use super::*;

struct Refs {
    refs: Mutex<Vec<(RefName, CommitId)>>,
    relation: Relation,
}

#[async_trait]
impl Git for Refs {
    async fn refs(&self, _: &RepositoryName) -> Result<Vec<(RefName, CommitId)>, PortError> {
        Ok(self.refs.lock().unwrap().clone())
    }
    async fn tip(&self, _: &RepositoryName, _: &RefName) -> Result<Option<CommitId>, PortError> {
        Ok(None)
    }
    async fn compare(&self, _: &RepositoryName, _: &CommitId, head: &CommitId) -> Result<Changes, PortError> {
        if head.as_str().starts_with('f') {
            return Err(PortError::new(ErrorKind::NotFound, "compare", "forgotten"));
        }
        Ok(Changes { relation: self.relation, paths: None })
    }
}

struct World {
    git: Arc<Refs>,
    check: RefCheck,
    state: State,
    now: i64,
}

fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

fn name(name: &str) -> RefName {
    RefName::new(name).unwrap()
}

impl World {
    fn new(relation: Relation) -> Self {
        let git = Arc::new(Refs { refs: Mutex::default(), relation });
        let any = "127.0.0.1:0".parse().unwrap();
        let policy = Policy {
            host: Host { listen: any, proxy: any, data: ".".into(), max_body: 1, ref_check_ms: 60_000 },
            scan: Scan { advisories: None, timeout_ms: 1, again_ms: None, trivy: None },
            metrics: MetricsSource::Host,
            notify: longshore_policy::Notify { webhook: None, slack: None },
            sources: Vec::new(),
            repositories: vec![Repository {
                name: RepositoryName::new("shop").unwrap(),
                url: None,
                branch: name("refs/heads/main"),
                forge: None,
            }],
            services: Vec::new(),
            environments: Vec::new(),
            waivers: Vec::new(),
            people: Vec::new(),
            signers: Vec::new(),
        };
        let check = RefCheck { git: git.clone(), policy: Arc::new(policy) };
        Self { git, check, state: State::default(), now: 0 }
    }

    fn has(&self, refs: &[(&str, char)]) {
        let mut refs: Vec<_> = refs.iter().map(|&(r, c)| (name(r), commit(c))).collect();
        refs.sort();
        *self.git.refs.lock().unwrap() = refs;
    }

    async fn run(&mut self, cause: Cause<Input>) -> Vec<PushReceived> {
        let mut said = Vec::new();
        loop {
            let seen = self.check.observe("shop", &self.state, &cause).await.unwrap();
            let at =
                At { now: Timestamp::from_second(self.now).unwrap(), lease: Lease::None, stopped: false };
            let decision = self.check.decide("shop", &at, self.state.clone(), cause.clone(), &seen);
            assert!(decision.facts.len() <= MAX_FACTS);
            assert!(decision.wake.is_some(), "there is always a next look");
            self.state = decision.state;
            said.extend(decision.facts.into_iter().map(|fact| match fact.data {
                Data::PushReceived(push) => push,
                other => panic!("{other:?}"),
            }));
            if !decision.again {
                return said;
            }
        }
    }

    async fn look(&mut self) -> Vec<PushReceived> {
        self.run(Cause::Woken).await
    }

    async fn told(&mut self, git_ref: &str, after: Option<char>) -> Vec<PushReceived> {
        let moved = Moved { git_ref: name(git_ref), before: None, after: after.map(commit), forced: false };
        let push = PushReceived { created: false, ..push(&RepositoryName::new("shop").unwrap(), &moved) };
        let chain = ChainId::new("github/1").unwrap();
        self.run(Cause::Told(Told {
            input: Input::PushReceived(push),
            id: EventId::new("github/1").unwrap(),
            time: Timestamp::UNIX_EPOCH,
            link: Link { chain, cause: None },
        }))
        .await
    }
}

const MAIN: &str = "refs/heads/main";

#[tokio::test]
async fn the_first_look_says_only_the_branch_that_shall_run() {
    let mut world = World::new(Relation::Ahead);
    world.has(&[(MAIN, 'a'), ("refs/heads/old", 'b'), ("refs/tags/v1", 'c')]);
    let said = world.look().await;
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].git_ref.as_str(), said[0].after.clone()), (MAIN, Some(commit('a'))));
    assert!(said[0].created && !said[0].forced && said[0].paths_truncated);
    assert_eq!(world.look().await, [], "what was said is not said again");
}

#[tokio::test]
async fn a_push_whose_webhook_never_came_is_said_once() {
    let mut world = World::new(Relation::Ahead);
    world.has(&[(MAIN, 'a')]);
    world.look().await;
    world.has(&[(MAIN, 'b'), ("refs/tags/v1", 'b')]);
    let said = world.look().await;
    assert_eq!(said.len(), 2);
    assert_eq!((said[0].before.clone(), said[0].after.clone()), (Some(commit('a')), Some(commit('b'))));
    assert!(!said[0].forced && !said[0].created);
    assert!(said[1].created, "a tag that came since is said too");
    assert_eq!(world.told(MAIN, Some('b')).await, [], "the webhook, late, adds nothing");
    assert_eq!(world.look().await, []);
}

#[tokio::test]
async fn what_a_webhook_said_is_not_found_again() {
    let mut world = World::new(Relation::Ahead);
    assert_eq!(world.told(MAIN, Some('a')).await, []);
    world.has(&[(MAIN, 'a')]);
    assert_eq!(world.look().await, []);
}

#[tokio::test]
async fn a_rewound_or_forgotten_history_is_forced() {
    let mut world = World::new(Relation::Behind);
    world.has(&[(MAIN, 'b')]);
    world.look().await;
    world.has(&[(MAIN, 'a')]);
    assert!(world.look().await[0].forced, "behind");
    world.has(&[(MAIN, 'f')]);
    assert!(world.look().await[0].forced, "the commit before is not known any more");
}

#[tokio::test]
async fn a_branch_that_went_is_said_to_be_deleted() {
    let mut world = World::new(Relation::Ahead);
    world.has(&[(MAIN, 'a'), ("refs/heads/old", 'b')]);
    world.look().await;
    world.has(&[(MAIN, 'a')]);
    let said = world.look().await;
    assert!(said.len() == 1 && said[0].deleted && said[0].after.is_none() && !said[0].paths_truncated);
    assert_eq!(world.look().await, []);
}

#[tokio::test]
async fn a_push_without_a_commit_is_not_noted() {
    let mut world = World::new(Relation::Ahead);
    world.has(&[(MAIN, 'a')]);
    world.look().await;
    assert_eq!(world.told("refs/heads/new", None).await, []);
    world.has(&[(MAIN, 'a'), ("refs/heads/new", 'a')]);
    assert_eq!(world.look().await.len(), 1);
}

#[tokio::test]
async fn many_refs_are_said_in_lots() {
    let mut world = World::new(Relation::Ahead);
    world.has(&[(MAIN, 'a')]);
    world.look().await;
    let names: Vec<String> = (0..50).map(|n| format!("refs/tags/v{n}")).collect();
    let mut refs: Vec<(&str, char)> = names.iter().map(|name| (name.as_str(), 'b')).collect();
    refs.push((MAIN, 'c'));
    world.has(&refs);
    let said = world.look().await;
    assert_eq!(said.len(), 51);
    assert_eq!(said[0].git_ref.as_str(), MAIN, "the branch that shall run comes first");
    assert_eq!(world.state.found, 52);
}

#[tokio::test]
async fn pushes_do_not_put_the_next_look_off() {
    let mut world = World::new(Relation::Ahead);
    world.look().await;
    let due = world.state.next;
    world.now = 59;
    world.told(MAIN, Some('a')).await;
    assert_eq!(world.state.next, due);
}

/// What this build stores, and that what any release stored loads. The ref check has no effects.
#[tokio::test]
async fn what_is_stored_stays_as_it_is_and_loads_for_ever() {
    let samples = Samples::of("refcheck");
    let mut world = World::new(Relation::Ahead);
    world.has(&[(MAIN, 'a'), ("refs/tags/v1", 'a')]);
    world.look().await;
    samples.keep("state-looked.json", &world.state);
    for (_, state) in samples.load::<State, IgnoredAny>() {
        assert!(state.looked && state.found == 1 && state.refs.len() == 2 && state.next.is_some());
    }
}
