//! What every way to tell people must do.

use crate::{EffectKind, Key, Notice, Notify};

/// Runs every test of the suite, each on a way of its own. `heard` says what came out of it, as texts.
pub async fn run<N: Notify>(make: impl AsyncFn() -> N, heard: impl AsyncFn(&N) -> Vec<String>) {
    a_notice_is_heard_whole_and_with_its_key(&make().await, &heard).await;
}

async fn a_notice_is_heard_whole_and_with_its_key<N: Notify>(
    notify: &N,
    heard: &impl AsyncFn(&N) -> Vec<String>,
) {
    let key = Key {
        function: "report".into(),
        unit: "failure/live/shop/3".into(),
        generation: Some(1),
        name: "notice".into(),
        kind: EffectKind::Told,
        restoring: true,
    };
    let title = "shop was rolled back in live";
    let notice = Notice { title: title.into(), text: "it did not become ready\nü & <b>: 100 %".into() };
    notify.tell(&key, &notice).await.expect("somebody is told");
    notify.tell(&key, &notice).await.expect("somebody is told again");
    let heard = heard(notify).await;
    assert!(!heard.is_empty(), "nobody heard it");
    for text in heard {
        for part in [title, "it did not become ready", "ü & <b>: 100 %", &key.to_string()] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
