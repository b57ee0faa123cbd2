//! Takes from the host's registry what nothing refers to any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::SignedDuration;
use longshore_events::{Digest, Fact as _, types::DigestQuarantined};
use longshore_frame::Function as _;
use longshore_local::SqliteJournal;
use longshore_oci::server::{Collected, Store};
use longshore_ports::history::{EventQuery, History as _};
use tokio::time::sleep;

use super::system::System;

/// Between two collections.
const EVERY: Duration = Duration::from_hours(1);
/// How long what nothing refers to stays: a push may take its time, and somebody may want an image back.
const GRACE: SignedDuration = SignedDuration::from_hours(24);
/// How many events are read at once.
const PAGE: usize = 1_000;

/// Collects for ever; the first time a while after the start, when the host has less to do.
pub(super) async fn collect(system: Arc<System>, store: Store) {
    loop {
        sleep(EVERY).await;
        if let Err(error) = collect_once(&system, &store).await {
            tracing::error!("cannot collect the registry's garbage; nothing is lost: {error:#}");
        }
    }
}

async fn collect_once(system: &System, store: &Store) -> Result<()> {
    let keep = in_use(&system.journal).await?;
    let before = system.clock.now() - GRACE;
    let store = store.clone();
    let taken = tokio::task::spawn_blocking(move || store.collect(&keep, before)).await??;
    if taken != Collected::default() {
        let (blobs, bytes, uploads) = (taken.blobs, taken.bytes, taken.uploads);
        tracing::info!(blobs, bytes, uploads, "took from the registry what nothing refers to");
    }
    Ok(())
}

/// Every digest that the state of a unit names, such as the releases that run, ran before or are on their way; and those
/// that are quarantined, so that they can be looked at.
async fn in_use(journal: &SqliteJournal) -> Result<BTreeSet<Digest>> {
    let mut found = BTreeSet::new();
    // What was scanned or judged need not be kept for that.
    let judges = [longshore_scan::Scan::NAME, longshore_gate::Gate::NAME];
    for unit in journal.all_units().await?.iter().filter(|unit| !judges.contains(&unit.function.as_str())) {
        found.extend(digests(&unit.row.state));
        found.extend(digests(&serde_json::to_string(&unit.row.todo)?));
    }
    let mut query =
        EventQuery { kind: Some(DigestQuarantined::KIND.into()), limit: PAGE, ..EventQuery::default() };
    loop {
        let page = journal.events(&query).await?;
        if page.next == query.after {
            return Ok(found);
        }
        query.after = page.next;
        let bad = page.events.iter().filter_map(|found| DigestQuarantined::from_data(&found.event.data));
        found.extend(bad.map(|fact| fact.digest.clone()));
    }
}

/// The digests that a text names, wherever they stand in it.
fn digests(text: &str) -> impl Iterator<Item = Digest> + '_ {
    text.match_indices("sha256:").filter_map(|(at, _)| Digest::new(text.get(at..at + 71)?).ok())
}

#[cfg(test)]
mod tests {
    use longshore_events::{ChainId, Event, EventId, Link};
    use longshore_ports::Journal as _;
    use longshore_ports::journal::{Commit, UnitRow, UnitWrite};

    use super::*;

    fn digest(digit: &str) -> Digest {
        Digest::new(format!("sha256:{}", digit.repeat(64))).unwrap()
    }

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (a, b) = (digest("a"), digest("b"));
        let text = format!(r#"{{"image":"shop/api@{a}","other":"{b}","short":"sha256:12","end":"sha256:"#);
        assert_eq!(digests(&text).collect::<Vec<_>>(), [a, b]);
    }

    #[tokio::test]
    async fn what_a_state_names_and_what_is_quarantined_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.sqlite");
        let journal = SqliteJournal::open(&path, super::super::functions::routes(), None).unwrap();
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        let fact = DigestQuarantined {
            digest: digest("b"),
            environment: "live".parse().unwrap(),
            service: "api".parse().unwrap(),
            reason: "it did not become ready".into(),
        };
        let event = Event {
            link: Link { chain: ChainId::new("c").unwrap(), cause: None },
            id: EventId::new("e").unwrap(),
            source: "test".into(),
            subject: "live/api".into(),
            time: at,
            traceparent: None,
            dryrun: false,
            data: fact.into(),
        };
        let row = UnitRow { state: format!(r#"{{"current":"api@{}"}}"#, digest("a")), ..UnitRow::default() };
        let unit = UnitWrite {
            function: "deploy".into(),
            unit: "live/api".into(),
            read_version: 0,
            read_marks: 0,
            row,
        };
        let commit = Commit { at, events: vec![event], unit: Some(unit), ..Commit::default() };
        journal.commit(&commit).await.unwrap();
        assert_eq!(in_use(&journal).await.unwrap(), BTreeSet::from([digest("a"), digest("b")]));
    }
}
