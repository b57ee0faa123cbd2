//! Whatever strangers send: no panic, and nothing is committed unless the signature holds.

#![allow(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

mod support;

use longshore_intake::sign;
use longshore_ports::Secret;
use proptest::prelude::*;
use support::{GITHUB, GITLAB, NOW, SIGNING, World, borrowed, sample};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Bytes of all kinds: noise, JSON of some shape, and samples with a piece changed.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let samples =
        ["github/push", "github/push_form", "github/create_branch", "gitlab/push", "gitlab/tag_push"];
    let changed = (0..samples.len(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..8))
        .prop_map(move |(sample_at, at, piece)| {
            let (_, mut body) = sample(samples[sample_at]);
            let at = at.index(body.len());
            let end = (at + piece.len()).min(body.len());
            body.splice(at..end, piece);
            body
        });
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        "[\\[\\]{}\":,0-9a-z\\\\ ]{0,200}".prop_map(String::into_bytes),
        changed
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("content-type"),
        Just("x-github-event"),
        Just("x-github-delivery"),
        Just("x-hub-signature-256"),
        Just("x-gitlab-event"),
        Just("x-gitlab-token"),
        Just("webhook-id"),
        Just("webhook-timestamp"),
        Just("webhook-signature"),
        Just("ce-type"),
        Just("ce-id"),
        Just("ce-time"),
    ];
    let value = prop_oneof![
        "\\PC{0,40}",
        Just("application/json".to_owned()),
        Just("application/cloudevents+json".to_owned()),
        Just("push".to_owned()),
        Just("Push Hook".to_owned()),
        Just(NOW.to_string()),
        "sha256=[0-9a-f]{64}",
        "v1,[A-Za-z0-9+/]{43}=",
    ];
    prop::collection::vec((name.prop_map(str::to_owned), value), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_unsigned_is_committed(source in "github|gitlab|events|no-secret|[a-z]{0,9}", headers in headers(), body in body()) {
        let world = World::new();
        let answer = run(world.send(&source, &borrowed(&headers), &body));
        prop_assert!((400..=503).contains(&answer.status), "{answer:?}");
        prop_assert!(answer.code.is_some() && world.is_untouched());
    }

    #[test]
    fn whatever_is_signed_is_answered_and_kept_only_with_2xx(headers in headers(), body in body()) {
        let world = World::new();
        let github = sign::github(&Secret::new(GITHUB), &body);
        let signed = sign::standard(&Secret::new(SIGNING), "msg", NOW, &body).unwrap();
        for source in ["github", "gitlab", "events"] {
            let mut all = vec![("x-hub-signature-256", github.as_str()), ("x-gitlab-token", GITLAB)];
            all.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
            all.extend(borrowed(&headers));
            all.extend([("x-github-event", "push"), ("x-github-delivery", "1"), ("x-gitlab-event", "Push Hook")]);
            all.push(("content-type", "application/json"));
            let answer = run(world.send(source, &all, &body));
            prop_assert_ne!(answer.status, 401);
            prop_assert!(answer.status < 300 || answer.code.is_some());
            prop_assert!(answer.status == 202 || answer.accepted.is_empty());
        }
    }
}
