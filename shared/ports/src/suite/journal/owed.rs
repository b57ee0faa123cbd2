//! What the sweep finds.

use super::sample::{at, done, id, request, routes, says, todo, unit, writes};
use crate::Journal;
use crate::journal::{Commit, Open, Owed, Postpone, Receipt, Routes, UnitRow};

pub(super) async fn run<J: Journal>(make: &impl AsyncFn(Routes) -> J) {
    nothing_is_owed_at_first(&make(routes()).await).await;
    a_delivery_is_found_after_the_grace(&make(routes()).await).await;
    the_oldest_are_found_first_up_to_the_limit(&make(routes()).await).await;
    a_delivery_put_off_is_found_when_it_is_due(&make(routes()).await).await;
    putting_off_what_is_not_owed_does_nothing(&make(routes()).await).await;
    a_unit_is_found_when_it_is_due(&make(routes()).await).await;
    a_claimed_unit_is_found_when_its_claim_ends(&make(routes()).await).await;
    a_unit_put_off_with_open_effects_is_found_when_it_is_due(&make(routes()).await).await;
}

async fn owed<J: Journal>(journal: &J, seconds: i64, grace_ms: u64, limit: usize) -> Owed {
    journal.owed(at(seconds), grace_ms, limit).await.expect("the journal can be read")
}

/// The ids of what is owed to `build`, at that second after a grace of ten seconds.
async fn to_build<J: Journal>(journal: &J, seconds: i64) -> Vec<String> {
    let found = owed(journal, seconds, 10_000, 100).await.deliveries;
    found
        .into_iter()
        .filter(|(function, _)| function == "build")
        .map(|(_, event)| event.id.to_string())
        .collect()
}

async fn nothing_is_owed_at_first<J: Journal>(journal: &J) {
    assert_eq!(owed(journal, 1000, 0, 10).await, Owed::default());
}

async fn a_delivery_is_found_after_the_grace<J: Journal>(journal: &J) {
    let event = request("e", "a");
    done(journal, &says(100, std::slice::from_ref(&event))).await;
    assert_eq!(owed(journal, 109, 10_000, 10).await, Owed::default());
    let found = owed(journal, 110, 10_000, 10).await.deliveries;
    assert_eq!(found.len(), 2, "one for each function");
    assert!(found.contains(&("build".into(), event.clone())) && found.contains(&("deploy".into(), event)));
    assert_eq!(owed(journal, 100, 0, 10).await.deliveries.len(), 2, "no grace, no waiting");
    let receipt = Receipt { function: "build".into(), event: id("e"), unit: None, clears: true };
    done(journal, &Commit { receipt: Some(receipt), ..says(111, &[]) }).await;
    assert!(to_build(journal, 200).await.is_empty());
}

async fn the_oldest_are_found_first_up_to_the_limit<J: Journal>(journal: &J) {
    for (seconds, name) in [(1, "first"), (2, "second"), (3, "third")] {
        done(journal, &says(seconds, &[request(name, "a")])).await;
    }
    assert_eq!(to_build(journal, 100).await, ["first", "second", "third"]);
    let found = owed(journal, 100, 0, 4).await.deliveries;
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|(_, event)| event.id != id("third")));
}

fn put_off(event: &str, attempts: u32, seconds: i64) -> Commit {
    let postpone = Postpone { function: "build".into(), event: id(event), attempts, due: at(seconds) };
    Commit { postpone: Some(postpone), ..Commit::default() }
}

async fn a_delivery_put_off_is_found_when_it_is_due<J: Journal>(journal: &J) {
    done(journal, &says(0, &[request("e", "a")])).await;
    done(journal, &put_off("e", 3, 500)).await;
    assert!(to_build(journal, 499).await.is_empty());
    assert_eq!(to_build(journal, 500).await, ["e"], "the grace is for what was never put off");
    let told = Some((id("e"), Vec::new()));
    let ask = Open { function: "build".into(), unit: "u".into(), told, ..Open::default() };
    let opened = super::sample::read(journal, &ask).await;
    assert_eq!((opened.owed, opened.delivery_attempts), (true, 3));
    let deploy = Open { function: "deploy".into(), ..ask };
    assert_eq!(super::sample::read(journal, &deploy).await.delivery_attempts, 0);
    done(journal, &put_off("e", 4, 600)).await;
    assert!(to_build(journal, 599).await.is_empty());
}

async fn putting_off_what_is_not_owed_does_nothing<J: Journal>(journal: &J) {
    done(journal, &put_off("e", 1, 0)).await;
    assert_eq!(owed(journal, 100, 0, 10).await, Owed::default());
}

async fn units<J: Journal>(journal: &J, seconds: i64) -> Vec<String> {
    owed(journal, seconds, 0, 100)
        .await
        .units
        .into_iter()
        .map(|(function, unit)| format!("{function}/{unit}"))
        .collect()
}

async fn stands<J: Journal>(journal: &J, name: &str, row: UnitRow) {
    let mut write = unit(name, None);
    write.row = UnitRow { version: 1, state: "{}".into(), ..row };
    done(journal, &writes(write)).await;
}

async fn a_unit_is_found_when_it_is_due<J: Journal>(journal: &J) {
    stands(journal, "later", UnitRow { due: Some(at(60)), ..UnitRow::default() }).await;
    stands(journal, "sooner", UnitRow { due: Some(at(30)), ..UnitRow::default() }).await;
    stands(journal, "idle", UnitRow::default()).await;
    assert!(units(journal, 29).await.is_empty());
    assert_eq!(units(journal, 30).await, ["build/sooner"]);
    assert_eq!(units(journal, 60).await, ["build/sooner", "build/later"]);
    assert_eq!(owed(journal, 60, 0, 1).await.units.len(), 1);
}

async fn a_claimed_unit_is_found_when_its_claim_ends<J: Journal>(journal: &J) {
    let (todo, claim, until) = (vec![todo("start")], Some("invocation-1".to_owned()), Some(at(30)));
    let busy = UnitRow { todo, claim, until, ..UnitRow::default() };
    stands(journal, "busy", busy.clone()).await;
    stands(journal, "busy-and-due", UnitRow { due: Some(at(10)), ..busy.clone() }).await;
    stands(journal, "due-much-later", UnitRow { due: Some(at(1000)), ..busy }).await;
    assert!(units(journal, 29).await.is_empty(), "nobody disturbs who performs");
    let mut found = units(journal, 30).await;
    found.sort();
    assert_eq!(found, ["build/busy", "build/busy-and-due", "build/due-much-later"], "each once");
}

async fn a_unit_put_off_with_open_effects_is_found_when_it_is_due<J: Journal>(journal: &J) {
    let row = UnitRow { todo: vec![todo("start")], due: Some(at(40)), ..UnitRow::default() };
    stands(journal, "failed-once", row).await;
    assert!(units(journal, 39).await.is_empty());
    assert_eq!(units(journal, 40).await, ["build/failed-once"]);
}
