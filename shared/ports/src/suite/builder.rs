//! What every builder must do.

use crate::{BuildOrder, BuildStatus, Builder, EffectKind, ErrorKind, Key};

/// A builder, and what it can build.
pub struct Bench<B> {
    /// The builder.
    pub builder: B,
    /// An order that ends in an image.
    pub good: BuildOrder,
    /// Another one.
    pub other: BuildOrder,
    /// An order that ends without an image.
    pub failing: BuildOrder,
    /// A text that the reason of the failure holds.
    pub why: &'static str,
}

/// Runs every test of the suite, each on a builder of its own. `settle` waits until something has changed: a build
/// has ended, or a while has passed.
pub async fn run<B: Builder>(make: impl AsyncFn() -> Bench<B>, settle: impl AsyncFn(&Bench<B>)) {
    what_was_never_begun_is_not_found(&make().await).await;
    a_build_ends_in_an_image(&make().await, &settle).await;
    begun_twice_is_one_build(&make().await, &settle).await;
    another_order_under_the_same_key_is_a_conflict(&make().await, &settle).await;
    a_build_that_fails_says_why(&make().await, &settle).await;
}

/// Polls are bounded, so that a builder that never ends fails the suite.
const POLLS: usize = 10_000;

fn key(order: &BuildOrder, name: &str) -> Key {
    Key {
        function: "build".into(),
        unit: format!("{}/{}", order.service, order.commit),
        generation: None,
        name: name.into(),
        kind: EffectKind::Named,
        restoring: false,
    }
}

async fn ended<B: Builder>(bench: &Bench<B>, key: &Key, settle: &impl AsyncFn(&Bench<B>)) -> BuildStatus {
    for _ in 0..POLLS {
        match bench.builder.find(key).await.expect("the builder can be asked") {
            Some(BuildStatus::Running) => settle(bench).await,
            Some(status) => return status,
            None => panic!("{key} was begun, and is not found"),
        }
    }
    panic!("{key} does not end")
}

async fn what_was_never_begun_is_not_found<B: Builder>(bench: &Bench<B>) {
    let found = bench.builder.find(&key(&bench.good, "image")).await.expect("the builder can be asked");
    assert_eq!(found, None);
}

async fn a_build_ends_in_an_image<B: Builder>(bench: &Bench<B>, settle: &impl AsyncFn(&Bench<B>)) {
    let key = key(&bench.good, "image");
    bench.builder.start(&key, &bench.good).await.expect("it begins");
    let status = ended(bench, &key, settle).await;
    assert!(matches!(status, BuildStatus::Succeeded(_)), "{status:?}");
    let again = bench.builder.find(&key).await.expect("the builder can be asked");
    assert_eq!(again, Some(status), "it stays as it ended");
}

async fn begun_twice_is_one_build<B: Builder>(bench: &Bench<B>, settle: &impl AsyncFn(&Bench<B>)) {
    let key = key(&bench.good, "image");
    bench.builder.start(&key, &bench.good).await.expect("it begins");
    bench.builder.start(&key, &bench.good).await.expect("nothing happens");
    let status = ended(bench, &key, settle).await;
    bench.builder.start(&key, &bench.good).await.expect("nothing happens");
    let again = bench.builder.find(&key).await.expect("the builder can be asked");
    assert_eq!(again, Some(status), "what has ended is not begun again");
}

async fn another_order_under_the_same_key_is_a_conflict<B: Builder>(
    bench: &Bench<B>,
    settle: &impl AsyncFn(&Bench<B>),
) {
    let key = key(&bench.good, "image");
    bench.builder.start(&key, &bench.good).await.expect("it begins");
    for _ in 0..2 {
        let error = bench.builder.start(&key, &bench.other).await.expect_err("the key is taken");
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
        ended(bench, &key, settle).await;
    }
}

async fn a_build_that_fails_says_why<B: Builder>(bench: &Bench<B>, settle: &impl AsyncFn(&Bench<B>)) {
    let key = key(&bench.failing, "image");
    bench.builder.start(&key, &bench.failing).await.expect("it begins");
    let BuildStatus::Failed(failure) = ended(bench, &key, settle).await else {
        panic!("it was to fail");
    };
    assert!(failure.reason.contains(bench.why), "{:?} does not say {:?}", failure.reason, bench.why);
    assert!(!failure.reason.contains('\n'), "a reason is one line");
    bench.builder.start(&key, &bench.failing).await.expect("nothing happens");
    let again = bench.builder.find(&key).await.expect("the builder can be asked");
    assert_eq!(again, Some(BuildStatus::Failed(failure)), "it stays as it ended");
}
