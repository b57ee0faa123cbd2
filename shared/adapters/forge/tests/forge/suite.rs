//! The port's contract suite, and what it does not ask.

use std::sync::Arc;

use longshore_events::RepositoryName;
use longshore_forge::testing::RENAMED;
use longshore_policy::ForgeKind;
use longshore_ports::{Git as _, Relation, suite};

use crate::stage::{KINDS, Stage, git, repo};

#[tokio::test]
async fn github_fulfils_the_contract() {
    let stage = Stage::new(ForgeKind::Github).await;
    suite::git::run(&stage.git(), &stage.history).await;
}

#[tokio::test]
async fn gitlab_fulfils_the_contract() {
    let stage = Stage::new(ForgeKind::Gitlab).await;
    suite::git::run(&stage.git(), &stage.history).await;
}

#[tokio::test]
async fn a_renamed_repository_is_found_where_the_forge_says() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        let git = git(&[(RENAMED, stage.server.forge(None))], Arc::default());
        let (base, head) = (&stage.history.root, &stage.history.main);
        let renamed = RepositoryName::new(RENAMED).unwrap();
        assert_eq!(git.relation(&renamed, base, head).await.unwrap(), Relation::Ahead);
        assert_eq!(git.refs(&renamed).await.unwrap().len(), 3);
    }
}

#[tokio::test]
async fn commits_without_a_common_ancestor_have_diverged() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        let work = stage.work();
        work.git(&["checkout", "-q", "--orphan", "other"]);
        let other = work.commit(&[("alone", "x")]);
        let git = stage.git();
        let changes = git.compare(&repo(), &stage.history.main, &other).await.unwrap();
        assert_eq!(changes.relation, Relation::Diverged);
        assert!(changes.paths.is_none_or(|paths| paths.contains(&"alone".to_owned())));
        assert_eq!(git.relation(&repo(), &other, &stage.history.main).await.unwrap(), Relation::Diverged);
    }
}

#[tokio::test]
async fn a_move_counts_both_its_names_and_a_copy_only_the_new_one() {
    let stage = Stage::new(ForgeKind::Github).await;
    let files = |old: &str, new: &str, status: &str| {
        format!(
            "{{\"status\":\"ahead\",\"files\":[{{\"filename\":\"{new}\",\"previous_filename\":\"{old}\",\
             \"status\":\"{status}\"}}]}}"
        )
    };
    for (status, paths) in [("renamed", &["a", "b"][..]), ("copied", &["b"])] {
        stage.server.answer_next((200, Vec::new(), files("a", "b", status)));
        let changes = stage.git().compare(&repo(), &stage.history.root, &stage.history.main).await.unwrap();
        assert_eq!(changes.paths.unwrap(), paths);
    }
}

#[tokio::test]
async fn a_repository_without_a_forge_is_asked_of_the_other_adapter() {
    let stage = Stage::new(ForgeKind::Github).await;
    let other = RepositoryName::new("acme/other").unwrap();
    let error = stage.git().refs(&other).await.unwrap_err();
    assert!(error.to_string().contains("no forge"), "{error}");
    assert!(stage.server.asked().is_empty());
}
