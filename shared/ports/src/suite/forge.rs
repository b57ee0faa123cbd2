//! What every forge must do.

use longshore_events::{CommitId, RepositoryName};

use crate::{CommitStatus, EffectKind, Forge, Key, StatusState};

/// A forge, and what it knows.
pub struct Bench<F> {
    /// The forge.
    pub forge: F,
    /// A repository.
    pub repo: RepositoryName,
    /// A commit of it, of which nothing is shown yet.
    pub commit: CommitId,
}

/// Runs every test of the suite, each on a forge of its own. `shown` says what a forge shows beside the commit: the newest of
/// each context, sorted by them.
pub async fn run<F: Forge>(
    make: impl AsyncFn() -> Bench<F>,
    shown: impl AsyncFn(&Bench<F>) -> Vec<(String, StatusState, String)>,
) {
    the_newest_status_of_each_context_is_shown(&make().await, &shown).await;
    a_status_that_is_shown_already_is_success(&make().await, &shown).await;
}

fn key(name: &str) -> Key {
    Key {
        function: "report".into(),
        unit: "shop".into(),
        generation: None,
        name: name.into(),
        kind: EffectKind::Told,
        restoring: true,
    }
}

impl<F: Forge> Bench<F> {
    async fn say(&self, context: &str, state: StatusState, description: &str) {
        let (context, description) = (context.to_owned(), description.to_owned());
        let (repo, commit) = (self.repo.clone(), self.commit.clone());
        let status = CommitStatus { repo, commit, context, state, description };
        self.forge.status(&key("status"), &status).await.expect("it is shown");
    }
}

async fn the_newest_status_of_each_context_is_shown<F: Forge>(
    bench: &Bench<F>,
    shown: &impl AsyncFn(&Bench<F>) -> Vec<(String, StatusState, String)>,
) {
    assert_eq!(shown(bench).await, []);
    bench.say("a", StatusState::Pending, "it is built").await;
    bench.say("b", StatusState::Pending, "it is deployed").await;
    bench.say("a", StatusState::Failure, "ü & <b>: \"no\"").await;
    bench.say("b", StatusState::Success, "it runs").await;
    let a = ("a".to_owned(), StatusState::Failure, "ü & <b>: \"no\"".to_owned());
    let b = ("b".to_owned(), StatusState::Success, "it runs".to_owned());
    assert_eq!(shown(bench).await, [a, b]);
}

async fn a_status_that_is_shown_already_is_success<F: Forge>(
    bench: &Bench<F>,
    shown: &impl AsyncFn(&Bench<F>) -> Vec<(String, StatusState, String)>,
) {
    for state in [StatusState::Pending, StatusState::Success, StatusState::Pending, StatusState::Failure] {
        bench.say("a", state, "x").await;
        bench.say("a", state, "x").await;
        assert_eq!(shown(bench).await, [("a".to_owned(), state, "x".to_owned())]);
    }
}
