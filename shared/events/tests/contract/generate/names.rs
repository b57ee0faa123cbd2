//! Valid names, of every shape that their rules allow.

use longshore_events::{
    ChainId, CommitId, Digest, EnvironmentName, EventId, ImageName, RefName, RepositoryName, ServiceName,
};
use proptest::prelude::*;

pub(crate) fn digest_text() -> impl Strategy<Value = String> {
    "sha256:[0-9a-f]{64}"
}

pub(crate) fn commit_text() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{39}[1-9a-f]", "[1-9a-f][0-9a-f]{63}"]
}

pub(crate) fn branch() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_ä][A-Za-z0-9_ü+#%-]{0,10}(/[a-z0-9@(][a-z0-9,!&'()-]{0,10}){0,3}"
}

pub(crate) fn ref_text() -> impl Strategy<Value = String> {
    (prop_oneof!["refs/heads/", "refs/tags/", "refs/merge-requests/"], branch())
        .prop_map(|(start, branch)| start + &branch)
}

pub(crate) fn repository_text() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]([._-]?[A-Za-z0-9]){0,10}(/[A-Za-z0-9]([_-]{0,2}[A-Za-z0-9]){0,10}){0,3}"
}

pub(crate) fn label_text() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,38}[a-z0-9])?"
}

pub(crate) fn id_text() -> impl Strategy<Value = String> {
    "[!-~]{1,512}"
}

pub(crate) fn image_text() -> impl Strategy<Value = String> {
    "([A-Za-z0-9]([.-]?[A-Za-z0-9]){0,10}:[0-9]{1,5}/)?[a-z0-9]{1,9}(([._]|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,9}){0,3}"
}

macro_rules! valid {
    ($($function:ident: $name:ident from $text:ident;)+) => { $(
        pub(crate) fn $function() -> impl Strategy<Value = $name> {
            $text().prop_map(|text| $name::new(text).unwrap())
        }
    )+ };
}

valid! {
    digest: Digest from digest_text;
    commit: CommitId from commit_text;
    git_ref: RefName from ref_text;
    repository: RepositoryName from repository_text;
    service: ServiceName from label_text;
    environment: EnvironmentName from label_text;
    event_id: EventId from id_text;
    chain_id: ChainId from id_text;
    image: ImageName from image_text;
}
