//! What every store of secrets must do.

use crate::{ErrorKind, Secret, Secrets};

/// Runs every test of the suite. `make` gives a store that holds these names, each with its valid values, the newest
/// first, and nothing else.
pub async fn run<S: Secrets>(make: impl AsyncFn(&[(&str, &[&str])]) -> S) {
    a_secret_has_its_valid_values_newest_first(&make).await;
    a_name_that_is_not_there_is_not_found(&make).await;
}

async fn a_secret_has_its_valid_values_newest_first<S: Secrets>(
    make: &impl AsyncFn(&[(&str, &[&str])]) -> S,
) {
    let secrets = make(&[("one", &["value-1"]), ("rotated", &["newer-2", "older-2"])]).await;
    let one = secrets.get("one").await.expect("it is there");
    assert_eq!(one.iter().map(Secret::expose).collect::<Vec<_>>(), [b"value-1"]);
    let rotated = secrets.get("rotated").await.expect("it is there");
    assert_eq!(rotated.iter().map(Secret::expose).collect::<Vec<_>>(), [b"newer-2", b"older-2"]);
    assert!(!format!("{one:?}{rotated:?}").contains("-2"), "a value can be printed");
}

async fn a_name_that_is_not_there_is_not_found<S: Secrets>(make: &impl AsyncFn(&[(&str, &[&str])]) -> S) {
    let secrets = make(&[("one", &["value-1"])]).await;
    for name in ["two", "one/", "", "../one"] {
        let error = secrets.get(name).await.expect_err("it is not there");
        assert!(matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid), "{name:?}: {error}");
        assert!(!format!("{error} {error:?}").contains("value-1"), "an error holds a value");
    }
    assert_eq!(secrets.get("two").await.expect_err("it is not there").kind, ErrorKind::NotFound);
}
