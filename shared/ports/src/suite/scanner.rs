//! What every scanner must do.

use longshore_events::types::ScanStatus;

use crate::{EffectKind, ErrorKind, Key, ScanOrder, ScanReport, ScanState, Scanner};

/// A scanner, and images that it can look into.
pub struct Bench<S> {
    /// The scanner.
    pub scanner: S,
    /// An image in which nothing is found.
    pub clean: ScanOrder,
    /// An image in which something is found.
    pub dirty: ScanOrder,
    /// An image that cannot be looked into: it is not there, or of another kind.
    pub unreadable: ScanOrder,
}

/// Runs every test of the suite, each on a scanner of its own. `settle` waits until something has changed: a scan has
/// ended, or a while has passed.
pub async fn run<S: Scanner>(make: impl AsyncFn() -> Bench<S>, settle: impl AsyncFn(&Bench<S>)) {
    what_was_never_begun_is_not_found(&make().await).await;
    what_is_clean_and_what_is_not_are_told_apart(&make().await, &settle).await;
    begun_twice_is_one_scan(&make().await, &settle).await;
    another_image_under_the_same_key_is_a_conflict(&make().await).await;
    what_cannot_be_looked_into_is_never_clean(&make().await, &settle).await;
}

/// Polls are bounded, so that a scanner that never ends fails the suite.
const POLLS: usize = 10_000;

/// The key of the first scan of an order.
pub fn key(order: &ScanOrder) -> Key {
    Key {
        function: "scan".into(),
        unit: order.image.to_string(),
        generation: Some(1),
        name: "start".into(),
        kind: EffectKind::Named,
        restoring: false,
    }
}

async fn ended<S: Scanner>(
    bench: &Bench<S>,
    order: &ScanOrder,
    settle: &impl AsyncFn(&Bench<S>),
) -> ScanReport {
    for _ in 0..POLLS {
        match bench.scanner.find(&key(order), order).await.expect("the scanner can be asked") {
            Some(ScanState::Running) => settle(bench).await,
            Some(ScanState::Ended(report)) => return report,
            None => panic!("{} was begun, and is not found", key(order)),
        }
    }
    panic!("the scan of {} does not end", order.image)
}

async fn what_was_never_begun_is_not_found<S: Scanner>(bench: &Bench<S>) {
    let found = bench.scanner.find(&key(&bench.clean), &bench.clean).await;
    assert_eq!(found.expect("the scanner can be asked"), None);
}

async fn what_is_clean_and_what_is_not_are_told_apart<S: Scanner>(
    bench: &Bench<S>,
    settle: &impl AsyncFn(&Bench<S>),
) {
    for (order, has_findings) in [(&bench.clean, false), (&bench.dirty, true)] {
        bench.scanner.start(&key(order), order).await.expect("it begins");
        let report = ended(bench, order, settle).await;
        assert_eq!((report.status, &report.reason), (ScanStatus::Complete, &None), "{report:?}");
        assert!(!report.scope.is_empty(), "who says complete says what was looked for");
        let counts = report.counts;
        let count = counts.critical + counts.high + counts.medium + counts.low + counts.unknown;
        assert_eq!(count > 0, has_findings, "{report:?}");
        assert!(report.findings_ref.is_some() || !has_findings, "findings are listed somewhere");
        assert_eq!(ended(bench, order, settle).await, report, "it stays as it ended");
        let version = bench.scanner.version().await.expect("the scanner can be asked");
        assert_eq!(version.scanner, report.scanner);
        assert!(version.database.is_none() || version.database == report.database, "{report:?}");
    }
}

async fn begun_twice_is_one_scan<S: Scanner>(bench: &Bench<S>, settle: &impl AsyncFn(&Bench<S>)) {
    let order = &bench.dirty;
    bench.scanner.start(&key(order), order).await.expect("it begins");
    bench.scanner.start(&key(order), order).await.expect("nothing happens");
    let report = ended(bench, order, settle).await;
    bench.scanner.start(&key(order), order).await.expect("nothing happens");
    assert_eq!(ended(bench, order, settle).await, report, "what has ended is not begun again");
}

async fn another_image_under_the_same_key_is_a_conflict<S: Scanner>(bench: &Bench<S>) {
    bench.scanner.start(&key(&bench.clean), &bench.clean).await.expect("it begins");
    let error = bench.scanner.start(&key(&bench.clean), &bench.dirty).await.expect_err("the key is taken");
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
}

async fn what_cannot_be_looked_into_is_never_clean<S: Scanner>(
    bench: &Bench<S>,
    settle: &impl AsyncFn(&Bench<S>),
) {
    let order = &bench.unreadable;
    if let Err(error) = bench.scanner.start(&key(order), order).await {
        assert!(!error.is_temporary(), "trying again does not make it readable: {error}");
        return;
    }
    let report = ended(bench, order, settle).await;
    assert_ne!(report.status, ScanStatus::Complete, "{report:?}");
    let reason = report.reason.expect("it says why");
    assert!(!reason.contains('\n'), "a reason is one line");
}
