//! Units: what is written is read, and marks.

use super::sample::{ask, at, done, id, read, refused, request, routes, says, todo, unit, writes};
use crate::Journal;
use crate::journal::{Routes, UnitRow, UnitWrite};

pub(super) async fn run<J: Journal>(make: &impl AsyncFn(Routes) -> J) {
    a_unit_is_read_as_it_was_written(&make(routes()).await).await;
    what_a_unit_no_longer_has_is_gone(&make(routes()).await).await;
    a_mark_changes_no_version(&make(routes()).await).await;
    a_mark_that_was_not_read_is_a_conflict(&make(routes()).await).await;
    a_unit_wakes_when_it_is_due_or_its_claim_ends(&make(routes()).await).await;
}

fn full() -> UnitWrite {
    let mut write = unit("u", None);
    write.row = UnitRow {
        version: 1,
        state: "{\"text\":\"ü ' \\\" \\u0000\"}".into(),
        todo: vec![todo("first"), todo("second")],
        claim: Some("invocation-1".into()),
        until: Some(at(30)),
        attempts: 2,
        due: Some(at(60)),
        link: Some(request("e", "a").then()),
        marked: vec![id("e"), id("f")],
    };
    write
}

async fn a_unit_is_read_as_it_was_written<J: Journal>(journal: &J) {
    let write = full();
    done(journal, &writes(write.clone())).await;
    assert_eq!(read(journal, &ask("e")).await.unit, Some(write.row));
}

async fn what_a_unit_no_longer_has_is_gone<J: Journal>(journal: &J) {
    let mut write = full();
    done(journal, &writes(write.clone())).await;
    (write.read_version, write.read_marks) = (1, 2);
    write.row = UnitRow { version: 2, state: "{}".into(), ..UnitRow::default() };
    done(journal, &writes(write.clone())).await;
    assert_eq!(read(journal, &ask("e")).await.unit, Some(write.row));
}

/// Adds a mark to the unit as it was read.
fn marks(row: &UnitRow, event: &str) -> UnitWrite {
    let mut write = unit("u", Some(row));
    write.row = row.clone();
    write.row.marked.push(id(event));
    write
}

async fn busy<J: Journal>(journal: &J) -> UnitRow {
    done(journal, &says(0, &[request("e", "a"), request("f", "a")])).await;
    let mut write = unit("u", None);
    write.row.todo = vec![todo("start")];
    (write.row.claim, write.row.until) = (Some("invocation-1".into()), Some(at(30)));
    done(journal, &writes(write)).await;
    let row = read(journal, &ask("e")).await.unit;
    row.expect("the unit exists")
}

async fn a_mark_changes_no_version<J: Journal>(journal: &J) {
    let row = busy(journal).await;
    done(journal, &writes(marks(&row, "e"))).await;
    let opened = read(journal, &ask("e")).await;
    assert!(opened.owed, "what is marked stays owed");
    let marked = opened.unit.expect("the unit exists");
    assert_eq!(marked, UnitRow { marked: vec![id("e")], ..row });
    done(journal, &writes(marks(&marked, "f"))).await;
    let row = read(journal, &ask("e")).await.unit.expect("the unit exists");
    assert_eq!((row.version, row.marked), (1, vec![id("e"), id("f")]));
}

async fn a_mark_that_was_not_read_is_a_conflict<J: Journal>(journal: &J) {
    let row = busy(journal).await;
    done(journal, &writes(marks(&row, "e"))).await;
    refused(journal, &writes(marks(&row, "f"))).await;
    refused(journal, &writes(unit("u", Some(&row)))).await;
    let marked = read(journal, &ask("e")).await.unit.expect("the unit exists");
    assert_eq!((marked.version, marked.marked.len()), (1, 1));
    let mut freeing = unit("u", Some(&marked));
    freeing.row.marked.clear();
    freeing.row.todo.clear();
    done(journal, &writes(freeing)).await;
    refused(journal, &writes(marks(&marked, "f"))).await;
}

async fn a_unit_wakes_when_it_is_due_or_its_claim_ends<J: Journal>(journal: &J) {
    let name = || ("build".to_owned(), "u".to_owned());
    let mut write = full();
    let committed = done(journal, &writes(write.clone())).await;
    assert_eq!(committed.wake, Some((name().0, name().1, at(30))), "while effects are open, the claim's end");
    (write.read_version, write.read_marks, write.row.version) = (1, 2, 2);
    write.row.todo.clear();
    (write.row.claim, write.row.until) = (None, None);
    let committed = done(journal, &writes(write.clone())).await;
    assert_eq!(committed.wake, Some((name().0, name().1, at(60))));
    (write.read_version, write.row.version, write.row.due) = (2, 3, None);
    assert_eq!(done(journal, &writes(write)).await.wake, None);
}
