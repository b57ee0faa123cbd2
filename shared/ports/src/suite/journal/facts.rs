//! Events, heads, deliveries and receipts.

use longshore_events::{Fact, types::RequestMade};

use super::sample::{ask, done, id, read, request, routes, says, unit, untaken};
use crate::Journal;
use crate::journal::{Committed, Open, Receipt, Routes};

pub(super) async fn run<J: Journal>(make: &impl AsyncFn(Routes) -> J) {
    an_event_is_written_with_what_it_owes(&make(routes()).await).await;
    an_event_that_nobody_takes_owes_nothing(&make(routes()).await).await;
    an_event_that_exists_is_left_alone(&make(routes()).await).await;
    the_rest_of_a_commit_is_written_when_its_event_exists(&make(routes()).await).await;
    an_event_named_twice_in_one_commit_is_written_once(&make(routes()).await).await;
    the_head_is_the_event_written_last(&make(routes()).await).await;
    what_was_never_written_is_not_found(&make(routes()).await).await;
    a_receipt_is_its_units_own(&make(routes()).await).await;
    the_last_receipt_clears_the_delivery(&make(routes()).await).await;
    a_receipt_without_unit_clears_too(&make(routes()).await).await;
    publishing_is_accepted(&make(routes()).await).await;
}

async fn an_event_is_written_with_what_it_owes<J: Journal>(journal: &J) {
    let event = request("e", "prod/api");
    let committed = done(journal, &says(0, std::slice::from_ref(&event))).await;
    let owed = vec![("build".to_owned(), event.clone()), ("deploy".to_owned(), event.clone())];
    assert_eq!(committed, Committed { owed, wake: None, resumed: false });
    assert_eq!(journal.event(&event.id).await.expect("a read"), Some(event));
    let opened = read(journal, &ask("e")).await;
    assert!(opened.owed && opened.delivery_attempts == 0 && opened.receipts.is_empty());
}

async fn an_event_that_nobody_takes_owes_nothing<J: Journal>(journal: &J) {
    let committed = done(journal, &says(0, &[untaken("e", "build")])).await;
    assert!(committed.owed.is_empty());
    assert!(!read(journal, &ask("e")).await.owed);
}

async fn an_event_that_exists_is_left_alone<J: Journal>(journal: &J) {
    let (first, second) = (request("first", "prod/api"), request("second", "prod/api"));
    done(journal, &says(0, std::slice::from_ref(&first))).await;
    done(journal, &receipt("first", Some("u"), true)).await;
    done(journal, &says(0, std::slice::from_ref(&second))).await;
    let mut other = request("first", "prod/api");
    other.source = "somebody/else".into();
    assert!(done(journal, &says(1, &[other])).await.owed.is_empty());
    assert_eq!(journal.event(&first.id).await.expect("a read"), Some(first));
    let head = journal.latest(RequestMade::KIND, "prod/api").await.expect("a read");
    assert_eq!(head, Some(second), "the head does not go back to an event that is sent again");
    let opened = read(journal, &ask("first")).await;
    assert!(!opened.owed, "what was cleared is not owed again");
}

async fn the_rest_of_a_commit_is_written_when_its_event_exists<J: Journal>(journal: &J) {
    let (old, new) = (request("old", "a"), request("new", "b"));
    done(journal, &says(0, std::slice::from_ref(&old))).await;
    let mut commit = says(1, &[old, new.clone()]);
    commit.unit = Some(unit("u", None));
    let committed = done(journal, &commit).await;
    let owed: Vec<_> = committed.owed.iter().map(|(_, event)| event.id.clone()).collect();
    assert_eq!(owed, [new.id.clone(), new.id], "one for each function");
    assert!(read(journal, &ask("new")).await.unit.is_some());
}

async fn an_event_named_twice_in_one_commit_is_written_once<J: Journal>(journal: &J) {
    let event = request("e", "a");
    let committed = done(journal, &says(0, &[event.clone(), event])).await;
    assert_eq!(committed.owed.len(), 2, "one for each function");
}

async fn the_head_is_the_event_written_last<J: Journal>(journal: &J) {
    let mut older = request("older", "a");
    older.time = super::sample::at(-60);
    done(journal, &says(0, &[request("newer", "a"), request("elsewhere", "b")])).await;
    done(journal, &says(1, &[older, untaken("other-type", "a")])).await;
    let head = journal.latest(RequestMade::KIND, "a").await.expect("a read").map(|event| event.id);
    assert_eq!(head, Some(id("older")), "the order of writing counts, not the events' times");
    let head = journal.latest(RequestMade::KIND, "b").await.expect("a read").map(|event| event.id);
    assert_eq!(head, Some(id("elsewhere")));
}

async fn what_was_never_written_is_not_found<J: Journal>(journal: &J) {
    assert_eq!(journal.event(&id("e")).await.expect("a read"), None);
    assert_eq!(journal.latest(RequestMade::KIND, "a").await.expect("a read"), None);
    let opened = read(journal, &ask("e")).await;
    assert_eq!(opened, crate::journal::Opened::default());
}

fn receipt(event: &str, unit: Option<&str>, clears: bool) -> crate::journal::Commit {
    let receipt =
        Receipt { function: "build".into(), event: id(event), unit: unit.map(str::to_owned), clears };
    crate::journal::Commit { receipt: Some(receipt), ..says(0, &[]) }
}

async fn a_receipt_is_its_units_own<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("e", "a"), request("f", "a")])).await;
    done(journal, &receipt("e", Some("u"), false)).await;
    done(journal, &receipt("e", Some("u"), false)).await;
    let opened = read(journal, &ask("e")).await;
    assert_eq!((opened.receipts, opened.owed), (vec!["u".to_owned()], true), "v has none yet");
    assert!(read(journal, &ask("f")).await.receipts.is_empty(), "another event has none");
    let other = Open { function: "deploy".into(), ..ask("e") };
    assert!(read(journal, &other).await.receipts.is_empty(), "another function has none");
}

async fn the_last_receipt_clears_the_delivery<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("e", "a")])).await;
    done(journal, &receipt("e", Some("u"), false)).await;
    done(journal, &receipt("e", Some("v"), true)).await;
    done(journal, &receipt("e", Some("v"), true)).await;
    let opened = read(journal, &ask("e")).await;
    assert_eq!((opened.receipts, opened.owed), (vec!["u".to_owned(), "v".to_owned()], false));
    let other = Open { function: "deploy".into(), ..ask("e") };
    assert!(read(journal, &other).await.owed, "another function's delivery is not touched");
}

async fn a_receipt_without_unit_clears_too<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("e", "a")])).await;
    done(journal, &receipt("e", None, true)).await;
    let opened = read(journal, &ask("e")).await;
    assert!(!opened.owed && opened.receipts.is_empty());
}

async fn publishing_is_accepted<J: Journal>(journal: &J) {
    let committed = done(journal, &says(0, &[request("e", "a")])).await;
    journal.publish(&committed).await.expect("the bus takes it");
    journal.publish(&committed).await.expect("and takes it again");
    assert!(read(journal, &ask("e")).await.owed, "a hint changes nothing");
}
