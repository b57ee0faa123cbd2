//! Clean checkouts, also of trees that are meant to do harm.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use std::os::unix::fs::PermissionsExt as _;

use longshore_events::CommitId;
use longshore_ports::ErrorKind;
use support::{hosted, repo};

#[tokio::test]
async fn a_checkout_holds_the_commits_files_and_nothing_else() {
    let (folder, git, work) = hosted().await;
    let first = work.commit(&[("run.sh", "#!/bin/sh"), ("dir/a b", "text")]);
    std::fs::set_permissions(work.0.join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("dir/a b", work.0.join("link")).unwrap();
    work.git(&["add", "-A"]);
    work.git(&["commit", "-q", "-m", "modes"]);
    let second = work.head();
    work.git(&["push", "-q", "--all", git.path(&repo()).to_str().unwrap()]);
    let out = folder.path().join("out");
    std::fs::create_dir_all(out.join("left/over")).unwrap();
    assert_eq!(git.checkout(&repo(), &second, &out).await.unwrap(), 1_700_000_000);
    assert_eq!(names(&out), ["dir", "link", "run.sh"]);
    assert_eq!(std::fs::read_link(out.join("link")).unwrap().to_str(), Some("dir/a b"));
    assert_eq!(std::fs::metadata(out.join("run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    git.checkout(&repo(), &first, &out).await.unwrap();
    assert_eq!(names(&out), ["dir", "run.sh"]);
    assert_eq!(names(folder.path()), ["git", "out", "work"], "nothing is left beside it");
}

#[tokio::test]
async fn nothing_that_a_tree_says_is_run() {
    let (folder, git, work) = hosted().await;
    let ran = folder.path().join("ran");
    let script = format!("#!/bin/sh\ntouch {}\n", ran.display());
    for path in [".githooks/post-checkout", "hooks/post-checkout", "config"] {
        let path = work.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::write(work.0.join(".gitattributes"), "* filter=evil diff=evil\n").unwrap();
    let config = format!("[filter \"evil\"]\n\tsmudge = touch {0}\n\trequired = true\n", ran.display());
    std::fs::write(work.0.join(".gitconfig"), config).unwrap();
    std::fs::write(work.0.join(".gitmodules"), "[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c id\n")
        .unwrap();
    work.git(&["add", "-A"]);
    work.git(&["commit", "-q", "-m", "evil"]);
    let commit = work.head();
    work.git(&["push", "-q", "--all", git.path(&repo()).to_str().unwrap()]);
    git.checkout(&repo(), &commit, &folder.path().join("out")).await.unwrap();
    assert!(!ran.exists());
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_not_found() {
    let (folder, git, _work) = hosted().await;
    let nothing = CommitId::new("0123456789".repeat(4)).unwrap();
    let error = git.checkout(&repo(), &nothing, &folder.path().join("out")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn making_a_repository_twice_keeps_what_was_pushed() {
    let (_folder, git, work) = hosted().await;
    let commit = work.commit(&[("a", "1")]);
    work.git(&["push", "-q", "--all", git.path(&repo()).to_str().unwrap()]);
    // What a host that was killed while it made the repository leaves.
    std::fs::create_dir_all(git.path(&repo()).with_extension("new").join("objects")).unwrap();
    let branch = longshore_events::RefName::branch("trunk").unwrap();
    git.init_bare(&repo(), &branch, "#!/bin/sh\n# new\n").await.unwrap();
    let path = git.path(&repo());
    assert_eq!(std::fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/trunk\n");
    assert!(std::fs::read_to_string(path.join("hooks/post-receive")).unwrap().ends_with("# new\n"));
    let refs = longshore_ports::Git::refs(&git, &repo()).await.unwrap();
    assert_eq!(refs[0].1, commit);
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
