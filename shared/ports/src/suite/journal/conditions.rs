//! What a commit is conditional on. Racers are commits made from the same reading.

use longshore_events::{Fact, types::RequestMade};

use super::sample::{
    ask, at, done, id, read, refused, request, routes, says, takes, todo, unit, untaken, writes,
};
use crate::Journal;
use crate::journal::{Commit, DecisionRow, LeaseRow, Opened, Receipt, Relied, Routes, SwitchWrite, UnitRow};

pub(super) async fn run<J: Journal>(make: &impl AsyncFn(Routes) -> J) {
    a_conflict_writes_nothing(&make(routes()).await).await;
    a_commit_whose_reply_was_lost_is_a_conflict_the_second_time(&make(routes()).await).await;
    a_unit_that_does_not_exist_has_version_0(&make(routes()).await).await;
    of_racers_one_mints_the_generation(&make(routes()).await).await;
    a_lease_can_be_a_condition_alone(&make(routes()).await).await;
    a_head_that_changed_is_a_conflict(&make(routes()).await).await;
    a_head_that_appeared_is_a_conflict(&make(routes()).await).await;
    a_stopped_switch_is_a_conflict_for_who_must_run(&make(routes()).await).await;
    a_redelivered_request_does_not_set_its_switch_again(&make(routes()).await).await;
    resuming_says_so_once(&make(routes()).await).await;
}

/// A commit that writes every kind of row, of a unit that nobody has written yet.
fn everything() -> Commit {
    let mut write = unit("u", None);
    write.row.todo = vec![todo("start")];
    Commit {
        receipt: Some(Receipt {
            function: "build".into(),
            event: id("told"),
            unit: Some("u".into()),
            clears: true,
        }),
        lease: Some(takes("prod/api", None, Some("build/u"))),
        switch: Some(SwitchWrite { name: "prod".into(), stop: true }),
        events: vec![request("said", "prod/api")],
        decision: Some(DecisionRow {
            function: "build".into(),
            unit: "u".into(),
            version: 1,
            at: at(0),
            cause: "told told".into(),
            seen: "{}".into(),
            record: None,
        }),
        ..writes(write)
    }
}

async fn a_conflict_writes_nothing<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("told", "a")])).await;
    let mut stale = everything();
    if let Some(unit) = &mut stale.unit {
        (unit.read_version, unit.row.version) = (3, 4);
    }
    let before = read(journal, &ask("told")).await;
    refused(journal, &stale).await;
    assert_eq!(read(journal, &ask("told")).await, before);
    assert_eq!(journal.event(&id("said")).await.expect("a read"), None);
    assert_eq!(journal.latest(RequestMade::KIND, "prod/api").await.expect("a read"), None);
}

async fn a_commit_whose_reply_was_lost_is_a_conflict_the_second_time<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("told", "a")])).await;
    let commit = everything();
    done(journal, &commit).await;
    let after = read(journal, &ask("told")).await;
    refused(journal, &commit).await;
    assert_eq!(read(journal, &ask("told")).await, after);
    let expected = Opened {
        unit: commit.unit.map(|unit| unit.row),
        lease: Some(LeaseRow { holder: Some("build/u".into()), generation: 1 }),
        stopped: vec!["prod".into()],
        owed: false,
        receipts: vec!["u".into()],
        delivery_attempts: 0,
    };
    assert_eq!(after, expected);
    let owed = journal.owed(at(60), 0, 10).await.expect("a read");
    let ids: Vec<_> =
        owed.deliveries.iter().map(|(function, event)| (function.as_str(), event.id.as_str())).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(!ids.contains(&("build", "told")));
}

async fn a_unit_that_does_not_exist_has_version_0<J: Journal>(journal: &J) {
    let stranger = UnitRow { version: 1, ..UnitRow::default() };
    refused(journal, &writes(unit("u", Some(&stranger)))).await;
    done(journal, &writes(unit("u", None))).await;
    refused(journal, &writes(unit("u", None))).await;
    let row = read(journal, &ask("e")).await.unit;
    assert_eq!(row.as_ref().map(|row| row.version), Some(1));
    done(journal, &writes(unit("u", row.as_ref()))).await;
    done(journal, &writes(unit("v", None))).await;
}

