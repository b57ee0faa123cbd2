//! Who asks: the token, two at once, none, a wrong one.

use longshore_policy::ForgeKind;
use longshore_ports::{ErrorKind, Git as _};

use crate::stage::{KINDS, Stage, main_branch, repo};

#[tokio::test]
async fn either_of_two_tokens_will_do_while_one_takes_the_others_place() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        stage.server.demand("old");
        let git = stage.git_with(&["new", "old"]);
        assert!(git.tip(&repo(), &main_branch()).await.unwrap().is_some());
        stage.server.demand("new");
        assert!(git.tip(&repo(), &main_branch()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_wrong_token_is_named_by_its_secret_and_never_told() {
    for kind in KINDS {
        let stage = Stage::new(kind).await;
        stage.server.demand("right");
        let error = stage.git_with(&["wr0ng"]).refs(&repo()).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(said.contains("secret \\\"forge\\\"") && !said.contains("wr0ng"), "{said}");
    }
}

#[tokio::test]
async fn a_missing_secret_is_no_missing_commit() {
    let stage = Stage::new(ForgeKind::Github).await;
    let error =
        stage.git_with(&[]).compare(&repo(), &stage.history.root, &stage.history.main).await.unwrap_err();
    assert!(error.kind == ErrorKind::Denied && error.to_string().contains("\"forge\""), "{error}");
}

#[tokio::test]
async fn without_a_token_the_way_out_is_to_name_one() {
    let stage = Stage::new(ForgeKind::Github).await;
    stage.server.demand("right");
    let error = stage.git().refs(&repo()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Denied && error.to_string().contains("`token`"), "{error}");
}

#[tokio::test]
async fn a_token_that_may_not_is_told_from_one_that_is_spent() {
    let stage = Stage::new(ForgeKind::Github).await;
    let body = "{\"message\":\"Resource not accessible by personal access token\"}";
    stage.server.answer_next((403, vec![("x-ratelimit-remaining", "4999".into())], body.into()));
    let error = stage.git_with(&["t"]).refs(&repo()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Denied && error.to_string().contains("not accessible"), "{error}");
}

#[tokio::test]
async fn a_private_repository_that_the_token_does_not_see_says_which_token_that_was() {
    let stage = Stage::new(ForgeKind::Gitlab).await;
    for _ in 0..2 {
        stage.server.answer_next((404, Vec::new(), "{\"message\":\"404 Project Not Found\"}".into()));
    }
    let error = stage.git_with(&["t"]).tip(&repo(), &main_branch()).await.unwrap_err();
    assert!(error.kind == ErrorKind::NotFound && error.to_string().contains("\"forge\""), "{error}");
}
