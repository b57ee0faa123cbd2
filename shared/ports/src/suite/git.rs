//! What everything that knows Git must do.

use longshore_events::{CommitId, RefName, RepositoryName};

use crate::{ErrorKind, Git, Relation};

/// A repository that the suite is run on. Whoever runs it makes it first, with three commits:
///
/// - `root` has the files [`History::ROOT`];
/// - `main`, the tip of `refs/heads/main`, has `root` as its parent and the files [`History::MAIN`];
/// - `side`, the tip of `refs/heads/team/side`, has `root` as its parent and the files [`History::SIDE`];
///
/// and with the tag `refs/tags/v1` on `root`, an annotated one where there are such.
#[derive(Debug, Clone)]
pub struct History {
    /// The repository.
    pub repo: RepositoryName,
    /// The first commit.
    pub root: CommitId,
    /// The tip of `refs/heads/main`.
    pub main: CommitId,
    /// The tip of `refs/heads/team/side`.
    pub side: CommitId,
}

/// The path and the content of a file.
pub type File = (&'static str, &'static str);

impl History {
    /// The files of `root`.
    pub const ROOT: &[File] = &[("README", "one"), ("api/main.rs", "fn main() {}"), ("web/old.js", "same")];
    /// The files of `main`: one changed, one new with a space and a letter beyond ASCII, one moved, one as it was.
    pub const MAIN: &[File] = &[
        ("README", "two"),
        ("api/main.rs", "fn main() {}"),
        ("web/new.js", "same"),
        ("web/a \u{e9}.txt", "x"),
    ];
    /// The files of `side`: one new.
    pub const SIDE: &[File] =
        &[("README", "one"), ("api/main.rs", "fn main() {}"), ("web/old.js", "same"), ("side.txt", "side")];
}

/// Runs every test of the suite. None of them changes the repository.
pub async fn run<G: Git>(git: &G, history: &History) {
    refs_are_sorted_and_tags_lead_to_commits(git, history).await;
    a_tip_is_the_commit_or_nothing(git, history).await;
    relations_are_told_apart(git, history).await;
    paths_are_those_of_the_trees(git, history).await;
    what_is_unknown_is_not_found(git, history).await;
}

fn name(name: &str) -> RefName {
    RefName::new(name).expect("a ref name")
}

async fn refs_are_sorted_and_tags_lead_to_commits<G: Git>(git: &G, history: &History) {
    let refs = git.refs(&history.repo).await.expect("the refs");
    let expected = [
        (name("refs/heads/main"), history.main.clone()),
        (name("refs/heads/team/side"), history.side.clone()),
        (name("refs/tags/v1"), history.root.clone()),
    ];
    assert_eq!(refs, expected);
}

async fn a_tip_is_the_commit_or_nothing<G: Git>(git: &G, history: &History) {
    for (git_ref, commit) in [
        ("refs/heads/main", Some(&history.main)),
        ("refs/heads/team/side", Some(&history.side)),
        ("refs/tags/v1", Some(&history.root)),
        ("refs/heads/side", None),
        ("refs/heads/team", None),
        ("refs/heads/mai", None),
        ("refs/tags/main", None),
    ] {
        let tip = git.tip(&history.repo, &name(git_ref)).await.expect("an answer");
        assert_eq!(tip.as_ref(), commit, "{git_ref}");
    }
}

async fn relations_are_told_apart<G: Git>(git: &G, history: &History) {
    let History { repo, root, main, side } = history;
    for (base, head, relation) in [
        (main, main, Relation::Same),
        (root, main, Relation::Ahead),
        (main, root, Relation::Behind),
        (main, side, Relation::Diverged),
        (side, main, Relation::Diverged),
    ] {
        let changes = git.compare(repo, base, head).await.expect("a comparison");
        assert_eq!(changes.relation, relation, "{base} to {head}");
        assert_eq!(git.relation(repo, base, head).await.expect("an answer"), relation, "{base} to {head}");
    }
}

async fn paths_are_those_of_the_trees<G: Git>(git: &G, history: &History) {
    let History { repo, root, main, side } = history;
    let touched: &[&str] = &["README", "web/a \u{e9}.txt", "web/new.js", "web/old.js"];
    for (base, head, paths) in [
        (main, main, &[][..]),
        (root, main, touched),
        (main, root, touched),
        (root, side, &["side.txt"]),
        (side, main, &["README", "side.txt", "web/a \u{e9}.txt", "web/new.js", "web/old.js"]),
    ] {
        let mut found = git.compare(repo, base, head).await.expect("a comparison").paths.expect("few paths");
        found.sort();
        assert_eq!(
            found, paths,
            "{base} to {head}: a move is both its paths, not those of a common ancestor"
        );
    }
}

async fn what_is_unknown_is_not_found<G: Git>(git: &G, history: &History) {
    let nowhere = RepositoryName::new("not/there").expect("a name");
    let nothing = CommitId::new("0123456789".repeat(4)).expect("a commit");
    let not_found = |error: crate::PortError| assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    not_found(git.refs(&nowhere).await.expect_err("no such repository"));
    not_found(git.tip(&nowhere, &name("refs/heads/main")).await.expect_err("no such repository"));
    not_found(git.compare(&history.repo, &history.root, &nothing).await.expect_err("no such head"));
    not_found(git.compare(&history.repo, &nothing, &history.root).await.expect_err("no such base"));
}