async fn of_racers_one_mints_the_generation<J: Journal>(journal: &J) {
    let taking = |read: Option<LeaseRow>, who: &str| Commit {
        lease: Some(takes("prod/api", read, Some(who))),
        ..says(0, &[untaken(&format!("{who}-took-it"), who)])
    };
    let free = read(journal, &ask("e")).await.lease;
    assert_eq!(free, None);
    done(journal, &taking(free.clone(), "deploy/a")).await;
    refused(journal, &taking(free, "chaos/b")).await;
    let held = read(journal, &ask("e")).await.lease;
    assert_eq!(held, Some(LeaseRow { holder: Some("deploy/a".into()), generation: 1 }));
    assert_eq!(journal.event(&id("chaos/b-took-it")).await.expect("a read"), None);

    let drop = Commit { lease: Some(takes("prod/api", held, None)), ..Commit::default() };
    done(journal, &drop).await;
    refused(journal, &drop).await;
    let free = read(journal, &ask("e")).await.lease;
    assert_eq!(free, Some(LeaseRow { holder: None, generation: 1 }));
    done(journal, &taking(free.clone(), "chaos/b")).await;
    refused(journal, &taking(free, "deploy/a")).await;
    let held = read(journal, &ask("e")).await.lease;
    assert_eq!(held, Some(LeaseRow { holder: Some("chaos/b".into()), generation: 2 }));
}

async fn a_lease_can_be_a_condition_alone<J: Journal>(journal: &J) {
    done(journal, &Commit { lease: Some(takes("prod/api", None, Some("build/u"))), ..Commit::default() })
        .await;
    let held = read(journal, &ask("e")).await.lease;
    let mut same = takes("prod/api", held.clone(), Some("build/u"));
    same.row = held.clone().unwrap_or_default();
    let keeping = |unit| Commit { lease: Some(same.clone()), ..writes(unit) };
    done(journal, &keeping(unit("u", None))).await;
    assert_eq!(read(journal, &ask("e")).await.lease, held);
    done(journal, &Commit { lease: Some(takes("prod/api", held, None)), ..Commit::default() }).await;
    refused(journal, &keeping(unit("v", None))).await;
}

fn relying(subject: &str, event: Option<&str>, unit_name: &str) -> Commit {
    let relied = Relied { kind: RequestMade::KIND.into(), subject: subject.into(), event: event.map(id) };
    Commit { relied_on: vec![relied], ..writes(unit(unit_name, None)) }
}

async fn a_head_that_changed_is_a_conflict<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("first", "a"), request("elsewhere", "b")])).await;
    done(journal, &relying("a", Some("first"), "u")).await;
    done(journal, &says(0, &[request("second", "a"), untaken("other-type", "a")])).await;
    refused(journal, &relying("a", Some("first"), "v")).await;
    refused(journal, &relying("a", None, "v")).await;
    done(journal, &relying("a", Some("second"), "v")).await;
    done(journal, &says(0, &[request("second", "a")])).await;
    done(journal, &relying("a", Some("second"), "w")).await;
}

async fn a_head_that_appeared_is_a_conflict<J: Journal>(journal: &J) {
    done(journal, &relying("a", None, "u")).await;
    let mut own = relying("a", None, "v");
    own.events = vec![request("said", "a")];
    done(journal, &own).await;
    refused(journal, &relying("a", None, "w")).await;
}

async fn a_stopped_switch_is_a_conflict_for_who_must_run<J: Journal>(journal: &J) {
    let running =
        |name: &str| Commit { running: vec!["all".into(), "prod".into()], ..writes(unit(name, None)) };
    done(journal, &running("a")).await;
    done(journal, &switch("prod", true)).await;
    assert_eq!(read(journal, &ask("e")).await.stopped, ["prod"]);
    refused(journal, &running("b")).await;
    done(journal, &writes(unit("b", None))).await;
    let elsewhere = Commit { running: vec!["all".into(), "test".into()], ..writes(unit("c", None)) };
    done(journal, &elsewhere).await;
    done(journal, &switch("prod", false)).await;
    assert!(read(journal, &ask("e")).await.stopped.is_empty());
    done(journal, &running("d")).await;
}

async fn a_redelivered_request_does_not_set_its_switch_again<J: Journal>(journal: &J) {
    let asked = |name: &str, stop| Commit { events: vec![request(name, "all")], ..switch("all", stop) };
    done(journal, &asked("stop", true)).await;
    assert!(done(journal, &asked("resume", false)).await.resumed);
    assert!(!done(journal, &asked("resume", false)).await.resumed);
    done(journal, &asked("stop", true)).await;
    assert!(read(journal, &ask("e")).await.stopped.is_empty());
}

fn switch(name: &str, stop: bool) -> Commit {
    Commit { switch: Some(SwitchWrite { name: name.into(), stop }), ..Commit::default() }
}

async fn resuming_says_so_once<J: Journal>(journal: &J) {
    assert!(!done(journal, &switch("all", false)).await.resumed, "it was never stopped");
    assert!(!done(journal, &switch("all", true)).await.resumed);
    assert!(!done(journal, &switch("all", true)).await.resumed, "stopping twice is no going on");
    assert!(done(journal, &switch("all", false)).await.resumed);
    assert!(!done(journal, &switch("all", false)).await.resumed);
}
