//! The port's contract suite, on a hosted repository and on a mirror.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use longshore_ports::{ErrorKind, Git as _, suite};
use support::{Work, hosted, main_branch, mirror, repo};

#[tokio::test]
async fn a_hosted_repository_fulfils_the_contract() {
    let (_folder, git, work) = hosted().await;
    let history = work.history();
    work.git(&["push", "-q", "--all", git.path(&repo()).to_str().unwrap()]);
    work.git(&["push", "-q", "--tags", git.path(&repo()).to_str().unwrap()]);
    suite::git::run(&git, &history).await;
}

#[tokio::test]
async fn a_mirror_fulfils_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let work = Work::new(folder.path());
    let history = work.history();
    suite::git::run(&mirror(folder.path(), &work), &history).await;
}

#[tokio::test]
async fn a_mirror_knows_what_was_pushed_since() {
    let folder = tempfile::tempdir().unwrap();
    let work = Work::new(folder.path());
    let (git, first) = (mirror(folder.path(), &work), work.commit(&[("a", "1")]));
    assert_eq!(git.tip(&repo(), &main_branch()).await.unwrap(), Some(first.clone()));
    let second = work.commit(&[("a", "2")]);
    assert_eq!(git.tip(&repo(), &main_branch()).await.unwrap(), Some(second.clone()));
    let changes = git.compare(&repo(), &first, &second).await.unwrap();
    assert_eq!(changes.paths.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_mirror_with_the_lock_of_a_killed_fetch_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let work = Work::new(folder.path());
    let (git, first) = (mirror(folder.path(), &work), work.commit(&[("a", "1")]));
    git.compare(&repo(), &first, &first).await.unwrap();
    let second = work.commit(&[("a", "2")]);
    std::fs::write(git.path(&repo()).join("refs/heads/main.lock"), "").unwrap();
    assert_eq!(git.compare(&repo(), &first, &second).await.unwrap().paths.unwrap(), ["a"]);
}

#[tokio::test]
async fn a_commit_that_was_forced_away_is_still_compared() {
    let folder = tempfile::tempdir().unwrap();
    let work = Work::new(folder.path());
    work.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let git = mirror(folder.path(), &work);
    let first = work.commit(&[("a", "1")]);
    let lost = work.commit(&[("a", "2")]);
    work.git(&["reset", "-q", "--hard", first.as_str()]);
    let other = work.commit(&[("a", "3")]);
    let changes = git.compare(&repo(), &lost, &other).await.unwrap();
    assert_eq!(changes.relation, longshore_ports::Relation::Diverged);
}

#[tokio::test]
async fn a_remote_that_does_not_answer_is_tried_again_and_its_password_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = "http://me:s3cret@127.0.0.1:1/shop.git".to_owned();
    let source = longshore_git::Source::Mirror(url);
    let git = longshore_git::GitCommand::new(folder.path().join("git"), [(repo(), source)]);
    let error = git.refs(&repo()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn more_paths_than_can_be_listed_are_not_known() {
    let (_folder, git, work) = hosted().await;
    let first = work.commit(&[]);
    for (many, listed) in [(100_000, true), (100_001, false)] {
        let head = work.commit_listed(many);
        work.git(&[
            "push",
            "-q",
            "-f",
            git.path(&repo()).to_str().unwrap(),
            &format!("{head}:refs/heads/main"),
        ]);
        let changes = git.compare(&repo(), &first, &head).await.unwrap();
        assert_eq!(changes.paths.map(|paths| paths.len()), listed.then_some(many));
    }
}
