//! Long lists, long answers, and pages that lead elsewhere.

use longshore_policy::ForgeKind;
use longshore_ports::{ErrorKind, Git as _, Relation};

use crate::stage::{KINDS, Stage, repo};

#[tokio::test]
async fn all_pages_of_a_list_are_read_a_hundred_at_a_time() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        let work = stage.work();
        for n in 0..250 {
            work.git(&["update-ref", &format!("refs/tags/n{n}"), "HEAD"]);
        }
        let refs = stage.git().refs(&repo()).await.unwrap();
        assert_eq!(refs.len(), 3 + 250);
        let asked = stage.server.asked();
        assert_eq!(asked.len(), 1 + 3, "{asked:?}");
        assert!(asked.iter().all(|path| path.contains("per_page=100")), "{asked:?}");
    }
}

#[tokio::test]
async fn a_next_page_at_another_address_is_not_asked_for() {
    let stage = Stage::new(ForgeKind::Github).await;
    let link = "<http://127.0.0.1:1/x>; rel=\"next\"".to_owned();
    stage.server.answer_next((200, vec![("link", link)], "[]".into()));
    assert_eq!(stage.git().refs(&repo()).await.unwrap().len(), 1, "the tag alone");
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let stage = Stage::new(ForgeKind::Gitlab).await;
    let link = format!(
        "<{}/projects/acme%2Fshop/repository/branches?page=2>; rel=\"next\"",
        stage.server.forge(None).api
    );
    for _ in 0..100 {
        stage.server.answer_next((200, vec![("link", link.clone())], "[]".into()));
    }
    let error = stage.git().refs(&repo()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Invalid && error.to_string().contains("100 pages"), "{error}");
}

#[tokio::test]
async fn more_files_than_github_compares_are_found_by_both_trees() {
    let stage = Stage::new(ForgeKind::Github).await;
    let (work, git) = (stage.work(), stage.git());
    let few = work.commit_many(299);
    let changes = git.compare(&repo(), &stage.history.main, &few).await.unwrap();
    assert_eq!((changes.relation, changes.paths.unwrap().len()), (Relation::Ahead, 299));
    stage.server.asked();
    let many = work.commit_many(20_000);
    let mut paths: Vec<_> = (0..20_000).map(|n| format!("many-{n}")).collect();
    paths.sort();
    let changes = git.compare(&repo(), &stage.history.main, &many).await.unwrap();
    assert_eq!((changes.relation, changes.paths.as_ref()), (Relation::Ahead, Some(&paths)));
    let asked = stage.server.asked();
    assert_eq!(asked.iter().filter(|path| path.contains("/git/trees/")).count(), 2, "{asked:?}");
    let back = git.compare(&repo(), &many, &stage.history.main).await.unwrap();
    assert_eq!((back.relation, back.paths.as_ref()), (Relation::Behind, Some(&paths)));
    let aside = git.compare(&repo(), &stage.history.side, &many).await.unwrap();
    assert_eq!(aside.relation, Relation::Diverged);
    assert!(aside.paths.unwrap().len() > 20_000, "and what differed before");
}

#[tokio::test]
async fn trees_that_github_lists_in_part_leave_the_relation_alone() {
    let stage = Stage::new(ForgeKind::Github).await;
    let files = vec!["{\"filename\":\"a\",\"status\":\"added\"}"; 300].join(",");
    let compared = format!("{{\"status\":\"ahead\",\"files\":[{files}]}}");
    for part in ["{\"tree\":[],\"truncated\":true}".to_owned(), "x".repeat(33 << 20)] {
        stage.server.answer_next((200, Vec::new(), compared.clone()));
        stage.server.answer_next((200, Vec::new(), part));
        let changes = stage.git().compare(&repo(), &stage.history.root, &stage.history.main).await.unwrap();
        assert_eq!((changes.relation, changes.paths), (Relation::Ahead, None));
    }
}

#[tokio::test]
async fn a_comparison_that_took_gitlab_too_long_has_no_paths() {
    let stage = Stage::new(ForgeKind::Gitlab).await;
    let (root, main) = (&stage.history.root, &stage.history.main);
    stage.server.answer_next((200, Vec::new(), format!("{{\"id\":\"{root}\"}}")));
    stage.server.answer_next((200, Vec::new(), "{\"diffs\":[],\"compare_timeout\":true}".into()));
    let changes = stage.git().compare(&repo(), root, main).await.unwrap();
    assert_eq!((changes.relation, changes.paths), (Relation::Ahead, None));
}

#[tokio::test]
async fn patches_longer_than_is_read_do_not_keep_the_relation_back() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        let (root, main) = (&stage.history.root, &stage.history.main);
        let long = format!("{{\"diffs\":[],\"patch\":\"{}\"}}", "x".repeat(33 << 20));
        let whole = stage.git().compare(&repo(), root, main).await.unwrap();
        if kind == ForgeKind::Gitlab {
            stage.server.answer_next((200, Vec::new(), format!("{{\"id\":\"{root}\"}}")));
        }
        stage.server.answer_next((200, Vec::new(), long));
        let changes = stage.git().compare(&repo(), root, main).await.unwrap();
        // GitHub lists the trees; GitLab would list them in pages of a hundred.
        let paths = whole.paths.filter(|_| kind == ForgeKind::Github);
        assert_eq!((changes.relation, changes.paths), (Relation::Ahead, paths));
    }
}

#[tokio::test]
async fn a_relation_is_asked_for_without_the_files() {
    let stage = Stage::new(ForgeKind::Github).await;
    stage.git().relation(&repo(), &stage.history.root, &stage.history.main).await.unwrap();
    let asked = stage.server.asked();
    assert!(asked.len() == 1 && asked[0].ends_with("?per_page=1&page=2"), "{asked:?}");
}
