//! What statuses and broken answers become.

use longshore_policy::{Forge, ForgeKind};
use longshore_ports::{ErrorKind, Git as _, PortError};

use crate::stage::{KINDS, Stage, git, main_branch, repo};

/// What asking for the tip gives when the server answers so.
async fn told(kind: ForgeKind, status: u16, headers: &[(&'static str, &str)], body: &str) -> PortError {
    let stage = Stage::new(kind).await;
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    stage.server.answer_next((status, headers, body.to_owned()));
    stage.git_with(&["t0ken"]).tip(&repo(), &main_branch()).await.unwrap_err()
}

#[tokio::test]
async fn a_rate_limit_is_temporary_and_says_until_when() {
    let message = "{\"message\":\"You have exceeded a secondary rate limit.\"}";
    for (status, headers, body, says) in [
        (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000000")][..], "{}", "1800000000"),
        (403, &[("retry-after", "60")], "{}", "60 s"),
        (403, &[], message, "does not say until when"),
        (429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "1800000001")], "{}", "1800000001"),
        (429, &[], "{}", "does not say until when"),
    ] {
        for kind in KINDS {
            let error = told(kind, status, headers, body).await;
            assert!(error.is_temporary() && error.to_string().contains(says), "{error}");
        }
    }
}

#[tokio::test]
async fn a_forge_that_fails_is_asked_again_later() {
    for status in [500, 502, 503, 504, 408] {
        let error = told(ForgeKind::Github, status, &[], "<html>Unicorn!</html>").await;
        assert!(error.is_temporary() && error.kind == ErrorKind::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn a_forge_that_cannot_be_reached_is_asked_again_later() {
    let forge = Forge { kind: ForgeKind::Github, api: "http://127.0.0.1:1".into(), token: None };
    let error = git(&[("acme/shop", forge)], std::sync::Arc::default()).refs(&repo()).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn what_is_no_answer_of_a_forge_is_told_to_be_so() {
    for (status, body) in [(200, "<html>Log in</html>"), (200, "{}"), (200, "[]"), (418, "{}"), (400, "{}")] {
        for kind in KINDS {
            let error = told(kind, status, &[], body).await;
            assert!(error.kind == ErrorKind::Invalid && error.to_string().contains("`api`"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_token_is_never_sent_to_another_address() {
    let elsewhere = Stage::new(ForgeKind::Github).await;
    let to = format!("{}/repos/acme/shop", elsewhere.server.forge(None).api);
    let error = told(ForgeKind::Github, 301, &[("location", &to)], "").await;
    assert!(error.kind == ErrorKind::Invalid && error.to_string().contains(&to), "{error}");
    assert!(elsewhere.server.asked().is_empty());
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let stage = Stage::new(ForgeKind::Github).await;
    for _ in 0..10 {
        stage.server.answer_next((302, vec![("location", "/around".into())], String::new()));
    }
    let error = stage.git().tip(&repo(), &main_branch()).await.unwrap_err();
    assert!(error.to_string().contains("/around"), "{error}");
    assert!(stage.server.asked().len() <= 7);
}

#[tokio::test]
async fn a_repository_without_commits_has_no_tip() {
    let stage = Stage::new(ForgeKind::Github).await;
    stage.server.answer_next((409, Vec::new(), "{\"message\":\"Git Repository is empty.\"}".into()));
    assert_eq!(stage.git().tip(&repo(), &main_branch()).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_that_no_forge_has_is_refused_before_it_is_asked() {
    for kind in KINDS {
        let forge = Forge { kind, api: "http://127.0.0.1:1".into(), token: None };
        let refused = std::panic::catch_unwind(|| git(&[("shop", forge.clone())], std::sync::Arc::default()));
        assert!(refused.is_err());
    }
}
